//! Settings from file, environment and flags.

use secrecy::ExposeSecret as _;

use super::*;
use crate::settings::{StoreChoice, TRADINGVIEW_ADDRESSES};

const SECRET: &str = "correct-horse-battery";
const TOKEN: &str = "123456:AAbb-cc_dd";

struct Case {
    folder: tempfile::TempDir,
    sources: SettingSources,
}

impl Case {
    fn new(file: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, file).unwrap();
        Self { folder, sources: SettingSources { file: Some(path), ..SettingSources::default() } }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn flag(mut self, path: &str, value: &str) -> Self {
        self.sources.flags.push((SettingKey::at(path).unwrap(), value.to_owned()));
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn settings(&self) -> Settings {
        load(&self.sources).unwrap().settings
    }

    /// The mistakes, with the folder's name taken out.
    fn mistakes(&self) -> Vec<String> {
        let problems = load(&self.sources).unwrap_err().problems;
        let folder = format!("{}/", self.folder.path().display());
        problems.iter().map(|p| format!("{p}: {}", p.fix).replace(&folder, "")).collect()
    }
}

fn exposed(secrets: &[secrecy::SecretString]) -> Vec<&str> {
    secrets.iter().map(|secret| secret.expose_secret()).collect()
}

#[test]
fn the_default_file_says_what_holds_without_it() {
    let without =
        load(&SettingSources { file: Some("/dev/null".into()), ..SettingSources::default() }).unwrap().settings;
    assert_eq!(format!("{:?}", Case::new(DEFAULT_TEXT).settings()), format!("{without:?}"));
    assert_eq!(format!("{without:?}"), format!("{:?}", Settings::default()));
}

#[test]
fn the_default_files_examples_are_right_and_it_names_every_key_and_variable() {
    let is_example = |line: &str| line.starts_with('#') && line.chars().nth(1).is_some_and(|c| c.is_ascii_lowercase());
    let lines = DEFAULT_TEXT.lines().map(|line| if is_example(line) { &line[1..] } else { line });
    let with_examples = lines.collect::<Vec<_>>().join("\n");
    Case::new(&with_examples).settings();
    let table: toml::Table = with_examples.parse().unwrap();
    for key in KEYS {
        let mut value = Some(toml::Value::Table(table.clone()));
        for part in key.path.split('.') {
            value = value.and_then(|value| value.get(part).cloned());
        }
        assert!(value.is_some(), "{} is not in the default file", key.path);
        assert!(DEFAULT_TEXT.contains(key.variable), "{} is not in the default file", key.variable);
    }
}

#[test]
fn flags_stand_above_the_environment_and_the_environment_above_the_file() {
    let case = Case::new("listen = '127.0.0.1:1'\ndata_dir = 'a'\nlog.level = 'warn'")
        .env("ALERTCAST_LISTEN", "127.0.0.1:2")
        .env("ALERTCAST_DATA_DIR", "b")
        .flag("listen", "127.0.0.1:3");
    let settings = case.settings();
    assert_eq!(settings.listen.port(), 3);
    assert_eq!(settings.data_dir, PathBuf::from("b"));
    assert_eq!(settings.log.level, crate::settings::LogLevel::Warn);
}

#[test]
fn several_values_are_separated_by_commas_in_a_variable() {
    let case = Case::new("")
        .env("ALERTCAST_WEBHOOK_SECRETS", &format!("{SECRET}, {SECRET}-2"))
        .env("ALERTCAST_TELEGRAM_TOKENS", &format!("{TOKEN},7:x"))
        .env("ALERTCAST_OPERATOR_CHATS", "-100123, @ops");
    let settings = case.settings();
    assert_eq!(exposed(&settings.webhook.secrets), [SECRET, "correct-horse-battery-2"]);
    assert_eq!(settings.telegram.tokens.len(), 2);
    assert_eq!(settings.telegram.operator_chats, ["-100123", "@ops"]);
}

#[test]
fn a_chat_may_be_a_number_in_the_file() {
    assert_eq!(Case::new("telegram.operator_chats = [-100123]").settings().telegram.operator_chats, ["-100123"]);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    assert_eq!(Case::new("").env("ALERTCAST_LISTEN", "").settings().listen, Settings::default().listen);
}

#[test]
fn secrets_are_read_from_files_of_their_own() {
    let case = Case::new("").file("secrets", &format!("{SECRET}\n{SECRET}-2\n"));
    let path = case.path("secrets");
    let by_variable = case.env("ALERTCAST_WEBHOOK_SECRETS_FILE", &path);
    assert_eq!(exposed(&by_variable.settings().webhook.secrets), [SECRET, "correct-horse-battery-2"]);

    let case = Case::new("").file("token", TOKEN);
    let file = format!("telegram.tokens_file = '{}'", case.path("token"));
    assert_eq!(exposed(&case.file("a.toml", &file).settings().telegram.tokens), [TOKEN]);
}

#[test]
fn a_secret_and_its_file_in_one_source_contradict_each_other() {
    let case = Case::new("").file("secrets", SECRET);
    let path = case.path("secrets");
    let case = case.env("ALERTCAST_WEBHOOK_SECRETS", SECRET).env("ALERTCAST_WEBHOOK_SECRETS_FILE", &path);
    let told = "webhook.secrets (from ALERTCAST_WEBHOOK_SECRETS_FILE in the environment) is set twice: \
                keep either webhook.secrets or webhook.secrets_file";
    assert_eq!(case.mistakes(), [told]);
}

#[test]
fn one_switch_allows_tradingviews_addresses_only() {
    let settings = Case::new("webhook.check_addresses = true\nwebhook.allowed_addresses = ['10.0.0.0/8']").settings();
    let allowed = |address: std::net::IpAddr| settings.webhook.allowed_addresses.iter().any(|n| n.contains(&address));
    assert!(TRADINGVIEW_ADDRESSES.into_iter().all(allowed));
    assert!(allowed("10.1.2.3".parse().unwrap()));
    assert!(!allowed("192.0.2.1".parse().unwrap()));
}

#[test]
fn every_mistake_names_its_key_its_source_and_the_fix() {
    let case = Case::new("lissen = 'x'\nlog.level = 'loud'\nwebhook.requests_a_minute = 0\ntelegram.api_url = 'nope'")
        .env("ALERTCAST_DATADIR", "x")
        .env("ALERTCAST_OPERATOR_CHATS", "ops")
        .env("ALERTCAST_STORE", "postgres://user:hunter2@db")
        .flag("listen", "8080");
    assert_eq!(
        case.mistakes(),
        [
            "lissen (in a.toml) is no setting: remove it, or did you mean listen?",
            "ALERTCAST_DATADIR (from ALERTCAST_DATADIR in the environment) is no setting: remove it, or did you mean ALERTCAST_DATA_DIR?",
            "listen (from the command line) is \"8080\", which is no address with a port: write 127.0.0.1:8080, or 0.0.0.0:8080 for every interface",
            "store (from ALERTCAST_STORE in the environment) is no store: write embedded, or mongodb://host:27017/database?replicaSet=rs0",
            "webhook.requests_a_minute (in a.toml) is no whole number from 1 to 1000000: write a number from 1 to 1000000",
            "telegram.api_url (in a.toml) is \"nope\", which is no web address: write https://example.com",
            "telegram.operator_chats (from ALERTCAST_OPERATOR_CHATS in the environment) holds \"ops\", which is no chat: write the chat's number (-100… for groups), or @name for a public channel; a topic of a group is written -100…:5",
            "log.level (in a.toml) is \"loud\", which is not one of its values: write error or warn or info or debug or trace",
        ]
    );
}

#[test]
fn a_mail_server_needs_a_sender() {
    let case = Case::new("email.smtp_url = 'smtp://mail.example.com'");
    let told = "email.smtp_url (in a.toml) is set, but not email.from: mails would be from nobody: \
                set email.from too: \"Signals <alerts@example.com>\"";
    assert_eq!(case.mistakes(), [told]);
    let email = case.env("ALERTCAST_EMAIL_FROM", "Die Signale <alerts@example.com>").settings().email;
    assert_eq!((email.lanes(), email.from.unwrap().to_string().as_str()), (1, "Die Signale <alerts@example.com>"));
    let without = Case::new("email.from = 'alerts@example.com'\nemail.shards = 3").settings().email;
    assert_eq!(without.lanes(), 0, "nobody sends mail without a server");
}

#[test]
fn what_is_no_mail_server_and_no_sender_is_named_with_the_fix() {
    let case = Case::new("email.smtp_url = 'http://mail.example.com'\nemail.from = 'Signals'\nemail.shards = 0")
        .env("ALERTCAST_EMAIL_TIMEOUT_SECONDS", "601");
    assert_eq!(
        case.mistakes(),
        [
            "email.timeout_seconds (from ALERTCAST_EMAIL_TIMEOUT_SECONDS in the environment) is no whole number from 1 to 600: write a number from 1 to 600",
            "email.smtp_url (in a.toml) is no address that begins with smtp:// or smtps://: write it like smtp://user:password@mail.example.com:587",
            "email.from (in a.toml) is \"Signals\", which is no sender: write alerts@example.com, or Signals <alerts@example.com>",
            "email.shards (in a.toml) is no whole number from 1 to 64: write a number from 1 to 64",
        ]
    );
}

#[test]
fn weak_secrets_are_refused_with_a_hint() {
    for (secrets, told) in [
        ("short", "holds a secret of 5 characters, which could be guessed"),
        ("slashes/are/not/for/paths", "holds a secret with characters that a URL would change"),
    ] {
        let mistakes = Case::new("").env("ALERTCAST_WEBHOOK_SECRETS", secrets).mistakes();
        assert!(mistakes[0].contains(told) && mistakes[0].contains("openssl rand -hex 24"), "{mistakes:?}");
    }
}

#[test]
fn no_message_shows_a_secret() {
    let sources = [
        Case::new("").env("ALERTCAST_WEBHOOK_SECRETS", "hunter2"),
        Case::new("").env("ALERTCAST_WEBHOOK_HMAC_KEY", "hunter2"),
        Case::new("").env("ALERTCAST_TELEGRAM_TOKENS", "hunter2"),
        Case::new("").env("ALERTCAST_TELEGRAM_TOKENS", "1:hunter2,1:hunter2"),
        Case::new("").env("ALERTCAST_REDIS_URL", "http://:hunter2@x"),
        Case::new("").env("ALERTCAST_SMTP_URL", "mail://:hunter2@x"),
        Case::new("").env("ALERTCAST_SMTP_URL", "smtp://user:hunter2@mail.example.com"),
        Case::new("").env("ALERTCAST_SMTP_URL", "smtp://user:hunter2@mail.example.com?tls=none"),
        Case::new("").env("ALERTCAST_STORE", "hunter2"),
        Case::new("webhook.secrets = ['hunter2"),
        Case::new("webhook.secrets = hunter2"),
        Case::new("webhook.secrets = [['hunter2']]"),
    ];
    for case in sources {
        let error = load(&case.sources).unwrap_err();
        let told = format!("{error} {error:?} {:?}", case.mistakes());
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn settings_do_not_show_their_secrets() {
    let case = Case::new("")
        .env("ALERTCAST_WEBHOOK_SECRETS", SECRET)
        .env("ALERTCAST_TELEGRAM_TOKENS", TOKEN)
        .env("ALERTCAST_STORE", "mongodb://user:hunter2@a,b/alerts")
        .env("ALERTCAST_REDIS_URL", "redis://:hunter2@x")
        .env("ALERTCAST_SMTP_URL", "smtps://user:hunter2@x")
        .env("ALERTCAST_EMAIL_FROM", "a@example.com");
    let settings = case.settings();
    assert!(matches!(settings.store, StoreChoice::MongoDb(_)));
    let shown = format!("{settings:?}");
    assert!(!shown.contains(SECRET) && !shown.contains("AAbb") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn variables_that_kubernetes_sets_are_passed_over() {
    Case::new("")
        .env("ALERTCAST_PORT", "tcp://10.0.0.1:8080")
        .env("ALERTCAST_SERVICE_HOST", "10.0.0.1")
        .env("ALERTCAST_PORT_8080_TCP_ADDR", "10.0.0.1")
        .env("ALERTCAST_ADMIN_PASSWORD", "x")
        .settings();
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = SettingSources { file: Some("/nowhere/a.toml".into()), ..SettingSources::default() };
    let told = load(&missing).unwrap_err().to_string();
    assert!(told.starts_with("in /nowhere/a.toml the configuration cannot be read"), "{told}");
    assert_eq!(
        Case::new("listen = '127.0.0.1:1'\n\nlog = {").mistakes()[0].split(':').next().unwrap(),
        "in a.toml line 3 is no TOML"
    );
}
