//! `serve` as a process: its banner, its answers, its end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use alertcast_core::store::Collection;

use super::program::Folder;
use crate::harness::PATIENCE;
use crate::support::{SECRET, buy};

const CONFIG: &str = "[[configurations]]\nname = 'B'\nsymbol = 'BTCUSDT'\ntimeframe = '1h'\nstrategy = 'EMA Cross'\n";

/// A server that runs; killed when it is dropped.
#[derive(Debug)]
pub(super) struct Served {
    child: Child,
    pub(super) address: String,
    stdout: BufReader<ChildStdout>,
    banner: String,
}

impl Served {
    /// Starts the server in a folder with one configuration.
    pub(super) fn start(folder: &Folder) -> Self {
        Self::spawn(folder.command("serve --listen 127.0.0.1:0"))
    }

    fn spawn(mut command: Command) -> Self {
        command.env("ALERTCAST_TELEGRAM_TOKENS", "123456:token-of-the-tests");
        // Nobody listens there: what is to be sent waits.
        command.env("ALERTCAST_TELEGRAM_API_URL", "http://127.0.0.1:9");
        Self::spawn_as_it_is(command)
    }

    /// The same, with whatever bots the command names.
    fn spawn_as_it_is(mut command: Command) -> Self {
        command.env("ALERTCAST_WEBHOOK_SECRETS", SECRET);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("Ready") {
            assert_ne!(stdout.read_line(&mut banner).unwrap(), 0, "it ended early: {banner}");
        }
        let address = banner.lines().find_map(|line| line.trim().strip_prefix("Listening on")).unwrap();
        Self { child, address: address.trim().to_owned(), stdout, banner }
    }

    /// Reads on until it has said that.
    fn says(&mut self, what: &str) {
        while !self.banner.contains(what) {
            assert_ne!(self.stdout.read_line(&mut self.banner).unwrap(), 0, "it ended early: {}", self.banner);
        }
    }

    fn post(&self, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("POST /webhook/{SECRET} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end: the exit code, and all that it logged.
    pub(super) fn ended(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), self.banner.clone() + &rest + &log)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("config.toml", CONFIG);
    folder.run("import config.toml").assert(0);
    folder
}

/// An alert without a timestamp: the process goes by the machine's clock.
fn alert(n: i64) -> String {
    buy(serde_json::json!({"timestamp": null, "n": n}))
}

#[tokio::test]
async fn it_takes_alerts_and_ends_well_when_it_is_told_to() {
    for signal in ["TERM", "INT"] {
        let folder = folder();
        let served = Served::start(&folder);
        assert!(served.post(&alert(1)).starts_with("HTTP/1.1 202 "));
        assert!(served.post(&alert(1)).starts_with("HTTP/1.1 200 "));
        served.signal(signal);
        let (code, told) = served.ended();
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("stopped"), "{told}");
        for secret in [SECRET, "token-of-the-tests"] {
            assert!(!told.contains(secret), "{told}");
        }
        assert_eq!(folder.all(Collection::Alerts).await.len(), 1);
    }
}

/// What a resend mends is never answered 4xx, and a process that was stopped for longer than the deadline is no exception.
#[tokio::test]
async fn after_a_pause_whatever_was_under_way_is_answered_202_or_503() {
    let folder = folder();
    let served = Served::start(&folder);
    let mut under_way: Vec<TcpStream> = (0..16)
        .map(|n| {
            let (body, mut stream) = (alert(n), TcpStream::connect(&served.address).unwrap());
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let head = format!("POST /webhook/{SECRET} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
            write!(stream, "{head}Content-Length: {}\r\n\r\n{}", body.len(), &body[..10]).unwrap();
            stream
        })
        .collect();
    // By now the heads have been read.
    assert!(served.post(&alert(100)).starts_with("HTTP/1.1 202 "));
    served.signal("STOP");
    for (n, stream) in (0..).zip(&mut under_way) {
        stream.write_all(&alert(n).as_bytes()[10..]).unwrap();
    }
    std::thread::sleep(Duration::from_millis(2_300));
    served.signal("CONT");
    let mut accepted = 1;
    for mut stream in under_way {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let is_accepted = answer.starts_with("HTTP/1.1 202 ");
        assert!(is_accepted || answer.starts_with("HTTP/1.1 503 "), "{answer}");
        accepted += usize::from(is_accepted);
    }
    assert!(served.post(&alert(100)).starts_with("HTTP/1.1 200 "), "it goes on");
    served.signal("TERM");
    assert_eq!(served.ended().0, Some(0));
    assert!(folder.all(Collection::Alerts).await.len() >= accepted);
}

#[test]
fn an_empty_database_file_is_refused_with_what_to_do() {
    let folder = folder();
    let file = folder.path().join("data/alertcast.db");
    std::fs::write(&file, "").unwrap();
    let environment = [("ALERTCAST_WEBHOOK_SECRETS", SECRET), ("ALERTCAST_TELEGRAM_TOKENS", "1:x")];
    let ran = folder.run_with("serve --listen 127.0.0.1:0", &environment).assert(1);
    assert!(ran.stderr.contains("it is empty") && ran.stderr.contains("move it away"), "{}", ran.stderr);
    assert_eq!(file.metadata().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_of_each_bot_whether_telegram_takes_it() {
    let folder = folder();
    let config = telegram_sim::SimConfig::default().bot("123456:token-of-the-tests");
    let sim = telegram_sim::start(config, "127.0.0.1:0").await.unwrap();
    let mut command = folder.command("serve --listen 127.0.0.1:0");
    command.env("ALERTCAST_TELEGRAM_TOKENS", "123456:token-of-the-tests,777:token-of-nobody");
    command.env("ALERTCAST_TELEGRAM_API_URL", sim.url());
    let told = tokio::task::spawn_blocking(move || {
        let mut served = Served::spawn_as_it_is(command);
        served.says("Bot 123456 is @");
        served.says("Telegram does not know the token of bot 777");
        served.banner.clone()
    });
    let told = told.await.unwrap();
    assert!(!told.contains("token-of"), "{told}");
    sim.stop().await;
}

#[test]
fn it_takes_alerts_where_telegram_is_away_and_without_any_bot() {
    let folder = folder();
    let mut served = Served::start(&folder);
    assert!(served.post(&alert(1)).starts_with("HTTP/1.1 202 "));
    served.says("Bot 123456 could not be asked");
    drop(served);
    let served = Served::spawn_as_it_is(folder.command("serve --listen 127.0.0.1:0"));
    assert!(served.banner.contains("none"), "{}", served.banner);
    assert!(served.post(&alert(2)).starts_with("HTTP/1.1 202 "));
    served.signal("TERM");
    let (code, told) = served.ended();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("no bot token is configured") && told.contains("@BotFather"), "{told}");
}

#[test]
fn the_banner_says_where_it_is_and_how_to_post() {
    let folder = folder();
    let served = Served::start(&folder);
    let port = served.address.rsplit_once(':').unwrap().1.to_owned();
    for part in [&format!("http://127.0.0.1:{port}/webhook/SECRET"), "123456", "SQLite in "] {
        assert!(served.banner.contains(part), "{}", served.banner);
    }
}

#[test]
fn while_it_runs_no_other_command_writes() {
    let folder = folder();
    let _served = Served::start(&folder);
    for command in ["setup", "seed", "import config.toml", "serve --listen 127.0.0.1:0"] {
        let environment = [("ALERTCAST_WEBHOOK_SECRETS", SECRET), ("ALERTCAST_TELEGRAM_TOKENS", "1:x")];
        let ran = folder.run_with(command, &environment).assert(1);
        assert!(ran.stderr.contains("another alertcast is running on the data folder data"), "{}", ran.stderr);
        assert!(ran.stderr.contains("fix: stop it first"), "{}", ran.stderr);
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let (one, two) = (folder(), folder());
    let served = Served::start(&one);
    let environment = [("ALERTCAST_WEBHOOK_SECRETS", SECRET), ("ALERTCAST_TELEGRAM_TOKENS", "1:x")];
    let ran = two.run_with(&format!("serve --listen {}", served.address), &environment).assert(1);
    assert!(ran.stderr.contains(&served.address) && ran.stderr.contains("--listen"), "{}", ran.stderr);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = folder();
    let mut served = Served::start(&folder);
    // A request whose body does not come is waited for.
    let mut stream = TcpStream::connect(&served.address).unwrap();
    write!(stream, "POST /webhook/{SECRET} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{").unwrap();
    served.signal("TERM");
    let mut log = BufReader::new(served.child.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("stopping") {
        assert_ne!(log.read_line(&mut told).unwrap(), 0, "{told}");
    }
    served.signal("TERM");
    assert_eq!(served.child.wait().unwrap().code(), Some(130));
}
