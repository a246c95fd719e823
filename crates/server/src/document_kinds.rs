//! Each collection that is shown to people and programs: under which name, in which form, and with whose permission.

use alertcast_core::admin::{Admin, Permission};
use alertcast_core::alert::document::Alert;
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::audit::AuditEntry;
use alertcast_core::delivery::Delivery;
use alertcast_core::plan::Plan;
use alertcast_core::preference::AlertPreference;
use alertcast_core::reading::{FieldFlaw, PartialDocument, read_partially};
use alertcast_core::schema::{self, FieldDeclaration, FieldWeight};
use alertcast_core::store::{Collection, RejectedWebhook, StoreResult};
use alertcast_core::subscription::Subscription;
use alertcast_core::token::ApiToken;
use alertcast_core::trade::document::Trade;
use alertcast_core::user::User;
use bson::Document;
use serde_json::{Value, json};

use crate::document_input::{self, EntryReader};
use crate::document_paths::{field_of, put};
use crate::document_view::{self, DocumentExtent};

/// One collection as it is offered.
#[derive(Debug)]
pub(crate) struct DocumentKind {
    pub(crate) collection: Collection,
    /// In addresses: `alert-configurations`.
    pub(crate) path: &'static str,
    /// In the description: `AlertConfiguration`, `AlertConfigurations`.
    pub(crate) one: &'static str,
    pub(crate) many: &'static str,
    /// For people: `alert configuration`.
    pub(crate) called: &'static str,
    /// The document with the defaults of its type.
    complete: fn(Collection, &Document) -> StoreResult<PartialDocument>,
    pub(crate) view: Permission,
    pub(crate) rules: Option<EditRules>,
}

/// How a collection's documents are changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EditRules {
    pub(crate) edit: Permission,
    pub(crate) delete: Permission,
    /// Reads what was sent.
    pub(crate) read: EntryReader,
}

impl DocumentKind {
    /// What is declared of its documents.
    pub(crate) const fn fields(&self) -> &'static [FieldDeclaration] {
        schema::fields(self.collection)
    }

    /// A document as it is given out.
    pub(crate) fn show_document(&self, kept: &Document, extent: DocumentExtent) -> Value {
        self.show(&self.complete(kept), extent)
    }

    /// What could be read of a document as it is given out, with what could not: it must be seen to be mended.
    pub(crate) fn show(&self, read: &PartialDocument, extent: DocumentExtent) -> Value {
        let mut shown = document_view::show_fields(self.fields(), &read.document, extent);
        if !read.flaws.is_empty() {
            let told = read.flaws.iter().map(|flaw| json!({"field": flaw.path, "message": flaw.what})).collect();
            let own = shown.as_object_mut().map(|fields| fields.entry("alertcast").or_insert_with(|| json!({})));
            if let Some(Value::Object(own)) = own {
                own.insert("unreadable".to_owned(), told);
            }
        }
        shown
    }

    /// The document with its type's defaults. Of what others give nothing stands in for what cannot be read.
    pub(crate) fn complete(&self, kept: &Document) -> PartialDocument {
        let mut read = (self.complete)(self.collection, kept).unwrap_or_else(|error| PartialDocument {
            document: kept.clone(),
            flaws: vec![FieldFlaw { path: String::new(), what: error.to_string(), weight: FieldWeight::Decides }],
            respelt: Vec::new(),
        });
        for flaw in &read.flaws {
            if field_of(&flaw.path) == flaw.path && schema::find_given(self.fields(), &flaw.path).is_some() {
                put(&mut read.document, &flaw.path, None);
            }
        }
        read
    }
}

/// All of them, those that can be changed first.
pub(crate) const DOCUMENT_KINDS: &[DocumentKind] = &[
    DocumentKind {
        collection: Collection::AlertConfigurations,
        path: "alert-configurations",
        one: "AlertConfiguration",
        many: "AlertConfigurations",
        called: "alert configuration",
        complete: read_partially::<AlertConfiguration>,
        view: Permission::AlertsView,
        rules: Some(EditRules {
            edit: Permission::AlertsConfigure,
            delete: Permission::AlertsConfigure,
            read: document_input::config,
        }),
    },
    DocumentKind {
        collection: Collection::SubscriptionPlans,
        path: "subscription-plans",
        one: "SubscriptionPlan",
        many: "SubscriptionPlans",
        called: "subscription plan",
        complete: read_partially::<Plan>,
        view: Permission::SubscriptionsView,
        rules: Some(EditRules {
            edit: Permission::SubscriptionsEdit,
            delete: Permission::SubscriptionsEdit,
            read: document_input::plan,
        }),
    },
    DocumentKind {
        collection: Collection::Users,
        path: "users",
        one: "User",
        many: "Users",
        called: "user",
        complete: read_partially::<User>,
        view: Permission::UsersView,
        rules: Some(EditRules {
            edit: Permission::UsersEdit,
            delete: Permission::UsersDelete,
            read: document_input::user,
        }),
    },
    DocumentKind {
        collection: Collection::UserSubscriptions,
        path: "user-subscriptions",
        one: "UserSubscription",
        many: "UserSubscriptions",
        called: "subscription",
        complete: read_partially::<Subscription>,
        view: Permission::SubscriptionsView,
        rules: Some(EditRules {
            edit: Permission::SubscriptionsEdit,
            delete: Permission::SubscriptionsEdit,
            read: document_input::subscription,
        }),
    },
    DocumentKind {
        collection: Collection::UserAlertPreferences,
        path: "user-alert-preferences",
        one: "UserAlertPreference",
        many: "UserAlertPreferences",
        called: "preference",
        complete: read_partially::<AlertPreference>,
        view: Permission::UsersView,
        rules: Some(EditRules {
            edit: Permission::UsersEdit,
            delete: Permission::UsersDelete,
            read: document_input::preference,
        }),
    },
    DocumentKind {
        collection: Collection::AdminUsers,
        path: "admin-users",
        one: "AdminUser",
        many: "AdminUsers",
        called: "administrator",
        complete: read_partially::<Admin>,
        view: Permission::SystemSettings,
        rules: Some(EditRules {
            edit: Permission::SystemSettings,
            delete: Permission::SystemSettings,
            read: document_input::admin,
        }),
    },
    DocumentKind {
        collection: Collection::Trades,
        path: "trades",
        one: "Trade",
        many: "Trades",
        called: "trade",
        complete: read_partially::<Trade>,
        view: Permission::AlertsView,
        rules: None,
    },
    DocumentKind {
        collection: Collection::Alerts,
        path: "alerts",
        one: "Alert",
        many: "Alerts",
        called: "alert",
        complete: read_partially::<Alert>,
        view: Permission::AlertsView,
        rules: None,
    },
    DocumentKind {
        collection: Collection::Deliveries,
        path: "deliveries",
        one: "Delivery",
        many: "Deliveries",
        called: "delivery",
        complete: read_partially::<Delivery>,
        view: Permission::AlertsView,
        rules: None,
    },
    DocumentKind {
        collection: Collection::RejectedWebhooks,
        path: "rejected-webhooks",
        one: "RejectedWebhook",
        many: "RejectedWebhooks",
        called: "rejected webhook",
        complete: read_partially::<RejectedWebhook>,
        view: Permission::SystemLogs,
        rules: None,
    },
    DocumentKind {
        collection: Collection::AuditLog,
        path: "audit-log",
        one: "AuditEntry",
        many: "AuditEntries",
        called: "audit entry",
        complete: read_partially::<AuditEntry>,
        view: Permission::SystemLogs,
        rules: None,
    },
];

/// Tokens are their owner's: they have routes of their own.
pub(crate) const TOKENS: DocumentKind = DocumentKind {
    collection: Collection::ApiTokens,
    path: "api-tokens",
    one: "ApiToken",
    many: "ApiTokens",
    called: "API token",
    complete: read_partially::<ApiToken>,
    view: Permission::SystemSettings,
    rules: None,
};

/// What is offered of a collection.
pub(crate) fn of(collection: Collection) -> Option<&'static DocumentKind> {
    DOCUMENT_KINDS.iter().find(|kind| kind.collection == collection)
}
