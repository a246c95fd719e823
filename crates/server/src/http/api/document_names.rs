//! Names beside ids: of subscribers and of what they bought, as far as whoever asks may see them.

use std::collections::HashMap;

use alertcast_core::admin::Permission;
use alertcast_core::store::Collection;
use bson::Document;
use bson::oid::ObjectId;
use serde_json::Value;

use super::caller::ApiCaller;
use super::error::ApiResult;
use crate::base::Base;
use crate::document_input::name_of;

/// Adds `userName` beside `userId` and `planName` beside `subscriptionId` to each of these, which are bounded in number.
pub(super) async fn add_names(base: &Base, caller: &ApiCaller, items: &mut [Value]) -> ApiResult<()> {
    let permissions = &caller.admin.permissions;
    if permissions.hold(Permission::UsersView) {
        let users = load(base, Collection::Users, ids_in(items, "userId")).await?;
        let name = |id: &ObjectId| users.get(id).and_then(|user| name_of(Collection::Users, user));
        put_beside(items, "userId", "userName", name);
    }
    if permissions.hold(Permission::SubscriptionsView) {
        let bought = load(base, Collection::UserSubscriptions, ids_in(items, "subscriptionId")).await?;
        let plan_of = |id: &ObjectId| bought.get(id).and_then(|one| one.get_object_id("subscriptionPlanId").ok());
        let plans = load(base, Collection::SubscriptionPlans, bought.keys().filter_map(plan_of).collect()).await?;
        let name = |id: &ObjectId| name_of(Collection::SubscriptionPlans, plans.get(&plan_of(id)?)?);
        put_beside(items, "subscriptionId", "planName", name);
    }
    Ok(())
}

fn id_in(item: &Value, field: &str) -> Option<ObjectId> {
    item.get(field)?.as_str()?.parse().ok()
}

fn ids_in(items: &[Value], field: &str) -> Vec<ObjectId> {
    items.iter().filter_map(|item| id_in(item, field)).collect()
}

/// What has been deleted meanwhile has no name.
async fn load(base: &Base, collection: Collection, mut ids: Vec<ObjectId>) -> ApiResult<HashMap<ObjectId, Document>> {
    ids.sort();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found = base.store.get(collection, &ids).await?;
    Ok(found.into_iter().filter_map(|document| Some((document.get_object_id("_id").ok()?, document))).collect())
}

fn put_beside(items: &mut [Value], id: &str, name: &str, name_of: impl Fn(&ObjectId) -> Option<String>) {
    for item in items {
        if let Some(called) = id_in(item, id).as_ref().and_then(&name_of) {
            item[name] = called.into();
        }
    }
}
