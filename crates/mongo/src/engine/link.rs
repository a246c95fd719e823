//! The way to the server: the driver's client, and another one in its place once it has lost the way.
//!
//! What a server says of itself, the driver believes for as long as it lives. After one damaged answer, or where a set was
//! made anew with a lower version, it may never find the server again that a client finds which knows nothing; and a
//! connection that was told nonsense when it was opened is used for good. So it is asked now and then, and when it
//! fails where a new client does not, or has met nonsense, the new one takes its place. What is under way ends with the old.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use alertcast_core::store::{StoreError, StoreResult};
use bson::{RawDocumentBuf, doc};
use futures::FutureExt as _;
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::engine::alert_order::ORDER;
use crate::engine::setup::COUNTERS;
use crate::engine::transact::OPERATION_DURATION_MAX;
use crate::error::MongoResult;

/// How often it is looked whether the server answers.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Before another new client is tried, whatever is met.
const PAUSE: Duration = Duration::from_secs(2);
/// Longer than a client takes to look for a server in vain.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The client in use.
#[derive(Debug)]
pub(crate) struct ServerLink {
    current: RwLock<Database>,
    /// The client has met what it should not be used after.
    distrusted: Arc<Notify>,
}

impl ServerLink {
    /// A link that stays as it is.
    pub(crate) fn to(database: Database) -> Arc<Self> {
        Arc::new(Self { current: RwLock::new(database), distrusted: Arc::default() })
    }

    /// Has it renewed where that is needed, for as long as somebody uses it.
    pub(crate) fn keep(self: &Arc<Self>, options: ClientOptions) {
        tokio::spawn(keep(Arc::downgrade(self), Arc::clone(&self.distrusted), options));
    }

    pub(crate) fn database(&self) -> Database {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn client(&self) -> Client {
        self.database().client().clone()
    }

    /// Gives up after [`OPERATION_DURATION_MAX`]. Nothing that a server answers ends the caller: a defect that the driver
    /// meets in it is a failure like others.
    pub(crate) async fn run_bounded<T>(&self, run: impl Future<Output = MongoResult<T>>) -> StoreResult<T> {
        match timeout(OPERATION_DURATION_MAX, AssertUnwindSafe(run).catch_unwind()).await {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(fault))) => {
                if fault.is_of_the_client() {
                    self.distrust();
                }
                Err(fault.into())
            }
            Ok(Err(_)) => {
                self.distrust();
                Err(StoreError::Unavailable("MongoDB's driver met a defect: see the log".to_owned()))
            }
            Err(_) => Err(no_answer()),
        }
    }

    /// The client is not to be used for longer than need be.
    pub(crate) fn distrust(&self) {
        self.distrusted.notify_one();
    }
}

pub(crate) fn no_answer() -> StoreError {
    StoreError::Unavailable(format!("MongoDB did not answer within {OPERATION_DURATION_MAX:?}"))
}

async fn keep(link: Weak<ServerLink>, distrusted: Arc<Notify>, options: ClientOptions) {
    loop {
        let is_distrusted = timeout(LOOK_EVERY, distrusted.notified()).await.is_ok();
        let Some(database) = link.upgrade().map(|link| link.database()) else { return };
        if !is_distrusted && answers(&database).await {
            continue;
        }
        if let Ok(client) = Client::with_options(options.clone()) {
            let new = client.database(database.name());
            if answers(&new).await {
                let Some(link) = link.upgrade() else { return };
                *link.current.write().unwrap_or_else(PoisonError::into_inner) = new;
                tracing::warn!("the connection to MongoDB was of no use any more: it is made anew");
            }
        }
        sleep(PAUSE).await;
    }
}

/// Whether the server does what it is asked to: not only whether it is there.
async fn answers(database: &Database) -> bool {
    let counters = database.collection::<RawDocumentBuf>(COUNTERS);
    let asked = async { counters.find_one(doc! { "_id": ORDER }).await };
    matches!(timeout(ANSWER_WITHIN, AssertUnwindSafe(asked).catch_unwind()).await, Ok(Ok(Ok(_))))
}
