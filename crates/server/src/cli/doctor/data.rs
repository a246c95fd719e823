//! The data folder, and the store in it.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alertcast_core::delivery::{chat_of, moved_to};
use alertcast_core::reading::{UnreadableDocument, trouble_of};
use alertcast_core::store::{Collection, StoreError, read};
use alertcast_core::user::User;
use alertcast_sqlite::{DatabaseInspection, FileSoundness, OpenError, Spool, inspect, is_in_use};
use bson::Document;

use super::super::store::ReadOnlyStore;
use super::super::terminal::count_noun;
use super::server::PortOwner;
use super::{DoctorFinding, readings};
use crate::clock::{Clock as _, SystemClock};
use crate::collection_walk;
use crate::settings::{Settings, StoreChoice};

/// How long SQLite's check of the file may take.
const CHECK_PATIENCE: Duration = Duration::from_secs(20);
/// Documents that are read at once.
const PAGE: usize = 1_000;
/// With less, the next busy day may fill the disk.
const ROOM_ATTENTION: u64 = 1 << 30;
/// With less, nothing can be relied on.
const ROOM_BAD: u64 = 100 << 20;
/// Longer than that, others wait in vain for what a dead process has left.
const LOCKS_ATTENTION: Duration = Duration::from_secs(10);

pub(super) async fn look(settings: &Settings, server: &PortOwner) -> Vec<DoctorFinding> {
    let mut findings = folder(settings);
    match &settings.store {
        StoreChoice::Embedded if settings.data_dir.is_dir() => {
            findings.extend(check_embedded(settings, server).await);
        }
        StoreChoice::Embedded => {}
        StoreChoice::MongoDb(_) => {
            findings.extend(spool(&settings.data_dir));
            findings.extend(mongodb(settings).await);
        }
    }
    findings
}

/// The data folder. Beside MongoDB it keeps the alerts that come in while that is away.
fn folder(settings: &Settings) -> Vec<DoctorFinding> {
    let dir = &settings.data_dir;
    let shown = show_path(dir);
    let metadata = match dir.metadata() {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            return vec![DoctorFinding::bad(
                format!("{shown} is a file, not a folder"),
                "move it away, or name another folder with data_dir (or --data-dir)",
            )];
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return not_there(dir),
        Err(error) => return vec![DoctorFinding::bad(format!("{shown} cannot be looked at: {error}"), owner_fix(dir))],
    };
    let mut findings = vec![writable(dir)];
    findings.extend(for_others(dir, &metadata));
    findings.extend(room(dir));
    findings
}

fn not_there(dir: &Path) -> Vec<DoctorFinding> {
    let parent = dir.ancestors().skip(1).find(|above| above.as_os_str().is_empty() || above.exists());
    let parent = parent.filter(|above| !above.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    if let Err(error) = tempfile::tempfile_in(parent) {
        return vec![DoctorFinding::bad(
            format!("{} is not there and cannot be made: {error}", show_path(dir)),
            format!("make it for the user who runs alertcast: sudo install -d -m 700 -o \"$USER\" {}", show_path(dir)),
        )];
    }
    vec![DoctorFinding::attention(
        format!("{} is not there yet", show_path(dir)),
        "`alertcast setup` makes it, and `alertcast serve` does",
    )]
}

fn writable(dir: &Path) -> DoctorFinding {
    // A file without a name: nothing is left behind, whatever happens.
    match tempfile::tempfile_in(dir) {
        Ok(_) => DoctorFinding::good(format!("{} can be written to", show_path(dir))),
        Err(error) => DoctorFinding::bad(format!("{} cannot be written to: {error}", show_path(dir)), owner_fix(dir)),
    }
}

fn owner_fix(dir: &Path) -> String {
    format!("give it to the user who runs alertcast: sudo chown -R \"$USER\" {}", show_path(dir))
}

/// Proofs of payment and chats are nobody else's business.
fn for_others(dir: &Path, metadata: &std::fs::Metadata) -> Vec<DoctorFinding> {
    let mode = metadata.permissions().mode() & 0o777;
    let mut findings = Vec::new();
    if mode & 0o007 != 0 {
        findings.push(DoctorFinding::attention(
            format!("Every user of this machine may look into {} (mode {mode:o})", show_path(dir)),
            format!("chmod 700 {}", show_path(dir)),
        ));
    }
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me {
        findings.push(DoctorFinding::attention(
            format!("{} belongs to user {}, and you are user {me}", show_path(dir), metadata.uid()),
            "run alertcast, and this command, as the user whom the folder belongs to",
        ));
    }
    findings
}

fn room(dir: &Path) -> Option<DoctorFinding> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    let left = disk.f_bavail.saturating_mul(disk.f_frsize);
    let what = format!("{} are free on its disk", size(left));
    let fix = "free some, or move the data folder to a larger disk: a full disk keeps alerts from being accepted";
    Some(match left {
        0..ROOM_BAD => DoctorFinding::bad(what, fix),
        ROOM_BAD..ROOM_ATTENTION => DoctorFinding::attention(what, fix),
        _ => DoctorFinding::good(what),
    })
}

/// What is missing of collections, indexes and validators, or what stands in the way of making them.
async fn check_missing(store: &ReadOnlyStore) -> Option<DoctorFinding> {
    const SHOWN: usize = 5;
    match store.missing().await {
        Ok(missing) if missing.is_empty() => None,
        Ok(missing) => {
            let more = missing.len().saturating_sub(SHOWN);
            let mut text = missing.into_iter().take(SHOWN).collect::<Vec<_>>().join("; ");
            if more > 0 {
                text = format!("{text}; and {more} more");
            }
            Some(DoctorFinding::attention(format!("Not made yet: {text}"), "run `alertcast setup`"))
        }
        Err(error) => Some(DoctorFinding::bad(error.to_string(), "mend that, then run `alertcast setup`")),
    }
}

/// What came in while MongoDB was away, and is not in it yet.
fn spool(dir: &Path) -> Option<DoctorFinding> {
    let content = match Spool::look(dir) {
        Ok(content) => content?,
        Err(error) => {
            return Some(DoctorFinding::bad(
                format!("The spool of alerts cannot be read: {error}"),
                "keep a copy of the data folder; moved away, its alerts are not processed, and a new one is made",
            ));
        }
    };
    let alerts = |count: u64| count_noun(usize::try_from(count).unwrap_or(usize::MAX), "alert", "alerts");
    Some(match (content.waiting, content.parked) {
        (0, 0) => DoctorFinding::good("No alert waits for MongoDB in the spool"),
        (waiting, 0) => DoctorFinding::attention(
            format!("{} in the spool: accepted while MongoDB was away", alerts(waiting)),
            "nothing to do while alertcast runs: they are processed as soon as MongoDB is back. Else start it",
        ),
        (waiting, parked) => DoctorFinding::bad(
            format!("{} in the spool that MongoDB does not take, and {waiting} that wait", alerts(parked)),
            "the log says what MongoDB has against them; mend that and start alertcast again: they are tried anew",
        ),
    })
}

/// Whether MongoDB can be reached and used, and what it holds.
async fn mongodb(settings: &Settings) -> Vec<DoctorFinding> {
    match ReadOnlyStore::open(settings).await {
        Ok(store) => {
            let mut findings = vec![DoctorFinding::good(format!("{} can be used", store.place()))];
            findings.extend(check_missing(&store).await);
            findings.extend(store.lock_lifetime().await.and_then(lock_lifetime));
            findings.extend(whole_contents(&store, settings).await);
            findings
        }
        Err(error) => vec![DoctorFinding::bad(
            error.to_string(),
            "mend that: alertcast starts only where it reaches its store, and keeps alerts by itself from then on",
        )],
    }
}

/// What a process that dies leaves locked is to be free soon after the others have noticed its death.
fn lock_lifetime(lasts: Duration) -> Option<DoctorFinding> {
    (lasts > LOCKS_ATTENTION).then(|| {
        DoctorFinding::attention(
            format!(
                "MongoDB keeps locked for {} s what a process had changed that dies in a commit: what it worked on waits",
                lasts.as_secs()
            ),
            format!(
                "mongosh --eval 'db.adminCommand({{ setParameter: 1, transactionLifetimeLimitSeconds: {} }})', and the \
                 same under setParameter in mongod.conf",
                LOCKS_ATTENTION.as_secs()
            ),
        )
    })
}

async fn check_embedded(settings: &Settings, server: &PortOwner) -> Vec<DoctorFinding> {
    let dir = &settings.data_dir;
    if !dir.join("alertcast.db").exists() {
        return vec![DoctorFinding::attention(
            "There is no store in it yet",
            "run `alertcast setup`: it makes the store",
        )];
    }
    match is_in_use(dir) {
        Ok(true) => {
            let mut findings = vec![in_use(server)];
            findings.extend(embedded_contents(settings).await);
            return findings;
        }
        Ok(false) => {}
        Err(error) => return vec![DoctorFinding::bad(error.to_string(), owner_fix(dir))],
    }
    let inspection = match check_file(dir.to_owned()).await {
        Ok(inspection) => inspection,
        Err(OpenError::Store(StoreError::Corrupt(what))) => return vec![damage_finding(&what)],
        Err(error @ OpenError::NotOurs { .. }) => return vec![DoctorFinding::bad(error.to_string(), RESTORE)],
        Err(error) => return vec![DoctorFinding::bad(format!("The store cannot be opened: {error}"), owner_fix(dir))],
    };
    let mut findings = vec![schema(&inspection), soundness(dir, &inspection)];
    if inspection.soundness != FileSoundness::Unfinished && findings.iter().all(|one| one.fix.is_none()) {
        findings.extend(embedded_contents(settings).await);
    }
    findings
}

const RESTORE: &str = "keep a copy of the whole data folder, then restore a backup";

/// The server that has the store open tells whether it works.
fn in_use(server: &PortOwner) -> DoctorFinding {
    match server {
        PortOwner::Ready(_) => {
            DoctorFinding::good("The store is in use by the running alertcast, which says that it is ready")
        }
        PortOwner::NotReady(detail) => DoctorFinding::bad(
            format!("The store is in use by the running alertcast, which is not ready: {detail}"),
            "look into its log; stop it, and run `alertcast doctor` again to have the store itself checked",
        ),
        PortOwner::Free | PortOwner::Stranger | PortOwner::Refused { .. } => DoctorFinding::attention(
            "The store is in use by another process, which does not listen where the configuration says",
            "if that is a server with other settings (--listen), name the same here; the store is not checked while it \
             is in use",
        ),
    }
}

/// Has the file checked on a thread of its own, and stops that when it takes too long.
async fn check_file(dir: PathBuf) -> Result<DatabaseInspection, OpenError> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let mut check = tokio::task::spawn_blocking(move || inspect(&dir, &stopping));
    let done = tokio::select! {
        done = &mut check => done,
        () = tokio::time::sleep(CHECK_PATIENCE) => {
            stop.store(true, Ordering::Relaxed);
            check.await
        }
    };
    done.unwrap_or_else(|error| Err(OpenError::Store(StoreError::Unavailable(error.to_string()))))
}

fn schema(inspection: &DatabaseInspection) -> DoctorFinding {
    let DatabaseInspection { schema, schema_known, sqlite, .. } = inspection;
    match schema.cmp(schema_known) {
        std::cmp::Ordering::Greater => DoctorFinding::bad(
            format!("The store was written by a later version of alertcast (schema {schema}, known {schema_known})"),
            "start that version, or restore a backup of before",
        ),
        std::cmp::Ordering::Less => DoctorFinding::attention(
            format!("The store is of an earlier version (schema {schema}, now {schema_known})"),
            "nothing to do: the next start brings it up to date. Keep a copy of the data folder before",
        ),
        std::cmp::Ordering::Equal => DoctorFinding::good(format!("The store has schema {schema}, SQLite is {sqlite}")),
    }
}

fn soundness(dir: &Path, inspection: &DatabaseInspection) -> DoctorFinding {
    let size = size(inspection.bytes);
    match &inspection.soundness {
        FileSoundness::Sound => DoctorFinding::good(format!("The store's {size} are sound")),
        FileSoundness::Unfinished => DoctorFinding::attention(
            format!("The store's {size} were too many to check in {} s; no fault so far", CHECK_PATIENCE.as_secs()),
            format!("to have all of it checked: sqlite3 {}/alertcast.db 'PRAGMA quick_check'", show_path(dir)),
        ),
        FileSoundness::Broken(lines) => damage_finding(lines.first().map_or("no more is known", |line| line.trim())),
    }
}

fn damage_finding(what: &str) -> DoctorFinding {
    DoctorFinding::bad(format!("The store is damaged: {what}"), RESTORE)
}

async fn embedded_contents(settings: &Settings) -> Vec<DoctorFinding> {
    match ReadOnlyStore::open(settings).await {
        Ok(store) => whole_contents(&store, settings).await,
        Err(error) => vec![DoctorFinding::bad(format!("{error:#}"), RESTORE)],
    }
}

/// What is in the store, and what of it wants a look.
async fn whole_contents(store: &ReadOnlyStore, settings: &Settings) -> Vec<DoctorFinding> {
    let mut findings = vec![contents(store).await];
    findings.extend(lost_subscribers(store).await);
    findings.extend(moved_chats(store, settings).await);
    findings.extend(unreadable(store).await);
    findings.extend(readings::look(store, SystemClock::new().now()).await);
    findings
}

/// So many subscribers are looked at; of more it is said that there are at least so many.
const LOOKED_AT_MAX: usize = 200_000;

/// Subscribers who have blocked the bot, or whose address has no mailbox.
async fn lost_subscribers(store: &ReadOnlyStore) -> Vec<DoctorFinding> {
    let (mut blocked, mut bounced, mut looked_at, mut after) = (0, 0, 0, None);
    while looked_at < LOOKED_AT_MAX {
        let Ok(page) = store.page(Collection::Users, after, PAGE).await else { break };
        let Some(last) = page.last() else { break };
        after = last.get_object_id("_id").ok();
        looked_at += page.len();
        for user in page.into_iter().filter_map(|user| read::<User>(Collection::Users, user).ok()) {
            blocked += usize::from(user.chat_blocked_since().is_some());
            bounced += usize::from(user.email_bounced_since().is_some());
        }
        if after.is_none() {
            break;
        }
    }
    let finding = |count: usize, what: &str, mark: &str| {
        let listed = format!("GET /api/v1/users?sort=-{mark} lists them; tell them, or unblock them");
        let who = count_noun(count, "subscriber", "subscribers");
        (count > 0).then(|| DoctorFinding::attention(format!("{who} {what}"), listed))
    };
    let blocked = finding(blocked, "blocked the bot: no entries go to them by Telegram", "chatBlockedAt");
    let bounced = finding(bounced, "cannot be reached by e-mail: there is no such mailbox", "emailBouncedAt");
    blocked.into_iter().chain(bounced).collect()
}

/// Operators' chats that have another id than the settings name.
async fn moved_chats(store: &ReadOnlyStore, settings: &Settings) -> Vec<DoctorFinding> {
    let moved = store.page(Collection::MovedChats, None, PAGE).await.unwrap_or_default();
    let named = &settings.telegram.operator_chats;
    let finding = |kept: &Document| {
        let (from, to) = crate::moved_chats::read(kept)?;
        let chat = named.iter().find(|chat| chat_of(chat) == from)?;
        Some(super::telegram::moved_finding(chat, &moved_to(chat, to)))
    };
    moved.iter().filter_map(finding).collect()
}

/// Whose documents are read, the most important first.
const READ: [Collection; 14] = [
    Collection::AlertConfigurations,
    Collection::SubscriptionPlans,
    Collection::Users,
    Collection::UserSubscriptions,
    Collection::UserAlertPreferences,
    Collection::AdminUsers,
    Collection::ApiTokens,
    Collection::Quotas,
    Collection::Trades,
    Collection::Alerts,
    Collection::Deliveries,
    Collection::AuditLog,
    Collection::RejectedWebhooks,
    Collection::Decisions,
];
/// So many of a collection are named.
const NAMED_MAX: usize = 10;

/// Documents that cannot be read, as far as that is found in a while.
async fn unreadable(store: &ReadOnlyStore) -> Vec<DoctorFinding> {
    let mut findings = Vec::new();
    let reading = async {
        for collection in READ {
            let mut troubles = Vec::new();
            let visit = |document: Document| troubles.extend(trouble_of(collection, &document));
            let walked =
                collection_walk::each(|after| store.page(collection, after, collection_walk::PAGE), visit).await;
            if let Err(error) = walked {
                findings.push(DoctorFinding::bad(format!("{collection} cannot be read: {error}"), RESTORE));
            }
            if !troubles.is_empty() {
                findings.push(cannot_be_read(collection, &troubles));
            }
        }
    };
    if tokio::time::timeout(CHECK_PATIENCE, reading).await.is_err() {
        findings.push(DoctorFinding::attention(
            format!("There are too many documents to read all of them in {} s", CHECK_PATIENCE.as_secs()),
            "nothing to do: what alertcast cannot read while it runs it tells the operators",
        ));
    } else if findings.is_empty() {
        findings.push(DoctorFinding::good("Every document can be read"));
    }
    findings
}

fn cannot_be_read(collection: Collection, troubles: &[UnreadableDocument]) -> DoctorFinding {
    let mut named: Vec<String> =
        troubles.iter().take(NAMED_MAX).map(|one| format!("{}: {}", one.id_text(), one.cause)).collect();
    if troubles.len() > NAMED_MAX {
        named.push(format!("and {} more", troubles.len() - NAMED_MAX));
    }
    DoctorFinding::attention(
        format!(
            "{} of {collection} cannot be read whole: {}",
            count_noun(troubles.len(), "document", "documents"),
            named.join("; ")
        ),
        "mend these fields, by PATCH of the API or in the database; until then what can be read is obeyed, and where that \
         is not enough there are no entries",
    )
}

/// What there is to send, and to whom.
async fn contents(store: &ReadOnlyStore) -> DoctorFinding {
    let count = async {
        let mut counts = [0; 3];
        let of = [Collection::AlertConfigurations, Collection::SubscriptionPlans, Collection::UserSubscriptions];
        for (count, collection) in counts.iter_mut().zip(of) {
            *count = usize::try_from(store.count(collection).await.map_err(|error| error.to_string())?).unwrap_or(0);
        }
        Ok::<_, String>(counts)
    };
    match count.await {
        Ok([0, ..]) => DoctorFinding::attention(
            "The store has no alert configuration: every alert would be refused",
            "bring configurations, plans and subscribers from a file: `alertcast import FILE`",
        ),
        Ok([configs, plans, subscriptions]) => DoctorFinding::good(format!(
            "The store has {}, {} and {}",
            count_noun(configs, "configuration", "configurations"),
            count_noun(plans, "plan", "plans"),
            count_noun(subscriptions, "subscription", "subscriptions"),
        )),
        Err(error) => DoctorFinding::bad(format!("The store cannot be read: {error}"), RESTORE),
    }
}

fn show_path(dir: &Path) -> String {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()).display().to_string()
}

/// A number of bytes, for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let Some((unit, shift)) = UNITS.into_iter().find(|(_, shift)| bytes >> shift > 0) else {
        return format!("{bytes} bytes");
    };
    let tenths = (bytes >> (shift - 10)).saturating_mul(10) >> 10;
    if tenths < 100 { format!("{}.{} {unit}", tenths / 10, tenths % 10) } else { format!("{} {unit}", tenths / 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_that_outlive_their_process_for_long_are_told_with_what_to_type() {
        assert_eq!(lock_lifetime(Duration::from_secs(10)), None);
        let finding = lock_lifetime(Duration::from_secs(60)).unwrap();
        assert!(finding.what.contains("for 60 s"));
        let fix = finding.fix.unwrap();
        assert!(fix.contains("db.adminCommand({ setParameter: 1, transactionLifetimeLimitSeconds: 10 })"), "{fix}");
    }

    #[test]
    fn sizes_are_short() {
        let table =
            [(0, "0 bytes"), (1_023, "1023 bytes"), (1_536, "1.5 KiB"), (21 << 30, "21 GiB"), (5 << 20, "5.0 MiB")];
        for (bytes, text) in table {
            assert_eq!(size(bytes), text);
        }
    }
}
