//! What goes wrong on request, and what has arrived all the same.

use std::time::Duration;

use serde_json::json;
use telegram_sim::{FaultAction, InjectedFault, RowKind, SenderView, SimConfig};

use crate::support::{BOT, Bench, TOKEN};

const PATIENCE: Duration = Duration::from_secs(120);

async fn bench() -> Bench {
    Bench::with(SimConfig::default().no_limits()).await
}

#[tokio::test]
async fn a_connection_dropped_before_processing_delivers_nothing() {
    let bench = bench().await;
    bench.sim.inject_fault(InjectedFault::new(FaultAction::DropBefore).times(1));
    let params = json!({ "chat_id": 7, "text": "x" });
    bench.try_call(TOKEN, "sendMessage", params).await.expect_err("no answer");
    assert!(bench.sim.messages().is_empty());
    bench.send(7, "x").await.ok();
    let stats = bench.sim.stats();
    assert_eq!((stats.dropped, stats.in_doubt, stats.messages), (1, 0, 1));
}

#[tokio::test]
async fn a_connection_dropped_after_processing_leaves_the_sender_in_doubt() {
    let bench = bench().await;
    bench.sim.inject_fault(InjectedFault::new(FaultAction::DropAfter).chat(7).times(1));
    let params = json!({ "chat_id": 7, "text": "x" });
    bench.try_call(TOKEN, "sendMessage", params).await.expect_err("no answer");
    let messages = bench.sim.messages_to(7);
    assert_eq!((messages.len(), messages[0].answered), (1, SenderView::Dropped));
    assert_eq!(bench.sim.stats().in_doubt, 1);
}

#[tokio::test]
async fn server_errors_come_before_or_after_delivery() {
    let bench = bench().await;
    bench.sim.inject_fault(InjectedFault::new(FaultAction::ErrorBefore { status: 500 }).times(1));
    assert_eq!(bench.send(7, "x").await.error(), (500, "Internal Server Error".to_owned()));
    assert!(bench.sim.messages().is_empty());
    bench.sim.inject_fault(InjectedFault::new(FaultAction::ErrorAfter { status: 502 }).times(1));
    assert_eq!(bench.send(7, "x").await.error(), (502, "Bad Gateway".to_owned()));
    assert_eq!(bench.sim.messages()[0].answered, SenderView::ServerError);
    let stats = bench.sim.stats();
    assert_eq!((stats.server_errors, stats.in_doubt), (2, 1));
}

#[tokio::test]
async fn a_stalled_answer_is_held_until_it_is_released() {
    let bench = bench().await;
    let fault = bench.sim.inject_fault(FaultAction::StallAnswer { ms: None });
    let answer = bench.send(7, "x");
    let release = async {
        bench.sim.wait_for(1, PATIENCE).await.expect("delivered before it is answered");
        assert_eq!(bench.sim.stats().in_flight, 1);
        bench.sim.remove_fault(fault);
    };
    let (answer, ()) = tokio::join!(answer, release);
    answer.ok();
    assert_eq!(bench.sim.messages()[0].answered, SenderView::Late);
}

#[tokio::test]
async fn a_stalled_request_whose_sender_gave_up_is_never_delivered() {
    let bench = bench().await;
    let fault = bench.sim.inject_fault(FaultAction::StallRequest { ms: None });
    let url = format!("{}/bot{TOKEN}/sendMessage", bench.server.url());
    let request = bench.client.post(url).json(&json!({ "chat_id": 7, "text": "x" }));
    request.timeout(Duration::from_millis(200)).send().await.expect_err("gives up");
    bench.sim.wait_until(PATIENCE, |sim| sim.stats().abandoned == 1).await.expect("noticed");
    bench.sim.remove_fault(fault);
    bench.send(7, "y").await.ok();
    assert_eq!(bench.sim.messages().iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["y"]);
}

#[tokio::test]
async fn a_stall_of_some_milliseconds_ends_by_itself() {
    let bench = bench().await;
    bench.sim.inject_fault(InjectedFault::new(FaultAction::StallRequest { ms: Some(20) }).times(1));
    bench.send(7, "x").await.ok();
    assert_eq!(bench.sim.stats().stalled, 1);
}

#[tokio::test]
async fn refusals_can_be_made_up() {
    let bench = bench().await;
    bench.sim.inject_fault(InjectedFault::new(FaultAction::Forbidden).times(1));
    assert_eq!(bench.send(7, "x").await.error(), (403, "Forbidden: bot was blocked by the user".to_owned()));
    bench.sim.inject_fault(InjectedFault::new(FaultAction::CannotParse).times(1));
    let (code, description) = bench.send(7, "x").await.error();
    assert!(code == 400 && description.starts_with("Bad Request: can't parse entities: "), "{description}");
    bench.send(7, "x").await.ok();
    let stats = bench.sim.stats();
    assert_eq!((stats.forbidden, stats.bad_requests, stats.messages), (1, 1, 1));
    let refused = bench.sim.transcript(None, 0, 100).into_iter().filter(|row| row.kind == RowKind::Refused);
    assert_eq!(refused.map(|row| row.outcome.status).collect::<Vec<_>>(), [403, 400]);
}

#[tokio::test]
async fn garbage_comes_with_or_without_delivery() {
    let bench = bench().await;
    for delivered in [false, true] {
        bench.sim.inject_fault(InjectedFault::new(FaultAction::Garbage { delivered }).times(1));
        let params = json!({ "chat_id": 7, "text": "x" });
        let error = bench.try_call(TOKEN, "sendMessage", params).await.expect_err("no JSON");
        assert!(error.is_decode(), "{error}");
        assert_eq!(bench.sim.messages().len(), usize::from(delivered));
    }
}

#[tokio::test]
async fn faults_can_strike_other_methods() {
    let bench = bench().await;
    bench.sim.inject_fault(InjectedFault::new(FaultAction::ErrorBefore { status: 502 }).method("getMe").bot(BOT));
    assert_eq!(bench.call("getMe", json!({})).await.error().0, 502);
    bench.send(7, "x").await.ok();
    bench.sim.clear_faults();
    bench.call("getMe", json!({})).await.ok();
}

#[tokio::test]
async fn stopping_lets_go_what_is_held() {
    let bench = bench().await;
    bench.sim.inject_fault(FaultAction::StallAnswer { ms: None });
    let url = format!("{}/bot{TOKEN}/sendMessage", bench.server.url());
    let request = bench.client.post(url).json(&json!({ "chat_id": 7, "text": "x" })).send();
    let sim = bench.sim.clone();
    let stop = async {
        sim.wait_for(1, PATIENCE).await.expect("delivered");
        bench.server.stop().await;
    };
    let (answer, ()) = tokio::join!(request, stop);
    assert!(answer.expect("answered").status().is_success());
}
