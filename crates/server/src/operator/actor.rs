//! Who acts, and what they may do.

use alertcast_core::admin::{Permission, Permissions};
use alertcast_core::id::AdminId;
use bson::oid::ObjectId;
use tracing::warn;

use super::{ActError, ActionResult};

/// Who acts: an administrator, whichever way they came.
#[derive(Debug, Clone)]
pub struct Actor {
    pub admin_id: AdminId,
    pub username: String,
    /// The API token that they act by; none: by another way.
    pub token: Option<ObjectId>,
    /// The address that the request came from.
    pub ip: Option<String>,
    pub permissions: Permissions,
}

impl Actor {
    /// Refuses what the administrator may not do.
    ///
    /// # Errors
    /// `NotPermitted`.
    pub fn must_hold(&self, permission: Permission) -> ActionResult<()> {
        if self.permissions.hold(permission) {
            return Ok(());
        }
        self.lack("this".to_owned(), permission)
    }

    /// Refuses a change of these fields to whom it is not permitted.
    ///
    /// # Errors
    /// `NotPermitted`.
    pub fn must_hold_for(&self, fields: &[String], permission: Permission) -> ActionResult<()> {
        if fields.is_empty() || self.permissions.hold(permission) {
            return Ok(());
        }
        self.lack(format!("to set {} so", fields.join(", ")), permission)
    }

    fn lack(&self, what: String, permission: Permission) -> ActionResult<()> {
        warn!(admin = %self.admin_id, token = ?self.token, %permission, what, "not permitted");
        Err(ActError::NotPermitted { what, permission, username: self.username.clone() })
    }
}
