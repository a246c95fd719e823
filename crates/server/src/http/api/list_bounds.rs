//! Lists between two moments: `createdAt[gte]=2026-01-01&createdAt[lt]=2026-02-01`. What can be bounded is what a list can
//! be sorted by and holds moments, and the list is then sorted by it: so that a page reads a stretch of an index.

use std::time::Duration;

use alertcast_core::schema::FieldKind;
use alertcast_core::store::ListQuery;
use alertcast_core::store::listing::{ListDeclaration, MomentRange};
use alertcast_core::time::Time;
use serde_json::Value;

use super::error::wrong;
use super::list::{latest_first, parameter};
use crate::document_input::{self, FieldCode};
use crate::document_kinds::DocumentKind;
use crate::document_view;
use crate::http::problem::FieldError;

/// On which side a bound lies, and whether the moment itself is within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BoundKind {
    From,
    After,
    Before,
    Until,
}

impl BoundKind {
    const ALL: [Self; 4] = [Self::From, Self::After, Self::Before, Self::Until];

    const fn spelling(self) -> &'static str {
        match self {
            Self::From => "gte",
            Self::After => "gt",
            Self::Before => "lt",
            Self::Until => "lte",
        }
    }

    /// In words, for the description.
    pub(super) const fn phrase(self) -> &'static str {
        match self {
            Self::From => "at this moment or later",
            Self::After => "later than this moment",
            Self::Before => "earlier than this moment",
            Self::Until => "at this moment or earlier",
        }
    }
}

/// A parameter that bounds a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BoundParameter {
    pub(super) path: &'static str,
    pub(super) kind: BoundKind,
}

impl BoundParameter {
    /// `createdAt[gte]`
    pub(super) fn name(self) -> String {
        format!("{}[{}]", parameter(self.path), self.kind.spelling())
    }
}

/// Every parameter that bounds the lists of a collection.
pub(super) fn bound_parameters(
    resource: &DocumentKind,
    listing: &'static ListDeclaration,
) -> impl Iterator<Item = BoundParameter> {
    let holds_moments = |path: &&str| document_view::kind_at(resource.fields(), path) == FieldKind::Date;
    let paths = listing.sorts.iter().copied().filter(holds_moments);
    paths.flat_map(|path| BoundKind::ALL.into_iter().map(move |kind| BoundParameter { path, kind }))
}

/// The bounds that a query names.
#[derive(Debug, Default)]
pub(super) struct BoundedList {
    path: Option<&'static str>,
    range: MomentRange,
}

impl BoundedList {
    /// Reads a parameter; none where it is no bound.
    pub(super) fn read(
        &mut self,
        resource: &DocumentKind,
        listing: &'static ListDeclaration,
        name: &str,
        text: &str,
    ) -> Option<Result<(), FieldError>> {
        let bound = bound_parameters(resource, listing).find(|bound| bound.name() == name)?;
        let read = document_input::time(&Value::from(text)).and_then(|at| self.add(bound, at));
        Some(read.map_err(|what| wrong(name, FieldCode::Invalid, what)))
    }

    fn add(&mut self, bound: BoundParameter, at: Time) -> Result<(), String> {
        const STEP: Duration = Duration::from_millis(1);
        if let Some(other) = self.path.filter(|path| *path != bound.path) {
            return Err(format!("cannot stand beside a bound of {}", parameter(other)));
        }
        self.path = Some(bound.path);
        let from = |at: Time| Some(self.range.from.map_or(at, |from| from.max(at)));
        let before = |at: Time| Some(self.range.before.map_or(at, |before| before.min(at)));
        // Moments are whole milliseconds.
        match bound.kind {
            BoundKind::From => self.range.from = from(at),
            BoundKind::After => self.range.from = from(at + STEP),
            BoundKind::Before => self.range.before = before(at),
            BoundKind::Until => self.range.before = before(at + STEP),
        }
        Ok(())
    }

    /// Bounds the list, which goes by what is bounded.
    pub(super) fn apply(self, query: &mut ListQuery, sort_given: bool) -> Result<(), FieldError> {
        let Some(path) = self.path else { return Ok(()) };
        if sort_given && query.sort != path {
            let name = parameter(path);
            let what = format!("is {name} or -{name} where the list is bounded by it");
            return Err(wrong("sort", FieldCode::Invalid, what));
        }
        if !sort_given {
            query.descending = latest_first(path);
        }
        query.sort = path;
        query.range = self.range;
        Ok(())
    }
}
