//! Rehearsing an alert.

use alertcast::operator::{RehearsedRequest, rehearse};
use alertcast_conformance::dump::{PAGED, StoreDump};
use alertcast_conformance::scene::set;
use alertcast_core::alert::rule_violation::ProblemCode;
use alertcast_core::decision::Verdict;
use alertcast_core::delivery::{Channel, MessageKind};
use alertcast_core::fixtures::{config_id, user_id};
use alertcast_core::store::Collection;
use bson::doc;
use serde_json::Value;

use super::{buy, small_world};
use crate::harness::App;
use crate::harness::post::alert;

/// What an alert would come to; nothing may be written for it.
async fn rehearsed(app: &App, body: &Value, query: &str) -> RehearsedRequest {
    let before = StoreDump::of(&*app.store).await;
    let outcome = rehearse(&app.parts, body.to_string().as_bytes(), query).await.unwrap();
    let after = StoreDump::of(&*app.store).await;
    // The program is running, and takes leases.
    for collection in PAGED.iter().chain(&[Collection::Decisions, Collection::Changes, Collection::IntakeKeys]) {
        assert_eq!(after.documents(*collection), before.documents(*collection), "{collection}");
    }
    outcome
}

#[tokio::test]
async fn a_rehearsed_entry_says_who_would_get_what_and_why_not() {
    let mut app = App::start(small_world()).await;
    app.change(vec![set(Collection::Users, user_id(3).0, doc! { "status": "suspended" })]).await;
    let RehearsedRequest::Accepted { config, testing, outcome, texts, .. } = rehearsed(&app, &buy(100.0), "").await
    else {
        panic!("it keeps the rules")
    };
    assert_eq!((config, testing), (config_id(1), false));
    let verdicts: Vec<_> = outcome.verdicts.into_iter().collect();
    assert_eq!(verdicts, [(Verdict::Sent, 2), (Verdict::UserSuspended, 1)]);
    assert_eq!((outcome.opened, outcome.ended), (2, 0));
    assert_eq!(outcome.messages.get(&Channel::Telegram), Some(&2));
    let named: Vec<_> = outcome.subscribers.iter().map(|decision| decision.user).collect();
    assert_eq!(named, [user_id(1), user_id(2), user_id(3)]);
    assert_eq!(texts.len(), 1);
    assert_eq!((texts[0].kind, texts[0].user), (MessageKind::Entry, Some(user_id(1))));
    assert!(texts[0].plain.contains("BUY  SYM1"), "{}", texts[0].plain);
    app.finish().await;
}

#[tokio::test]
async fn a_rehearsed_exit_finds_the_trades_that_it_would_end() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    let exit = rehearsed(&app, &alert(1, "TP_HIT", 112.0), "").await;
    let RehearsedRequest::Accepted { outcome, texts, .. } = exit else { panic!("{exit:?}") };
    assert_eq!((outcome.opened, outcome.ended), (0, 3));
    assert!(texts[0].plain.contains("TAKE PROFIT HIT"), "{}", texts[0].plain);
    app.finish().await;
}

#[tokio::test]
async fn a_rehearsed_alert_is_read_as_the_webhook_reads_it() {
    let app = App::start(small_world()).await;
    let mut lacking = buy(100.0);
    lacking.as_object_mut().unwrap().remove("strategy");
    assert!(matches!(rehearsed(&app, &lacking, "strategy=EMA").await, RehearsedRequest::Accepted { .. }));
    let RehearsedRequest::Refused { config, problems } = rehearsed(&app, &lacking, "strategy=Cross").await else {
        panic!("no configuration has that strategy")
    };
    assert_eq!((config, problems[0].code), (None, ProblemCode::UnknownConfiguration));
    assert!(matches!(rehearse(&app.parts, b"\xff", "").await, Ok(RehearsedRequest::Unreadable(_))));
    app.finish().await;
}

#[tokio::test]
async fn a_rehearsal_in_a_testing_configuration_says_so() {
    let mut app = App::start(small_world()).await;
    app.change(vec![set(Collection::AlertConfigurations, config_id(1).0, doc! { "status": "testing" })]).await;
    let RehearsedRequest::Accepted { testing, outcome, .. } = rehearsed(&app, &buy(100.0), "").await else {
        panic!("it keeps the rules")
    };
    assert_eq!((testing, outcome.opened), (true, 3));
    app.finish().await;
}
