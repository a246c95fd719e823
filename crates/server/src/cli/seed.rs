//! `seed`: the administrator and the two plans of seed 7.2. Repeatable: what exists is left alone.

use alertcast_core::admin::{Admin, AdminProfile, AdminStatus, LoginSecurity, Permissions};
use alertcast_core::id::{AdminId, IdSource, PlanId};
use alertcast_core::money::{Amount, Count};
use alertcast_core::plan::{Features, Plan, PlanDuration, PlanMetadata, PlanStatus, Pricing};
use alertcast_core::store::{Collection, DocumentStore, DocumentWrite, document};
use alertcast_core::time::Time;
use anyhow::Context as _;
use bson::Bson;
use rand::seq::IndexedRandom as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::failure::CommandFailure;
use super::terminal;
use crate::password;

/// Names the administrator's password.
pub(super) const PASSWORD_VARIABLE: &str = "ALERTCAST_ADMIN_PASSWORD";

const ADMIN_NAME: &str = "admin";
const ADMIN_EMAIL: &str = "admin@tradingalerts.com";

/// Letters and digits that no other looks like; 24 of them are beyond guessing.
const PASSWORD_LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const PASSWORD_LENGTH: usize = 24;

/// Makes what is missing, in one step.
pub(super) async fn run(
    store: &dyn DocumentStore,
    ids: &dyn IdSource,
    now: Time,
    given: Option<SecretString>,
) -> anyhow::Result<()> {
    terminal::title("seed");
    let mut writes = Vec::new();
    let password = if admin_exists(store).await? {
        None
    } else {
        Some(given.map_or_else(draw_password, AdminPassword::check_given)?)
    };
    if let Some(password) = &password {
        writes.push(insert(Collection::AdminUsers, &admin(AdminId(ids.next()), password, now)?)?);
    }
    let mut plans = Vec::new();
    for plan in plans_of_the_seed(ids, now)? {
        let exists = store.find_unique(Collection::SubscriptionPlans, &[("name", plan.name.as_str().into())]).await?;
        plans.push(format!("{}: {}", plan.name, if exists.is_some() { "exists, left alone" } else { "made" }));
        if exists.is_none() {
            writes.push(insert(Collection::SubscriptionPlans, &plan)?);
        }
    }
    let made = writes.len();
    store.write(writes).await.context("nothing was written")?;
    report(password.as_ref(), &plans, made);
    Ok(())
}

fn report(password: Option<&AdminPassword>, plans: &[String], made: usize) {
    let admin = match password {
        None => format!("{ADMIN_NAME}: exists, left alone"),
        Some(password) if password.drawn => format!(
            "{ADMIN_NAME} ({ADMIN_EMAIL}): made\npassword {}\nwrite it down: it is shown this once and kept nowhere",
            terminal::emphasize(password.text.expose_secret())
        ),
        Some(_) => format!("{ADMIN_NAME} ({ADMIN_EMAIL}): made, with the password of {PASSWORD_VARIABLE}"),
    };
    terminal::fact("Administrator", admin);
    terminal::fact("Plans", plans.join("\n"));
    terminal::print_done(match made {
        0 => "Everything was there already.",
        _ => "The seed is in the store.",
    });
    terminal::next(
        "`alertcast admin token --username admin` makes a token for the API; `alertcast import FILE` brings many at once",
    );
}

async fn admin_exists(store: &dyn DocumentStore) -> anyhow::Result<bool> {
    for (field, value) in [("username", ADMIN_NAME), ("email", ADMIN_EMAIL)] {
        if store.find_unique(Collection::AdminUsers, &[(field, Bson::from(value))]).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

struct AdminPassword {
    text: SecretString,
    /// Nobody knows it yet.
    drawn: bool,
}

impl AdminPassword {
    fn check_given(text: SecretString) -> anyhow::Result<Self> {
        password::check(&text).map_err(|what| {
            CommandFailure::of_usage(
                format!("the password in {PASSWORD_VARIABLE} {what}"),
                "change it, or leave the variable out: then a random one is made and shown",
            )
        })?;
        Ok(Self { text, drawn: false })
    }
}

fn draw_password() -> anyhow::Result<AdminPassword> {
    let mut random = rand::rng();
    let letters = (0..PASSWORD_LENGTH).filter_map(|_| PASSWORD_LETTERS.choose(&mut random));
    let text: String = letters.map(|letter| char::from(*letter)).collect();
    Ok(AdminPassword { text: text.into(), drawn: true })
}

fn admin(id: AdminId, password: &AdminPassword, now: Time) -> anyhow::Result<Admin> {
    let hash = password::hash(&password.text).context("the password could not be hashed")?;
    Ok(Admin {
        id,
        username: ADMIN_NAME.to_owned(),
        email: ADMIN_EMAIL.to_owned(),
        password: hash,
        profile: AdminProfile { first_name: "System".to_owned(), last_name: "Administrator".to_owned(), phone: None },
        permissions: Permissions::ALL,
        status: AdminStatus::Active,
        security: LoginSecurity::default(),
        created_at: now,
        updated_at: now,
    })
}

fn plans_of_the_seed(ids: &dyn IdSource, now: Time) -> anyhow::Result<[Plan; 2]> {
    let plan = |name: &str, description: &str, rupees: i64, months: i64, features: Features| {
        anyhow::Ok(Plan {
            id: PlanId(ids.next()),
            name: name.to_owned(),
            description: description.to_owned(),
            pricing: Pricing {
                amount: Amount::new(rupees.into())?,
                currency: "INR".to_owned(),
                duration: PlanDuration { months: Count(months), days: Count(0) },
            },
            features,
            alert_configurations: Vec::new(),
            status: PlanStatus::Active,
            metadata: PlanMetadata::default(),
            created_at: now,
            updated_at: now,
        })
    };
    let basic = Features { max_alert_configs: Count(5), max_open_trades: Count(2), ..Features::default() };
    let pro = Features {
        max_alert_configs: Count(-1),
        max_open_trades: Count(3),
        priority_support: true,
        ..Features::default()
    };
    Ok([
        plan("Basic Plan", "Basic trading alerts for beginners", 999, 1, basic)?,
        plan("Pro Plan", "Advanced trading alerts for professionals", 2499, 3, pro)?,
    ])
}

fn insert<T: serde::Serialize>(collection: Collection, value: &T) -> anyhow::Result<DocumentWrite> {
    Ok(DocumentWrite::Insert { collection, document: document(value)? })
}
