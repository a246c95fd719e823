//! What in a message bears on its intent: collected from the body and the URL, each field with what it says.
//!
//! Never looked at: the strategy's and the symbol's names, the timeframe, `alert_id`, free text (`message`, `text`), and
//! what fields are called that hold prices (`close`, `stop`, `exit_price`).

mod fields;

use std::cmp::Ordering;

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use self::fields::{
    ACTIONS, BEFORE, CLOSING_FLAGS, KINDS, LABELS, LONG_FLAGS, NAMED_LIKE_PRICES, ORDER_KINDS, PARTS, PERCENTAGES,
    POSITION_SIDES, REASONS, REMARK_OBJECTS, SHORT_FLAGS, SIDE_OBJECTS, SIZES, STANCES,
};
use super::phrase::{Place, Saying, understand};
use super::{ExitSignal, Position};
use crate::alert::fields::{Fields, Origin};
use crate::alert::names;
use crate::alert::problem::{plain, shown};
use crate::alert::values::{self, Reading};
use crate::market::Side;

/// How far words are looked for within groups.
const LEVELS_MAX: usize = 3;

/// One field with a word in it.
#[derive(Debug, Clone)]
pub(in crate::alert) struct Heard {
    path: Vec<String>,
    origin: Origin,
    value: Value,
    pub(super) role: Role,
    pub(super) saying: Saying,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Action,
    Kind,
    Reason,
    Label,
}

/// What a field tells of the position around the order, or of the order.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) heard: Heard,
    pub(super) says: StateSays,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StateSays {
    /// No position is left.
    Flat,
    /// The position after the order.
    Held(Side),
    /// The side of the trade that the order belongs to.
    Trade(Side),
    /// The order can only close, a trade of that side where it is told.
    Closes(Option<Side>),
}

/// What a message says of its intent.
#[derive(Debug, Default)]
pub(in crate::alert) struct Signs {
    /// In the order of their weight; the body's before the URL's.
    pub(super) words: Vec<Heard>,
    pub(super) labels: Vec<Heard>,
    pub(super) states: Vec<State>,
    /// `market_position`.
    pub(in crate::alert) now: Option<Position>,
    pub(in crate::alert) prev: Option<Position>,
    /// The position's size after the order, compared with that before; unless both are told, none.
    pub(in crate::alert) growth: Option<Ordering>,
    /// What a label says of the reason, even where it is not an exit as a whole.
    pub(super) remark: Option<ExitSignal>,
    /// A quantity says that a part is closed.
    pub(super) in_part: bool,
}

impl Heard {
    /// The field and its value, for a message.
    pub(in crate::alert) fn shown(&self) -> String {
        format!("{} {}", self.name(), self.value_shown())
    }

    /// The field as the sender wrote it.
    pub(in crate::alert) fn name(&self) -> String {
        let place = if self.origin == Origin::Query { " (in the webhook's URL)" } else { "" };
        format!("{}{place}", plain(&self.path.join(".")))
    }

    pub(in crate::alert) fn value_shown(&self) -> String {
        match &self.value {
            Value::Array(_) => "[a list]".to_owned(),
            Value::Object(_) => "{an object}".to_owned(),
            value => shown(&text_of(value).unwrap_or_default()),
        }
    }

    pub(in crate::alert) const fn value(&self) -> &Value {
        &self.value
    }

    pub(in crate::alert) fn place(&self) -> (&[String], Origin) {
        (&self.path, self.origin)
    }
}

/// Collects what `fields` say; positions that cannot be read are the caller's to name, and stand in `now` and `prev`.
pub(in crate::alert) fn collect(fields: &Fields) -> Signs {
    let mut found = Found::default();
    walk(fields.body(), &[], Origin::Body, false, &mut found);
    let of_body: Vec<String> = found.names.clone();
    for (name, value) in fields.query() {
        // The body wins; what it lacks may stand in the URL.
        if !of_body.contains(&canonical(&names::normal(name)).to_owned()) {
            found.look(std::slice::from_ref(name), "", value, Origin::Query, false);
        }
    }
    found.signs()
}

/// The name without the `strategy` that people copy from TradingView's placeholders.
fn canonical(normal: &str) -> &str {
    const OF_PLACEHOLDERS: &[&str] = &["orderaction", "orderid", "ordercomment", "positionsize", "marketpositionsize"];
    normal.strip_prefix("strategy").filter(|rest| OF_PLACEHOLDERS.contains(rest)).unwrap_or(normal)
}

fn walk(members: &Map<String, Value>, path: &[String], origin: Origin, aside: bool, found: &mut Found) {
    let group = path.last().map(|name| names::normal(name)).unwrap_or_default();
    if group == "bar" {
        return;
    }
    for (name, value) in members {
        let path: Vec<String> = path.iter().chain([name]).cloned().collect();
        let normal = names::normal(name);
        match value {
            Value::Object(inner) if names::is_group(&normal) && path.len() < LEVELS_MAX => {
                let before = found.words.len();
                walk(inner, &path, origin, aside, found);
                // A signal that is an object without a word says something, but not what.
                if found.words.len() == before && ACTIONS.contains(&normal.as_str()) {
                    found.hear(&path, value, origin, Role::Action, Saying::Unknown, 0);
                }
            }
            Value::Object(inner) if SIDE_OBJECTS.contains(&normal.as_str()) && path.len() < LEVELS_MAX => {
                walk(inner, &path, origin, true, found);
            }
            // What stands under a word's name in an object of its own is as good as the word.
            Value::Object(inner) if !aside && is_told_under(&normal) && path.len() < LEVELS_MAX => {
                for value in inner.values().filter(|value| value.is_string()) {
                    found.look(&path, &group, value, origin, aside);
                }
            }
            _ => found.look(&path, &group, value, origin, aside),
        }
    }
}

fn is_told_under(normal: &str) -> bool {
    [KINDS, REASONS, LABELS].iter().any(|list| list.contains(&normal))
}

#[derive(Default)]
struct Found {
    /// With their weight.
    words: Vec<(usize, Heard)>,
    labels: Vec<(usize, Heard)>,
    states: Vec<State>,
    before: Option<Position>,
    in_part: bool,
    /// Every canonical name that had a value.
    names: Vec<String>,
}

impl Found {
    /// Takes a field in. `aside`: it stands in an object that is no group, where only states are told.
    fn look(&mut self, path: &[String], group: &str, value: &Value, origin: Origin, aside: bool) {
        let Some(name) = path.last() else { return };
        if is_absent(value) {
            return;
        }
        let normal = names::normal(name);
        let bare = canonical(&normal);
        self.names.push(bare.to_owned());
        let qualified = format!("{group}{normal}");
        self.look_for_state(path, [bare, &qualified], value, origin);
        if aside {
            // Words there open nothing, but where one closes, it is heard.
            let words = [ACTIONS, KINDS, REASONS].iter().any(|list| list.contains(&bare));
            if words && path.first().is_some_and(|object| REMARK_OBJECTS.contains(&names::normal(object).as_str())) {
                let weight = ACTIONS.len() + KINDS.len() + REASONS.len();
                self.hear(path, value, origin, Role::Reason, said(value, Place::Action), weight);
            }
            return;
        }
        self.in_part |= in_part(bare, value);
        let at = |list: &[&str]| list.iter().position(|listed| *listed == bare || *listed == qualified);
        if let Some(weight) = at(ACTIONS) {
            self.hear(path, value, origin, Role::Action, action(value), weight);
        } else if let Some(weight) = at(KINDS) {
            let place = if ORDER_KINDS.contains(&KINDS[weight]) { Place::Kind } else { Place::Action };
            self.hear(path, value, origin, Role::Kind, said(value, place), ACTIONS.len() + weight);
        } else if let Some(weight) = at(REASONS) {
            let weight = ACTIONS.len() + KINDS.len() + weight;
            self.hear(path, value, origin, Role::Reason, said(value, Place::Remark), weight);
        }
        if let Some(weight) = at(LABELS) {
            self.hear(path, value, origin, Role::Label, said(value, Place::Remark), weight);
        }
    }

    fn hear(&mut self, path: &[String], value: &Value, origin: Origin, role: Role, saying: Saying, weight: usize) {
        let heard = Heard { path: path.to_vec(), origin, value: value.clone(), role, saying };
        let list = if role == Role::Label { &mut self.labels } else { &mut self.words };
        list.push((weight, heard));
    }

    fn look_for_state(&mut self, path: &[String], names: [&str; 2], value: &Value, origin: Origin) {
        let is = |list: &[&str]| names.iter().any(|name| list.contains(name));
        if is(BEFORE) {
            self.before = self.before.or_else(|| text_of(value).as_deref().and_then(Position::from_word));
            return;
        }
        let says = if is(LONG_FLAGS) {
            is_true(value).then_some(StateSays::Closes(Some(Side::Buy)))
        } else if is(SHORT_FLAGS) {
            is_true(value).then_some(StateSays::Closes(Some(Side::Sell)))
        } else if is(CLOSING_FLAGS) || is(NAMED_LIKE_PRICES) && says_true(value) {
            is_true(value).then_some(StateSays::Closes(None))
        } else if is(POSITION_SIDES) {
            stance(value).map(|says| if let StateSays::Held(side) = says { StateSays::Trade(side) } else { says })
        } else if is(STANCES) {
            stance(value)
        } else if is(names::POSITION) {
            // Under one of its names at least; it is read from the first.
            stance(value).filter(|says| *says == StateSays::Flat)
        } else if is(SIZES) {
            is_zero(value).then_some(StateSays::Flat)
        } else {
            None
        };
        if let Some(says) = says {
            let heard =
                Heard { path: path.to_vec(), origin, value: value.clone(), role: Role::Kind, saying: Saying::Nothing };
            self.states.push(State { heard, says });
        }
    }

    fn signs(self) -> Signs {
        Signs {
            words: sorted(self.words),
            remark: None,
            labels: sorted(self.labels),
            states: self.states,
            now: None,
            prev: self.before,
            growth: None,
            in_part: self.in_part,
        }
        .with_remark()
    }
}

impl Signs {
    fn with_remark(mut self) -> Self {
        self.remark =
            self.labels.iter().filter_map(|label| text_of(&label.value)).find_map(|text| super::remark(&text));
        self
    }
}

/// By weight; the body's before the URL's, and what stands outside of groups first.
fn sorted(mut heard: Vec<(usize, Heard)>) -> Vec<Heard> {
    heard.sort_by_key(|(weight, heard)| (heard.origin == Origin::Query, *weight, heard.path.len()));
    heard.into_iter().map(|(_, heard)| heard).collect()
}

/// A single value as text, a list as its values in a row.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            let items: Vec<String> = items.iter().filter_map(text_of).collect();
            Some(items.join(" "))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.iter().all(is_absent),
        _ => false,
    }
}

/// What an action's field says. 1 and -1 are a side; other numbers, true and false say nothing that can be known.
fn action(value: &Value) -> Saying {
    let Some(text) = text_of(value) else { return Saying::Unknown };
    match number_of(&text) {
        Some(number) if number == Decimal::ONE => Saying::Side(Side::Buy),
        Some(number) if number == Decimal::NEGATIVE_ONE => Saying::Side(Side::Sell),
        Some(_) => Saying::Unknown,
        None if text.contains("{{") => Saying::Unknown,
        None => match understand(&text, Place::Action) {
            Saying::Nothing => Saying::Unknown,
            saying => saying,
        },
    }
}

/// What another field says. Only texts, and lists of them, say anything there.
fn said(value: &Value, place: Place) -> Saying {
    match (value, text_of(value)) {
        (Value::String(_) | Value::Array(_), Some(text)) if !text.contains("{{") && number_of(&text).is_none() => {
            understand(&text, place)
        }
        _ => Saying::Nothing,
    }
}

/// A sentiment or a position. Other words are scores, names and sizes.
fn stance(value: &Value) -> Option<StateSays> {
    if is_zero(value) {
        return Some(StateSays::Flat);
    }
    match names::normal(&text_of(value)?).as_str() {
        "flat" | "closed" | "close" | "exit" | "exited" => Some(StateSays::Flat),
        "long" => Some(StateSays::Held(Side::Buy)),
        "short" => Some(StateSays::Held(Side::Sell)),
        "bullish" => Some(StateSays::Trade(Side::Buy)),
        "bearish" => Some(StateSays::Trade(Side::Sell)),
        _ => None,
    }
}

fn is_zero(value: &Value) -> bool {
    // With its unit, where it has one: `0 BTC`, `0%`.
    let number = text_of(value).and_then(|text| number_of(text.split_whitespace().next()?.trim_end_matches('%')));
    number.is_some_and(|number| number.is_zero())
}

fn number_of(text: &str) -> Option<Decimal> {
    match values::size(&Value::String(text.to_owned())) {
        Reading::Usable(size) => Some(size.get()),
        _ => None,
    }
}

fn says_true(value: &Value) -> bool {
    matches!(value, Value::Bool(true)) || value.as_str().is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
}

/// A flag that is on, in whatever type it came.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => {
            let off = ["", "0", "0.0", "false", "no", "n", "off", "f", "none", "null", "na", "nan", "undefined"];
            let text = text.trim().to_ascii_lowercase();
            !off.contains(&text.as_str()) && !text.contains("{{")
        }
        Value::Array(items) => items.iter().any(is_true),
        Value::Null | Value::Object(_) => false,
    }
}

/// Whether a quantity says that less than all is closed: `50%`.
fn in_part(name: &str, value: &Value) -> bool {
    let Some(text) = text_of(value) else { return false };
    let (number, percent) = match text.strip_suffix('%') {
        Some(number) => (number.trim(), true),
        None => (text.as_str(), false),
    };
    let counts = PERCENTAGES.contains(&name) || percent && PARTS.contains(&name);
    counts && number_of(number).is_some_and(|number| number > Decimal::ZERO && number < Decimal::ONE_HUNDRED)
}
