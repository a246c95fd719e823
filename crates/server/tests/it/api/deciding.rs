//! Deciding about payments by hand: approving, rejecting, cancelling.

use alertcast_core::admin::Permission;
use alertcast_core::store::Collection;
use bson::doc;
use bson::oid::ObjectId;
use serde_json::{Value, json};

use super::office::{ADMIN, Customer, Office, admin, hex, subscription};
use super::racing::{at_once, statuses};

/// A subscription whose payment waits for a decision; its path.
async fn pending(office: &Office, customer: &Customer, transaction: &str) -> String {
    let mut new = subscription(&customer.user, &customer.plan, transaction);
    new["payment"]["status"] = json!("pending");
    new["subscription"] = json!({});
    format!("/user-subscriptions/{}", office.made("/user-subscriptions", new).await)
}

/// An office with a customer whose only subscription waits for a decision; its path.
async fn office_with_pending() -> (Office, Customer, String) {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    office.delete(&format!("/user-subscriptions/{}", customer.subscription)).await.assert(204);
    let path = pending(&office, &customer, "P1").await;
    office.house.wait(5);
    (office, customer, path)
}

async fn entries(office: &Office, action: &str) -> Vec<Value> {
    let page = office.get(&format!("/audit-log?action={action}")).await.assert(200).body;
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_approval_runs_by_the_calendar_and_says_who_gave_it() {
    let (office, _, path) = office_with_pending().await;
    let approved = office.post(&format!("{path}/approve"), Value::Null).await.assert(200);
    assert_eq!(approved.body["payment"]["status"], "approved");
    assert_eq!(approved.body["payment"]["approvedAt"], "2026-11-22T10:00:05.000Z");
    assert_eq!(approved.body["payment"].get("approvedBy"), None, "no user is linked to the administrator");
    assert_eq!(approved.body["alertcast"]["approvedByAdmin"], hex(ADMIN));
    let term = &approved.body["subscription"];
    assert_eq!(term["status"], "active");
    assert_eq!(term["startDate"], "2026-11-22T10:00:05.000Z");
    assert_eq!(term["endDate"], "2026-12-22T10:00:05.000Z");
    let read = office.get(&path).await;
    assert_eq!((&read.body, read.header("etag")), (&approved.body, approved.header("etag")));
    let log = entries(&office, "approve_subscription").await;
    assert_eq!(log.len(), 1);
    assert_eq!(log[0]["collection"], "user_subscriptions");
    assert_eq!((&log[0]["documentId"], &log[0]["username"]), (&approved.body["id"], &json!("chief")));
    assert_eq!(log[0]["before"], json!({"payment.status": "pending", "subscription.status": "pending"}));
    assert_eq!(log[0]["after"]["subscription.status"], "active");
    assert_eq!(log[0]["after"]["alertcast.approvedByAdmin"], hex(ADMIN));
}

#[tokio::test]
async fn dates_are_the_approver_s_and_none_that_stood_there_before() {
    let (office, customer, path) = office_with_pending().await;
    let far = json!({"subscription": {"startDate": "2026-11-01", "endDate": "2199-01-01"}});
    office.permit(|one| one != Permission::SubscriptionsApprove).await;
    office.patch(&path, far).await.assert(200);
    office.permit(|_| true).await;
    let approve = format!("{path}/approve");
    let wrong = json!({"startDate": "2027-01-01", "endDate": "2026-12-01"});
    assert_eq!(office.post(&approve, wrong).await.assert(422).problems(), ["endDate: invalid"]);
    assert_eq!(
        office.post(&approve, json!({"startdate": 5, "overrules": "yes"})).await.assert(422).problems(),
        ["overrules: invalid", "startdate: unknown_field"]
    );
    let term = office.post(&approve, json!({})).await.assert(200).body["subscription"].clone();
    assert_eq!(term["startDate"], "2026-11-22T10:00:05.000Z");
    assert_eq!(term["endDate"], "2026-12-22T10:00:05.000Z");
    // What follows of the same plan begins at its end.
    let next = pending(&office, &customer, "P2").await;
    let term = office.post(&format!("{next}/approve"), json!({})).await.assert(200).body["subscription"].clone();
    assert_eq!(
        (&term["startDate"], &term["endDate"]),
        (&json!("2026-12-22T10:00:05.000Z"), &json!("2027-01-22T10:00:05.000Z"))
    );
    let third = pending(&office, &customer, "P3").await;
    let given = json!({"startDate": "2027-05-01", "endDate": "2027-06-01"});
    let term = office.post(&format!("{third}/approve"), given).await.assert(200).body["subscription"].clone();
    assert_eq!(
        (&term["startDate"], &term["endDate"]),
        (&json!("2027-05-01T00:00:00.000Z"), &json!("2027-06-01T00:00:00.000Z"))
    );
}

#[tokio::test]
async fn a_second_decision_hears_who_took_the_first_and_may_overrule_it() {
    let (office, _, path) = office_with_pending().await;
    let (approve, reject) = (format!("{path}/approve"), format!("{path}/reject"));
    assert_eq!(office.post(&reject, json!({})).await.assert(422).problems(), ["reason: missing"]);
    assert_eq!(office.post(&reject, json!({"reason": " "})).await.assert(422).problems(), ["reason: invalid"]);
    let no = json!({"reason": "no money came"});
    let rejected = office.post(&reject, no.clone()).await.assert(200).body;
    assert_eq!(rejected["payment"]["rejectionReason"], "no money came");
    assert_eq!(entries(&office, "reject_subscription").await[0]["reason"], "no money came");
    let detail = |answer: &crate::support::Answer| answer.body["detail"].as_str().unwrap().to_owned();
    let told = office.post(&approve, json!({})).await.assert(409);
    assert!(detail(&told).contains("rejected already"), "{}", detail(&told));
    assert!(detail(&told).contains("by chief at 2026-11-22T10:00:05Z"), "{}", detail(&told));
    assert!(detail(&told).contains("overrules"), "{}", detail(&told));
    let told = office.post(&reject, no.clone()).await.assert(409);
    assert!(!detail(&told).contains("overrules"), "it is rejected: {}", detail(&told));
    office.house.wait(5);
    let approved = office.post(&approve, json!({"overrules": true})).await.assert(200).body;
    assert_eq!(approved["payment"].get("rejectionReason"), None);
    for (act, body) in [(&approve, json!({})), (&approve, json!({"overrules": true})), (&reject, no.clone())] {
        let told = office.post(act, body).await.assert(409);
        assert!(detail(&told).contains("approved already, by chief at 2026-11-22T10:00:10Z"), "{}", detail(&told));
    }
    let over = json!({"reason": "it was taken back", "overrules": true});
    let rejected = office.post(&reject, over).await.assert(200).body;
    assert_eq!(rejected["subscription"]["status"], "cancelled");
    assert_eq!((rejected["payment"].get("approvedAt"), rejected["alertcast"].get("approvedByAdmin")), (None, None));
}

#[tokio::test]
async fn what_cannot_be_approved_says_what_to_do() {
    let (office, customer, path) = office_with_pending().await;
    let approve = format!("{path}/approve");
    let user = ObjectId::parse_str(&customer.user).unwrap();
    office.house.set(Collection::Users, user, doc! { "status": "suspended" }).await;
    let told = office.post(&approve, json!({})).await.assert(409).body["detail"].to_string();
    assert!(told.contains("suspended: lift that first"), "{told}");
    office.house.set(Collection::Users, user, doc! { "status": "active" }).await;
    let running = |n: u32| {
        let mut new = subscription(&customer.user, &customer.plan, &format!("R{n}"));
        new["subscription"]["startDate"] = json!("2026-11-01");
        new
    };
    for n in 0..5 {
        office.made("/user-subscriptions", running(n)).await;
    }
    let given = json!({"startDate": "2026-11-20", "endDate": "2027-11-20"});
    let told = office.post(&approve, given).await.assert(422);
    assert_eq!(told.problems(), ["subscription.status: invalid"]);
    assert_eq!(office.get(&path).await.body["payment"]["status"], "pending");
    assert_eq!(entries(&office, "approve_subscription").await, Vec::<Value>::new());
    for act in ["approve", "reject", "cancel"] {
        let body = json!({"approve": {}, "reject": {"reason": "no"}, "cancel": {"when": "now"}})[act].clone();
        office.post(&format!("/user-subscriptions/{}/{act}", hex([1; 12])), body).await.assert(404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_decisions_at_the_same_time_one_wins() {
    let (office, _, path) = office_with_pending().await;
    office.house.insert(Collection::AdminUsers, admin([6; 12], "other")).await;
    let no = json!({"reason": "no money came"});
    let approvals = (0..3).map(|_| office.request("POST", &format!("{path}/approve"), &json!({})));
    let rejections = (0..3).map(|_| office.request("POST", &format!("{path}/reject"), &no));
    let answers = at_once(&office, approvals.chain(rejections).collect()).await;
    assert_eq!(statuses(&answers), [200, 409, 409, 409, 409, 409]);
    for lost in answers.iter().filter(|answer| answer.status == 409) {
        assert!(lost.body["detail"].as_str().unwrap().contains("already, by chief at "), "{:#}", lost.body);
    }
    let decided = [entries(&office, "approve_subscription").await, entries(&office, "reject_subscription").await];
    assert_eq!(decided.concat().len(), 1, "who lost has left no entry");
    let status = office.get(&path).await.body["payment"]["status"].clone();
    assert_eq!(status == "approved", decided[1].is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sixth_is_not_approved_beside_a_fifth_at_the_same_time() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    for n in 0..3 {
        office.made("/user-subscriptions", subscription(&customer.user, &customer.plan, &format!("R{n}"))).await;
    }
    let mut paths = Vec::new();
    for n in 0..4 {
        paths.push(pending(&office, &customer, &format!("W{n}")).await);
    }
    let given = json!({"startDate": "2026-11-20", "endDate": "2027-11-20"});
    let posts = paths.iter().map(|path| office.request("POST", &format!("{path}/approve"), &given)).collect();
    assert_eq!(statuses(&at_once(&office, posts).await), [200, 422, 422, 422]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_act_happens_once_for_a_key_and_only_to_the_document_that_was_seen() {
    let (office, _, path) = office_with_pending().await;
    let tag = office.get(&path).await.header("etag").to_owned();
    let cancel = json!({"when": "end"});
    office.patch(&path, json!({"payment": {"proofUrl": "https://example.com/proof"}})).await.assert(200);
    let approve = |tag: &str| office.request("POST", &format!("{path}/approve"), &json!({})).header("if-match", tag);
    approve(&tag).send(&office.house).await.assert(412);
    let now = office.get(&path).await.header("etag").to_owned();
    let answers = at_once(&office, (0..4).map(|_| approve(&now)).collect()).await;
    assert_eq!(statuses(&answers), [200, 412, 412, 412]);
    let keyed = || office.request("POST", &format!("{path}/cancel"), &cancel).header("idempotency-key", "k");
    let answers = at_once(&office, (0..4).map(|_| keyed()).collect()).await;
    assert_eq!(statuses(&answers), [200; 4]);
    assert_eq!(entries(&office, "cancel_subscription").await.len(), 1);
}

#[tokio::test]
async fn a_cancelled_subscription_runs_to_its_end_or_ends_at_once() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let path = format!("/user-subscriptions/{}", customer.subscription);
    let cancel = format!("{path}/cancel");
    assert_eq!(office.post(&cancel, json!({})).await.assert(422).problems(), ["when: missing"]);
    assert_eq!(office.post(&cancel, json!({"when": "later"})).await.assert(422).problems(), ["when: invalid"]);
    let at_end = office.post(&cancel, json!({"when": "end"})).await.assert(200).body;
    assert_eq!(
        (&at_end["subscription"]["status"], &at_end["subscription"]["autoRenew"]),
        (&json!("active"), &json!(false))
    );
    assert!(at_end["alertcast"]["cancelledAt"].is_string(), "it can be seen: {at_end}");
    let told = office.post(&cancel, json!({"when": "end"})).await.assert(409).body["detail"].to_string();
    assert!(told.contains("cancelled already"), "{told}");
    let at_once = office.post(&cancel, json!({"when": "now"})).await.assert(200).body;
    assert_eq!(at_once["subscription"]["status"], "cancelled");
    office.post(&cancel, json!({"when": "now"})).await.assert(409);
    assert_eq!(entries(&office, "cancel_subscription").await.len(), 2);
}

#[tokio::test]
async fn who_may_approve_alone_decides_and_who_may_edit_alone_cancels() {
    let (office, _, path) = office_with_pending().await;
    let no = json!({"reason": "no money came"});
    office.permit(|one| one == Permission::SubscriptionsEdit).await;
    for (act, body) in [("approve", json!({})), ("reject", no.clone())] {
        let told = office.post(&format!("{path}/{act}"), body).await.assert(403).body["detail"].to_string();
        assert!(told.contains("subscriptions.approve"), "{told}");
    }
    office.permit(|one| one == Permission::SubscriptionsApprove).await;
    office.post(&format!("{path}/reject"), no).await.assert(200);
    office.post(&format!("{path}/approve"), json!({"overrules": true})).await.assert(200);
    office.post(&format!("{path}/cancel"), json!({"when": "now"})).await.assert(403);
    office.permit(|one| one == Permission::SubscriptionsEdit).await;
    office.post(&format!("{path}/cancel"), json!({"when": "now"})).await.assert(200);
}

#[tokio::test]
async fn a_patch_that_approves_is_the_same_decision_with_the_calendar_s_dates() {
    let (office, customer, path) = office_with_pending().await;
    let far = json!({"subscription": {"startDate": "2026-11-01", "endDate": "2199-01-01"}});
    office.permit(|one| one != Permission::SubscriptionsApprove).await;
    office.patch(&path, far).await.assert(200);
    office.permit(|one| [Permission::SubscriptionsApprove, Permission::SubscriptionsView].contains(&one)).await;
    let approval = json!({"payment": {"status": "approved"}, "subscription": {"status": "active"}});
    let approved = office.patch(&path, approval).await.assert(200).body;
    let term = &approved["subscription"];
    assert_eq!((&term["startDate"], &term["status"]), (&json!("2026-11-22T10:00:05.000Z"), &json!("active")));
    assert_eq!(term["endDate"], "2026-12-22T10:00:05.000Z");
    assert_eq!(approved["alertcast"]["approvedByAdmin"], hex(ADMIN));
    office.permit(|_| true).await;
    let next = pending(&office, &customer, "P2").await;
    let given = json!({"payment": {"status": "approved"}, "subscription": {"endDate": "2028-01-01"}});
    let term = office.patch(&next, given).await.assert(200).body["subscription"].clone();
    let dates = (json!("2026-12-22T10:00:05.000Z"), json!("2028-01-01T00:00:00.000Z"));
    assert_eq!((term["startDate"].clone(), term["endDate"].clone()), dates, "the end is the approver's");
    assert_eq!(term["status"], "active");
}

#[tokio::test]
async fn a_patch_keeps_the_rules_of_the_decision_that_it_is() {
    let (office, customer, path) = office_with_pending().await;
    let (approve, reject) = (
        json!({"payment": {"status": "approved"}}),
        json!({"payment": {"status": "rejected", "rejectionReason": "no"}}),
    );
    let user = ObjectId::parse_str(&customer.user).unwrap();
    office.house.set(Collection::Users, user, doc! { "status": "suspended" }).await;
    office.patch(&path, approve.clone()).await.assert(409);
    office.house.set(Collection::Users, user, doc! { "status": "active" }).await;
    office.patch(&path, reject).await.assert(200);
    office.patch(&path, approve).await.assert(200);
    let kept = office.house.only(Collection::UserSubscriptions).await;
    let history =
        kept.get_document("alertcast").unwrap().get_document("payment").unwrap().get_array("history").unwrap();
    assert_eq!(history[0].as_document().unwrap().get_str("reason").unwrap(), "no", "the rejection stays on record");
    let taken_back = office.patch(&path, json!({"payment": {"status": "pending"}})).await.assert(200).body;
    assert_eq!(taken_back["subscription"]["status"], "pending");
    assert_eq!(taken_back["alertcast"].get("approvedByAdmin"), None);
    let active = json!({"payment": {"status": "rejected"}, "subscription": {"status": "active"}});
    assert_eq!(office.patch(&path, active).await.assert(422).problems(), ["subscription.status: invalid"]);
    let dateless = json!({"payment": {"status": "approved"}, "subscription": {"startDate": "2027-01-01", "endDate": "2026-12-01"}});
    assert_eq!(office.patch(&path, dateless).await.assert(422).problems(), ["subscription.endDate: invalid"]);
}

#[tokio::test]
async fn preferences_go_on_with_what_follows_the_one_that_a_patch_ends() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let preference = json!({"userId": customer.user, "subscriptionId": customer.subscription, "alertConfigId": hex(super::office::CONFIG)});
    let preference = format!("/user-alert-preferences/{}", office.made("/user-alert-preferences", preference).await);
    let next = pending(&office, &customer, "P1").await;
    office.patch(&next, json!({"payment": {"status": "approved"}})).await.assert(200);
    assert_eq!(office.get(&preference).await.body["subscriptionId"], customer.subscription);
    let path = format!("/user-subscriptions/{}", customer.subscription);
    office.patch(&path, json!({"subscription": {"status": "cancelled"}})).await.assert(200);
    let next = next.rsplit('/').next().unwrap();
    assert_eq!(office.get(&preference).await.body["subscriptionId"], next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acts_and_patches_at_the_same_time_approve_no_sixth() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    for n in 0..3 {
        office.made("/user-subscriptions", subscription(&customer.user, &customer.plan, &format!("R{n}"))).await;
    }
    let dates = json!({"startDate": "2026-11-20", "endDate": "2027-11-20"});
    let patch = json!({"payment": {"status": "approved"}, "subscription": dates});
    let mut posts = Vec::new();
    for n in 0..4 {
        let path = pending(&office, &customer, &format!("W{n}")).await;
        posts.push(match n % 2 {
            0 => office.request("POST", &format!("{path}/approve"), &dates),
            _ => office.request("PATCH", &path, &patch),
        });
    }
    assert_eq!(statuses(&at_once(&office, posts).await), [200, 422, 422, 422]);
}

#[tokio::test]
async fn however_an_id_is_spelt_an_approval_takes_its_permission_and_keeps_its_rules() {
    let (office, customer, path) = office_with_pending().await;
    let spelt = json!({"userId": {"$oid": customer.user}, "payment": {"status": "approved"}});
    office.permit(|one| one != Permission::SubscriptionsApprove).await;
    office.patch(&path, spelt.clone()).await.assert(403);
    office.permit(|_| true).await;
    assert_eq!(office.patch(&path, spelt).await.assert(200).body["subscription"]["status"], "active");
}

#[tokio::test]
async fn dates_of_one_that_does_not_run_now_are_not_made_longer_without_the_permission_to_approve() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let path = format!("/user-subscriptions/{}", customer.subscription);
    office.permit(|one| one != Permission::SubscriptionsApprove).await;
    office.patch(&path, json!({"subscription": {"status": "cancelled"}})).await.assert(200);
    for longer in [json!({"endDate": "2199-01-01"}), json!({"endDate": null}), json!({"startDate": "2026-01-01"})] {
        let told = office.patch(&path, json!({"subscription": longer})).await.assert(403).body["detail"].to_string();
        assert!(told.contains("subscriptions.approve"), "{told}");
    }
    office.patch(&path, json!({"subscription": {"endDate": "2027-10-01"}})).await.assert(200);
}
