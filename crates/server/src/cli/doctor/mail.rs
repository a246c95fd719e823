//! The mail server, where one is set: whether it can be reached, whether it is one, and whether it takes our mail.

use secrecy::ExposeSecret as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use url::Url;

use super::DoctorFinding;
use super::server::PATIENCE;
use crate::channel::Channel as _;
use crate::channel::email::EmailChannel;
use crate::clock::SystemClock;
use crate::settings::{EmailSettings, Settings};

const CHECK: &str =
    "check host and port in email.smtp_url, and the firewall: many providers block port 25; 587 is the usual one";

pub(super) async fn look(settings: &Settings) -> Vec<DoctorFinding> {
    let Some(url) = &settings.email.smtp_url else { return Vec::new() };
    // What is read from the configuration is a URL with a host.
    let Ok(url) = Url::parse(url.expose_secret()) else { return Vec::new() };
    let Some(host) = url.host_str() else { return Vec::new() };
    let tls = url.scheme() == "smtps";
    let port = url.port().unwrap_or(if tls { 465 } else { 587 });
    match tokio::time::timeout(PATIENCE, read_greeting(host, port, tls)).await {
        Ok(Ok(())) => {
            let answers = DoctorFinding::good(format!("The mail server {host}:{port} answers"));
            vec![answers, check_taking(&settings.email).await]
        }
        Ok(Err(why)) => vec![DoctorFinding::bad(format!("The mail server {host}:{port} {why}"), CHECK)],
        Err(_) => vec![DoctorFinding::bad(format!("The mail server {host}:{port} does not answer"), CHECK)],
    }
}

/// Goes as far as a mail does before its recipient: encryption, log-in, sender.
async fn check_taking(settings: &EmailSettings) -> DoctorFinding {
    let email = match EmailChannel::new(settings, None, SystemClock::new()) {
        Ok(email) => email,
        Err(error) => return DoctorFinding::bad(format!("No mail can be sent: {error}"), "set what is missing"),
    };
    let fix = "check name and password in email.smtp_url, and whether the address in email.from is one of theirs";
    match tokio::time::timeout(PATIENCE, email.check()).await {
        Ok(Ok(())) => DoctorFinding::good("It lets us in, and takes mail from our sender"),
        Ok(Err(why)) => DoctorFinding::bad(format!("It does not take our mail: {why}"), fix),
        Err(_) => DoctorFinding::bad("It does not answer when we log in", fix),
    }
}

/// Connects and hears what it greets with. Where TLS comes first, that it can be connected to must do.
async fn read_greeting(host: &str, port: u16, tls: bool) -> Result<(), String> {
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
    let stream = stream.map_err(|error| format!("cannot be reached: {error}"))?;
    if tls {
        return Ok(());
    }
    let mut line = Vec::new();
    // A greeting has at most 512 bytes (RFC 5321, 4.5.3.1.5).
    let mut stream = BufReader::with_capacity(512, stream);
    while !line.contains(&b'\n') && line.len() < 512 {
        let read = stream.fill_buf().await.map_err(|error| format!("broke off: {error}"))?;
        if read.is_empty() {
            return Err("closed the connection without a word".to_owned());
        }
        line.extend_from_slice(read);
        let read = read.len();
        stream.consume(read);
    }
    if line.starts_with(b"220") { Ok(()) } else { Err("does not greet as a mail server does".to_owned()) }
}
