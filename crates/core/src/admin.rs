//! Who runs the house: the `admin_users` document (seed 2.8).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::AdminId;
use crate::market::words;
use crate::money::Count;
use crate::time::Time;

words! {
    /// Whether an admin may log in (seed 2.8 `status`).
    AdminStatus { Active = "active", Inactive = "inactive", Suspended = "suspended" }
}

words! {
    /// One permission of the matrix (seed 2.8 `permissions`), by its path.
    Permission {
        UsersView = "users.view",
        UsersEdit = "users.edit",
        UsersDelete = "users.delete",
        SubscriptionsView = "subscriptions.view",
        SubscriptionsApprove = "subscriptions.approve",
        SubscriptionsEdit = "subscriptions.edit",
        AlertsView = "alerts.view",
        AlertsConfigure = "alerts.configure",
        SystemSettings = "system.settings",
        SystemLogs = "system.logs",
    }
}

/// An administrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Admin {
    #[serde(rename = "_id")]
    pub id: AdminId,
    /// Lower-case and trimmed; unique.
    pub username: String,
    /// Lower-case; unique.
    pub email: String,
    pub password: PasswordHash,
    pub profile: AdminProfile,
    #[serde(default)]
    pub permissions: Permissions,
    #[serde(default = "active")]
    pub status: AdminStatus,
    #[serde(default)]
    pub security: LoginSecurity,
    #[serde(default)]
    pub created_at: Time,
    #[serde(default)]
    pub updated_at: Time,
}

const fn active() -> AdminStatus {
    AdminStatus::Active
}

/// A bcrypt hash. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Who the administrator is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminProfile {
    pub first_name: String,
    pub last_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// The permission matrix.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Permissions {
    pub users: UserPermissions,
    pub subscriptions: SubscriptionPermissions,
    pub alerts: AlertPermissions,
    pub system: SystemPermissions,
}

impl Permissions {
    /// Every permission: the seeded administrator's (seed 7.2).
    pub const ALL: Self = Self {
        users: UserPermissions { view: true, edit: true, delete: true },
        subscriptions: SubscriptionPermissions { view: true, approve: true, edit: true },
        alerts: AlertPermissions { view: true, configure: true },
        system: SystemPermissions { settings: true, logs: true },
    };

    /// Whether a permission is given.
    pub const fn hold(&self, permission: Permission) -> bool {
        match permission {
            Permission::UsersView => self.users.view,
            Permission::UsersEdit => self.users.edit,
            Permission::UsersDelete => self.users.delete,
            Permission::SubscriptionsView => self.subscriptions.view,
            Permission::SubscriptionsApprove => self.subscriptions.approve,
            Permission::SubscriptionsEdit => self.subscriptions.edit,
            Permission::AlertsView => self.alerts.view,
            Permission::AlertsConfigure => self.alerts.configure,
            Permission::SystemSettings => self.system.settings,
            Permission::SystemLogs => self.system.logs,
        }
    }
}

/// Over subscribers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserPermissions {
    pub view: bool,
    pub edit: bool,
    pub delete: bool,
}

impl Default for UserPermissions {
    fn default() -> Self {
        Self { view: true, edit: true, delete: false }
    }
}

/// Over subscriptions and payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscriptionPermissions {
    pub view: bool,
    pub approve: bool,
    pub edit: bool,
}

impl Default for SubscriptionPermissions {
    fn default() -> Self {
        Self { view: true, approve: true, edit: true }
    }
}

/// Over alerts and configurations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertPermissions {
    pub view: bool,
    pub configure: bool,
}

impl Default for AlertPermissions {
    fn default() -> Self {
        Self { view: true, configure: true }
    }
}

/// Over the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemPermissions {
    pub settings: bool,
    pub logs: bool,
}

impl Default for SystemPermissions {
    fn default() -> Self {
        Self { settings: false, logs: true }
    }
}

/// The state of the log-in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LoginSecurity {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<Time>,
    #[serde(rename = "lastLoginIP", skip_serializing_if = "Option::is_none")]
    pub last_login_ip: Option<String>,
    pub failed_login_attempts: Count,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_changed_at: Option<Time>,
}
