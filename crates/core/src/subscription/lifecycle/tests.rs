//! The table of states and events, the rules with examples, and what holds whatever happens.

use bson::oid::ObjectId;
use proptest::prelude::*;

use super::*;
use crate::id::ConfigId;
use crate::money::Count;
use crate::plan::{Features, PlanMetadata, PlanStatus, Pricing};
use crate::user::{Preferences, Profile, TelegramAccount, UserExtension};

const DAY: i64 = 24 * 60 * 60 * 1_000;

fn at(day: i64) -> Time {
    Time::from_millis(1_790_000_000_000 + day * DAY)
}

const fn oid(kind: u8, n: u8) -> ObjectId {
    ObjectId::from_bytes([kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n])
}

const USER: UserId = UserId(oid(1, 1));
const ADMIN: AdminId = AdminId(oid(9, 1));
const BY: DecisionMaker = DecisionMaker { admin: Some(ADMIN), user: None };

const fn sub(n: u8) -> SubscriptionId {
    SubscriptionId(oid(3, n))
}

const fn plan_id(n: u8) -> PlanId {
    PlanId(oid(2, n))
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn user() -> User {
    User {
        id: USER,
        email: "u@example.com".to_owned(),
        telegram: TelegramAccount {
            user_id: "1".to_owned(),
            username: None,
            first_name: None,
            last_name: None,
            chat_id: None,
        },
        profile: Profile { name: "U".to_owned(), phone: None, timezone: "Asia/Kolkata".to_owned() },
        status: UserStatus::Active,
        preferences: Preferences::default(),
        created_at: at(-9),
        updated_at: at(-9),
        last_login_at: None,
        alertcast: UserExtension::default(),
    }
}

/// Plan `n` lasts a month, and `n - 1` days.
fn plan(n: u8) -> Plan {
    let duration = PlanDuration { months: Count(1), days: Count(i64::from(n) - 1) };
    Plan {
        id: plan_id(n),
        name: format!("P{n}"),
        description: String::new(),
        pricing: Pricing { amount: amount("999"), currency: "INR".to_owned(), duration },
        features: Features::default(),
        alert_configurations: Vec::new(),
        status: PlanStatus::Archived,
        metadata: PlanMetadata::default(),
        created_at: at(-9),
        updated_at: at(-9),
    }
}

fn payment(n: u8) -> ClaimedPayment {
    ClaimedPayment {
        transaction_id: format!(" TXN{n} "),
        amount: amount("999"),
        currency: "INR".to_owned(),
        method: PaymentMethod::Upi,
        proof_url: None,
    }
}

fn submission(n: u8, plan: u8) -> SubscriptionEvent {
    SubscriptionEvent::Submit(PaymentSubmission { user: USER, plan: plan_id(plan), payment: payment(n) })
}

fn approval() -> SubscriptionEvent {
    SubscriptionEvent::Approve(PaymentApproval::default())
}

fn rejection(reason: &str) -> SubscriptionEvent {
    SubscriptionEvent::Reject(PaymentRejection { reason: Some(reason.to_owned()), overrules: false })
}

fn refund(text: &str) -> SubscriptionEvent {
    SubscriptionEvent::Refund(RefundOrder {
        amount: amount(text),
        currency: "INR".to_owned(),
        reference: Some("R1".to_owned()),
        reason: None,
    })
}

const AT_END: SubscriptionEvent = SubscriptionEvent::Cancel(CancellationTime::AtEnd);
const AT_ONCE: SubscriptionEvent = SubscriptionEvent::Cancel(CancellationTime::AtOnce);

/// One user's subscriptions, kept as a store would.
#[derive(Debug, Clone)]
struct World {
    user: User,
    subscriptions: Vec<Subscription>,
    preferences: Vec<PreferenceLink>,
}

impl World {
    fn new() -> Self {
        Self { user: user(), subscriptions: Vec::new(), preferences: Vec::new() }
    }

    fn get(&self, n: u8) -> &Subscription {
        self.subscriptions.iter().find(|one| one.id == sub(n)).unwrap()
    }

    fn get_mut(&mut self, n: u8) -> &mut Subscription {
        self.subscriptions.iter_mut().find(|one| one.id == sub(n)).unwrap()
    }

    fn context(&self, n: u8, event: &SubscriptionEvent) -> SubscriptionContext {
        let (this, others) = self.subscriptions.iter().cloned().partition::<Vec<_>, _>(|one| one.id == sub(n));
        let subscription = this.into_iter().next();
        let of_plan = match (&subscription, event) {
            (Some(this), _) => this.subscription_plan_id,
            (None, SubscriptionEvent::Submit(new)) => new.plan,
            (None, _) => plan_id(1),
        };
        let plan = (1..=9).map(plan).find(|plan| plan.id == of_plan);
        let preferences = self.preferences.clone();
        SubscriptionContext { id: sub(n), subscription, user: Some(self.user.clone()), plan, others, preferences }
    }

    fn happens(&mut self, n: u8, event: &SubscriptionEvent, now: Time) -> Result<SubscriptionChange, LifecycleError> {
        let change = decide(&self.context(n, event), event, BY, now)?;
        self.subscriptions.retain(|one| one.id != change.after.id);
        self.subscriptions.push(change.after.clone());
        for moved in &change.moved {
            let link = self.preferences.iter_mut().find(|link| link.preference == moved.preference).unwrap();
            *link = *moved;
        }
        Ok(change)
    }

    /// Subscription `n` to a plan, approved on that day.
    fn bought(&mut self, n: u8, plan: u8, day: i64) -> (Time, Time) {
        self.happens(n, &submission(n, plan), at(day)).unwrap();
        self.happens(n, &approval(), at(day)).unwrap();
        let term = &self.get(n).subscription;
        (term.start_date.unwrap(), term.end_date.unwrap())
    }
}

/// A world whose subscription 1 stands so on day 10.
fn world_in(state: SubscriptionState) -> World {
    let mut world = World::new();
    world.happens(1, &submission(1, 1), at(0)).unwrap();
    match state {
        SubscriptionState::Pending => {}
        SubscriptionState::Rejected => drop(world.happens(1, &rejection("no money"), at(1)).unwrap()),
        SubscriptionState::Paid => world.get_mut(1).payment.status = PaymentStatus::Approved,
        SubscriptionState::Scheduled => {
            let event = PaymentApproval { start: Some(at(20)), ..PaymentApproval::default() };
            world.happens(1, &SubscriptionEvent::Approve(event), at(1)).unwrap();
        }
        SubscriptionState::Running => drop(world.happens(1, &approval(), at(1)).unwrap()),
        SubscriptionState::Over | SubscriptionState::Expired => {
            let event = PaymentApproval { end: Some(at(9)), ..PaymentApproval::default() };
            world.happens(1, &SubscriptionEvent::Approve(event), at(1)).unwrap();
            if state == SubscriptionState::Expired {
                world.happens(1, &SubscriptionEvent::Expire, at(9)).unwrap();
            }
        }
        SubscriptionState::Cancelled | SubscriptionState::Refunded => {
            world.happens(1, &approval(), at(1)).unwrap();
            let event = if state == SubscriptionState::Cancelled { AT_ONCE } else { refund("999") };
            world.happens(1, &event, at(2)).unwrap();
        }
    }
    assert_eq!(world.get(1).state(at(10)), state);
    world
}

#[test]
fn each_event_leads_from_each_state_where_the_table_says_and_is_an_error_else() {
    use SubscriptionState::*;
    let renewal = SubscriptionEvent::Renew(RenewalSubmission { id: sub(2), payment: payment(2) });
    let overrule = PaymentApproval { overrules: true, ..PaymentApproval::default() };
    let revoke = SubscriptionEvent::Reject(PaymentRejection { reason: None, overrules: true });
    let table: [(SubscriptionEvent, &[(SubscriptionState, SubscriptionState)]); 10] = [
        (submission(1, 1), &[(Rejected, Pending)]),
        (approval(), &[(Pending, Running), (Paid, Running)]),
        (rejection("why"), &[(Pending, Rejected)]),
        (SubscriptionEvent::Expire, &[(Over, Expired)]),
        (AT_END, &[(Pending, Cancelled), (Paid, Cancelled), (Scheduled, Scheduled), (Running, Running), (Over, Over)]),
        (
            AT_ONCE,
            &[(Pending, Cancelled), (Paid, Cancelled), (Scheduled, Cancelled), (Running, Cancelled), (Over, Cancelled)],
        ),
        // The new one waits for its payment.
        (renewal, &[(Scheduled, Pending), (Running, Pending), (Over, Pending), (Expired, Pending)]),
        (
            refund("1"),
            &[
                (Paid, Refunded),
                (Scheduled, Refunded),
                (Running, Refunded),
                (Over, Refunded),
                (Expired, Refunded),
                (Cancelled, Refunded),
            ],
        ),
        (SubscriptionEvent::Approve(overrule), &[(Pending, Running), (Paid, Running), (Rejected, Running)]),
        (
            revoke,
            &[
                (Pending, Rejected),
                (Paid, Rejected),
                (Scheduled, Rejected),
                (Running, Rejected),
                (Over, Rejected),
                (Expired, Expired),
                (Cancelled, Cancelled),
            ],
        ),
    ];
    let rejected_whatever_its_status = |event: &SubscriptionEvent, after: &Subscription| {
        matches!(event, SubscriptionEvent::Reject(given) if given.overrules)
            && after.payment.status == PaymentStatus::Rejected
    };
    for (event, ways) in table {
        for state in SubscriptionState::ALL {
            let outcome = world_in(*state).happens(1, &event, at(10));
            match ways.iter().find(|(from, _)| from == state) {
                Some((_, to)) => {
                    let after = outcome.unwrap_or_else(|error| panic!("{event:?} on {state}: {error}")).after;
                    let is_there = after.state(at(10)) == *to || rejected_whatever_its_status(&event, &after);
                    assert!(is_there, "{event:?} on {state}: {}", after.state(at(10)));
                }
                None => assert!(outcome.is_err(), "{event:?} on {state}: {outcome:?}"),
            }
        }
    }
}

#[test]
fn nothing_but_a_submission_makes_one() {
    for event in
        [approval(), rejection("no"), SubscriptionEvent::Expire, AT_END, refund("1"), SubscriptionEvent::Reopen]
    {
        assert_eq!(World::new().happens(1, &event, at(0)), Err(LifecycleError::Missing));
    }
    let mut world = World::new();
    let change = world.happens(1, &submission(1, 1), at(0)).unwrap();
    assert_eq!((change.before, change.message), (None, Some(SubscriberMessage::PaymentReceived)));
    assert_eq!(change.after.payment.transaction_id, "TXN1");
    assert_eq!(change.after.alertcast.transaction_key.as_deref(), Some("txn1"));
    assert_eq!(change.after.entitlement(), None);
}

#[test]
fn an_approval_starts_now_and_ends_by_the_users_calendar() {
    let mut world = World::new();
    let start = "2026-01-31T20:00:00Z".parse::<jiff::Timestamp>().unwrap().into();
    world.happens(1, &submission(1, 1), start).unwrap();
    let change = world.happens(1, &approval(), start).unwrap();
    // In Kolkata it is 1 February already.
    let end = "2026-02-28T20:00:00Z".parse::<jiff::Timestamp>().unwrap().into();
    assert_eq!(change.message, Some(SubscriberMessage::PaymentApproved { start, end: Some(end) }));
    let after = change.after;
    assert_eq!((after.subscription.start_date, after.subscription.end_date), (Some(start), Some(end)));
    assert_eq!((after.payment.approved_at, after.payment.approved_by), (Some(start), None));
    assert_eq!(after.alertcast.approved_by_admin, Some(ADMIN));
    // As quoted, not as the plan says now.
    let length = Some(PlanDuration { months: Count(0), days: Count(7) });
    world.happens(2, &submission(2, 2), start).unwrap();
    let trial = SubscriptionEvent::Approve(PaymentApproval { length, ..PaymentApproval::default() });
    let after = world.happens(2, &trial, start).unwrap().after;
    assert_eq!(after.subscription.end_date, Some(start + Duration::from_secs(7 * 24 * 60 * 60)));
}

#[test]
fn a_renewal_begins_at_the_end_of_what_runs_of_the_same_plan_and_after_it_at_its_approval() {
    let mut world = World::new();
    let (_, end) = world.bought(1, 1, 0);
    world.get_mut(1).subscription.auto_renew = true;
    let renewal = |n| SubscriptionEvent::Renew(RenewalSubmission { id: sub(n), payment: payment(n) });
    world.get_mut(1).alertcast.picks = Some(vec![ConfigId(oid(5, 1))]);
    let next = world.happens(1, &renewal(2), at(5)).unwrap().after;
    assert_eq!(next.alertcast.picks, world.get(1).alertcast.picks, "picks are carried over");
    assert!(next.subscription.auto_renew);
    world.happens(2, &approval(), at(6)).unwrap();
    world.happens(1, &renewal(3), at(6)).unwrap();
    world.happens(3, &approval(), at(7)).unwrap();
    let starts = [2, 3].map(|n| world.get(n).subscription.start_date.unwrap());
    assert_eq!(starts, [end, world.get(2).subscription.end_date.unwrap()], "one behind the other");
    assert_eq!(world.get(2).state(at(8)), SubscriptionState::Scheduled);
    assert_eq!(world.get(2).state(end), SubscriptionState::Running, "it needs nobody to begin");
    // Another plan runs beside.
    assert_eq!(world.bought(4, 2, 8).0, at(8));
    let mut late = World::new();
    late.bought(1, 1, 0);
    late.happens(1, &renewal(2), at(5)).unwrap();
    late.happens(2, &approval(), at(90)).unwrap();
    assert_eq!(late.get(2).subscription.start_date, Some(at(90)));
}

#[test]
fn a_predecessor_without_an_end_is_told() {
    let mut world = World::new();
    world.bought(1, 1, 0);
    world.get_mut(1).subscription.end_date = None;
    world.happens(2, &submission(2, 1), at(1)).unwrap();
    assert_eq!(world.happens(2, &approval(), at(1)), Err(LifecycleError::PredecessorWithoutEnd));
    assert_eq!(world.happens(1, &AT_END, at(1)), Err(LifecycleError::WithoutEnd));
    assert_eq!(world.happens(1, &SubscriptionEvent::Expire, at(1)), Err(LifecycleError::WithoutEnd));
}

#[test]
fn of_two_decisions_the_second_hears_of_the_first() {
    let mut world = world_in(SubscriptionState::Running);
    let first = LifecycleError::Approved { by: Some(ADMIN), at: Some(at(1)) };
    assert_eq!(world.happens(1, &approval(), at(2)), Err(first.clone()));
    assert_eq!(world.happens(1, &rejection("no"), at(2)), Err(first));
    let mut world = world_in(SubscriptionState::Rejected);
    let first = LifecycleError::Rejected { by: Some(ADMIN), at: Some(at(1)) };
    assert_eq!(world.happens(1, &approval(), at(2)), Err(first.clone()));
    assert_eq!(world.happens(1, &rejection("no"), at(2)), Err(first));
}

#[test]
fn a_rejection_needs_a_reason_and_what_is_sent_in_again_keeps_the_earlier_one() {
    let mut world = world_in(SubscriptionState::Pending);
    for blank in [None, Some(" \n".to_owned())] {
        let event = SubscriptionEvent::Reject(PaymentRejection { reason: blank, overrules: false });
        assert_eq!(world.happens(1, &event, at(1)), Err(LifecycleError::ReasonMissing));
    }
    for n in 0..25 {
        world.happens(1, &rejection(&format!("reason {n}")), at(2)).unwrap();
        let after = world.happens(1, &submission(n, 1), at(3)).unwrap().after;
        assert_eq!((after.id, after.payment.status), (sub(1), PaymentStatus::Pending));
        assert_eq!(after.payment.rejection_reason, None);
        assert_eq!(after.alertcast.transaction_key, Some(format!("txn{n}")));
    }
    let history = &world.get(1).alertcast.payment.history;
    assert_eq!(history.len(), REJECTIONS_MAX);
    let last = history.last().unwrap();
    let (reason, transaction) = (last.reason.as_deref(), last.transaction_id.as_str());
    assert_eq!((reason, last.at, last.by, transaction), (Some("reason 24"), Some(at(2)), Some(ADMIN), "TXN23"));
    world.happens(1, &rejection("no"), at(4)).unwrap();
    assert_eq!(world.happens(1, &submission(1, 2), at(5)), Err(LifecycleError::NotTheirs));
}

#[test]
fn who_is_suspended_or_erased_is_not_approved() {
    let mut world = world_in(SubscriptionState::Pending);
    world.user.status = UserStatus::Suspended;
    assert_eq!(world.happens(1, &approval(), at(1)), Err(LifecycleError::Suspended));
    world.user.status = UserStatus::Inactive;
    world.user.alertcast.erased_at = Some(at(0));
    assert_eq!(world.happens(1, &approval(), at(1)), Err(LifecycleError::Erased));
    world.user.alertcast.erased_at = None;
    world.happens(1, &approval(), at(1)).unwrap();
}

#[test]
fn what_is_cancelled_at_its_end_runs_until_then_and_is_cancelled_then() {
    let mut world = World::new();
    let (_, end) = world.bought(1, 1, 0);
    let change = world.happens(1, &AT_END, at(3)).unwrap();
    assert_eq!(change.message, Some(SubscriberMessage::CancellationNoted { end }));
    assert_eq!(world.get(1).state(at(4)), SubscriptionState::Running);
    assert!(!world.get(1).subscription.auto_renew);
    assert_eq!(world.happens(1, &AT_END, at(4)), Err(LifecycleError::CancelledAlready));
    let early = Time::from_millis(end.millis() - 1);
    assert_eq!(world.happens(1, &SubscriptionEvent::Expire, early), Err(LifecycleError::NotOver { end }));
    world.happens(1, &SubscriptionEvent::Expire, end).unwrap();
    assert_eq!(world.get(1).subscription.status, SubscriptionStatus::Cancelled);
}

#[test]
fn a_refund_ends_what_runs_leaves_what_has_not_begun_and_is_within_what_was_paid() {
    let mut world = World::new();
    let (_, end) = world.bought(1, 1, 0);
    let (next, last) = world.bought(2, 1, 1);
    assert_eq!(next, end);
    for wrong in ["0", "-1", "999.01"] {
        assert!(matches!(world.happens(1, &refund(wrong), at(2)), Err(LifecycleError::RefundOutOfRange { .. })));
    }
    let after = world.happens(1, &refund("500"), at(2)).unwrap().after;
    assert_eq!(
        (after.payment.status, after.subscription.status),
        (PaymentStatus::Approved, SubscriptionStatus::Cancelled)
    );
    assert_eq!(after.subscription.end_date, Some(at(2)));
    let kept = after.alertcast.refund.unwrap();
    assert_eq!((kept.amount, kept.at, kept.by), (amount("500"), at(2), Some(ADMIN)));
    assert!(world.happens(1, &refund("1"), at(3)).is_err(), "once");
    let after = world.happens(2, &refund("999"), at(3)).unwrap().after;
    assert_eq!((after.subscription.start_date, after.subscription.end_date), (Some(next), Some(last)));
}

#[test]
fn preferences_go_with_the_end_to_what_follows() {
    let link = |n: u8, under: u8| PreferenceLink { preference: PreferenceId(oid(6, n)), subscription: sub(under) };
    let mut world = World::new();
    let (_, end) = world.bought(1, 1, 0);
    world.bought(2, 1, 1);
    world.bought(3, 2, 1);
    world.preferences = vec![link(1, 1), link(2, 3), link(3, 1)];
    let mut refunded = world.clone();
    let change = world.happens(1, &SubscriptionEvent::Expire, end).unwrap();
    assert_eq!(change.message, Some(SubscriberMessage::Expired { is_renewed: true }));
    assert_eq!(world.preferences, [link(1, 2), link(2, 3), link(3, 2)]);
    refunded.happens(1, &refund("1"), at(2)).unwrap();
    assert_eq!(refunded.preferences, [link(1, 2), link(2, 3), link(3, 2)], "whatever ends it");
    // Renewed late: with the approval.
    let mut late = World::new();
    late.bought(1, 1, 0);
    late.preferences = vec![link(1, 1)];
    late.happens(1, &SubscriptionEvent::Expire, at(40)).unwrap();
    assert_eq!(late.preferences, [link(1, 1)], "nothing follows yet");
    late.bought(2, 1, 50);
    assert_eq!(late.preferences, [link(1, 2)]);
}

#[test]
fn what_another_application_lets_run_before_it_is_paid_keeps_its_term() {
    let mut world = World::new();
    let (start, end) = world.bought(1, 1, 0);
    world.get_mut(1).payment.status = PaymentStatus::Pending;
    let longer = SubscriptionTerm { end_date: Some(end + Duration::from_secs(1)), ..world.get(1).subscription.clone() };
    let shorter = SubscriptionTerm { end_date: Some(at(5)), ..longer.clone() };
    let not_paid = LifecycleError::NotPaid(PaymentStatus::Pending);
    assert_eq!(world.clone().happens(1, &SubscriptionEvent::Correct(longer), at(2)), Err(not_paid));
    world.clone().happens(1, &SubscriptionEvent::Correct(shorter), at(2)).unwrap();
    let after = world.happens(1, &approval(), at(2)).unwrap().after;
    assert_eq!((after.subscription.start_date, after.subscription.end_date), (Some(start), Some(end)));
    assert_eq!(after.payment.approved_at, Some(at(2)));
}

#[test]
fn a_decision_taken_back_leaves_nothing_running() {
    let mut world = world_in(SubscriptionState::Running);
    let after = world.happens(1, &SubscriptionEvent::Reopen, at(3)).unwrap().after;
    assert_eq!((after.state(at(3)), after.payment.approved_at), (SubscriptionState::Pending, None));
    assert_eq!(after.alertcast.approved_by_admin, None);
    assert!(world.happens(1, &SubscriptionEvent::Reopen, at(3)).is_err());
    world.happens(1, &approval(), at(4)).unwrap();
}

/// Any event, mostly of those that fit somewhere.
fn any_event() -> impl Strategy<Value = (u8, SubscriptionEvent)> {
    let numbers = (0_u8..9, 1_u8..7, 1_u8..4, any::<bool>(), proptest::option::of(0_i64..120));
    (0_u8..12, numbers).prop_map(|(kind, (other, n, plan, flag, day))| {
        let overruling = PaymentApproval { overrules: flag, start: day.map(at), ..PaymentApproval::default() };
        let event = match kind {
            0 => submission(n, plan),
            1 => SubscriptionEvent::Approve(PaymentApproval::default()),
            2 => SubscriptionEvent::Approve(overruling),
            3 => SubscriptionEvent::Reject(PaymentRejection { reason: Some("no".to_owned()), overrules: flag }),
            4 => SubscriptionEvent::Expire,
            5 => SubscriptionEvent::Cancel(if flag { CancellationTime::AtEnd } else { CancellationTime::AtOnce }),
            6 => SubscriptionEvent::Renew(RenewalSubmission { id: sub(10 + other), payment: payment(other) }),
            7 => refund("10"),
            8 => SubscriptionEvent::Reopen,
            9 | 10 => SubscriptionEvent::Correct(SubscriptionTerm {
                start_date: day.map(at),
                end_date: day.map(|day| at(day + i64::from(plan) * 10)),
                status: SubscriptionStatus::ALL[usize::from(other) % SubscriptionStatus::ALL.len()],
                ..SubscriptionTerm::default()
            }),
            _ => approval(),
        };
        (if flag || kind == 6 { n } else { 10 + other }, event)
    })
}

proptest! {
    #[test]
    fn whatever_happens_nobody_is_entitled_without_an_approval_and_at_most_five_run(
        first in proptest::collection::vec(1_u8..4, 6),
        events in proptest::collection::vec((any_event(), 0_i64..9), 1..60),
    ) {
        let mut world = World::new();
        for (n, plan) in (1..).zip(first) {
            world.happens(n, &submission(n, plan), at(0)).unwrap();
        }
        let mut day = 0;
        for ((n, event), days) in events {
            day += days;
            let now = at(day);
            let taken = |world: &World| {
                places_taken(&world.subscriptions.iter().map(Subscription::place).collect::<Vec<_>>(), now)
            };
            let before = taken(&world);
            let Ok(change) = world.happens(n, &event, now) else { continue };
            let after = &change.after;
            if after.entitles_to_more(change.before.as_ref()) {
                let by_decision = matches!(event, SubscriptionEvent::Approve(_) | SubscriptionEvent::Correct(_));
                prop_assert!(by_decision && after.payment.status == PaymentStatus::Approved, "{event:?}");
            }
            // Only the passing of time may bring a renewal's place and its predecessor's apart.
            prop_assert!(taken(&world) <= ACTIVE_SUBSCRIPTIONS_MAX.max(before), "{event:?}");
            if let Some(before) = &change.before {
                prop_assert!(after.updated_at > before.updated_at);
                prop_assert_eq!((after.user_id, after.subscription_plan_id), (before.user_id, before.subscription_plan_id));
            }
            if let (Some(start), Some(end)) = (after.subscription.start_date, after.subscription.end_date) {
                prop_assert!(start < end, "{event:?}");
            }
        }
    }
}

/// Subscription 1 of this world, edited on day 10, with all that follows.
fn edited(world: &mut World, edit: impl Fn(&mut Subscription)) -> Subscription {
    let before = world.get(1).clone();
    let mut edited = before.clone();
    edit(&mut edited);
    let (was, is) = (&before.subscription, &edited.subscription);
    let given = GivenDates {
        start: is.start_date.filter(|_| is.start_date != was.start_date),
        end: is.end_date.filter(|_| is.end_date != was.end_date),
    };
    let event = find_event(&before, &edited, given).unwrap();
    world.happens(1, &event, at(10)).unwrap().complete_edit(&edited)
}

#[test]
fn an_edit_of_a_payments_status_is_the_event_and_what_the_edit_says_of_the_term_stands() {
    use PaymentStatus::{Approved, Pending, Rejected};
    let by_plan = edited(&mut world_in(SubscriptionState::Pending), |one| one.payment.status = Approved);
    assert_eq!(by_plan.subscription.status, SubscriptionStatus::Active);
    assert_eq!(by_plan.subscription.start_date, Some(at(10)));
    assert!(by_plan.subscription.end_date.is_some_and(|end| end > at(38)));
    let said = edited(&mut world_in(SubscriptionState::Pending), |one| {
        (one.payment.status, one.subscription.start_date) = (Approved, Some(at(50)));
        one.subscription.auto_renew = true;
    });
    assert_eq!((said.subscription.start_date, said.subscription.auto_renew), (Some(at(50)), true));
    assert!(said.subscription.end_date.is_some_and(|end| end > at(78)));
    let back = edited(&mut world_in(SubscriptionState::Rejected), |one| one.payment.status = Approved);
    assert_eq!(back.subscription.status, SubscriptionStatus::Active);
    assert_eq!(back.alertcast.payment.history.len(), 1, "the rejection stays on record");
    let rejected = edited(&mut world_in(SubscriptionState::Running), |one| one.payment.status = Rejected);
    assert_eq!(rejected.subscription.status, SubscriptionStatus::Cancelled);
    assert_eq!(rejected.alertcast.payment.rejected_at, Some(at(10)));
    let expired = edited(&mut world_in(SubscriptionState::Running), |one| {
        (one.payment.status, one.subscription.status) = (Rejected, SubscriptionStatus::Expired);
    });
    assert_eq!(expired.subscription.status, SubscriptionStatus::Expired);
    let open = edited(&mut world_in(SubscriptionState::Running), |one| one.payment.status = Pending);
    assert_eq!(open.subscription.status, SubscriptionStatus::Pending);
}

#[test]
fn an_edit_of_the_term_alone_corrects_it_and_any_other_is_no_event() {
    let mut world = world_in(SubscriptionState::Running);
    world.happens(1, &AT_END, at(5)).unwrap();
    let later = edited(&mut world, |one| one.subscription.end_date = Some(at(99)));
    assert_eq!((later.subscription.end_date, later.alertcast.cancelled_at), (Some(at(99)), Some(at(5))));
    let mut world = world_in(SubscriptionState::Cancelled);
    let again = edited(&mut world, |one| one.subscription.status = SubscriptionStatus::Active);
    assert_eq!(again.alertcast.cancelled_at, None, "it is not cancelled at its end");
    let before = world.get(1).clone();
    let mut after = before.clone();
    (after.subscription.auto_renew, after.payment.proof_url) = (true, Some("https://example.com/p".to_owned()));
    assert_eq!(find_event(&before, &after, GivenDates::default()), None);
}

#[test]
fn dates_that_stood_in_a_pending_one_are_not_the_approver_s() {
    let set_dates = |world: &mut World, start, end| {
        let term = &mut world.get_mut(1).subscription;
        (term.start_date, term.end_date) = (start, end);
    };
    let mut world = world_in(SubscriptionState::Pending);
    set_dates(&mut world, Some(at(0)), Some(at(9_000)));
    let approve = |one: &mut Subscription| one.payment.status = PaymentStatus::Approved;
    let by_calendar = edited(&mut world.clone(), approve).subscription;
    assert_eq!(by_calendar.start_date, Some(at(10)));
    assert!(by_calendar.end_date.is_some_and(|end| at(38) < end && end < at(42)), "{by_calendar:?}");
    // One that is taken away with the approval is as one that is not given.
    let taken = edited(&mut world.clone(), |one| {
        approve(one);
        one.subscription.end_date = None;
    });
    assert_eq!(taken.subscription, by_calendar);
    let given = edited(&mut world, |one| {
        approve(one);
        one.subscription.end_date = Some(at(99));
    });
    assert_eq!((given.subscription.start_date, given.subscription.end_date), (Some(at(10)), Some(at(99))));
}

#[test]
fn an_edit_that_decides_notes_what_the_decision_notes() {
    let approved =
        edited(&mut world_in(SubscriptionState::Rejected), |one| one.payment.status = PaymentStatus::Approved);
    assert_eq!((approved.payment.approved_at, approved.payment.rejection_reason), (Some(at(10)), None));
    assert_eq!(approved.alertcast.approved_by_admin, Some(ADMIN));
    let rejected =
        edited(&mut world_in(SubscriptionState::Running), |one| one.payment.status = PaymentStatus::Rejected);
    assert_eq!((rejected.payment.approved_at, rejected.alertcast.approved_by_admin), (None, None));
}

#[test]
fn what_is_made_active_needs_dates_and_what_is_so_already_needs_none() {
    let mut world = world_in(SubscriptionState::Running);
    let active = |start, end| SubscriptionTerm {
        status: SubscriptionStatus::Active,
        start_date: start,
        end_date: end,
        ..SubscriptionTerm::default()
    };
    assert_eq!(find_missing_dates(&active(None, None), None), ["startDate", "endDate"]);
    assert_eq!(find_missing_dates(&active(Some(at(1)), None), Some(world.get(1))), ["endDate"]);
    world.get_mut(1).subscription = active(Some(at(1)), None);
    assert!(find_missing_dates(&active(Some(at(1)), None), Some(world.get(1))).is_empty());
    assert!(find_missing_dates(&SubscriptionTerm::default(), None).is_empty());
}
