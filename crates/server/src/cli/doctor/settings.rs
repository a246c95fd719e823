//! The configuration: its mistakes, who may read the secrets in it, and whether they could be guessed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use super::super::terminal::count_noun;
use super::DoctorFinding;
use crate::settings::Settings;
use crate::settings::loading::ExaminedSettings;

/// A secret of fewer bits could be guessed by somebody who tries for long.
const BITS_MIN: f64 = 64.0;
/// Words that stand in examples.
const PLACEHOLDERS: [&str; 6] = ["changeme", "example", "password", "secret", "webhook", "alertcast"];

pub(super) fn look(examined: &ExaminedSettings) -> Vec<DoctorFinding> {
    let loaded = &examined.loaded;
    let mut findings: Vec<DoctorFinding> =
        examined.problems.iter().map(|problem| DoctorFinding::bad(problem.to_string(), problem.fix.clone())).collect();
    if findings.is_empty() {
        findings.push(DoctorFinding::good(match &loaded.file {
            Some(file) => format!("{} and the environment are read, without a mistake", file.display()),
            None => "The environment is read, without a mistake; there is no alertcast.toml here".to_owned(),
        }));
    }
    findings.extend(examined.secret_files.iter().map(|file| readable_by_others(file)));
    findings.extend(webhook_secrets(&loaded.settings));
    if loaded.settings.redis_url.is_some() {
        findings.push(DoctorFinding::attention(
            "redis_url is set, but the embedded store has no use for Redis",
            "remove it, or leave it for a later release with MongoDB",
        ));
    }
    findings
}

/// A file with secrets in it is for its owner alone.
fn readable_by_others(file: &Path) -> DoctorFinding {
    let shown = file.display();
    let fix = format!("chmod 600 {shown}");
    match file.metadata().map(|metadata| metadata.permissions().mode()) {
        Ok(mode) if mode & 0o007 != 0 => {
            DoctorFinding::bad(format!("{shown} holds secrets, and every user of this machine may read it"), fix)
        }
        Ok(mode) if mode & 0o070 != 0 => {
            DoctorFinding::attention(format!("{shown} holds secrets, and its whole group may read it"), fix)
        }
        Ok(_) => DoctorFinding::good(format!("{shown} holds secrets, and only its owner may read it")),
        Err(error) => {
            DoctorFinding::bad(format!("{shown} cannot be looked at: {error}"), "check the path and its permissions")
        }
    }
}

fn webhook_secrets(settings: &Settings) -> Vec<DoctorFinding> {
    let secrets = &settings.webhook.secrets;
    if secrets.is_empty() {
        return vec![DoctorFinding::bad(
            "No webhook secret is configured: nobody can post an alert",
            "make one with `openssl rand -hex 24`, and set it as ALERTCAST_WEBHOOK_SECRETS or webhook.secrets",
        )];
    }
    let weak = secrets.iter().filter(|secret| is_weak(secret)).count();
    let mut findings = Vec::new();
    if weak > 0 {
        let which = if secrets.len() == 1 { "The webhook's secret" } else { "One of the webhook's secrets" };
        findings.push(DoctorFinding::attention(
            format!("{which} could be guessed: it repeats itself, or is made of common words"),
            "add one from `openssl rand -hex 24`, change the address in TradingView, then remove the old one",
        ));
    } else {
        let all = count_noun(secrets.len(), "webhook secret", "webhook secrets");
        findings.push(DoctorFinding::good(format!("{all}, long and mixed enough")));
    }
    if settings.webhook.allowed_addresses.is_empty() && settings.webhook.hmac_key.is_none() {
        findings.push(DoctorFinding::attention(
            "Whoever learns the webhook's address can post alerts from anywhere",
            "set webhook.check_addresses = true: then only TradingView's own addresses may post (behind a proxy, name \
             it in webhook.trusted_proxies)",
        ));
    }
    findings
}

fn is_weak(secret: &SecretString) -> bool {
    let text = secret.expose_secret().to_ascii_lowercase();
    let without_words = PLACEHOLDERS.iter().fold(text, |text, word| text.replace(word, ""));
    bits(&without_words) < BITS_MIN
}

/// How many bits a text has at most, by how often each of its characters stands in it.
fn bits(text: &str) -> f64 {
    let all = f64::from(u32::try_from(text.chars().count()).unwrap_or(u32::MAX));
    let mut counts = std::collections::BTreeMap::<char, u32>::new();
    text.chars().for_each(|c| *counts.entry(c).or_default() += 1);
    counts.values().map(|count| f64::from(*count) * (all / f64::from(*count)).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_itself_or_is_made_of_common_words_is_weak() {
        for weak in ["aaaaaaaaaaaaaaaaaaaaaaaa", "changemechangeme", "webhook-secret-1234", "abababababababababababab"]
        {
            assert!(is_weak(&weak.into()), "{weak}");
        }
        for strong in ["f1e59ca4a4bb1f4c8e7d99aa1d2b3c4d", "correct-horse-battery-staple", "Zk3-9aQx_7pLmW2v.T~r"] {
            assert!(!is_weak(&strong.into()), "{strong}");
        }
    }
}
