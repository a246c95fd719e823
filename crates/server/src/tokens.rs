//! Making API tokens. The text is given to whoever asked; what is kept is its digest.

use alertcast_core::admin::{Admin, AdminStatus};
use alertcast_core::audit::AuditEntry;
use alertcast_core::id::IdSource;
use alertcast_core::store::{Collection, DocumentStore, DocumentWrite, StoreError, document, read};
use alertcast_core::time::Time;
use alertcast_core::token::{ApiToken, TOKEN_BYTES, TOKEN_DAYS, TokenDigest, token_end, token_text};
use bson::{Bson, Document, doc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::collection_walk;

/// The most days that a token may be given.
pub(crate) const DAYS_MAX: u32 = 3_650;
/// The most characters of a label.
const LABEL_CHARS_MAX: usize = 200;

/// Which token is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenLookup {
    /// Whose it will be.
    pub(crate) username: String,
    /// What it is for.
    pub(crate) label: Option<String>,
    /// In how many days it ends; none: in [`TOKEN_DAYS`].
    pub(crate) expires_days: Option<u32>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("there is no administrator {0:?}")]
    UnknownAdmin(String),
    #[error("the administrator {username:?} is {status}, so that a token would open nothing")]
    NotActive { username: String, status: AdminStatus },
    #[error("the label is longer than {LABEL_CHARS_MAX} characters")]
    LongLabel,
    #[error("a token lives from 1 to {DAYS_MAX} days")]
    Days,
    #[error("no random numbers: {0}")]
    Random(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TokenError {
    /// What to do about it.
    pub(crate) const fn fix(&self) -> &'static str {
        match self {
            Self::UnknownAdmin(_) => {
                "`alertcast seed` makes the administrator \"admin\"; the API's admin-users are others"
            }
            Self::NotActive { .. } => "make the administrator active again: PATCH /api/v1/admin-users/ID",
            Self::LongLabel => "use a shorter one",
            Self::Days => "give another number, or leave --days out for 90 days",
            Self::Random(_) | Self::Store(_) => "try again; the log says more",
        }
    }
}

/// Makes a token for an active administrator, with an entry in the audit log.
pub(crate) async fn make(
    store: &dyn DocumentStore,
    ids: &dyn IdSource,
    now: Time,
    wanted: &TokenLookup,
) -> Result<SecretString, TokenError> {
    let label = wanted.label.as_deref().map(str::trim).filter(|label| !label.is_empty());
    if label.is_some_and(|label| label.chars().count() > LABEL_CHARS_MAX) {
        return Err(TokenError::LongLabel);
    }
    if wanted.expires_days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
        return Err(TokenError::Days);
    }
    let admin = active_admin(store, &wanted.username).await?;
    let mut random = [0; TOKEN_BYTES];
    getrandom(&mut random)?;
    let text = token_text(random);
    let token = ApiToken {
        id: ids.next(),
        admin_id: admin.id,
        digest: TokenDigest::of(&text),
        label: label.map(str::to_owned),
        expires_at: Some(token_end(now, wanted.expires_days.unwrap_or(TOKEN_DAYS))),
        created_at: now,
    };
    let entry = AuditEntry {
        id: ids.next(),
        at: now,
        admin_id: admin.id,
        username: admin.username,
        action: "create".to_owned(),
        collection: Collection::ApiTokens.name().to_owned(),
        document_id: token.id,
        before: None,
        after: Some(after(&token)),
        reason: Some("made on the command line".to_owned()),
        ip_address: None,
    };
    let insert = |collection, document| DocumentWrite::Insert { collection, document };
    store
        .write(vec![insert(Collection::ApiTokens, document(&token)?), insert(Collection::AuditLog, document(&entry)?)])
        .await?;
    Ok(text.into())
}

/// What the audit log keeps of a token.
fn after(token: &ApiToken) -> Document {
    let mut after = Document::new();
    if let Some(label) = &token.label {
        after.insert("label", label);
    }
    if let Some(end) = token.expires_at {
        after.insert("expiresAt", end);
    }
    after
}

/// Gives an end to tokens that were made before every token had one: [`TOKEN_DAYS`] from now, so that what uses them has
/// time to get another. Answers how many there were. May be repeated, by several processes at once.
pub(crate) async fn end_old_ones(store: &dyn DocumentStore, now: Time) -> Result<usize, StoreError> {
    let mut endless = Vec::new();
    let mut visit = |token: Document| {
        if matches!(token.get("expiresAt"), None | Some(Bson::Null)) {
            endless.extend(token.get_object_id("_id").ok());
        }
    };
    collection_walk::each(|after| store.page(Collection::ApiTokens, after, collection_walk::PAGE), &mut visit).await?;
    let (end, count) = (token_end(now, TOKEN_DAYS), endless.len());
    for id in endless {
        let update = DocumentWrite::Update {
            collection: Collection::ApiTokens,
            id,
            set: doc! { "expiresAt": end },
            unset: Vec::new(),
            expect: vec![("expiresAt".to_owned(), Bson::Null)],
        };
        match store.write(vec![update]).await {
            // Another process was faster, or it is gone.
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    if count > 0 {
        info!(tokens = count, %end, "tokens that had no end were given one");
    }
    Ok(count)
}

async fn active_admin(store: &dyn DocumentStore, username: &str) -> Result<Admin, TokenError> {
    let username = username.trim().to_lowercase();
    let found = store.find_unique(Collection::AdminUsers, &[("username", username.as_str().into())]).await?;
    let admin: Admin = read(Collection::AdminUsers, found.ok_or(TokenError::UnknownAdmin(username))?)?;
    match admin.status {
        AdminStatus::Active => Ok(admin),
        status => Err(TokenError::NotActive { username: admin.username, status }),
    }
}

fn getrandom(bytes: &mut [u8]) -> Result<(), TokenError> {
    use rand::TryRng as _;
    rand::rngs::SysRng.try_fill_bytes(bytes).map_err(|error| TokenError::Random(error.to_string()))
}
