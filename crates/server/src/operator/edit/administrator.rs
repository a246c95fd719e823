//! What a change of an administrator's document leads to.

use alertcast_core::id::AdminId;
use alertcast_core::reading::{PartialDocument, is_within};
use alertcast_core::store::{Collection, DocumentWrite, ListQuery, StoreResult, list_all};
use bson::{Bson, Document};

use super::{EditError, EditResult};
use crate::base::Base;
use crate::document_paths::{at, put};
use crate::operator::Actor;

/// Where the hash is.
pub(super) const PASSWORD: &str = "password";
const PASSWORD_CHANGED: &str = "security.passwordChangedAt";

/// Keeps the password where none was sent. A new one ends the tokens.
pub(super) async fn finish_password(
    base: &Base,
    kept: &Document,
    read: &PartialDocument,
    after: &mut Document,
) -> EditResult<Vec<DocumentWrite>> {
    if after.get_str(PASSWORD).is_ok_and(|hash| !hash.is_empty()) {
        put(after, PASSWORD_CHANGED, Some(base.clock.now().into()));
        let Ok(admin) = kept.get_object_id("_id") else { return Ok(Vec::new()) };
        return Ok(end_tokens(base, AdminId(admin)).await?);
    }
    put(after, PASSWORD, read.document.get(PASSWORD).cloned());
    if read.flaws.iter().any(|flaw| is_within(PASSWORD_CHANGED, &flaw.path)) {
        // Which tokens it had ended is not known: all of them end.
        put(after, PASSWORD_CHANGED, Some(base.clock.now().into()));
    }
    Ok(Vec::new())
}

/// An administrator's tokens end with them.
pub(super) async fn end_tokens(base: &Base, admin: AdminId) -> StoreResult<Vec<DocumentWrite>> {
    let query = ListQuery { filters: vec![("adminId", admin.into())], ..ListQuery::all_of(Collection::ApiTokens) };
    let tokens = list_all(&*base.store, query).await?;
    let ids = tokens.iter().filter_map(|token| token.get_object_id("_id").ok());
    Ok(ids.map(|id| DocumentWrite::Delete { collection: Collection::ApiTokens, id }).collect())
}

/// Nobody locks themselves out.
pub(super) fn check_own_rights(who: &Actor, before: Option<&Document>, after: &Document) -> EditResult<()> {
    let is_me = before.and_then(|before| before.get_object_id("_id").ok()).map(AdminId) == Some(who.admin_id);
    if !is_me {
        return Ok(());
    }
    let keeps = at(after, "permissions.system.settings") == Some(&Bson::Boolean(true));
    let active = after.get_str("status").is_ok_and(|status| status == "active");
    if keeps && active { Ok(()) } else { Err(EditError::OwnRights) }
}
