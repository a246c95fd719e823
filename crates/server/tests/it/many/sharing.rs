//! Who does which share of the work.

use std::time::Duration;

use alertcast::leases::{self, TTL};
use alertcast_conformance::scene::{empty_chunk, spoil_lease};
use alertcast_core::store::{Lease, LeaseFence, StoreError};
use tokio_util::sync::CancellationToken;

use super::{House, Process, until};
use crate::harness::TestPeople;
use crate::harness::app::START;

fn nobody() -> TestPeople {
    TestPeople::at(START)
}

fn of<'a>(leases: &'a [Lease], owner: &str) -> Vec<&'a Lease> {
    leases.iter().filter(|lease| lease.owner == owner).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_gets_an_even_share_and_who_leaves_gives_it_back_at_once() {
    let house = House::open(nobody()).await;
    let a = house.process().await;
    let alone = house.shared_by(1).await;
    let b = house.process().await;
    let two = house.shared_by(2).await;
    assert!(two.values().all(|count| *count == 32), "{two:?}");
    let c = house.process().await;
    let three = house.shared_by(3).await;
    assert!(three.values().all(|count| *count >= 20), "{three:?}");
    assert_eq!(house.counts("scheduler").await.values().sum::<usize>(), 1);
    let name = Process::name_in(&two, &alone);
    let before = a.elapsed();
    b.stop().await;
    assert!(!house.counts("partition:").await.contains_key(&name), "nothing is left in its name");
    assert!(house.leases(&format!("process:{name}")).await.is_empty());
    house.shared_by(2).await;
    assert!(a.elapsed() - before < TTL, "nobody had to wait until it could be taken for dead");
    a.stop().await;
    c.stop().await;
    assert!(house.leases("process:").await.is_empty());
    assert!(house.leases("").await.iter().all(|lease| lease.owner.is_empty()), "everything is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_had_is_taken_over_with_higher_epochs_once_it_was_silent() {
    let house = House::open(nobody()).await;
    let a = house.process().await;
    let alone = house.shared_by(1).await;
    let b = house.process().await;
    let name = Process::name_in(&house.shared_by(2).await, &alone);
    let left = house.leases("").await;
    let before = a.elapsed();
    b.die();
    house.shared_by(1).await;
    assert!(a.elapsed() - before >= TTL - Duration::from_secs(3), "it was given time to be heard of");
    let now = house.leases("").await;
    let taken = of(&left, &name).into_iter().filter(|lease| !lease.name.starts_with("process:"));
    for old in taken {
        let new = now.iter().find(|lease| lease.name == old.name).unwrap();
        assert!(new.epoch > old.epoch && new.owner != name, "{new:?} after {old:?}");
    }
    let is_forgotten = async || house.leases(&format!("process:{name}")).await.is_empty().then_some(());
    until("the dead are forgotten", is_forgotten).await;
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_hung_is_fenced_off_and_begins_anew_under_another_name() {
    let house = House::open(nobody()).await;
    let a = house.process().await;
    let alone = house.shared_by(1).await;
    let b = house.process().await;
    let name = Process::name_in(&house.shared_by(2).await, &alone);
    b.hang(true);
    // What it begins now is the last that it begins before it hangs.
    let had: Vec<LeaseFence> = of(&house.leases("").await, &name).into_iter().map(Lease::fence).collect();
    house.shared_by(1).await;
    for fence in had.iter().filter(|fence| fence.lease.starts_with("partition:")) {
        let answer = b.app.store.commit(empty_chunk(fence, 1, 1)).await;
        assert_eq!(answer, Err(StoreError::Fenced { lease: fence.lease.clone() }));
    }
    for fence in had.iter().filter(|fence| fence.lease.starts_with("tg:")) {
        let answer = b.app.store.recover(fence, START).await;
        assert_eq!(answer, Err(StoreError::Fenced { lease: fence.lease.clone() }));
    }
    assert!(had.len() > 32, "partitions and a bot at least: {had:?}");
    b.hang(false);
    b.clock.advance(TTL * 2);
    let again = house.shared_by(2).await;
    assert!(!again.contains_key(&name), "its old name is never used again");
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_shown_by_a_process_that_is_about_to_enter_stays_and_what_the_dead_left_goes() {
    let house = House::open(nobody()).await;
    let a = house.process().await;
    house.shared_by(1).await;
    let begun = a.elapsed();
    a.app.store.take_lease("spool:new", "new", None).await.unwrap().unwrap();
    until("a while has passed", async || (a.elapsed() - begun > TTL / 2).then_some(())).await;
    assert_eq!(house.leases("spool:").await.len(), 1, "it may be entering still");
    let gone = async || house.leases("spool:").await.is_empty().then_some(());
    until("nobody is expected any more", gone).await;
    assert!(a.elapsed() - begun >= TTL);
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_absence_of_the_store_work_waits_for_whoever_has_alerts_in_a_spool() {
    let house = House::open(nobody()).await;
    let (a, b) = (house.process().await, house.process().await);
    house.shared_by(2).await;
    let never = CancellationToken::new();
    alertcast::leases::wait_settled(&a.app.lease_context(), &never).await;
    b.app.spooling.set(true);
    let shown = async || (!house.leases("spool:").await.is_empty()).then_some(());
    until("the spool is shown", shown).await;
    let begun = a.elapsed();
    let waiting = tokio::spawn({
        let app = a.app.clone();
        async move {
            // A heard of it by itself, too, and at most one of the two waits.
            app.members.store_was_away();
            alertcast::leases::wait_settled(&app.lease_context(), &CancellationToken::new()).await
        }
    });
    until("a while has passed", async || (a.elapsed() - begun > Duration::from_secs(5)).then_some(())).await;
    assert!(!waiting.is_finished(), "the spool is not empty");
    b.app.spooling.set(false);
    until("work may begin", async || waiting.is_finished().then_some(())).await;
    assert!(a.elapsed() - begun < Duration::from_secs(25), "because the spool is empty, not because time is up");
    assert!(house.leases("spool:").await.is_empty());
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_that_cannot_be_read_are_freed_once_they_have_stood_for_longer_than_one_lives() {
    let house = House::open(nobody()).await;
    let (a, b) = (house.process().await, house.process().await);
    house.shared_by(2).await;
    let left = house.leases("").await;
    let before = a.elapsed();
    for lease in &left {
        spoil_lease(&*house.store, &lease.name, "owner", 5).await;
    }
    let is_readable = async || house.store.broken_leases().await.unwrap().is_empty().then_some(());
    until("every lease can be read", is_readable).await;
    house.shared_by(2).await;
    assert!(a.elapsed() - before >= TTL, "nobody was taken for dead at once");
    let now = house.leases("").await;
    for old in left.iter().filter(|lease| !lease.name.starts_with("process:")) {
        let new = now.iter().find(|lease| lease.name == old.name).unwrap();
        assert!(new.epoch > old.epoch, "{new:?} after {old:?}");
    }
    assert_eq!(now.iter().filter(|lease| lease.name.starts_with("process:")).count(), 2);
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_process_has_read_of_the_change_log_is_known_and_the_dead_do_not_count() {
    let house = House::open(nobody()).await;
    let a = house.process().await;
    let alone = house.shared_by(1).await;
    let b = house.process().await;
    let name = Process::name_in(&house.shared_by(2).await, &alone);
    leases::show_mark(&a.app.lease_context(), 7).await.unwrap();
    leases::show_mark(&b.app.lease_context(), 5).await.unwrap();
    assert_eq!(leases::least_mark(&a.app.lease_context(), 7).await, Ok(Some(5)));
    b.die();
    let is_forgotten = async || house.leases(&format!("process:{name}")).await.is_empty().then_some(());
    until("the dead are forgotten", is_forgotten).await;
    assert_eq!(leases::least_mark(&a.app.lease_context(), 7).await, Ok(Some(7)));
    assert!(house.leases(&format!("changes:{name}")).await.is_empty());
    a.stop().await;
    assert!(house.leases("changes:").await.is_empty(), "who leaves takes it along");
}
