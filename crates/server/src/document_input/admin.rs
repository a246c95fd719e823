//! Administrators (seed 2.8). They come by the API only.

use alertcast_core::admin::{
    Admin, AdminProfile, AlertPermissions, LoginSecurity, PasswordHash, Permissions, SubscriptionPermissions,
    SystemPermissions, UserPermissions,
};
use alertcast_core::id::AdminId;
use alertcast_core::store::Collection;
use secrecy::SecretString;
use serde_json::Value;

use super::InputReading;
use super::fields::{FieldResult, InputFields, kind};
use crate::password;

/// Reads an administrator. The document's `password` stays empty: what was given is hashed by whoever writes it.
pub(crate) fn admin(reading: &mut InputReading<'_>, fields: InputFields<'_>) {
    let mut fields = fields.of(Collection::AdminUsers);
    let id = AdminId(reading.id(&mut fields));
    let (username, email) = (fields.get_required("username"), fields.get_required("email"));
    reading.password = match reading.kept.is_some() {
        true => fields.optional("password", new_password),
        false => fields.read_required("password", new_password),
    };
    let profile = profile(fields.within("profile"));
    let permissions = permissions(fields.within("permissions"));
    let status = fields.get_or_default("status");
    let (created_at, updated_at) = reading.times(&mut fields);
    drop(fields);
    let whole = || {
        Some(Admin {
            id,
            username: username?,
            email: email?,
            password: PasswordHash(String::new()),
            profile: profile?,
            permissions: permissions?,
            status: status?,
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
    let (first_name, last_name) = (fields.get_required("firstName"), fields.get_required("lastName"));
    let phone = fields.get_optional("phone");
    Some(AdminProfile { first_name: first_name?, last_name: last_name?, phone })
}

fn permissions(mut fields: InputFields<'_>) -> Option<Permissions> {
    let mut users = fields.within("users");
    let users = UserPermissions {
        view: users.get_or_default("view")?,
        edit: users.get_or_default("edit")?,
        delete: users.get_or_default("delete")?,
    };
    let mut subscriptions = fields.within("subscriptions");
    let subscriptions = SubscriptionPermissions {
        view: subscriptions.get_or_default("view")?,
        approve: subscriptions.get_or_default("approve")?,
        edit: subscriptions.get_or_default("edit")?,
    };
    let mut alerts = fields.within("alerts");
    let alerts =
        AlertPermissions { view: alerts.get_or_default("view")?, configure: alerts.get_or_default("configure")? };
    let mut system = fields.within("system");
    let system =
        SystemPermissions { settings: system.get_or_default("settings")?, logs: system.get_or_default("logs")? };
    Some(Permissions { users, subscriptions, alerts, system })
}
