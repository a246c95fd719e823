//! Configuration mistakes, `setup`, and how the program is called.

use std::os::unix::fs::PermissionsExt as _;

use super::program::Folder;

#[test]
fn setup_makes_the_store_and_may_be_repeated() {
    let folder = Folder::new();
    let first = folder.run("setup").assert(0);
    assert!(first.stdout.contains("(made)") && first.stdout.contains("The store is ready"), "{}", first.stdout);
    let second = folder.run("setup").assert(0);
    assert!(second.stdout.contains("(was there)"), "{}", second.stdout);
    assert!(folder.path().join("data/alertcast.db").exists());
}

#[test]
fn setup_writes_a_configuration_to_start_from_and_never_over_another() {
    let folder = Folder::new();
    let printed = folder.run("setup --print-config").assert(0).stdout;
    folder.run("setup --write-config").assert(0);
    let file = folder.path().join("alertcast.toml");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), printed);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    folder.run("setup").assert(0);

    std::fs::write(&file, "broken").unwrap();
    let refused = folder.run("setup --write-config").assert(1);
    assert!(refused.stderr.contains("alertcast.toml exists already"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "broken");
}

#[test]
fn a_mistake_in_the_configuration_names_key_place_and_fix() {
    let folder = Folder::new();
    folder.file("alertcast.toml", "[webhook]\nsecretz = []\n");
    let ran = folder.run_with("setup --log-level loud", &[("ALERTCAST_LISTEN", "everywhere")]).assert(2);
    assert_eq!(
        ran.stderr,
        "error: webhook.secretz (in alertcast.toml) is no setting\n  \
         fix: remove it, or did you mean webhook.secrets?\n\
         error: listen (from ALERTCAST_LISTEN in the environment) is \"everywhere\", which is no address with a port\n  \
         fix: write 127.0.0.1:8080, or 0.0.0.0:8080 for every interface\n\
         error: log.level (from the command line) is \"loud\", which is not one of its values\n  \
         fix: write error or warn or info or debug or trace\n"
    );
    assert!(!folder.path().join("data").exists(), "nothing was made");
}

#[test]
fn any_setting_but_a_secret_can_be_a_flag() {
    let folder = Folder::new();
    folder.run("setup --set retention.deliveries_days=30 --data-dir elsewhere").assert(0);
    assert!(folder.path().join("elsewhere/alertcast.db").exists());
    let secret = folder.run("setup --set webhook.secrets=hunter2-hunter2-hunter2").assert(2);
    assert!(secret.stderr.contains("list of processes") && !secret.stderr.contains("hunter2"), "{}", secret.stderr);
    folder.run("setup --set nonsense").assert(2);
    folder.run("setup --set no.such=1").assert(2);
}

#[test]
fn serve_says_what_it_misses() {
    let folder = Folder::new();
    let ran = folder.run("serve").assert(2);
    for part in ["no webhook secret", "ALERTCAST_WEBHOOK_SECRETS", "openssl rand -hex 24"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
}

#[test]
fn a_mongodb_that_nobody_answers_for_is_named_and_not_waited_for_without_end() {
    let folder = Folder::new();
    folder.file("config.toml", "");
    folder.file("a.jsonl", "{}");
    for command in ["serve", "setup", "seed", "import config.toml", "admin token --username admin", "replay a.jsonl"] {
        let environment = [
            ("ALERTCAST_STORE", "mongodb://user:hunter2@127.0.0.1:1/alerts?replicaSet=rs0"),
            ("ALERTCAST_WEBHOOK_SECRETS", "0123456789abcdef"),
            ("ALERTCAST_TELEGRAM_TOKENS", "1:x"),
        ];
        let ran = folder.run_with(command, &environment).assert(1);
        assert!(ran.stderr.contains("the MongoDB that ALERTCAST_STORE names cannot be used"), "{}", ran.stderr);
        assert!(ran.stderr.contains("127.0.0.1:1 (Connection refused"), "{}", ran.stderr);
        for noise in ["hunter2", "Topology", "ServerSelection", "Kind:"] {
            assert!(!ran.stderr.contains(noise), "{}", ran.stderr);
        }
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert!(lines.len() == 2 && lines[1].trim_start().starts_with("fix:"), "the cause on one line: {lines:#?}");
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = Folder::new();
    for wrong in ["", "fly", "import", "setup --print-config --write-config", "serve --listen"] {
        folder.run(wrong).assert(2);
    }
    assert!(folder.run("--help").assert(0).stdout.contains("Usage: alertcast"));
    assert!(folder.run("--version").assert(0).stdout.starts_with("alertcast "));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = Folder::new();
    folder.file("data", "a file where the folder should be");
    let ran = folder.run("setup").assert(1);
    assert!(ran.stderr.starts_with("error: the data folder data: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("--data-dir"), "{}", ran.stderr);
}
