//! Administrators (seed 2.8). They come by the API only.

use alertcast_core::admin::{
    Admin, AdminProfile, AdminStatus, AlertPermissions, LoginSecurity, PasswordHash, Permissions,
    SubscriptionPermissions, SystemPermissions, UserPermissions,
};
use alertcast_core::id::AdminId;
use alertcast_core::store::Collection;
use secrecy::SecretString;
use serde_json::Value;

use super::InputReading;
use super::fields::{FieldResult, InputFields, kind};
use super::values::{email, flag, text, word};
use crate::password;

/// Reads an administrator. The document's `password` stays empty: what was given is hashed by whoever writes it.
pub(crate) fn admin(reading: &mut InputReading<'_>, mut fields: InputFields<'_>) {
    let id = AdminId(reading.id(&mut fields));
    let username = fields.read_required("username", text).map(|name| name.to_lowercase());
    let email = fields.read_required("email", email);
    reading.password = match reading.kept.is_some() {
        true => fields.optional("password", new_password),
        false => fields.read_required("password", new_password),
    };
    let profile = profile(fields.within("profile"));
    let permissions = permissions(fields.within("permissions"));
    let status = fields.or("status", AdminStatus::Active, word(AdminStatus::ALL));
    let (created_at, updated_at) = reading.times(&mut fields);
    drop(fields);
    let whole = || {
        Some(Admin {
            id,
            username: username?,
            email: email?,
            password: PasswordHash(String::new()),
            profile: profile?,
            permissions,
            status,
            security: LoginSecurity::default(),
            created_at,
            updated_at,
        })
    };
    reading.add(Collection::AdminUsers, whole());
}

/// Taken as it is, blanks and all. The message does not repeat it.
fn new_password(value: &Value) -> FieldResult<SecretString> {
    let text = value.as_str().ok_or_else(|| format!("is {}, not text", kind(value)))?;
    let text = SecretString::from(text);
    password::check(&text)?;
    Ok(text)
}

fn profile(mut fields: InputFields<'_>) -> Option<AdminProfile> {
    let (first_name, last_name) = (fields.read_required("firstName", text), fields.read_required("lastName", text));
    let phone = fields.optional("phone", text);
    Some(AdminProfile { first_name: first_name?, last_name: last_name?, phone })
}

fn permissions(mut fields: InputFields<'_>) -> Permissions {
    let defaults = Permissions::default();
    let mut users = fields.within("users");
    let users = UserPermissions {
        view: users.or("view", defaults.users.view, flag),
        edit: users.or("edit", defaults.users.edit, flag),
        delete: users.or("delete", defaults.users.delete, flag),
    };
    let mut subscriptions = fields.within("subscriptions");
    let subscriptions = SubscriptionPermissions {
        view: subscriptions.or("view", defaults.subscriptions.view, flag),
        approve: subscriptions.or("approve", defaults.subscriptions.approve, flag),
        edit: subscriptions.or("edit", defaults.subscriptions.edit, flag),
    };
    let mut alerts = fields.within("alerts");
    let alerts = AlertPermissions {
        view: alerts.or("view", defaults.alerts.view, flag),
        configure: alerts.or("configure", defaults.alerts.configure, flag),
    };
    let mut system = fields.within("system");
    let system = SystemPermissions {
        settings: system.or("settings", defaults.system.settings, flag),
        logs: system.or("logs", defaults.system.logs, flag),
    };
    Permissions { users, subscriptions, alerts, system }
}
