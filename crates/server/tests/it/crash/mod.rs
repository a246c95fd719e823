//! The program is killed, and nothing is lost or done twice.
//!
//! `ALERTCAST_CRASH_ROUNDS` sets the number of rounds, `ALERTCAST_CRASH_SEED` repeats a run: the alerts and the
//! moments of killing are drawn from it. What the machine makes of these moments differs from run to run.

mod failpoints;
mod first_start;
mod kill;
pub(crate) mod load;
mod operations;
