//! Every route: its method, its address, whose permission it takes, and what it does. The router, the description and
//! the test of permissions are made of this one list, so that no route is without a permission or a description.

use std::sync::LazyLock;

use alertcast_core::admin::Permission;
use alertcast_core::store::Collection;
use axum::http::Method;

use super::resources::{RESOURCES, Resource, TOKENS};

/// One route.
#[derive(Debug, Clone)]
pub struct Route {
    pub method: Method,
    /// Below `/api/v1`; ids as `{id}`.
    pub path: String,
    pub operation: String,
    pub needs: Needs,
    pub(super) act: Act,
}

/// What a route asks of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// That it is valid.
    Token,
    /// That its administrator has a permission.
    Permission(Permission),
    /// That its administrator has one of two; which, is judged by what is changed.
    Either(Permission, Permission),
}

/// What a route does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    List(&'static Resource),
    Read(&'static Resource),
    Create(&'static Resource),
    Change(&'static Resource),
    Delete(&'static Resource),
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
}

/// All of them.
pub static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let mut routes = Vec::new();
    for resource in RESOURCES {
        of_resource(&mut routes, resource);
    }
    let view_alerts = Needs::Permission(Permission::AlertsView);
    routes.push(route(Method::GET, "/alerts/{id}/recipients", "listAlertRecipients", view_alerts, Act::Recipients));
    routes.push(route(Method::GET, "/users/{id}/open-trades", "listOpenTradesOfUser", view_alerts, Act::OpenTrades));
    by_hand(&mut routes);
    routes.push(route(Method::GET, "/me", "whoAmI", Needs::Token, Act::Me));
    let tokens = format!("/{}", TOKENS.path);
    routes.push(route(Method::GET, &tokens, "listApiTokens", Needs::Token, Act::Tokens));
    routes.push(route(Method::DELETE, &format!("{tokens}/{{id}}"), "deleteApiToken", Needs::Token, Act::DeleteToken));
    routes
});

fn of_resource(routes: &mut Vec<Route>, resource: &'static Resource) {
    let (all, one) = (format!("/{}", resource.path), format!("/{}/{{id}}", resource.path));
    let view = Needs::Permission(resource.view);
    routes.push(route(Method::GET, &all, &format!("list{}", resource.many), view, Act::List(resource)));
    routes.push(route(Method::GET, &one, &format!("get{}", resource.one), view, Act::Read(resource)));
    let Some(changes) = resource.changes else { return };
    let (edit, delete) = (Needs::Permission(changes.edit), Needs::Permission(changes.delete));
    routes.push(route(Method::POST, &all, &format!("create{}", resource.one), edit, Act::Create(resource)));
    let change = match resource.collection {
        // Who approves payments need not be allowed to edit everything else.
        Collection::UserSubscriptions => Needs::Either(changes.edit, Permission::SubscriptionsApprove),
        _ => edit,
    };
    routes.push(route(Method::PATCH, &one, &format!("change{}", resource.one), change, Act::Change(resource)));
    let gone = match resource.collection {
        // A person with a history is erased, and the numbers stay.
        Collection::Users => Act::EraseUser,
        _ => Act::Delete(resource),
    };
    routes.push(route(Method::DELETE, &one, &format!("delete{}", resource.one), delete, gone));
}

/// What operators do by hand.
fn by_hand(routes: &mut Vec<Route>) {
    let configure = Needs::Permission(Permission::AlertsConfigure);
    let edit_users = Needs::Permission(Permission::UsersEdit);
    for (path, operation, needs, act) in [
        ("/trades/{id}/close", "closeTrade", configure, Act::CloseTrade),
        ("/deliveries/{id}/resend", "resendDelivery", configure, Act::Resend),
        ("/users/{id}/unblock", "unblockUser", edit_users, Act::Unblock),
        ("/alerts/{id}/process", "processAlert", configure, Act::Process),
        ("/rejected-webhooks/{id}/process", "processRejectedWebhook", configure, Act::ProcessRejected),
        ("/alerts/rehearse", "rehearseAlert", configure, Act::Rehearse),
    ] {
        routes.push(route(Method::POST, path, operation, needs, act));
    }
}

fn route(method: Method, path: &str, operation: &str, needs: Needs, act: Act) -> Route {
    Route { method, path: path.to_owned(), operation: operation.to_owned(), needs, act }
}
