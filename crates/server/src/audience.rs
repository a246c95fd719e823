//! The audience in memory, kept true by the store's change log.

/// The audience, shared.
#[derive(Debug, Clone, Default)]
pub struct AudienceHandle {}
