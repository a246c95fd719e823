//! Every type of BSON in every field of the documents that trades, alerts, configurations and administrators are, over
//! the running program: who gets what. Many places at once, each beside others of its kind, so that one program does for
//! all of them. By default each place has some of the values, and each value some of the places.

mod administrators;
mod alerts;
mod configurations;
mod trades;

use alertcast_core::reading::{every_bson_type, put_at};
use alertcast_core::schema::levels_and_fields;
use alertcast_core::store::Collection;
use bson::{Bson, Document};

/// By default one pair in so many is tried. No divisor of the number of values: each of them comes by.
const STEP: usize = 7;

/// Something in a place.
#[derive(Debug, Clone, PartialEq)]
struct SpoiltPlace {
    path: &'static str,
    value: Bson,
}

impl SpoiltPlace {
    fn put_into(&self, sound: &Document) -> Document {
        let mut document = sound.clone();
        put_at(&mut document, self.path, self.value.clone());
        document
    }

    /// What is not there, or as good as not there, has its default.
    fn is_nothing(&self) -> bool {
        matches!(self.value, Bson::Null | Bson::Undefined)
    }
}

/// Every declared place of a collection, the objects around them and these besides, with one value in `step`.
fn places(collection: Collection, besides: &[&'static str], step: usize) -> Vec<SpoiltPlace> {
    let values = every_bson_type();
    let declared = levels_and_fields(collection).into_iter().map(|(path, _)| path);
    let paths = declared.chain(besides.iter().copied()).enumerate();
    let all = paths.flat_map(|(n, path)| {
        let some = values.iter().skip(n % step).step_by(step);
        some.map(move |value| SpoiltPlace { path, value: value.clone() })
    });
    all.collect()
}

/// What stands at a dotted path.
fn at<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        Some((first, rest)) => at(document.get(first)?.as_document()?, rest),
        None => document.get(path),
    }
}
