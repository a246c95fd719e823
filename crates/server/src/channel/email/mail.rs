//! The mail itself: headers, text and HTML, as bytes. Pure: the time is an argument.

use std::io;
use std::time::{Duration, SystemTime};

use alertcast_core::id::DeliveryId;
use alertcast_core::time::Time;
use lettre::Address;
use lettre::error::Error;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail, MultiPart, SinglePart};
use url::Host;

use super::super::message::MessageText;
use super::super::{MessageForm, OutgoingMessage};
use super::html;

/// Whom it is from and why it came, for the mail's last lines.
pub(super) fn why(provider: Option<&str>) -> String {
    let from = provider.map(|provider| format!(" from {provider}")).unwrap_or_default();
    format!("You get this{from} because you subscribe to these signals and have e-mail switched on.")
}

/// The words of the link.
pub(super) const STOP: &str = "Stop these e-mails";

const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");
const LIST_UNSUBSCRIBE: HeaderName = HeaderName::new_from_ascii_str("List-Unsubscribe");
const LIST_UNSUBSCRIBE_POST: HeaderName = HeaderName::new_from_ascii_str("List-Unsubscribe-Post");

/// The address, where it is one that every server takes: with letters of ASCII before the @ (seed 7.1), and a domain
/// behind it, which is spelled in ASCII.
pub(super) fn address(text: &str) -> Option<Address> {
    let (name, domain) = text.rsplit_once('@').filter(|(name, _)| name.is_ascii())?;
    match Host::parse(domain).ok()? {
        Host::Domain(domain) => Address::new(name, domain).ok(),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// The mail. `link`: where the reader stops these mails.
///
/// # Errors
/// What lettre or the page's template does not accept.
pub(super) fn compose(
    outgoing: &OutgoingMessage,
    from: &Mailbox,
    to: &Address,
    link: Option<&str>,
    now: Time,
) -> Result<Vec<u8>, Error> {
    let subject = outgoing.subject.clone().unwrap_or_else(|| subject(&outgoing.message));
    let why = why(from.name.as_deref());
    let id = |delivery: DeliveryId| format!("<{delivery}@{}>", from.email.domain());
    let mut mail = Mail::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to.clone()))
        .subject(subject.clone())
        .message_id(Some(id(outgoing.delivery)))
        .date(system_time(now))
        .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()));
    if let Some(answered) = outgoing.answers.map(id) {
        mail = mail.in_reply_to(answered.clone()).references(answered);
    }
    if let Some(link) = link {
        mail = mail.raw_header(HeaderValue::new(LIST_UNSUBSCRIBE, format!("<{link}>")));
        // One click is for encrypted links only (RFC 8058).
        if link.starts_with("https:") {
            let one_click = "List-Unsubscribe=One-Click".to_owned();
            mail = mail.raw_header(HeaderValue::new(LIST_UNSUBSCRIBE_POST, one_click));
        }
    }
    let text = part(ContentType::TEXT_PLAIN, text(outgoing, &why, link));
    let mail = match outgoing.form {
        MessageForm::Rich => {
            let html = html::page(outgoing, &subject, &why, link).map_err(|e| Error::Io(io::Error::other(e)))?;
            let html = part(ContentType::TEXT_HTML, html);
            let parts = MultiPart::alternative().boundary(format!("=_{}", outgoing.delivery));
            mail.multipart(parts.singlepart(text).singlepart(html))?
        }
        MessageForm::Plain => mail.singlepart(text)?,
    };
    Ok(mail.formatted())
}

/// The first line, in a row: it is all that a list of mails shows.
pub(crate) fn subject(message: &MessageText) -> String {
    let first = message.plain.lines().next().unwrap_or_default();
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn text(outgoing: &OutgoingMessage, why: &str, link: Option<&str>) -> String {
    let stop = link.map(|link| format!("\n{STOP}: {link}")).unwrap_or_default();
    let opening = outgoing.opening.as_ref().map(|opening| format!("{opening}\n\n")).unwrap_or_default();
    format!("{opening}{}\n\n-- \n{why}{stop}\n", outgoing.message.plain)
}

fn part(kind: ContentType, text: String) -> SinglePart {
    let encoding = ContentTransferEncoding::QuotedPrintable;
    let builder = SinglePart::builder().header(kind).header(encoding);
    builder.body(text)
}

/// What lettre wants its dates as. No mail is from before 1970.
fn system_time(time: Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(time.millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_every_server_takes() {
        for (text, address) in [
            ("asha@example.com", Some("asha@example.com")),
            ("asha.k+signals@example.co.in", Some("asha.k+signals@example.co.in")),
            ("asha@münchen.example", Some("asha@xn--mnchen-3ya.example")),
            ("aşa@example.com", None),
            ("asha", None),
            ("asha@", None),
            ("@example.com", None),
            ("asha@192.0.2.1", None),
            ("asha@example.com\r\nRCPT TO:<other@example.com>", None),
            ("a b@example.com", None),
            ("asha@example.com>", None),
        ] {
            assert_eq!(self::address(text).map(|address| address.to_string()).as_deref(), address, "{text}");
        }
    }
}
