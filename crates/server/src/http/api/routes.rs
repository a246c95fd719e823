//! Every route: its method, its address, whose permission it takes, and what it does. The router, the description and
//! the test of permissions are made of this one list, so that no route is without a permission or a description.

use std::sync::LazyLock;

use alertcast_core::admin::Permission;
use alertcast_core::store::Collection;
use axum::http::Method;

use crate::document_kinds::{DOCUMENT_KINDS, DocumentKind, TOKENS};

/// One route.
#[derive(Debug, Clone)]
pub struct ApiRoute {
    pub method: Method,
    /// Below `/api/v1`; ids as `{id}`.
    pub path: String,
    pub operation: String,
    pub needs: RoutePermission,
    pub(super) act: Endpoint,
}

/// What a route asks of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoutePermission {
    /// That it is valid.
    Token,
    /// That its administrator has a permission.
    Permission(Permission),
    /// That its administrator has one of two; which, is judged by what is changed.
    Either(Permission, Permission),
}

/// What a route does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Endpoint {
    List(&'static DocumentKind),
    Read(&'static DocumentKind),
    Create(&'static DocumentKind),
    Change(&'static DocumentKind),
    Delete(&'static DocumentKind),
    Recipients,
    OpenTrades,
    Me,
    Tokens,
    DeleteToken,
    CloseTrade,
    Resend,
    Unblock,
    Process,
    ProcessRejected,
    Rehearse,
    EraseUser,
    ApproveSubscription,
    RejectSubscription,
    CancelSubscription,
}

/// All of them.
pub static ROUTES: LazyLock<Vec<ApiRoute>> = LazyLock::new(|| {
    let mut routes = Vec::new();
    for resource in DOCUMENT_KINDS {
        of_resource(&mut routes, resource);
    }
    let view_alerts = RoutePermission::Permission(Permission::AlertsView);
    routes.push(route(
        Method::GET,
        "/alerts/{id}/recipients",
        "listAlertRecipients",
        view_alerts,
        Endpoint::Recipients,
    ));
    routes.push(route(
        Method::GET,
        "/users/{id}/open-trades",
        "listOpenTradesOfUser",
        view_alerts,
        Endpoint::OpenTrades,
    ));
    by_hand(&mut routes);
    routes.push(route(Method::GET, "/me", "whoAmI", RoutePermission::Token, Endpoint::Me));
    let tokens = format!("/{}", TOKENS.path);
    routes.push(route(Method::GET, &tokens, "listApiTokens", RoutePermission::Token, Endpoint::Tokens));
    routes.push(route(
        Method::DELETE,
        &format!("{tokens}/{{id}}"),
        "deleteApiToken",
        RoutePermission::Token,
        Endpoint::DeleteToken,
    ));
    routes
});

fn of_resource(routes: &mut Vec<ApiRoute>, resource: &'static DocumentKind) {
    let (all, one) = (format!("/{}", resource.path), format!("/{}/{{id}}", resource.path));
    let view = RoutePermission::Permission(resource.view);
    routes.push(route(Method::GET, &all, &format!("list{}", resource.many), view, Endpoint::List(resource)));
    routes.push(route(Method::GET, &one, &format!("get{}", resource.one), view, Endpoint::Read(resource)));
    let Some(rules) = resource.rules else { return };
    let (edit, delete) = (RoutePermission::Permission(rules.edit), RoutePermission::Permission(rules.delete));
    routes.push(route(Method::POST, &all, &format!("create{}", resource.one), edit, Endpoint::Create(resource)));
    let change = match resource.collection {
        // Who approves payments need not be allowed to edit everything else.
        Collection::UserSubscriptions => RoutePermission::Either(rules.edit, Permission::SubscriptionsApprove),
        _ => edit,
    };
    routes.push(route(Method::PATCH, &one, &format!("change{}", resource.one), change, Endpoint::Change(resource)));
    let gone = match resource.collection {
        // A person with a history is erased, and the numbers stay.
        Collection::Users => Endpoint::EraseUser,
        _ => Endpoint::Delete(resource),
    };
    routes.push(route(Method::DELETE, &one, &format!("delete{}", resource.one), delete, gone));
}

/// What operators do by hand.
fn by_hand(routes: &mut Vec<ApiRoute>) {
    let configure = RoutePermission::Permission(Permission::AlertsConfigure);
    let edit_users = RoutePermission::Permission(Permission::UsersEdit);
    let approve = RoutePermission::Permission(Permission::SubscriptionsApprove);
    // What makes a subscription shorter takes no more than editing it.
    let edit_subscriptions = RoutePermission::Permission(Permission::SubscriptionsEdit);
    for (path, operation, needs, act) in [
        ("/trades/{id}/close", "closeTrade", configure, Endpoint::CloseTrade),
        ("/deliveries/{id}/resend", "resendDelivery", configure, Endpoint::Resend),
        ("/users/{id}/unblock", "unblockUser", edit_users, Endpoint::Unblock),
        ("/alerts/{id}/process", "processAlert", configure, Endpoint::Process),
        ("/rejected-webhooks/{id}/process", "processRejectedWebhook", configure, Endpoint::ProcessRejected),
        ("/alerts/rehearse", "rehearseAlert", configure, Endpoint::Rehearse),
        ("/user-subscriptions/{id}/approve", "approveSubscription", approve, Endpoint::ApproveSubscription),
        ("/user-subscriptions/{id}/reject", "rejectSubscription", approve, Endpoint::RejectSubscription),
        ("/user-subscriptions/{id}/cancel", "cancelSubscription", edit_subscriptions, Endpoint::CancelSubscription),
    ] {
        routes.push(route(Method::POST, path, operation, needs, act));
    }
}

fn route(method: Method, path: &str, operation: &str, needs: RoutePermission, act: Endpoint) -> ApiRoute {
    ApiRoute { method, path: path.to_owned(), operation: operation.to_owned(), needs, act }
}
