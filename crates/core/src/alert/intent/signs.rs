//! What in a message bears on its intent: collected from the body and the URL, each field with what it says.
//!
//! Never looked at: the strategy's and the symbol's names, the timeframe, `alert_id`, free text (`message`, `text`), and
//! what fields are called that hold prices (`close`, `stop`, `exit_price`).

mod fields;
mod meanings;

use std::cmp::Ordering;

use serde_json::{Map, Value};

use self::fields::{
    ACTIONS, BEFORE, CLOSING_FLAGS, KINDS, LABELS, LONG_FLAGS, NAMED_LIKE_OTHERS, OPENING_FLAGS, ORDER_KINDS,
    OTHER_ORDERS, POSITION_NUMBERS, POSITION_SIDES, REASONS, REMARK_OBJECTS, SHORT_FLAGS, SIDE_OBJECTS, SIZES, STANCES,
};
use self::meanings::{
    action, in_part, is_absent, is_flag, is_true, is_zero, names_a_flag, objects_in, position_numbered, read_saying,
    says_flat, says_true, stance, text_of,
};
use super::phrase::{PhraseMeaning, PhrasePlace};
use super::{ExitSignal, StrategyPosition};
use crate::alert::fields::{FieldOrigin, RequestFields};
use crate::alert::rule_violation::{plain, show_value};
use crate::alert::{levels, names};
use crate::market::Side;
use crate::money::Price;

/// How far words are looked for within groups.
const LEVELS_MAX: usize = 4;

/// How far flags are looked for.
const FLAG_LEVELS_MAX: usize = 8;

/// One field with a word in it.
#[derive(Debug, Clone)]
pub(in crate::alert) struct SpokenField {
    path: Vec<String>,
    origin: FieldOrigin,
    value: Value,
    pub(super) role: FieldRole,
    pub(super) saying: PhraseMeaning,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FieldRole {
    Action,
    Kind,
    Reason,
    Label,
}

/// What a field tells of the position around the order, or of the order.
#[derive(Debug, Clone)]
pub(super) struct PositionState {
    pub(super) heard: SpokenField,
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
pub(in crate::alert) struct IntentSigns {
    /// In the order of their weight; the body's before the URL's.
    pub(super) words: Vec<SpokenField>,
    pub(super) labels: Vec<SpokenField>,
    pub(super) states: Vec<PositionState>,
    /// `market_position`.
    pub(in crate::alert) now: Option<StrategyPosition>,
    pub(in crate::alert) prev: Option<StrategyPosition>,
    /// The position's size after the order, compared with that before; unless both are told, none.
    pub(in crate::alert) growth: Option<Ordering>,
    /// What a label says of the reason, even where it is not an exit as a whole.
    pub(super) remark: Option<ExitSignal>,
    /// A quantity says that a part is closed.
    pub(super) in_part: bool,
    /// The alert's price, against which a label's level is held.
    pub(in crate::alert) price: Option<Price>,
}

impl SpokenField {
    fn state(path: &[String], value: &Value, origin: FieldOrigin) -> Self {
        Self {
            path: path.to_vec(),
            origin,
            value: value.clone(),
            role: FieldRole::Kind,
            saying: PhraseMeaning::Nothing,
        }
    }

    /// The field and its value, for a message.
    pub(in crate::alert) fn show(&self) -> String {
        format!("{} {}", self.name(), self.value_shown())
    }

    /// The field as the sender wrote it.
    pub(in crate::alert) fn name(&self) -> String {
        let place = if self.origin == FieldOrigin::Query { " (in the webhook's URL)" } else { "" };
        format!("{}{place}", plain(&self.path.join(".")))
    }

    pub(in crate::alert) fn value_shown(&self) -> String {
        match &self.value {
            Value::Array(_) => "[a list]".to_owned(),
            Value::Object(_) => "{an object}".to_owned(),
            value => show_value(&text_of(value).unwrap_or_default()),
        }
    }

    pub(in crate::alert) const fn value(&self) -> &Value {
        &self.value
    }

    pub(in crate::alert) fn place(&self) -> (&[String], FieldOrigin) {
        (&self.path, self.origin)
    }
}

/// Collects what `fields` say; positions that cannot be read are the caller's to name, and stand in `now` and `prev`.
pub(in crate::alert) fn collect(fields: &RequestFields) -> IntentSigns {
    let mut found = FoundSigns::default();
    walk(fields.body(), &[], FieldOrigin::Body, false, &mut found);
    found.look_for_flags(fields.body(), &[], FieldOrigin::Body);
    let of_body: Vec<String> = found.names.clone();
    for (name, value) in fields.query() {
        // The body wins; what it lacks may stand in the URL.
        if !of_body.contains(&canonical(&names::normal(name)).to_owned()) {
            found.look(std::slice::from_ref(name), "", value, FieldOrigin::Query, false);
        }
    }
    found.signs()
}

/// Whether a field of this normal name tells of the intent.
pub(in crate::alert) fn is_told(normal: &str) -> bool {
    let lists = [ACTIONS, KINDS, REASONS, LABELS, NAMED_LIKE_OTHERS, POSITION_SIDES, STANCES, SIZES, BEFORE];
    let bare = canonical(normal);
    is_flag(bare) || lists.iter().any(|list| list.contains(&bare))
}

/// Whether a field of this normal name tells of an order in words, and this one says of nothing that ends.
pub(in crate::alert) fn is_mere_word(normal: &str, value: &Value) -> bool {
    is_told_under(canonical(normal))
        && !matches!(
            read_saying(value, PhrasePlace::Remark),
            PhraseMeaning::Closing(_) | PhraseMeaning::Turn { .. } | PhraseMeaning::Unclear(_)
        )
}

/// The name without the `strategy` that people copy from TradingView's placeholders.
fn canonical(normal: &str) -> &str {
    const OF_PLACEHOLDERS: &[&str] = &["orderaction", "orderid", "ordercomment", "positionsize", "marketpositionsize"];
    normal.strip_prefix("strategy").filter(|rest| OF_PLACEHOLDERS.contains(rest)).unwrap_or(normal)
}

fn walk(members: &Map<String, Value>, path: &[String], origin: FieldOrigin, aside: bool, found: &mut FoundSigns) {
    let group = path.last().map(|name| names::normal(name)).unwrap_or_default();
    if group == "bar" {
        return;
    }
    for (name, value) in members {
        let path: Vec<String> = path.iter().chain([name]).cloned().collect();
        let (group, name) = match names::split_dotted(name) {
            Some((of, last)) => (names::normal(of), last),
            None => (group.clone(), name.as_str()),
        };
        let normal = names::normal(name);
        match value {
            Value::Object(inner) if names::is_group(&normal) && path.len() < LEVELS_MAX => {
                let before = found.words.len();
                walk(inner, &path, origin, aside, found);
                // A signal that is an object without a word says something, but not what.
                if found.words.len() == before && ACTIONS.contains(&normal.as_str()) {
                    found.hear(&path, value, origin, FieldRole::Action, PhraseMeaning::Unknown, 0);
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

/// Whether what is called so is about other orders.
fn is_of_other_orders(normal: &str) -> bool {
    OTHER_ORDERS.iter().any(|start| normal.starts_with(start)) || levels::is_level(normal)
}

fn is_told_under(normal: &str) -> bool {
    [KINDS, REASONS, LABELS].iter().any(|list| list.contains(&normal))
}

#[derive(Default)]
struct FoundSigns {
    /// With their weight.
    words: Vec<(usize, SpokenField)>,
    labels: Vec<(usize, SpokenField)>,
    states: Vec<PositionState>,
    before: Option<StrategyPosition>,
    in_part: bool,
    /// Every canonical name that had a value.
    names: Vec<String>,
}

impl FoundSigns {
    /// Takes a field in. `aside`: it stands in an object that is no group, where only states are told.
    fn look(&mut self, path: &[String], group: &str, value: &Value, origin: FieldOrigin, aside: bool) {
        let Some(name) = path.last() else { return };
        if is_absent(value) {
            return;
        }
        let normal = names::normal(names::split_dotted(name).map_or(name.as_str(), |(_, last)| last));
        let bare = canonical(&normal);
        self.names.push(bare.to_owned());
        let qualified = format!("{group}{normal}");
        self.look_for_state(path, [bare, &qualified], value, origin);
        if aside {
            // Words there open nothing, but where one closes, it is heard.
            let words = [ACTIONS, KINDS, REASONS].iter().any(|list| list.contains(&bare));
            if words && path.first().is_some_and(|object| REMARK_OBJECTS.contains(&names::normal(object).as_str())) {
                let weight = ACTIONS.len() + KINDS.len() + REASONS.len();
                self.hear(path, value, origin, FieldRole::Reason, read_saying(value, PhrasePlace::Action), weight);
            }
            return;
        }
        self.in_part |= in_part(bare, value);
        if [KINDS, REASONS].iter().any(|list| list.contains(&bare)) && names_a_flag(value) {
            let heard = SpokenField::state(path, value, origin);
            self.states.push(PositionState { heard, says: StateSays::Closes(None) });
            return;
        }
        let at = |list: &[&str]| list.iter().position(|listed| *listed == bare || *listed == qualified);
        if let Some(weight) = at(ACTIONS) {
            self.hear(path, value, origin, FieldRole::Action, action(value), weight);
        } else if let Some(weight) = at(KINDS) {
            let place = if ORDER_KINDS.contains(&KINDS[weight]) { PhrasePlace::Kind } else { PhrasePlace::Action };
            self.hear(path, value, origin, FieldRole::Kind, read_saying(value, place), ACTIONS.len() + weight);
        } else if let Some(weight) = at(REASONS) {
            let weight = ACTIONS.len() + KINDS.len() + weight;
            self.hear(path, value, origin, FieldRole::Reason, read_saying(value, PhrasePlace::Remark), weight);
        }
        if let Some(weight) = at(LABELS) {
            self.hear(path, value, origin, FieldRole::Label, read_saying(value, PhrasePlace::Remark), weight);
        }
    }

    fn hear(
        &mut self,
        path: &[String],
        value: &Value,
        origin: FieldOrigin,
        role: FieldRole,
        saying: PhraseMeaning,
        weight: usize,
    ) {
        let heard = SpokenField { path: path.to_vec(), origin, value: value.clone(), role, saying };
        let list = if role == FieldRole::Label { &mut self.labels } else { &mut self.words };
        list.push((weight, heard));
    }

    /// What only closes does so wherever it is said: in `params`, in `exchange.options`, in a list, in JSON within a text.
    fn look_for_flags(&mut self, members: &Map<String, Value>, path: &[String], origin: FieldOrigin) {
        for (name, value) in members {
            let path: Vec<String> = path.iter().chain([name]).cloned().collect();
            let parts: Vec<String> = name.split('.').map(names::normal).collect();
            if parts.iter().any(|part| is_of_other_orders(part) && !is_flag(part)) {
                continue;
            }
            let last = parts.last().map_or("", String::as_str);
            if path.len() + parts.len() > 2 && is_flag(last) {
                self.look_for_state(&path, [last, last], value, origin);
            }
            for inner in objects_in(value).iter().filter(|_| path.len() < FLAG_LEVELS_MAX) {
                self.look_for_flags(inner, &path, origin);
            }
        }
    }

    fn look_for_state(&mut self, path: &[String], names: [&str; 2], value: &Value, origin: FieldOrigin) {
        let is = |list: &[&str]| names.iter().any(|name| list.contains(name));
        if is(BEFORE) {
            self.before = self.before.or_else(|| text_of(value).as_deref().and_then(StrategyPosition::from_word));
            return;
        }
        let says = if is(LONG_FLAGS) {
            is_true(value).then_some(StateSays::Closes(Some(Side::Buy)))
        } else if is(SHORT_FLAGS) {
            is_true(value).then_some(StateSays::Closes(Some(Side::Sell)))
        } else if is(CLOSING_FLAGS) || is(NAMED_LIKE_OTHERS) && says_true(value) {
            is_true(value).then_some(StateSays::Closes(None))
        } else if is(OPENING_FLAGS) {
            (!is_true(value)).then_some(StateSays::Closes(None))
        } else if is(POSITION_NUMBERS) {
            text_of(value).and_then(|number| position_numbered(&number)).map(StateSays::Trade)
        } else if is(POSITION_SIDES) {
            stance(value).map(|says| if let StateSays::Held(side) = says { StateSays::Trade(side) } else { says })
        } else if is(STANCES) {
            stance(value)
        } else if is(names::POSITION) {
            // Under one of its names at least; it is read from the first.
            stance(value).filter(|says| *says == StateSays::Flat)
        } else if is(SIZES) {
            (is_zero(value) || says_flat(value)).then_some(StateSays::Flat)
        } else {
            None
        };
        self.states.extend(says.map(|says| PositionState { heard: SpokenField::state(path, value, origin), says }));
    }

    fn signs(self) -> IntentSigns {
        IntentSigns {
            words: sort_heard(self.words),
            remark: None,
            labels: sort_heard(self.labels),
            states: self.states,
            now: None,
            prev: self.before,
            growth: None,
            in_part: self.in_part,
            price: None,
        }
        .with_remark()
    }
}

impl IntentSigns {
    fn with_remark(mut self) -> Self {
        self.remark =
            self.labels.iter().filter_map(|label| text_of(&label.value)).find_map(|text| super::remark(&text));
        self
    }
}

/// By weight; the body's before the URL's, and what stands outside of groups first.
fn sort_heard(mut heard: Vec<(usize, SpokenField)>) -> Vec<SpokenField> {
    heard.sort_by_key(|(weight, heard)| (heard.origin == FieldOrigin::Query, *weight, heard.path.len()));
    heard.into_iter().map(|(_, heard)| heard).collect()
}
