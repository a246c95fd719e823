//! Encrypted connections, with the program as a process of its own: whose certificates it trusts is the machine's choice,
//! which `SSL_CERT_FILE` names.

use alertcast_core::store::Collection;
use std::path::Path;

use alertcast_core::delivery::DeliveryState::Sent;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use telegram_sim::SimConfig;

use super::{MailServer, buy, to, wants_mail};
use crate::harness::child::now;
use crate::harness::{Site, TestPeople};

/// A certificate for this machine that nobody vouches for, alone and with its key.
fn certificate(folder: &Path) -> (String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (public, both) = (path("certificate.pem"), path("server.pem"));
    std::fs::write(&public, cert.pem()).unwrap();
    std::fs::write(&both, cert.pem() + &signing_key.serialize_pem()).unwrap();
    (public, both)
}

/// Mail and password go to a server whose certificate is good, and to no other.
async fn by(scheme: &str, query: &str, more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (public, both) = certificate(folder.path());
    let options = [&["--certificate", both.as_str(), "--login", "signals@example.com:p/w"], more].concat();
    let server = MailServer::with(&options);
    let world = TestPeople::at(now()).config(1, |_| {}).plan(1, &[1], |_| {}).users([1], 1);
    let site = Site::new(wants_mail(world, 1), SimConfig::default().no_limits()).await;
    let url = format!("{scheme}://signals%40example.com:p%2Fw@localhost:{}{query}", server.port);
    let mut variables = vec![("ALERTCAST_SMTP_URL", url.as_str()), ("ALERTCAST_EMAIL_FROM", "alerts@example.com")];

    let mut program = site.spawn_as(&[], &variables);
    assert!(site.ready(&mut program).await, "{}", site.last_words());
    site.sender().accept(&buy(100.0)).await;
    let waits = [("lane", "mail:0"), ("state", "pending")];
    let was_tried = || site.last_words().contains("certificate");
    site.until("it was tried, and waits", || was_tried() && site.desk.count(Collection::Deliveries, &waits) == 1).await;
    assert_eq!(server.mails().len(), 0, "nobody vouches for the server");
    assert_eq!(program.terminate().await.code(), Some(0));

    variables.push(("SSL_CERT_FILE", &public));
    let mut program = site.spawn_as(&[], &variables);
    assert!(site.ready(&mut program).await, "{}", site.last_words());
    site.until("the mail has come", || !server.mails().is_empty()).await;
    let mail = server.mails().remove(0);
    assert_eq!((mail.encrypted, mail.login.as_deref(), mail.is_marked()), (true, Some("signals@example.com"), false));
    site.quiet().await;
    assert_eq!(program.terminate().await.code(), Some(0));
    let log = site.last_words();
    assert!(!log.contains("p/w") && !log.contains("p%2Fw") && !log.contains("user1@"), "{log}");

    let store = site.store().await;
    let books = crate::harness::Books::read(&*store).await;
    crate::harness::place::close(store);
    assert_eq!(to(&books, 1)[0].state, Sent);
}

#[tokio::test]
async fn by_starttls_mail_goes_only_where_the_certificate_is_good() {
    by("smtp", "?tls=required", &[]).await;
}

#[tokio::test]
async fn encrypted_from_the_first_byte_mail_goes_only_where_the_certificate_is_good() {
    by("smtps", "", &["--encrypted"]).await;
}
