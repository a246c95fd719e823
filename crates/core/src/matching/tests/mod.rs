//! Tests of matching as a whole, on a world in memory that commits chunks as a store does.

mod audience;
mod entitlement;
mod exits;
mod histories;
mod messages;
mod scale;
mod settling;
mod verdicts;
mod world;
