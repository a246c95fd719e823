//! Who changed what: the `audit_log` document. Written in the same commit as the change that it tells of.

use bson::Document;
use bson::oid::ObjectId;
use serde::{Deserialize, Serialize};

use crate::id::AdminId;
use crate::time::Time;
use crate::verbatim;

/// One act of an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    #[serde(rename = "_id")]
    pub id: ObjectId,
    pub at: Time,
    pub admin_id: AdminId,
    /// As it was then.
    pub username: String,
    /// `create`, `update`, `delete`, or an action's name (`close_trade`, say).
    pub action: String,
    pub collection: String,
    pub document_id: ObjectId,
    /// What was changed, as it was: the changed fields, or the whole of what was deleted. Without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "verbatim::option")]
    pub before: Option<Document>,
    /// What was changed, as it is now: the changed fields, or the whole of what was made. Without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "verbatim::option")]
    pub after: Option<Document>,
    /// Why, where the operator said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
}
