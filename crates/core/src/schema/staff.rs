//! Who runs the house: administrators, their tokens, and what they did.

use super::field::FieldKind::{Anything, Date, Email, Flag, Id, LowercaseText, Object, Text, Word};
use super::field::{COUNT, defaulted, object, optional, recorded, required};
use super::{CREATED, FieldDeclaration, FieldDefault, ID, OWN_LEVEL, StoreRule, UNREADABLE, UPDATED};
use crate::admin::AdminStatus;

const TRUE: FieldDefault = FieldDefault::Flag(true);
const FALSE: FieldDefault = FieldDefault::Flag(false);

/// Seed 2.8. The password goes in and never comes out.
pub(super) const ADMINS: &[FieldDeclaration] = &[
    ID,
    required("username", LowercaseText, "The name to log in by, in small letters; unique.")
        .held_to(StoreRule::Filled)
        .like("chief"),
    required("email", Email, "The e-mail address, in small letters; unique.")
        .held_to(StoreRule::Filled)
        .told()
        .like("chief@example.com"),
    required("password", Text, "12 characters to 72 bytes. Kept as a bcrypt hash, and never given out.")
        .held_to(StoreRule::Filled)
        .secret(),
    required("profile", Object, "Who it is."),
    required("profile.firstName", Text, "The first name.").told().like("Ravi"),
    required("profile.lastName", Text, "The last name.").told().like("Menon"),
    optional("profile.phone", Text, "The telephone number.").told(),
    object("permissions", "What the administrator may do."),
    object("permissions.users", "About users."),
    defaulted("permissions.users.view", Flag, TRUE, "To see users and their preferences."),
    defaulted("permissions.users.edit", Flag, TRUE, "To make and change them."),
    defaulted("permissions.users.delete", Flag, FALSE, "To delete them."),
    object("permissions.subscriptions", "About plans and subscriptions."),
    defaulted("permissions.subscriptions.view", Flag, TRUE, "To see plans and subscriptions."),
    defaulted(
        "permissions.subscriptions.approve",
        Flag,
        TRUE,
        "To decide about payments, and whatever else makes or extends what somebody may get.",
    ),
    defaulted("permissions.subscriptions.edit", Flag, TRUE, "To make and change plans and subscriptions."),
    object("permissions.alerts", "About alerts."),
    defaulted("permissions.alerts.view", Flag, TRUE, "To see configurations, alerts, trades and messages."),
    defaulted(
        "permissions.alerts.configure",
        Flag,
        TRUE,
        "To change configurations, and act on alerts, trades and messages.",
    ),
    object("permissions.system", "About the system."),
    defaulted("permissions.system.settings", Flag, FALSE, "To see and change administrators and their tokens."),
    defaulted("permissions.system.logs", Flag, TRUE, "To see the audit log and rejected webhooks."),
    defaulted(
        "status",
        Word(AdminStatus::WORDS),
        FieldDefault::Text(AdminStatus::Active.as_str()),
        "Whether the administrator may log in, and the tokens open anything.",
    ),
    object("security", "What concerns logging in.").kept(),
    optional("security.lastLoginAt", Date, "When the administrator last logged in.").told(),
    optional("security.lastLoginIP", Text, "From which address.").told(),
    defaulted(
        "security.failedLoginAttempts",
        COUNT,
        FieldDefault::Whole(0),
        "Wrong passwords since the last right one.",
    )
    .told(),
    optional("security.lockedUntil", Date, "Until when nobody may log in by this name."),
    // Tokens that were made before it have ended.
    optional("security.passwordChangedAt", Date, "When the password was last changed: older tokens open nothing."),
    CREATED,
    UPDATED,
    OWN_LEVEL,
    UNREADABLE,
];

/// An API token.
pub(super) const TOKENS: &[FieldDeclaration] = &recorded([
    ID,
    required("adminId", Id, "The administrator whose token it is."),
    required("digest", Text, "What the token is known by.").secret(),
    optional("label", Text, "What it is for.").like("shop"),
    optional("expiresAt", Date, "From when it opens nothing any more."),
    CREATED,
]);

/// One act of an operator.
pub(super) const AUDIT: &[FieldDeclaration] = &recorded([
    ID,
    required("at", Date, "When it was done."),
    required("adminId", Id, "The administrator who did it."),
    required("username", Text, "What that administrator was called then."),
    required("action", Text, "What was done.").like("update"),
    required("collection", Text, "In which collection.").like("users"),
    required("documentId", Id, "To which document."),
    optional("before", Anything, "What it was before."),
    optional("after", Anything, "What it is since."),
    optional("reason", Text, "Why, as the header X-Reason said."),
    optional("ipAddress", Text, "From which address."),
    OWN_LEVEL,
    UNREADABLE,
]);
