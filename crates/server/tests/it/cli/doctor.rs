//! `doctor`: what it finds, and what it says to do.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use alertcast_core::alert::document::AlertStatus;
use alertcast_core::fixtures;
use alertcast_core::id::AlertId;
use alertcast_core::market::Signal;
use alertcast_core::store::{Collection, DocumentWrite, document};
use bson::oid::ObjectId;
use bson::{Document, doc};
use serde_json::Value;
use telegram_sim::{SimConfig, SimServer};
use tokio::io::AsyncWriteExt as _;

use crate::harness::mail::MailServer;
use crate::harness::place::{Place, close};

use super::program::{Folder, Ran};
use super::serving::{Served, folder};

const TOKEN: &str = "123456:token-of-the-tests";
const SECRET: &str = "f1e59ca4a4bb1f4c8e7d99aa1d2b3c4d";

/// A stand-in for Telegram, whose clock is off by so many seconds.
async fn telegram(off: i64) -> SimServer {
    crate::harness::prepare_process();
    let now = telegram_sim::system_clock();
    let config = SimConfig::default().bot(TOKEN).strict().clock(Arc::new(move || now() + off * 1_000));
    let server = telegram_sim::start(config, "127.0.0.1:0").await.unwrap();
    server.sim().start_chat(123_456, 4_711);
    server
}

/// Runs `doctor` with everything set as it should be, and these variables above it.
async fn doctor(folder: &Folder, sim: &SimServer, arguments: &str, more: &[(&str, &str)]) -> Ran {
    let mut command = folder.command(&format!("doctor {arguments}"));
    command.env("ALERTCAST_WEBHOOK_SECRETS", SECRET).env("ALERTCAST_WEBHOOK_CHECK_ADDRESSES", "true");
    command.env("ALERTCAST_TELEGRAM_TOKENS", TOKEN).env("ALERTCAST_TELEGRAM_API_URL", sim.url());
    command.env("ALERTCAST_OPERATOR_CHATS", "4711").env("ALERTCAST_LISTEN", "127.0.0.1:0");
    command.envs(more.iter().copied());
    let ran = tokio::task::spawn_blocking(move || Ran::new(command.output().unwrap())).await.unwrap();
    for secret in [SECRET, "token-of-the-tests"] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(ran.stderr, "");
    ran
}

impl Ran {
    /// The fix that stands under a line with this in it.
    #[track_caller]
    fn fix_of(&self, mark: char, what: &str) -> String {
        let text = self.stdout.replace("\n      ", " ").replace("\n    → ", "\t").replace("\n    ", " ");
        let line = text.lines().find(|line| line.contains(what));
        let line = line.unwrap_or_else(|| panic!("{what:?} is not in\n{}", self.stdout)).trim();
        assert!(line.starts_with(mark), "{line}");
        line.split_once('\t').map(|(_, fix)| fix.to_owned()).unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_broken_it_says_so() {
    let (folder, sim) = (folder(), telegram(0).await);
    let ran = doctor(&folder, &sim, "", &[]).await.assert(0);
    assert!(!ran.stdout.contains('✖'), "{}", ran.stdout);
    for good in [
        "The environment is read, without a mistake",
        "1 webhook secret, long and mixed enough",
        "127.0.0.1:0 is free to listen on",
        "data can be written to",
        "are sound",
        "The store has 1 configuration, 0 plans and 0 subscriptions",
        "Bot 123456 is @sim_123456_bot",
        "The operators' chat 4711 is there: private",
        "This machine's clock agrees with Telegram's",
    ] {
        assert_eq!(ran.fix_of('✔', good), "", "{good}");
    }
    // The one thing that a test has not: an address on the Internet.
    assert!(ran.fix_of('▲', "public_url is not set").contains("80 and 443"));
    assert!(ran.stdout.ends_with("✓ Nothing is broken; 1 to look at (▲).\n"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_a_closed_chat_are_told_with_what_to_do() {
    let (folder, sim) = (folder(), telegram(0).await);
    let wrong = [("ALERTCAST_TELEGRAM_TOKENS", "123456:token-of-the-tests,777:token-of-the-tests-gone")];
    let ran = doctor(&folder, &sim, "", &wrong).await.assert(1);
    assert!(ran.fix_of('✖', "does not know the token of bot 777").contains("@BotFather"));
    ran.fix_of('✔', "Bot 123456 is @sim_123456_bot");
    let ran = doctor(&folder, &sim, "", &[("ALERTCAST_OPERATOR_CHATS", "4711,-99")]).await.assert(1);
    assert!(ran.fix_of('✖', "chat -99 is closed to the first bot").contains("press Start"));
    ran.fix_of('✔', "chat 4711 is there");
    let ran = doctor(&folder, &sim, "", &[("ALERTCAST_TELEGRAM_API_URL", "http://127.0.0.1:9")]).await.assert(1);
    assert!(ran.fix_of('✖', "Bot 123456 could not be asked: Telegram cannot be reached").contains("Internet"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_told() {
    let folder = folder();
    let ran = doctor(&folder, &telegram(-90).await, "", &[]).await.assert(1);
    assert!(ran.fix_of('✖', "s ahead of Telegram's: alerts would be refused as stale").contains("timedatectl"));
    let ran = doctor(&folder, &telegram(90).await, "", &[]).await.assert(1);
    ran.fix_of('✖', "s behind Telegram's");
    doctor(&folder, &telegram(-15).await, "", &[]).await.assert(0).fix_of('▲', "s ahead of Telegram's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_taken_by_a_stranger_is_told() {
    let (folder, sim) = (folder(), telegram(0).await);
    let stranger = sim.addr().to_string();
    let ran = doctor(&folder, &sim, "", &[("ALERTCAST_LISTEN", &stranger)]).await.assert(1);
    assert!(ran.fix_of('✖', &format!("Another program listens on {stranger}")).contains("--listen"));
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ran = doctor(&folder, &sim, "", &[("ALERTCAST_LISTEN", &gone)]).await.assert(0);
    ran.fix_of('✔', &format!("{gone} is free to listen on"));
    let ran = doctor(&folder, &sim, "", &[("ALERTCAST_LISTEN", "192.0.2.1:80")]).await.assert(1);
    assert!(ran.fix_of('✖', "192.0.2.1:80 cannot be listened on").contains("one of this machine's"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_recognised_and_asked() {
    let (folder, sim) = (folder(), telegram(0).await);
    let served = Served::start(&folder);
    let ran = doctor(&folder, &sim, "", &[("ALERTCAST_LISTEN", &served.address)]).await.assert(0);
    ran.fix_of('✔', &format!("An alertcast is running on {}, and is ready", served.address));
    ran.fix_of('✔', "The store is in use by the running alertcast, which says that it is ready");
    ran.fix_of('✔', "The store has 1 configuration");
    // With another address it cannot be asked.
    let ran = doctor(&folder, &sim, "", &[]).await.assert(0);
    assert!(ran.fix_of('▲', "in use by another process").contains("--listen"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_or_that_others_can_read_is_told() {
    let (folder, sim) = (folder(), telegram(0).await);
    // Not even root can make a file there.
    let ran = doctor(&folder, &sim, "--data-dir /proc", &[]).await.assert(1);
    assert!(ran.fix_of('✖', "/proc cannot be written to").contains("chown"));
    folder.file("a file", "");
    let ran = doctor(&folder, &sim, "", &[("ALERTCAST_DATA_DIR", "a file")]).await.assert(1);
    ran.fix_of('✖', "is a file, not a folder");
    let ran = doctor(&folder, &sim, "--data-dir none", &[]).await.assert(0);
    assert!(ran.fix_of('▲', "none is not there yet").contains("alertcast setup"));
    assert!(!folder.path().join("none").exists(), "it makes nothing");
    let data = folder.path().join("data");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ran = doctor(&folder, &sim, "", &[]).await.assert(0);
    assert!(ran.fix_of('▲', "Every user of this machine may look into").starts_with("chmod 700 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_with_secrets_are_for_their_owner_alone() {
    let (folder, sim) = (folder(), telegram(0).await);
    let config = folder.file("alertcast.toml", &format!("[webhook]\nsecrets = [\"{SECRET}\"]\n"));
    let file = folder.file("token", TOKEN);
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&config, 0o644);
    mode(&file, 0o640);
    let from_file = [("ALERTCAST_TELEGRAM_TOKENS", ""), ("ALERTCAST_TELEGRAM_TOKENS_FILE", "token")];
    let ran = doctor(&folder, &sim, "", &from_file).await.assert(1);
    assert_eq!(ran.fix_of('✖', "every user of this machine may read it"), "chmod 600 alertcast.toml");
    assert_eq!(ran.fix_of('▲', "token holds secrets, and its whole group may read it"), "chmod 600 token");
    mode(&config, 0o600);
    mode(&file, 0o600);
    let ran = doctor(&folder, &sim, "", &from_file).await.assert(0);
    ran.fix_of('✔', "alertcast.toml holds secrets, and only its owner may read it");
    // Without a secret in it, anybody may read it.
    folder.file("alertcast.toml", "[webhook]\nsecrets = []\n");
    mode(&config, 0o644);
    doctor(&folder, &sim, "", &[]).await.assert(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_in_the_configuration_is_told_and_the_rest_is_looked_at_all_the_same() {
    let (folder, sim) = (folder(), telegram(0).await);
    let ran = doctor(&folder, &sim, "--log-level loud", &[("ALERTCAST_SMTP_URL", "mail")]).await.assert(1);
    assert!(ran.fix_of('✖', "log.level (from the command line) is \"loud\"").contains("error or warn"));
    assert!(ran.fix_of('✖', "email.smtp_url (from ALERTCAST_SMTP_URL in the environment)").contains("smtp://"));
    ran.fix_of('✔', "Bot 123456 is @sim_123456_bot");
    let ran = doctor(&folder, &sim, "", &[("ALERTCAST_WEBHOOK_SECRETS", "webhook-secret-1234")]).await.assert(0);
    assert!(ran.fix_of('▲', "The webhook's secret could be guessed").contains("openssl rand"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_told() {
    let (folder, sim) = (folder(), telegram(0).await);
    let path = folder.path().join("data/alertcast.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let ran = doctor(&folder, &sim, "", &[]).await.assert(1);
    assert!(ran.fix_of('✖', "The store is damaged").contains("restore a backup"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_is_tried_as_far_as_the_sender() {
    let (folder, sim, mut server) = (folder(), telegram(0).await, MailServer::start());
    let url = server.url();
    let set = [("ALERTCAST_SMTP_URL", url.as_str()), ("ALERTCAST_EMAIL_FROM", "alerts@example.com")];
    let ran = doctor(&folder, &sim, "", &set).await.assert(0);
    ran.fix_of('✔', &format!("The mail server 127.0.0.1:{} answers", server.port));
    ran.fix_of('✔', "It lets us in, and takes mail from our sender");
    let with_login = url.replace("smtp://", "smtp://user:hunter2@");
    let ran = doctor(&folder, &sim, "", &[("ALERTCAST_SMTP_URL", &with_login), set[1]]).await.assert(1);
    assert!(ran.fix_of('✖', "It does not take our mail").contains("name and password"));
    assert!(!ran.stdout.contains("hunter2"), "{}", ran.stdout);
    server.stop();
    let ran = doctor(&folder, &sim, "", &set).await.assert(1);
    assert!(ran.fix_of('✖', "cannot be reached").contains("firewall"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_mail_server_is_told() {
    let (folder, sim) = (folder(), telegram(0).await);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH\r\n").await.unwrap();
    });
    let set = [("ALERTCAST_SMTP_URL", url.as_str()), ("ALERTCAST_EMAIL_FROM", "alerts@example.com")];
    doctor(&folder, &sim, "", &set).await.assert(1).fix_of('✖', "does not greet as a mail server");
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_read_the_same_as_one_document() {
    let (folder, sim) = (folder(), telegram(0).await);
    let document: Value = serde_json::from_str(&doctor(&folder, &sim, "--json", &[]).await.assert(0).stdout).unwrap();
    assert_eq!(document["ok"], true);
    let found = |document: &Value, what: &str| {
        let all = document["findings"].as_array().unwrap();
        all.iter().find(|one| one["what"].as_str().unwrap().contains(what)).unwrap().clone()
    };
    let bot = found(&document, "@sim_123456_bot");
    assert_eq!((&bot["group"], &bot["mark"], &bot["fix"]), (&"Telegram".into(), &"good".into(), &Value::Null));
    let wrong = [("ALERTCAST_TELEGRAM_TOKENS", "777:token-of-the-tests")];
    let ran = doctor(&folder, &sim, "--json", &wrong).await.assert(1);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["ok"], false);
    let bot = found(&document, "bot 777");
    assert_eq!(bot["mark"], "bad");
    assert!(bot["fix"].as_str().unwrap().contains("@BotFather"));
}

/// Over the store that the tests run over.
#[tokio::test(flavor = "multi_thread")]
async fn alerts_that_would_be_read_otherwise_are_named() {
    let (folder, sim, place) = (Folder::new(), telegram(0).await, Place::new());
    let alert = |age_days: u32, words: Document, signal: Signal| {
        let seconds = (telegram_sim::system_clock()() / 1_000) as u32 - age_days * 86_400;
        let mut id = ObjectId::new().bytes();
        id[..4].copy_from_slice(&seconds.to_be_bytes());
        let mut alert = fixtures::alert(1, 1);
        alert.id = AlertId::from(ObjectId::from_bytes(id));
        alert.webhook.raw_payload.extend(words);
        alert.alert_data.signal = signal;
        alert.processing.status = AlertStatus::Processed;
        (alert.id, DocumentWrite::Insert { collection: Collection::Alerts, document: document(&alert).unwrap() })
    };
    let (misread, target) = alert(2, doc! { "signal": "TP1", "side": "BUY" }, Signal::Buy);
    let (_, right) = alert(1, doc! { "signal": "BUY" }, Signal::Buy);
    let (_, old) = alert(40, doc! { "signal": "TP1", "side": "BUY" }, Signal::Buy);
    let broken = doc! { "_id": ObjectId::new(), "alertData": "?" };
    let broken = DocumentWrite::Insert { collection: Collection::Alerts, document: broken };
    let store = place.open().await;
    store.setup().await.unwrap();
    store.write(vec![target, right, old]).await.unwrap();
    // The validator of MongoDB takes none that is broken.
    let _ = store.write(vec![broken]).await;
    close(store);

    let dir = place.dir().to_str().unwrap().to_owned();
    let settings = [("ALERTCAST_STORE", place.setting()), ("ALERTCAST_DATA_DIR", dir.as_str())];
    let ran = doctor(&folder, &sim, "", &settings).await;
    let fix = ran.fix_of('▲', "1 alert of the last 30 days would be read otherwise now");
    assert!(fix.contains("closed by hand"), "{fix}");
    let text = ran.stdout.replace("\n    ", " ");
    assert!(text.contains(&format!("{misread} SYM1 BUY → target 1")), "{text}");
}
