//! `POST /webhook/{secret}` through the real router and the real store.

mod accepting;
mod duplicates;
mod guards;
mod privacy;
mod refusing;
mod trouble;
