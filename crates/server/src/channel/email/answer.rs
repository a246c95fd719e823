//! What a failed conversation means for the message. Pure.

use lettre::Address;

use super::super::ChannelAnswer;
use super::session::{SessionFailure, SessionStep, SessionTrouble};

const ERROR_CHARS_MAX: usize = 300;
/// Stands for whatever could name a person.
const REMOVED: &str = "[address]";
/// Shorter names of mailboxes are words of their own.
const NAME_CHARS_MIN: usize = 3;

/// What the trouble means for a message to that address.
pub(super) fn of(trouble: &SessionTrouble, to: &Address) -> ChannelAnswer {
    let error = without_people(&trouble.to_string(), to);
    let failed = |error, in_doubt| ChannelAnswer::Failed { error, in_doubt };
    match (trouble.step, &trouble.cause) {
        // It did not take the mail, and would not let us in again before we mend the log-in.
        (_, SessionFailure::Reply { code: 530 | 534 | 535 | 538, .. }) => ChannelAnswer::Unauthorized { error },
        (SessionStep::LoggingIn, SessionFailure::Unable(_)) => ChannelAnswer::Unauthorized { error },
        (SessionStep::LoggingIn | SessionStep::Sender, SessionFailure::Reply { code: 500..=599, .. }) => {
            ChannelAnswer::Unauthorized { error }
        }
        // It is shutting down, or has enough of us.
        (_, SessionFailure::Reply { code: 421, .. }) => failed(error, false),
        (SessionStep::Recipient, SessionFailure::Reply { code: 400..=499, .. }) => ChannelAnswer::Deferred { error },
        (SessionStep::Recipient, SessionFailure::Reply { code: 500..=599, text }) if names_no_mailbox(text) => {
            ChannelAnswer::NoMailbox { error }
        }
        (
            SessionStep::Recipient | SessionStep::Asking | SessionStep::Mail,
            SessionFailure::Reply { code: 500..=599, .. },
        ) => ChannelAnswer::Refused { error },
        (SessionStep::Mail, SessionFailure::Lost(_) | SessionFailure::TimedOut | SessionFailure::Unable(_)) => {
            failed(error, true)
        }
        (_, _) => failed(error, false),
    }
}

/// Whether a refusal of the recipient says that there is no such mailbox (RFC 3463, X.1 and X.2), and not that the server
/// will have nothing from us (X.7), or not now. Servers that give no such code say it in words.
fn names_no_mailbox(text: &str) -> bool {
    const CODES: [&str; 7] = ["5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];
    const WORDS: [&str; 21] = [
        "user unknown",
        "unknown user",
        "user not found",
        "no such user",
        "user doesn't exist",
        "not a known user",
        "no such recipient",
        "unknown recipient",
        "recipient unknown",
        "recipient not found",
        "invalid recipient",
        "no mailbox here",
        "no such mailbox",
        "invalid mailbox",
        "mailbox unavailable",
        "mailbox not found",
        "no such address",
        "address unknown",
        "unknown address",
        "address not found",
        "does not exist",
    ];
    let is_code = |word: &&str| {
        let mut parts = word.split('.');
        parts.next() == Some("5") && parts.clone().count() == 2 && parts.all(|part| part.parse::<u16>().is_ok())
    };
    let lower = text.to_lowercase();
    let code = lower.split(|c: char| !c.is_ascii_digit() && c != '.').find(is_code);
    let says_so = || WORDS.iter().any(|words| lower.contains(words));
    match code {
        Some(code) if CODES.contains(&code) => true,
        // These tell no cause: the words do.
        Some("5.0.0" | "5.3.0" | "5.5.0") | None => says_so(),
        // Some say by the policy's code, and nothing else, that nobody is there.
        Some(code) => lower.split_once(code).is_some_and(|(_, said)| {
            let said = said.trim_matches(|c: char| !c.is_alphanumeric());
            WORDS.contains(&said)
        }),
    }
}

/// The text without what names a person. Servers like to repeat the address.
fn without_people(text: &str, to: &Address) -> String {
    let name = to.user().to_lowercase();
    let clean = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if word.contains('@') || (bare == name && name.chars().count() >= NAME_CHARS_MIN) {
            REMOVED.to_owned()
        } else {
            word.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
        }
    };
    let words: Vec<String> = text.split_whitespace().map(clean).collect();
    words.join(" ").chars().take(ERROR_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to() -> Address {
        "asha@example.com".parse().unwrap()
    }

    fn said(step: SessionStep, code: u16) -> ChannelAnswer {
        of(&SessionTrouble { step, cause: SessionFailure::Reply { code, text: "so".to_owned() } }, &to())
    }

    const STEPS: [SessionStep; 6] = [
        SessionStep::Connecting,
        SessionStep::LoggingIn,
        SessionStep::Sender,
        SessionStep::Recipient,
        SessionStep::Asking,
        SessionStep::Mail,
    ];

    #[test]
    fn only_what_was_lost_after_the_mail_was_given_is_in_doubt() {
        for step in STEPS {
            for cause in [SessionFailure::TimedOut, SessionFailure::Lost("gone".to_owned())] {
                let answer = of(&SessionTrouble { step, cause }, &to());
                let in_doubt = matches!(answer, ChannelAnswer::Failed { in_doubt: true, .. });
                assert_eq!(in_doubt, step == SessionStep::Mail, "{step:?}");
                assert!(matches!(answer, ChannelAnswer::Failed { .. }), "{answer:?}");
            }
            for code in [421, 450, 451, 452, 550, 554] {
                assert!(!matches!(said(step, code), ChannelAnswer::Failed { in_doubt: true, .. }), "{step:?} {code}");
            }
        }
    }

    #[test]
    fn a_refused_recipient_is_not_the_servers_trouble_and_a_refused_sender_is_not_the_messages() {
        for (step, code, expected) in [
            (SessionStep::Connecting, 554, "failed"),
            (SessionStep::LoggingIn, 535, "unauthorized"),
            (SessionStep::LoggingIn, 454, "failed"),
            (SessionStep::Sender, 530, "unauthorized"),
            (SessionStep::Sender, 553, "unauthorized"),
            (SessionStep::Sender, 451, "failed"),
            (SessionStep::Recipient, 550, "refused"),
            (SessionStep::Recipient, 451, "deferred"),
            (SessionStep::Recipient, 421, "failed"),
            (SessionStep::Asking, 554, "refused"),
            (SessionStep::Asking, 451, "failed"),
            (SessionStep::Mail, 552, "refused"),
            (SessionStep::Mail, 452, "failed"),
        ] {
            let answer = match said(step, code) {
                ChannelAnswer::Refused { .. } => "refused",
                ChannelAnswer::Deferred { .. } => "deferred",
                ChannelAnswer::Unauthorized { .. } => "unauthorized",
                ChannelAnswer::Failed { .. } => "failed",
                other => panic!("{other:?}"),
            };
            assert_eq!(answer, expected, "{step:?} {code}");
        }
    }

    #[test]
    fn a_mailbox_that_is_not_there_is_told_from_a_policy() {
        let answer = |code, text: &str| {
            let cause = SessionFailure::Reply { code, text: text.to_owned() };
            matches!(
                of(&SessionTrouble { step: SessionStep::Recipient, cause }, &to()),
                ChannelAnswer::NoMailbox { .. }
            )
        };
        for text in [
            "5.1.1 <asha@example.com>: Recipient address rejected: User unknown in local recipient table",
            "5.1.1 The email account that you tried to reach does not exist.",
            "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
            "5.2.1 The email account that you tried to reach is disabled",
            "No such user here",
            "Requested action not taken: mailbox unavailable: unknown user",
            "Requested action not taken: mailbox unavailable",
            "5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
            "5.3.0 <asha@example.com>... User unknown",
            "Message was not accepted -- invalid mailbox. Local mailbox is unavailable: user not found",
            "sorry, no mailbox here by that name. (#5.1.1)",
            "5.7.1 No such user!",
            "Mailbox not found",
        ] {
            assert!(answer(550, text), "{text}");
        }
        for text in [
            "5.7.1 Client host rejected: the user unknown to us",
            "5.7.26 This mail has been blocked because the sender is unauthenticated",
            "5.2.2 The recipient's inbox is out of storage space",
            "5.4.1 Recipient address rejected: Access denied",
            "Access denied",
            "5.3.0 so",
            "5.7.1 No such user may send to this list",
            "5.2.2 mailbox unavailable: over quota",
        ] {
            assert!(!answer(550, text), "{text}");
        }
        assert!(!answer(450, "4.2.1 user unknown"), "not for good");
        let asked = SessionTrouble {
            step: SessionStep::Mail,
            cause: SessionFailure::Reply { code: 550, text: "5.1.1 no".to_owned() },
        };
        assert!(matches!(of(&asked, &to()), ChannelAnswer::Refused { .. }), "it may be about the mail");
    }

    #[test]
    fn no_error_names_the_recipient() {
        for text in [
            "5.1.1 <asha@example.com>: Recipient address rejected: User unknown",
            "5.1.1 <Asha@Example.com> User asha unknown (asha)",
            "5.1.1 mailbox \"asha\" is\r\nfull; write to postmaster@example.com",
        ] {
            let trouble = SessionTrouble {
                step: SessionStep::Recipient,
                cause: SessionFailure::Reply { code: 550, text: text.to_owned() },
            };
            let (ChannelAnswer::Refused { error } | ChannelAnswer::NoMailbox { error }) = of(&trouble, &to()) else {
                panic!()
            };
            let lower = error.to_lowercase();
            assert!(!lower.contains("asha") && !lower.contains('@'), "{error}");
            assert!(error.contains("550 5.1.1"), "{error}");
        }
    }
}
