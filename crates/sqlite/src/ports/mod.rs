//! The ports of [`alertcast_core::store`], one file each. `SubscriptionStore` is made of what `DocumentStore` does, and so
//! has none.

pub(crate) mod documents;
pub(crate) mod files;
pub(crate) mod intake;
pub(crate) mod leases;
pub(crate) mod operator_actions;
pub(crate) mod outbox;
#[cfg(test)]
mod query_plans;
pub(crate) mod set_aside;
pub(crate) mod watch;
pub(crate) mod work;
