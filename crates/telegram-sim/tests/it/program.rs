//! The simulator as a program of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::Client;
use serde_json::{Value, json};

/// A child that is not left behind, whatever the test does.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_telegram-sim"))
            .args(["--token", "101:first", "--no-limits", "--ledger"])
            .arg(dir.join("ledger.jsonl"))
            .arg("--port-file")
            .arg(dir.join("port"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim_end().to_owned() }
    }

    async fn send(&self, text: &str) -> Value {
        let url = format!("{}/bot101:first/sendMessage", self.url);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let request = Client::new().post(url).json(&json!({ "chat_id": 7, "text": text }));
        request.send().await.unwrap().json().await.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_tells_its_port_outlives_a_kill_and_stops_on_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = Program::start(dir.path());
    let port = std::fs::read_to_string(dir.path().join("port")).unwrap();
    assert_eq!(program.url, format!("http://127.0.0.1:{port}"));
    assert_eq!(program.send("one").await["result"]["message_id"], 1);
    program.child.kill().unwrap();
    program.child.wait().unwrap();

    let mut program = Program::start(dir.path());
    assert_eq!(program.send("two").await["result"]["message_id"], 2);
    let killed = Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert!(program.child.wait().unwrap().success());
}

#[test]
fn a_wrong_token_is_a_failure_with_a_reason() {
    let run = Command::new(env!("CARGO_BIN_EXE_telegram-sim")).args(["--token", "nonsense"]).output().unwrap();
    assert!(!run.status.success());
    assert!(String::from_utf8_lossy(&run.stderr).contains("a bot token has the form"));
}
