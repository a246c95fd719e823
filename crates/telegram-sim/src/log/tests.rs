//! The bounded memory, and a ledger that was torn.

use std::fs;

use super::*;

fn row(chat: i64) -> TranscriptRow {
    TranscriptRow { plain: "hello".to_owned(), message_id: 1, ..TranscriptRow::new(RowKind::Message, 5, 101, chat) }
}

#[test]
fn the_memory_keeps_only_the_latest_but_numbers_go_on() {
    let (mut log, _) = TranscriptLog::open(TranscriptRetention::Last(2), None).expect("opens");
    log.append(row(1));
    log.append(row(2));
    let third = log.append(row(3));
    assert_eq!(third.evicted.iter().map(|row| row.chat_id).collect::<Vec<_>>(), [1]);
    assert_eq!(log.rows().iter().map(|row| row.seq).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn refused_requests_are_read_in_order_with_the_rest() {
    let (mut log, _) = TranscriptLog::open(TranscriptRetention::All, None).expect("opens");
    for kind in [RowKind::Message, RowKind::Refused, RowKind::Message, RowKind::Refused] {
        log.append(TranscriptRow { kind, ..row(1) });
    }
    let seqs = |after, limit| log.after(after, limit).iter().map(|row| row.seq).collect::<Vec<_>>();
    assert_eq!(seqs(0, 10), [1, 2, 3, 4]);
    assert_eq!(seqs(1, 2), [2, 3]);
}

#[test]
fn a_torn_last_line_is_cut_off() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("ledger.jsonl");
    let (mut log, _) = TranscriptLog::open(TranscriptRetention::All, Some(&path)).expect("opens");
    log.append(row(1));
    drop(log);
    let whole = fs::read(&path).expect("written");
    fs::write(&path, [&whole[..], b"{\"seq\":2,\"at"].concat()).expect("torn");
    let (mut log, rows) = TranscriptLog::open(TranscriptRetention::All, Some(&path)).expect("opens again");
    assert_eq!(rows.len(), 1);
    assert_eq!(log.append(row(2)).row.seq, 2);
    drop(log);
    assert_eq!(TranscriptLog::open(TranscriptRetention::All, Some(&path)).expect("whole").1.len(), 2);
}

#[test]
fn a_file_that_is_no_ledger_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("notes.txt");
    fs::write(&path, "to do\n").expect("written");
    assert_eq!(
        TranscriptLog::open(TranscriptRetention::All, Some(&path)).expect_err("no ledger").kind(),
        io::ErrorKind::InvalidData
    );
    assert_eq!(fs::read_to_string(&path).expect("still there"), "to do\n");
}

#[test]
fn what_came_before_a_reset_stays_on_disk_only() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("ledger.jsonl");
    let (mut log, _) = TranscriptLog::open(TranscriptRetention::All, Some(&path)).expect("opens");
    log.append(row(1));
    log.append(TranscriptRow::new(RowKind::Reset, 6, 0, 0));
    log.append(row(2));
    drop(log);
    let (_, rows) = TranscriptLog::open(TranscriptRetention::All, Some(&path)).expect("opens again");
    assert_eq!(rows.iter().map(|row| (row.seq, row.chat_id)).collect::<Vec<_>>(), [(3, 2)]);
}
