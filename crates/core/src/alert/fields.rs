//! Looking fields up by their names, in the body and then in the query, and what is left over.

use serde_json::{Map, Value};

use super::json;
use super::levels;
use super::names;
use super::rule_violation::{ProblemCode, RuleViolation};
use super::values::ValueReading;

/// How many levels of groups are looked into: `strategy.order.action`.
const GROUP_LEVELS_MAX: usize = 2;

/// In how many objects around it a text is still looked at for an object of its own.
const TEXT_LEVELS_MAX: usize = 3;

/// Where a field stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldOrigin {
    Body,
    Query,
}

impl FieldOrigin {
    /// What a message says of the place, behind the field's name.
    pub(super) const fn place(self) -> &'static str {
        match self {
            Self::Body => "",
            Self::Query => " (in the webhook's URL)",
        }
    }
}

/// What looking for a field came to.
#[derive(Debug)]
pub(super) enum FieldLookup<T> {
    /// The first name with a usable value.
    Value(T, FieldOrigin),
    /// There are values, none usable; this is the first.
    Unusable(FieldFault),
    /// Nothing, or nothing but null and empty texts.
    Nothing,
}

/// A value that cannot be used.
#[derive(Debug)]
pub(super) struct FieldFault {
    written: String,
    origin: FieldOrigin,
    pub(super) code: ProblemCode,
    reason: String,
    /// The value, as text.
    pub(super) text: String,
}

impl FieldFault {
    /// The problem, under the field's canonical name; its message uses the name that the sender wrote.
    pub(super) fn problem(&self, field: &str) -> RuleViolation {
        RuleViolation::new(field, self.code, format!("{}{} {}", self.written, self.origin.place(), self.reason))
    }
}

/// A single value of the body or the query.
#[derive(Debug)]
struct FieldValue {
    /// Its normal name, and that with its group's before it: `id` in `order` is `id` and `orderid`.
    names: [String; 2],
    path: Vec<String>,
    origin: FieldOrigin,
    value: Value,
    used: bool,
}

/// The fields of a request, secrets already taken out.
#[derive(Debug)]
pub(super) struct RequestFields {
    entries: Vec<FieldValue>,
    body: Map<String, Value>,
    query: Map<String, Value>,
    /// What was used up by its place in the body.
    used: Vec<Vec<String>>,
    /// Names of the query's that are kept, whatever the body has of that name.
    kept: Vec<String>,
}

impl RequestFields {
    pub(super) fn new(mut body: Map<String, Value>, query: Map<String, Value>) -> Self {
        unfold(&mut body, 0);
        let mut entries = Vec::new();
        index(&body, &[], &mut entries);
        entries.sort_by_key(|entry| entry.path.len());
        entries.extend(query.iter().map(|(name, value)| FieldValue {
            names: [names::normal(name), String::new()],
            path: vec![name.clone()],
            origin: FieldOrigin::Query,
            value: value.clone(),
            used: false,
        }));
        Self { entries, body, query, used: Vec::new(), kept: Vec::new() }
    }

    /// The levels. Those that the alert keeps as its own count as used up.
    pub(super) fn take_levels(&mut self) -> (levels::GivenLevels, Vec<RuleViolation>) {
        let levels::FoundLevels { given, problems, used, used_of_query, further_of_query } =
            levels::read(&self.body, &self.query);
        self.used.extend(used);
        self.kept = further_of_query;
        for entry in self.entries.iter_mut().filter(|entry| entry.origin == FieldOrigin::Query) {
            entry.used |= entry.path.first().is_some_and(|name| used_of_query.contains(name));
        }
        (given, problems)
    }

    /// The value of the first of `names` that has a usable one; the body's before the query's. It counts as used up.
    pub(super) fn take<T>(&mut self, names: &[&str], read: impl Fn(&Value) -> ValueReading<T>) -> FieldLookup<T> {
        let (found, place) = self.find(names, read);
        if let Some(entry) = place.and_then(|place| self.entries.get_mut(place)) {
            entry.used = true;
        }
        found
    }

    /// The same, without using it up.
    pub(super) fn look<T>(&self, names: &[&str], read: impl Fn(&Value) -> ValueReading<T>) -> FieldLookup<T> {
        self.find(names, read).0
    }

    /// What was found, and where.
    fn find<T>(&self, names: &[&str], read: impl Fn(&Value) -> ValueReading<T>) -> (FieldLookup<T>, Option<usize>) {
        let mut fault = None;
        for origin in [FieldOrigin::Body, FieldOrigin::Query] {
            for name in names {
                let named = |entry: &FieldValue| entry.origin == origin && entry.names.iter().any(|n| n == name);
                for (place, entry) in self.entries.iter().enumerate().filter(|(_, entry)| named(entry)) {
                    match read(&entry.value) {
                        ValueReading::Absent => {}
                        ValueReading::Usable(value) => return (FieldLookup::Value(value, origin), Some(place)),
                        ValueReading::Unusable(code, reason) => {
                            fault.get_or_insert_with(|| entry.fault(code, reason));
                        }
                    }
                }
            }
        }
        (fault.map_or(FieldLookup::Nothing, FieldLookup::Unusable), None)
    }

    /// The body, as it was sent.
    pub(super) const fn body(&self) -> &Map<String, Value> {
        &self.body
    }

    /// The query's fields.
    pub(super) const fn query(&self) -> &Map<String, Value> {
        &self.query
    }

    /// Marks a value of the body as read, so that it is not left over.
    pub(super) fn use_up_of_body(&mut self, path: &[String]) {
        self.used.push(path.to_vec());
    }

    /// What was not used: the body's fields, then the query's that the body has not. Names that the query gave for a
    /// field that the body had are left out, as are nulls, empty texts and groups of which nothing is left.
    pub(super) fn left_over(self) -> Map<String, Value> {
        let mut body = self.body;
        for entry in self.entries.iter().filter(|entry| entry.used && entry.origin == FieldOrigin::Body) {
            remove(&mut body, &entry.path);
        }
        for path in &self.used {
            remove(&mut body, path);
        }
        prune(&mut body);
        for entry in self.entries.into_iter().filter(|entry| !entry.used && entry.origin == FieldOrigin::Query) {
            let [normal, _] = entry.names;
            let empty = matches!(&entry.value, Value::Null) || entry.value == "";
            let lacks = || !names::is_read(&normal) && !body.keys().any(|key| names::normal(key) == normal);
            let kept = entry.path.first().is_some_and(|name| self.kept.contains(name));
            if !empty && (kept || lacks()) {
                body.extend(entry.path.into_iter().next().map(|name| (name, entry.value)));
            }
        }
        body
    }
}

impl FieldValue {
    fn fault(&self, code: ProblemCode, reason: String) -> FieldFault {
        let text = match &self.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let written = super::rule_violation::plain(&self.path.join("."));
        FieldFault { written, origin: self.origin, code, reason, text }
    }
}

/// Lists the single values of an object and of the groups in it.
fn index(fields: &Map<String, Value>, path: &[String], entries: &mut Vec<FieldValue>) {
    let group = path.last().map(|name| names::normal(name)).unwrap_or_default();
    for (name, value) in fields {
        let normal = names::normal(name);
        let path: Vec<String> = path.iter().chain([name]).cloned().collect();
        match value {
            Value::Object(members) if names::is_group(&normal) && path.len() <= GROUP_LEVELS_MAX => {
                index(members, &path, entries);
            }
            // Of what is read, it is told that it is none of these.
            Value::Object(_) | Value::Array(_) if !names::is_read(&normal) => {}
            _ => {
                // `strategy.order.price` is the price of the group, as if that were an object.
                let (group, normal) = match names::split_dotted(name) {
                    Some((of, last)) => (names::normal(of), names::normal(last)),
                    None => (group.clone(), normal),
                };
                // A bar's time is its start, and never the moment of the alert.
                if group == "bar" && names::TIMESTAMP.contains(&normal.as_str()) {
                    continue;
                }
                let qualified = if group.is_empty() { String::new() } else { format!("{group}{normal}") };
                entries.push(FieldValue {
                    names: [normal, qualified],
                    path,
                    origin: FieldOrigin::Body,
                    value: value.clone(),
                    used: false,
                });
            }
        }
    }
}

/// Objects, and lists of them, that stand as JSON in a text are what they say: `"exits": "{\"tp\": 110}"`; and so is what
/// such texts hold again. Texts for people stay texts.
fn unfold(fields: &mut Map<String, Value>, depth: usize) {
    for (name, value) in fields {
        let normal = names::normal(name);
        if names::is_read(&normal) || names::WRAPPERS.contains(&normal.as_str()) {
            continue;
        }
        if let Some(inner) = value.as_str().and_then(json::written_out).filter(is_of_objects) {
            *value = inner;
        }
        if let Value::Object(members) = value
            && depth < TEXT_LEVELS_MAX
        {
            unfold(members, depth + 1);
        }
    }
}

fn is_of_objects(value: &Value) -> bool {
    const MEMBERS_MAX: usize = 64;
    match value {
        Value::Object(members) => members.len() <= MEMBERS_MAX,
        Value::Array(items) => !items.is_empty() && items.len() <= MEMBERS_MAX && items.iter().all(Value::is_object),
        _ => false,
    }
}

fn remove(fields: &mut Map<String, Value>, path: &[String]) {
    match path {
        [] => {}
        [name] => drop(fields.shift_remove(name)),
        [group, rest @ ..] => {
            if let Some(Value::Object(members)) = fields.get_mut(group) {
                remove(members, rest);
            }
        }
    }
}

fn prune(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Object(members) => {
            prune(members);
            !members.is_empty()
        }
        _ => true,
    });
}
