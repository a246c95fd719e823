//! What the tests of the HTTP side are made with: the router over a store in a folder of its own, without the workers
//! behind it; a clock that the test moves; requests.

mod house;
mod request;

pub(crate) use house::{House, INTO_THE_DAY, START, configuration};
pub(crate) use request::{Answer, Post, SECRET, buy};
