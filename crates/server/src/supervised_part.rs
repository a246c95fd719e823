//! The parts of the program that are kept at work, as the log and the metrics call them.

/// What is kept at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SupervisedPart {
    Leases,
    Watching,
    Processor,
    /// One partition of the processor's work.
    Partition,
    Scheduler,
    /// Whoever begins the lanes.
    Couriers,
    /// One bot's courier, or one of the mail server's.
    Lane,
    Spool,
    Readiness,
    /// What cannot be read is set aside.
    SetAside,
}

impl SupervisedPart {
    pub(crate) const ALL: [Self; 10] = [
        Self::Leases,
        Self::Watching,
        Self::Processor,
        Self::Partition,
        Self::Scheduler,
        Self::Couriers,
        Self::Lane,
        Self::Spool,
        Self::Readiness,
        Self::SetAside,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Leases => "leases",
            Self::Watching => "watching",
            Self::Processor => "processor",
            Self::Partition => "partition",
            Self::Scheduler => "scheduler",
            Self::Couriers => "couriers",
            Self::Lane => "lane",
            Self::Spool => "spool",
            Self::Readiness => "readiness",
            Self::SetAside => "set_aside",
        }
    }
}
