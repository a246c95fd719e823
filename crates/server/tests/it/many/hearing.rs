//! What each process hears of the others, and of applications that write to the database by themselves.

use alertcast_core::fixtures;
use alertcast_core::store::{Collection, document, partition_of};
use alertcast_core::subscription::Subscription;
use bson::{Document, doc};

use super::{House, Process, until};
use crate::harness::app::START;
use crate::harness::post::alert;
use crate::harness::{PATIENCE, Sender, TestPeople};

/// As many configurations as give each of two processes some.
const CONFIGS: u32 = 16;

fn world() -> TestPeople {
    let configs: Vec<u32> = (1..=CONFIGS).collect();
    let world = configs.iter().fold(TestPeople::at(START), |world, n| world.config(*n, |_| {}));
    world.plan(1, &configs, |_| {}).users(1..=2, 1)
}

/// A collection as an application sees it.
async fn collection(house: &House, collection: Collection) -> mongodb::Collection<Document> {
    let client = mongodb::Client::with_uri_str(house.place.setting()).await.unwrap();
    client.default_database().unwrap().collection(collection.name())
}

fn is_candidate(process: &Process, user: u32) -> bool {
    let candidates = process.app.audience.with(|audience| audience.candidates(fixtures::config_id(1)));
    candidates.contains(&fixtures::user_id(user))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_application_writes_by_itself_is_soon_in_the_audience() {
    let house = House::open(world()).await;
    let process = house.process().await;
    let users = collection(&house, Collection::Users).await;
    let subscriptions = collection(&house, Collection::UserSubscriptions).await;
    let model = world().user(3, 1, |_| {});
    let held: &Subscription = model.subscriptions.last().unwrap();
    users.insert_one(document(model.users.last().unwrap()).unwrap()).await.unwrap();
    subscriptions.insert_one(document(held).unwrap()).await.unwrap();
    until("a new subscriber", async || is_candidate(&process, 3).then_some(())).await;
    let email = async || {
        let audience = &process.app.audience;
        let email = audience.with(|audience| audience.user(fixtures::user_id(3)).map(|user| user.email.to_owned()));
        (email.as_deref() == Some("new@example.com")).then_some(())
    };
    let id = doc! { "_id": fixtures::user_id(3).0 };
    users.update_one(id, doc! { "$set": { "email": "new@example.com" } }).await.unwrap();
    until("a changed user", email).await;
    subscriptions.delete_one(doc! { "_id": held.id.0 }).await.unwrap();
    until("a subscriber who left", async || (!is_candidate(&process, 3)).then_some(())).await;
    let configs = collection(&house, Collection::AlertConfigurations).await;
    configs.delete_one(doc! { "_id": fixtures::config_id(2).0 }).await.unwrap();
    let is_gone =
        async || process.app.audience.with(|audience| audience.config(fixtures::config_id(2)).is_none()).then_some(());
    until("a configuration that is gone", is_gone).await;
    process.stop().await;
}

/// With the clocks stopped nobody looks by himself: what happens, happens because somebody knocked.
#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_deliveries_wake_the_process_whose_they_are() {
    let house = House::open(world()).await;
    let (a, b) = (house.process().await, house.process().await);
    house.shared_by(2).await;
    let owners: std::collections::BTreeMap<String, String> =
        house.leases("partition:").await.into_iter().map(|lease| (lease.name, lease.owner)).collect();
    let owner = |n: u32| owners[&alertcast::leases::of_partition(partition_of(fixtures::config_id(n)))].clone();
    let mut by_owner: Vec<String> = (1..=CONFIGS).map(owner).collect();
    by_owner.sort();
    by_owner.dedup();
    assert_eq!(by_owner.len(), 2, "each process has one of the configurations");
    let sender = Sender::patient(a.running.address);
    let interrupted = || a.app.store.interruptions() + b.app.store.interruptions();
    let before = interrupted();
    let all_are_processed = async |price: f64| {
        for n in 1..=CONFIGS {
            let id = sender.accept(&alert(n, "BUY", price)).await;
            let is_processed = async || {
                // Where the store was slow to answer, they wait for each other, by their clocks.
                if interrupted() != before {
                    a.hang(false);
                    b.hang(false);
                }
                let found = house.store.get(Collection::Alerts, &[id.0]).await.unwrap();
                let status = found[0].get_document("processing").unwrap().get_str("status").unwrap().to_owned();
                (status == "processed").then_some(())
            };
            until(&format!("the alert of configuration {n} is processed"), is_processed).await;
        }
    };
    // Nobody waits for anything any more.
    all_are_processed(100.0).await;
    let sim = house.server.sim();
    until("their messages are out", async || (sim.messages().len() == 2 * CONFIGS as usize).then_some(())).await;
    a.hang(true);
    b.hang(true);
    let mut knocks = [a.app.wake.on_deliveries(), b.app.wake.on_deliveries()];
    knocks.iter_mut().for_each(|knock| knock.mark_unchanged());
    all_are_processed(101.0).await;
    for knock in &mut knocks {
        let knocked = tokio::time::timeout(PATIENCE, knock.changed()).await;
        knocked.expect("deliveries of either are knocked for at both").unwrap();
    }
    a.hang(false);
    b.hang(false);
    a.stop().await;
    b.stop().await;
}
