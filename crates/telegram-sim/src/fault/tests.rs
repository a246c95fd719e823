//! Whom a fault strikes, and how often.

use super::*;

fn strikes(faults: &FaultSet, requests: usize) -> Vec<bool> {
    (0..requests).map(|_| faults.strike(101, Some(7), "sendmessage").is_some()).collect()
}

#[test]
fn a_fault_strikes_only_whom_it_is_meant_for() {
    let faults = FaultSet::new(1);
    faults.inject(InjectedFault::new(FaultAction::DropBefore).bot(101).chat(7));
    assert!(faults.strike(101, Some(7), "sendmessage").is_some());
    assert!(faults.strike(102, Some(7), "sendmessage").is_none());
    assert!(faults.strike(101, Some(8), "sendmessage").is_none());
    assert!(faults.strike(101, None, "getme").is_none());
}

#[test]
fn methods_are_matched_in_any_case() {
    let faults = FaultSet::new(1);
    faults.inject(InjectedFault::new(FaultAction::DropBefore).method("GetUpdates"));
    assert!(faults.strike(101, None, "getupdates").is_some());
    assert!(faults.strike(101, Some(7), "sendmessage").is_none());
    faults.inject(InjectedFault::new(FaultAction::DropBefore).method("*"));
    assert!(faults.strike(101, None, "getme").is_some());
}

#[test]
fn a_fault_passes_over_some_and_ends_after_some() {
    let faults = FaultSet::new(1);
    faults.inject(InjectedFault::new(FaultAction::DropBefore).skip(1).times(2));
    assert_eq!(strikes(&faults, 5), [false, true, true, false, false]);
}

#[test]
fn chance_is_the_same_for_the_same_seed() {
    let run = |seed| {
        let faults = FaultSet::new(seed);
        faults.inject(InjectedFault::new(FaultAction::DropBefore).probability(0.3));
        strikes(&faults, 1_000)
    };
    assert_eq!(run(42), run(42));
    assert_ne!(run(42), run(43));
    let share = run(42).iter().filter(|struck| **struck).count();
    assert!((240..=360).contains(&share), "{share} of 1,000 at a chance of 0.3");
}

#[test]
fn removing_a_fault_lets_go_what_it_holds() {
    let faults = FaultSet::new(1);
    let id = faults.inject(FaultAction::StallAnswer { ms: None }.into());
    let strike = faults.strike(101, Some(7), "sendmessage").expect("strikes");
    assert!(!*strike.removed.borrow());
    assert!(faults.remove(id));
    assert!(*strike.removed.borrow());
    assert!(!faults.remove(id));
}

#[test]
fn a_fault_reads_from_json() {
    let fault: InjectedFault = serde_json::from_str(
        r#"{"action": "too_many_requests", "retry_after": 5, "scope": "bot", "chat": 7, "times": 1}"#,
    )
    .expect("reads");
    let action = FaultAction::TooManyRequests { retry_after: 5, scope: FreezeScope::Bot };
    assert_eq!(fault, InjectedFault::new(action).chat(7).times(1));
    let stall: InjectedFault = serde_json::from_str(r#"{"action": "stall_answer"}"#).expect("reads");
    assert_eq!(stall.action, FaultAction::StallAnswer { ms: None });
}
