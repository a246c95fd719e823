//! `/api/v1` through the real router and the real store.

mod acting;
mod administering;
mod away;
mod changing;
mod deciding;
mod describing;
mod listing;
mod making;
mod office;
mod permitting;
mod racing;
mod refusing;
