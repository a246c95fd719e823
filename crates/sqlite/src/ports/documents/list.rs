//! Pages of lists: the way that core declares is an index here; what it does not serve is looked at row by row, up to a
//! bound.

use std::ops::ControlFlow;

use alertcast_core::store::collection::IndexDeclaration;
use alertcast_core::store::listing::{EXAMINED_MAX, ListOrder, ListPage, ListQuery, mark};
use bson::Bson;
use rusqlite::types::Value as SqlValue;

use crate::engine::raw::{self, RawValue, sql_value};
use crate::engine::rows::{RowAccess, unpack};
use crate::engine::schema::only;
use crate::error::{SqliteError, SqliteResult};

/// One page.
pub(crate) fn list(rows: RowAccess<'_>, query: &ListQuery) -> SqliteResult<ListPage> {
    let Some(way) = query.way() else {
        return Err(SqliteError::corrupt(format!("{} is not listed by {}", query.collection, query.sort)));
    };
    let (sql, values) = statement(query, way);
    let mut page = ListPage::default();
    let mut examined = 0;
    rows.each_document(query.collection, &sql, rusqlite::params_from_iter(values), |_, bytes| {
        // There is more: the page ends before it.
        if page.documents.len() == query.limit() {
            page.next = page.documents.last().and_then(|last| mark(last, query.sort));
            return Ok(ControlFlow::Break(()));
        }
        let wanted = is_wanted(query, way, bytes)?;
        examined += 1;
        if wanted {
            page.documents.push(unpack(query.collection, bytes)?);
        }
        if examined == EXAMINED_MAX && way.ordered_by.is_some() {
            page.next = mark(&unpack(query.collection, bytes)?, query.sort);
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(page)
}

/// The statement, and what it is given.
pub(crate) fn statement(query: &ListQuery, way: ListOrder) -> (String, Vec<SqlValue>) {
    let mut terms = Vec::new();
    let mut values = Vec::new();
    for (path, value) in query.served_fields(way) {
        // As partial indexes spell it: the planner compares texts, and does not know a parameter's value.
        match value {
            Bson::String(word) if is_word(word) => terms.push(format!(r#""{path}" = '{word}'"#)),
            other => {
                values.push(sql_value(other));
                terms.push(format!(r#""{path}" = ?{}"#, values.len()));
            }
        }
    }
    terms.extend(partial(query, way));
    let sort = query.sort;
    if sort != "_id" {
        terms.push(format!(r#""{sort}" IS NOT NULL"#));
    }
    for (sign, bound) in [(">=", query.range.from), ("<", query.range.before)] {
        if let Some(bound) = bound {
            values.push(SqlValue::Integer(bound.millis()));
            terms.push(format!(r#""{sort}" {sign} ?{}"#, values.len()));
        }
    }
    if let Some(after) = &query.after {
        let sign = if query.descending { "<" } else { ">" };
        values.push(SqlValue::Blob(after.id.bytes().to_vec()));
        let id = values.len();
        if sort == "_id" {
            terms.push(format!(r#""_id" {sign} ?{id}"#));
        } else {
            values.push(sql_value(&after.value));
            terms.push(format!(r#"("{sort}", "_id") {sign} (?{}, ?{id})"#, values.len()));
        }
    }
    let direction = if query.descending { "DESC" } else { "ASC" };
    let order = if sort == "_id" {
        format!(r#""_id" {direction}"#)
    } else {
        format!(r#""{sort}" {direction}, "_id" {direction}"#)
    };
    let filter = if terms.is_empty() { String::new() } else { format!(" WHERE {}", terms.join(" AND ")) };
    (format!("SELECT doc FROM {}{filter} ORDER BY {order}", query.collection.name()), values)
}

/// The condition of the partial index that serves the way, where it is one.
fn partial(query: &ListQuery, way: ListOrder) -> Option<String> {
    let keys = || way.equal.iter().copied().chain(way.ordered_by);
    let serving = |index: &&IndexDeclaration| index.is_embedded() && index.keys.iter().map(|key| key.0).eq(keys());
    let (field, values) = query.collection.indexes().iter().find(serving)?.only?;
    Some(only(field, values))
}

/// A word of a fixed vocabulary: it may stand in a statement as it is.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

fn is_wanted(query: &ListQuery, way: ListOrder, document: &[u8]) -> SqliteResult<bool> {
    for (path, value) in query.residual(way) {
        if !raw::lookup(document, path)?.is_some_and(|kept| kept.equals(value)) {
            return Ok(false);
        }
    }
    Ok(is_in_range(query, document)? && is_found(query, document)?)
}

/// A column compares numbers and texts with moments too.
fn is_in_range(query: &ListQuery, document: &[u8]) -> SqliteResult<bool> {
    if query.range.is_open() {
        return Ok(true);
    }
    let moment = raw::lookup(document, query.sort)?.and_then(RawValue::as_time);
    Ok(moment.is_some_and(|at| query.range.contains(at)))
}

fn is_found(query: &ListQuery, document: &[u8]) -> SqliteResult<bool> {
    let Some((sought, paths)) = query.search_paths() else { return Ok(true) };
    for path in paths {
        if raw::lookup(document, path)?.and_then(RawValue::as_str).is_some_and(|text| sought.is_in(text)) {
            return Ok(true);
        }
    }
    Ok(false)
}
