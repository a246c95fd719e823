//! What the parts of the running program share beyond what each stands on.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use alertcast_core::store::AlertIntake;
use alertcast_sqlite::Spool;

use crate::audience::AudienceHandle;
use crate::base::Base;
use crate::courier::replies::ReplyQueues;
use crate::leases::{LeaseContext, LeaseManager};
use crate::prices::PriceHistories;
use crate::readiness::Readiness;
use crate::requests_in_progress::RequestsInProgress;
use crate::spool::{SpooledIntake, SpoolingFlag};
use crate::unsubscribe::LinkKey;

/// The parts that are passed around, on a [`Base`], which it is read as where no more is needed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    pub base: Base,
    /// What the webhook keeps alerts by: the store itself, or the spool before it.
    pub intake: Arc<dyn AlertIntake>,
    /// Where there is one.
    pub spool: Option<Arc<SpooledIntake>>,
    pub spooling: SpoolingFlag,
    pub audience: AudienceHandle,
    /// What the configurations' prices look like.
    pub prices: PriceHistories,
    pub in_flight: RequestsInProgress,
    /// This process among those that share the store.
    pub members: LeaseManager,
    /// Signs the links by which subscribers stop the e-mails.
    pub links: LinkKey,
    /// Whether alerts can be kept.
    pub readiness: Readiness,
    /// What bots answer people, by the lanes that this process works on.
    pub replies: ReplyQueues,
}

impl App {
    /// The parts over a base, with an audience of nobody, and without a spool.
    #[must_use]
    pub fn new(base: Base, links: LinkKey) -> Self {
        Self {
            intake: Arc::clone(&base.store) as Arc<dyn AlertIntake>,
            spool: None,
            spooling: SpoolingFlag::default(),
            audience: AudienceHandle::default(),
            prices: PriceHistories::default(),
            in_flight: RequestsInProgress::default(),
            members: LeaseManager::default(),
            readiness: Readiness::default(),
            replies: ReplyQueues::default(),
            links,
            base,
        }
    }

    /// The same, with a spool for what comes in while the store is away.
    #[must_use]
    pub fn with_spool(mut self, spool: impl Into<Arc<Spool>>) -> Self {
        let spooled = Arc::new(SpooledIntake::new(&self.base, spool.into()));
        self.spooling = spooled.spooling_flag();
        self.intake = Arc::clone(&spooled) as Arc<dyn AlertIntake>;
        self.spool = Some(spooled);
        self
    }

    /// What work under leases stands on.
    #[must_use]
    pub fn lease_context(&self) -> LeaseContext {
        LeaseContext { base: self.base.clone(), members: self.members.clone(), spooling: self.spooling.clone() }
    }
}

impl Deref for App {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

impl DerefMut for App {
    fn deref_mut(&mut self) -> &mut Base {
        &mut self.base
    }
}
