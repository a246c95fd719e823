//! Whose request it is: the token, its administrator, and what they may do.

use std::net::IpAddr;

use alertcast_core::admin::{Admin, AdminStatus, Permission};
use alertcast_core::store::{Collection, Result, read};
use alertcast_core::token::{ApiToken, TokenDigest};
use axum::http::{HeaderMap, StatusCode, header};

use super::fault::{Answered, Fault};
use super::routes::Needs;
use crate::app::App;
use crate::http::problem::Problem;

/// Who asks.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) admin: Admin,
    pub(super) token: ApiToken,
    pub(super) address: IpAddr,
}

impl Caller {
    /// Finds whose token the request carries. It is looked up by its digest: how long that takes says nothing about it.
    pub(super) async fn of(app: &App, headers: &HeaderMap, address: IpAddr) -> Answered<Self> {
        let Some(text) = bearer(headers) else {
            return Err(unknown("the request carries no token: send Authorization: Bearer TOKEN"));
        };
        let (token, admin) = find(app, text).await?.ok_or_else(|| {
            unknown("the token is unknown or has expired: make one with `alertcast admin token --username NAME`")
        })?;
        if admin.status != AdminStatus::Active {
            return Err(unknown("the token's administrator is not active"));
        }
        Ok(Self { admin, token, address })
    }

    /// Refuses what the administrator may not do.
    pub(super) fn must(&self, needs: Needs) -> Answered<()> {
        match needs {
            Needs::Token => Ok(()),
            Needs::Permission(permission) => self.must_hold(permission),
        }
    }

    pub(super) fn must_hold(&self, permission: Permission) -> Answered<()> {
        if self.admin.permissions.hold(permission) {
            return Ok(());
        }
        let detail = format!("this takes the permission {permission}, which {} has not", self.admin.username);
        Err(Problem::new(StatusCode::FORBIDDEN, "Not permitted", detail).into())
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn find(app: &App, text: &str) -> Result<Option<(ApiToken, Admin)>> {
    let digest = TokenDigest::of(text);
    let Some(found) = app.store.find_unique(Collection::ApiTokens, &[("digest", digest.0.into())]).await? else {
        return Ok(None);
    };
    let token: ApiToken = read(Collection::ApiTokens, found)?;
    if token.expires_at.is_some_and(|end| end <= app.clock.now()) {
        return Ok(None);
    }
    let admin = app.store.get(Collection::AdminUsers, &[token.admin_id.0]).await?.pop();
    Ok(admin.map(|admin| read(Collection::AdminUsers, admin)).transpose()?.map(|admin| (token, admin)))
}

fn unknown(detail: &str) -> Fault {
    Problem::new(StatusCode::UNAUTHORIZED, "Who are you?", detail).asks_for("Bearer").into()
}
