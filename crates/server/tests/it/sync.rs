//! No answer 202 before the alert is synced to disk, and no message before it is synced that it leaves: read from a trace of
//! the program's system calls.

use std::path::Path;

use telegram_sim::SimConfig;
use tempfile::TempDir;

use crate::harness::child::signal;
use crate::harness::post::{alert, with};
use crate::harness::{Allowances, Site, TestPeople, child};

/// A name that is found again in what is written.
const NAME: &str = "synced-before-answered";

#[tokio::test]
async fn the_log_is_synced_before_the_202_is_written_and_before_a_message_leaves() {
    assert!(
        std::process::Command::new("strace").arg("-V").output().is_ok(),
        "strace is missing: apt-get install strace"
    );
    let world = TestPeople::at(child::now()).config(1, |_| {}).plan(1, &[1], |_| {}).users(1..=2, 1);
    let site = Site::new(world, SimConfig::default().no_limits()).await;
    let folder = TempDir::new().unwrap();
    let trace = folder.path().join("trace");
    let calls = "trace=fsync,fdatasync,pwrite64,pwritev,write,writev,sendto,sendmsg";
    let under = ["strace", "-f", "-y", "-qq", "-s", "5000", "-e", "signal=none", "-e", calls, "-o"];
    let under: Vec<&str> = under.into_iter().chain([trace.to_str().unwrap()]).collect();
    let mut program = site.spawn_as(&under, &[]);
    assert!(site.ready(&mut program).await, "{}", site.last_words());
    let body = with(alert(1, "BUY", 100.0), serde_json::json!({ "alert_id": NAME }));
    let id = site.sender().accept(&body).await;
    site.quiet().await;
    // strace itself takes no notice of TERM while its child lives.
    signal(traced(program.id()).await, "TERM").await;
    program.ended().await;
    let answered = [(NAME.to_owned(), id)].into();
    let program = site.start().await;
    site.finish(program, &answered, Allowances::default(), "after the trace").await;
    assert_order(&trace);
}

/// The one child of a process.
async fn traced(strace: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap();
    children.split_whitespace().next().expect("strace runs the program").parse().unwrap()
}

/// The alert's bytes go into the log, a sync of the log begins after that and has ended, and only then the answer leaves.
fn assert_order(trace: &Path) {
    let trace = std::fs::read_to_string(trace).unwrap();
    let lines: Vec<&str> = trace.lines().collect();
    let find = |from: usize, what: &str, is: &dyn Fn(&str) -> bool| {
        let found = lines[from..].iter().position(|line| is(line));
        from + found.unwrap_or_else(|| panic!("the trace has no {what} after line {from}:\n{}", excerpt(&lines)))
    };
    let is_log = |line: &str| line.contains("/intake-") && line.contains(".log>");
    let written = find(0, "write of the alert to the log", &|line| {
        is_log(line) && line.contains("pwrite") && line.contains(NAME)
    });
    let begun = find(written, "sync of the log", &|line| is_log(line) && line.contains("sync("));
    let synced = end_of(&lines, begun);
    let answered = find(0, "answer 202", &|line| line.contains("HTTP/1.1 202"));
    assert!(synced < answered, "the answer left before the sync:\n{}", excerpt(&lines[written..=synced.max(answered)]));
    // The commit of the chunk is not synced by itself: the next sync is that of what is recorded as being sent.
    let is_sync = |line: &str| line.contains("alertcast.db-wal>") && line.contains("sync(");
    let recorded = find(synced + 1, "sync of what is being sent", &is_sync);
    let recorded = end_of(&lines, recorded);
    let left = find(0, "message", &|line| line.contains("/sendMessage"));
    assert!(recorded < left, "a message left before the sync:\n{}", excerpt(&lines[synced..=recorded.max(left)]));
}

/// Where a call ended that may have been interrupted by those of other threads.
fn end_of(lines: &[&str], begun: usize) -> usize {
    let line = lines[begun];
    if !line.contains("<unfinished ...>") {
        assert!(line.ends_with("= 0"), "a sync failed: {line}");
        return begun;
    }
    let thread = line.split_whitespace().next().unwrap();
    let resumes = |line: &&str| line.starts_with(thread) && line.contains("sync resumed>");
    let after = lines[begun..].iter().position(resumes).expect("every sync comes to an end");
    assert!(lines[begun + after].ends_with("= 0"), "a sync failed: {}", lines[begun + after]);
    begun + after
}

/// The lines without the pages that they wrote.
fn excerpt(lines: &[&str]) -> String {
    let cut = |line: &&str| line.chars().take(160).collect::<String>();
    lines.iter().rev().take(60).rev().map(cut).collect::<Vec<_>>().join("\n")
}
