//! Whose request it is: the token, its administrator, and what they may do.

use std::net::IpAddr;

use alertcast_core::admin::{Admin, Permission};
use alertcast_core::reading::read_document;
use alertcast_core::store::{Collection, read};
use alertcast_core::token::{ApiToken, TokenDigest, TokenEnd};
use axum::http::{HeaderMap, StatusCode, header};

use super::error::{ApiError, ApiResult, refuse_act};
use super::routes::RoutePermission;
use crate::base::Base;
use crate::http::problem::ProblemResponse;
use crate::operator::Actor;

/// Why whom the API knows is turned away.
pub(super) const NOT_PERMITTED: &str = "not_permitted";

/// Who asks.
#[derive(Debug)]
pub(super) struct ApiCaller {
    pub(super) admin: Admin,
    pub(super) token: ApiToken,
    pub(super) address: IpAddr,
}

impl ApiCaller {
    /// Finds whose token the request carries. It is looked up by its digest: how long that takes says nothing about it.
    pub(super) async fn of(base: &Base, shown: &TokenDigest, address: IpAddr) -> ApiResult<Self> {
        let (token, admin) = find(base, shown).await?.ok_or_else(|| {
            unknown(
                "unknown_token",
                "the token is unknown or has ended: make one with `alertcast admin token --username NAME`",
            )
        })?;
        match token.find_end(&admin, base.clock.now()) {
            None => Ok(Self { admin, token, address }),
            Some(end @ TokenEnd::Inactive) => Err(unknown(end.as_str(), "the token's administrator is not active")),
            // Whether it ever was one is nobody's business who has it no more.
            Some(end) => Err(unknown(
                end.as_str(),
                "the token is unknown or has ended: make one with `alertcast admin token --username NAME`",
            )),
        }
    }

    /// Refuses what the administrator may not do.
    pub(super) fn must(&self, needs: RoutePermission) -> ApiResult<()> {
        match needs {
            RoutePermission::Token => Ok(()),
            RoutePermission::Permission(permission) => self.must_hold(permission),
            RoutePermission::Either(one, other) => match self.admin.permissions.hold(other) {
                true => Ok(()),
                false => self.must_hold(one),
            },
        }
    }

    pub(super) fn must_hold(&self, permission: Permission) -> ApiResult<()> {
        self.actor().must_hold(permission).map_err(|error| refuse_act(error, ""))
    }

    /// The same for what operators do.
    pub(super) fn actor(&self) -> Actor {
        Actor {
            admin_id: self.admin.id,
            username: self.admin.username.clone(),
            token: Some(self.token.id),
            ip: Some(self.address.to_string()),
            permissions: self.admin.permissions.clone(),
        }
    }
}

fn bearer(headers: &HeaderMap) -> ApiResult<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (first, more) = (all.next(), all.next());
    let none = || unknown("no_token", "the request carries no token: send Authorization: Bearer TOKEN, once");
    if more.is_some() {
        return Err(none());
    }
    let (scheme, token) = first.and_then(|value| value.to_str().ok()?.split_once(' ')).ok_or_else(none)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(none()) }
}

/// The digest of the token that a request carries.
pub(super) fn read_token(headers: &HeaderMap) -> ApiResult<TokenDigest> {
    bearer(headers).map(TokenDigest::of)
}

async fn find(base: &Base, digest: &TokenDigest) -> ApiResult<Option<(ApiToken, Admin)>> {
    let digest = digest.0.as_str().into();
    let Some(found) = base.store.find_unique(Collection::ApiTokens, &[("digest", digest)]).await? else {
        return Ok(None);
    };
    let token: ApiToken = read(Collection::ApiTokens, found)?;
    let Some(admin) = base.store.get(Collection::AdminUsers, &[token.admin_id.0]).await?.pop() else {
        return Ok(None);
    };
    match read_document(Collection::AdminUsers, &admin) {
        Ok(admin) => Ok(Some((token, admin))),
        Err(_) if token.expires_at.is_some_and(|end| end <= base.clock.now()) => Ok(None),
        Err(unreadable) => {
            base.store.unreadables().note(unreadable);
            Err(unknown(
                "unreadable_administrator",
                "the document of the token's administrator cannot be read: another administrator can mend it",
            ))
        }
    }
}

fn unknown(reason: &'static str, detail: &str) -> ApiError {
    let page = ProblemResponse::new(StatusCode::UNAUTHORIZED, "Who are you?", detail);
    page.asks_for("Bearer").because(reason).into()
}
