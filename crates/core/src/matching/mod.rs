//! Who gets an alert, and why not: the audience in memory, who is entitled, what is decided about each subscriber, and
//! the chunk of work that follows from it.
//!
//! Pure: what is read from the store comes in, what is to be committed goes out.

pub mod ahead;
mod allowance;
pub mod audience;
pub mod chunk;
mod decide;
mod documents;
pub mod entitlement;
pub mod job;
pub mod manual_close;
pub mod rehearsal;
pub mod remarks;
mod route;
pub mod walk;

#[cfg(test)]
mod tests;
