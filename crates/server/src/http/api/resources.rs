//! What the API is about: each collection that it offers, under which name, in which shape, and with whose permission.

use alertcast_core::admin::{Admin, Permission};
use alertcast_core::alert::document::Alert;
use alertcast_core::audit::AuditEntry;
use alertcast_core::config::AlertConfiguration;
use alertcast_core::delivery::Delivery;
use alertcast_core::plan::Plan;
use alertcast_core::preference::AlertPreference;
use alertcast_core::store::{Collection, RejectedWebhook, Result, document, read};
use alertcast_core::subscription::Subscription;
use alertcast_core::token::ApiToken;
use alertcast_core::trade::document::Trade;
use alertcast_core::user::User;
use bson::Document;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::documents;
use super::shape::{self, Extent, Field};
use crate::entry::{self, Fields, Reading};

/// One collection as the API offers it.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) collection: Collection,
    /// In addresses: `alert-configurations`.
    pub(super) path: &'static str,
    /// In the description: `AlertConfiguration`, `AlertConfigurations`.
    pub(super) one: &'static str,
    pub(super) many: &'static str,
    /// For people: `alert configuration`.
    pub(super) called: &'static str,
    pub(super) shape: &'static [Field],
    /// The document with the defaults of its type.
    complete: fn(Collection, Document) -> Result<Document>,
    pub(super) view: Permission,
    pub(super) changes: Option<Changes>,
}

/// How a collection's documents are changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changes {
    pub(super) edit: Permission,
    pub(super) delete: Permission,
    /// Reads what was sent.
    pub(super) read: fn(&mut Reading<'_>, Fields<'_>),
}

impl Resource {
    /// A document as it is given out. One that is not as it should be is shown as far as it goes: it must be seen to be
    /// mended.
    pub(super) fn shown(&self, document: Document, extent: Extent) -> Value {
        let document = self.complete(document.clone()).unwrap_or(document);
        shape::shown(self.shape, &document, extent)
    }

    /// The document with its type's defaults.
    pub(super) fn complete(&self, document: Document) -> Result<Document> {
        (self.complete)(self.collection, document)
    }
}

fn as_its_type<T: Serialize + DeserializeOwned>(collection: Collection, kept: Document) -> Result<Document> {
    document(&read::<T>(collection, kept)?)
}

/// All of them, those that can be changed first.
pub(super) const RESOURCES: &[Resource] = &[
    Resource {
        collection: Collection::AlertConfigurations,
        path: "alert-configurations",
        one: "AlertConfiguration",
        many: "AlertConfigurations",
        called: "alert configuration",
        shape: documents::CONFIGURATION,
        complete: as_its_type::<AlertConfiguration>,
        view: Permission::AlertsView,
        changes: Some(Changes {
            edit: Permission::AlertsConfigure,
            delete: Permission::AlertsConfigure,
            read: entry::config,
        }),
    },
    Resource {
        collection: Collection::SubscriptionPlans,
        path: "subscription-plans",
        one: "SubscriptionPlan",
        many: "SubscriptionPlans",
        called: "subscription plan",
        shape: documents::PLAN,
        complete: as_its_type::<Plan>,
        view: Permission::SubscriptionsView,
        changes: Some(Changes {
            edit: Permission::SubscriptionsEdit,
            delete: Permission::SubscriptionsEdit,
            read: entry::plan,
        }),
    },
    Resource {
        collection: Collection::Users,
        path: "users",
        one: "User",
        many: "Users",
        called: "user",
        shape: documents::USER,
        complete: as_its_type::<User>,
        view: Permission::UsersView,
        changes: Some(Changes { edit: Permission::UsersEdit, delete: Permission::UsersDelete, read: entry::user }),
    },
    Resource {
        collection: Collection::UserSubscriptions,
        path: "user-subscriptions",
        one: "UserSubscription",
        many: "UserSubscriptions",
        called: "subscription",
        shape: documents::SUBSCRIPTION,
        complete: as_its_type::<Subscription>,
        view: Permission::SubscriptionsView,
        changes: Some(Changes {
            edit: Permission::SubscriptionsEdit,
            delete: Permission::SubscriptionsEdit,
            read: entry::subscription,
        }),
    },
    Resource {
        collection: Collection::UserAlertPreferences,
        path: "user-alert-preferences",
        one: "UserAlertPreference",
        many: "UserAlertPreferences",
        called: "preference",
        shape: documents::PREFERENCE,
        complete: as_its_type::<AlertPreference>,
        view: Permission::UsersView,
        changes: Some(Changes {
            edit: Permission::UsersEdit,
            delete: Permission::UsersDelete,
            read: entry::preference,
        }),
    },
    Resource {
        collection: Collection::AdminUsers,
        path: "admin-users",
        one: "AdminUser",
        many: "AdminUsers",
        called: "administrator",
        shape: documents::ADMIN,
        complete: as_its_type::<Admin>,
        view: Permission::SystemSettings,
        changes: Some(Changes {
            edit: Permission::SystemSettings,
            delete: Permission::SystemSettings,
            read: entry::admin,
        }),
    },
    Resource {
        collection: Collection::Trades,
        path: "trades",
        one: "Trade",
        many: "Trades",
        called: "trade",
        shape: documents::TRADE,
        complete: as_its_type::<Trade>,
        view: Permission::AlertsView,
        changes: None,
    },
    Resource {
        collection: Collection::Alerts,
        path: "alerts",
        one: "Alert",
        many: "Alerts",
        called: "alert",
        shape: documents::ALERT,
        complete: as_its_type::<Alert>,
        view: Permission::AlertsView,
        changes: None,
    },
    Resource {
        collection: Collection::Deliveries,
        path: "deliveries",
        one: "Delivery",
        many: "Deliveries",
        called: "delivery",
        shape: documents::DELIVERY,
        complete: as_its_type::<Delivery>,
        view: Permission::AlertsView,
        changes: None,
    },
    Resource {
        collection: Collection::RejectedWebhooks,
        path: "rejected-webhooks",
        one: "RejectedWebhook",
        many: "RejectedWebhooks",
        called: "rejected webhook",
        shape: documents::REJECTED,
        complete: as_its_type::<RejectedWebhook>,
        view: Permission::SystemLogs,
        changes: None,
    },
    Resource {
        collection: Collection::AuditLog,
        path: "audit-log",
        one: "AuditEntry",
        many: "AuditEntries",
        called: "audit entry",
        shape: documents::AUDIT,
        complete: as_its_type::<AuditEntry>,
        view: Permission::SystemLogs,
        changes: None,
    },
];

/// Tokens are their owner's: they have routes of their own.
pub(super) const TOKENS: Resource = Resource {
    collection: Collection::ApiTokens,
    path: "api-tokens",
    one: "ApiToken",
    many: "ApiTokens",
    called: "API token",
    shape: documents::TOKEN,
    complete: as_its_type::<ApiToken>,
    view: Permission::SystemSettings,
    changes: None,
};

/// The resource of a collection.
pub(super) fn of(collection: Collection) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.collection == collection)
}
