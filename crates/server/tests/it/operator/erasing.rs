//! Erasing a person.

use alertcast::operator::{ActError, ErasureResult, erase_user};
use alertcast_conformance::dump::StoreDump;
use alertcast_conformance::scene::{insert, set};
use alertcast_core::delivery::DeliveryState;
use alertcast_core::fixtures::audit;
use alertcast_core::fixtures::{chat, email, subscription_id, user, user_id};
use alertcast_core::store::Collection;
use alertcast_core::trade::document::TradeStatus;
use bson::doc;
use telegram_sim::{FaultAction, InjectedFault};

use super::{act, buy, recorded, records, small_world, trades};
use crate::harness::App;
use crate::harness::post::alert;

#[tokio::test]
async fn an_erased_person_is_found_nowhere_and_hears_nothing_more() {
    let mut app = App::start(small_world()).await;
    let name = doc! {
        "profile.name": "Asha Rao", "profile.phone": "+91 98 7654", "telegram.username": "asha_rao",
    };
    let proof = doc! { "payment.proofUrl": "proof-77.jpg" };
    app.change(vec![
        set(Collection::Users, user_id(1).0, name),
        set(Collection::UserSubscriptions, subscription_id(1).0, proof),
    ])
    .await;
    app.done(buy(100.0)).await;
    // One message waits.
    let down = app.sim.inject_fault(InjectedFault::new(FaultAction::DropBefore).chat(chat(1).parse().unwrap()));
    let second = app.accept(buy(101.0)).await;
    let others = || app.messages(2).len() + app.messages(3).len() == 4;
    app.until("the others have it", others).await;
    app.allow.erased_chats.insert(chat(1));
    app.allow.audience_changed = true;
    let erasure = erase_user(&app.parts, &act(), user_id(1), Vec::new()).await.unwrap();
    let ErasureResult::Erased(erased) = erasure else { panic!("there is a history") };
    assert_eq!(erased.subscriptions_cancelled, 1);
    app.sim.remove_fault(down);
    app.quiet().await;
    app.done(alert(1, "TP_HIT", 112.0)).await;
    assert_eq!((app.messages(1).len(), app.messages(2).len()), (1, 4), "the first entry is all that they got");
    let ended = trades(&app, 1).await;
    assert!(ended.iter().all(|trade| trade.status == TradeStatus::Closed), "closed silently");
    let waited = app.books().await.deliveries_to(second, user_id(1)).next().unwrap().clone();
    assert_eq!(waited.state, DeliveryState::Dropped);
    assert_eq!(records(&app).await, [recorded("erase_user", Collection::Users)]);
    let dump = format!("{:?}", StoreDump::of(&*app.store).await);
    let mut personal: Vec<String> = ["Asha", "+91", "asha_rao", "First1", "proof-77"].map(str::to_owned).to_vec();
    personal.extend([email(1), chat(1)]);
    // The operator has a name too.
    let dump = dump.replace("\"asha\"", "").replace("by asha", "");
    for text in personal {
        assert!(!dump.contains(&text), "{text} is still kept");
    }
    assert!(dump.contains(&email(2)), "others are");
    app.finish().await;
}

#[tokio::test]
async fn a_person_without_a_history_is_deleted() {
    let mut app = App::start(small_world()).await;
    let mut made = audit(9, Collection::Users, user_id(9).0);
    (made.username, made.reason) = ("asha".to_owned(), Some("asked by phone".to_owned()));
    made.after = Some(doc! { "email": email(9), "status": "active" });
    app.change(vec![insert(Collection::Users, &user(9)), insert(Collection::AuditLog, &made)]).await;
    assert_eq!(erase_user(&app.parts, &act(), user_id(9), Vec::new()).await, Ok(ErasureResult::Deleted));
    assert_eq!(erase_user(&app.parts, &act(), user_id(9), Vec::new()).await, Err(ActError::NotFound));
    assert_eq!(records(&app).await.len(), 2);
    assert!(!format!("{:?}", StoreDump::of(&*app.store).await).contains(&email(9)), "nor does the audit log tell");
    let books = app.finish().await;
    assert!(!books.users.contains_key(&user_id(9)));
}
