//! The simulator over real HTTP.

mod sending;
mod support;
