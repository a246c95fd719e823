//! What a level's field gives: a price, a percentage, several of them in a list, or an object with a price in it.

use serde_json::{Map, Value};

use super::super::rule_violation::{ProblemCode, show_value};
use super::super::values::{self, ValueReading};
use super::super::{json, names};
use super::GivenLevel;
use super::name::{LevelKind, LevelName, LevelNameSense, LevelUnit, NUMBER_MAX};

/// How many objects may stand within each other in a level's value: `takeProfit: {order: {limitPrice: 110}}`.
const OBJECT_LEVELS_MAX: usize = 2;

/// What one field gives.
#[derive(Debug, Default)]
pub(super) struct LevelValue {
    /// By their number, from 1.
    pub(super) levels: Vec<(u32, GivenLevel)>,
    pub(super) wrong: Vec<UnreadableLevel>,
    /// Whether the numbers are places in a list.
    pub(super) listed: bool,
}

/// A level that cannot be read.
#[derive(Debug)]
pub(super) struct UnreadableLevel {
    pub(super) number: u32,
    /// Where it stands in the field: `.limitPrice`, `[2]`.
    pub(super) place: String,
    pub(super) code: ProblemCode,
    pub(super) reason: String,
}

impl LevelValue {
    fn one(number: u32, reading: ValueReading<GivenLevel>, place: String) -> Self {
        let mut gives = Self::default();
        gives.add(number, reading, place);
        gives
    }

    fn wrong(number: u32, reason: impl Into<String>) -> Self {
        Self::one(number, ValueReading::Unusable(ProblemCode::NotANumber, reason.into()), String::new())
    }

    fn add(&mut self, number: u32, reading: ValueReading<GivenLevel>, place: String) {
        match reading {
            ValueReading::Absent => {}
            ValueReading::Usable(level) => self.levels.push((number, level)),
            ValueReading::Unusable(code, reason) => {
                self.wrong.push(UnreadableLevel { number, place, code, reason });
            }
        }
    }

    /// Takes in what a member gives, under the number that it has here.
    fn add_member(&mut self, number: u32, gives: Self, place: &str) {
        if gives.listed {
            let reason = "is a list within a list: write one price for each".to_owned();
            self.add(number, ValueReading::Unusable(ProblemCode::NotANumber, reason), place.to_owned());
            return;
        }
        self.levels.extend(gives.levels.into_iter().map(|(_, level)| (number, level)));
        let wrong = gives.wrong.into_iter();
        self.wrong.extend(wrong.map(|wrong| UnreadableLevel {
            number,
            place: format!("{place}{}", wrong.place),
            ..wrong
        }));
    }

    fn is_nothing(&self) -> bool {
        self.levels.is_empty() && self.wrong.is_empty()
    }
}

/// Reads the field of such a name. `unit`: what the level is given in.
pub(super) fn read(value: &Value, name: &LevelName, unit: LevelUnit) -> LevelValue {
    if name.number == Some(0) {
        let given = !matches!(single(value, unit), ValueReading::Absent);
        return if given {
            LevelValue::wrong(1, "has the number 0: levels count from 1")
        } else {
            LevelValue::default()
        };
    }
    let number = name.number.unwrap_or(1);
    let gives = match value.as_str().and_then(|text| written_list(text, name.is_plural)) {
        Some(items) => list(&items, name.kind, unit, 0),
        None => any(value, name.kind, unit, 0),
    };
    if !gives.listed {
        let mut numbered = LevelValue::default();
        numbered.add_member(number, gives, "");
        return numbered;
    }
    match (name.number, name.kind) {
        (None, LevelKind::TakeProfit) => gives,
        // A trade has one stop loss: the first.
        (_, LevelKind::StopLoss) => first_of(gives, number),
        (Some(_), LevelKind::TakeProfit) if gives.levels.len() + gives.wrong.len() > 1 => {
            LevelValue::wrong(number, "is a list, and its name is that of one level: write one price")
        }
        (Some(_), LevelKind::TakeProfit) => first_of(gives, number),
    }
}

/// `110, 120` and its like. Of a name that one level has, a comma or a blank alone may belong to the number.
fn written_list(text: &str, is_plural: bool) -> Option<Vec<Value>> {
    let parts: Vec<&str> = if is_plural {
        text.split([',', ';', '|', '/', ' ']).collect()
    } else {
        text.split([';', '|', '/']).flat_map(|part| part.split(", ")).collect()
    };
    let parts: Vec<&str> = parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect();
    let number = |part: &str| values::number(without_percent_sign(part).unwrap_or(part));
    let is_number = |part: &&str| matches!(number(part), ValueReading::Usable(_));
    (parts.len() > 1 && parts.iter().all(is_number)).then(|| parts.into_iter().map(Value::from).collect())
}

fn first_of(gives: LevelValue, number: u32) -> LevelValue {
    let first = gives.levels.iter().map(|(at, _)| *at).chain(gives.wrong.iter().map(|wrong| wrong.number)).min();
    let levels = gives.levels.into_iter().filter(|(at, _)| Some(*at) == first).map(|(_, level)| (number, level));
    let wrong = gives.wrong.into_iter().filter(|wrong| Some(wrong.number) == first);
    LevelValue {
        levels: levels.collect(),
        wrong: wrong.map(|wrong| UnreadableLevel { number, ..wrong }).collect(),
        listed: false,
    }
}

/// `depth`: how many objects and lists are around the value.
fn any(value: &Value, kind: LevelKind, unit: LevelUnit, depth: usize) -> LevelValue {
    match value {
        Value::Array(items) => list(items, kind, unit, depth),
        Value::Object(members) => object(members, kind, unit, depth),
        Value::String(text) => match json::written_out(text).filter(|_| depth == 0) {
            Some(inner) => any(&inner, kind, unit, 1),
            None => LevelValue::one(1, single(value, unit), String::new()),
        },
        _ => LevelValue::one(1, single(value, unit), String::new()),
    }
}

fn list(items: &[Value], kind: LevelKind, unit: LevelUnit, depth: usize) -> LevelValue {
    if depth > OBJECT_LEVELS_MAX {
        return LevelValue::wrong(1, "is a list too deep within others: write one price");
    }
    let mut all = LevelValue { listed: true, ..LevelValue::default() };
    for (number, item) in (1..).zip(items) {
        if number > NUMBER_MAX {
            all.add_member(NUMBER_MAX, LevelValue::wrong(1, "is a list of more levels than a trade has"), "");
            break;
        }
        all.add_member(number, any(item, kind, unit, depth + 1), &format!("[{number}]"));
    }
    all
}

/// Members of a level's object that may hold its price, by how well they say so.
const fn price_members(kind: LevelKind) -> &'static [&'static str] {
    match kind {
        LevelKind::TakeProfit => &[
            "price",
            "limitprice",
            "limit",
            "level",
            "value",
            "target",
            "targetprice",
            "triggerprice",
            "trigger",
            "stopprice",
            "stop",
            "at",
            "px",
            "rate",
            "val",
        ],
        LevelKind::StopLoss => &[
            "stopprice",
            "triggerprice",
            "price",
            "stop",
            "trigger",
            "level",
            "value",
            "limitprice",
            "limit",
            "at",
            "px",
            "rate",
            "val",
        ],
    }
}

const PERCENT_MEMBERS: &[&str] = &["percent", "percentage", "pct", "perc", "pricepercent", "pricepct"];
const DISTANCE_MEMBERS: &[&str] =
    &["offset", "pips", "pip", "ticks", "tick", "points", "pts", "atr", "distance", "dist", "delta", "rr"];
const UNIT_MEMBERS: &[&str] = &["unit", "units", "type", "mode", "kind", "in", "valuetype", "pricetype"];
const SWITCHES: &[&str] = &["enabled", "enable", "active", "on", "use"];

/// A member of a level's object.
enum LevelMember {
    /// One of several levels.
    Numbered(u32),
    /// The level, in this unit; the lower the rank, the more surely.
    Level(LevelUnit, usize),
    Other,
}

fn member(name: &str, kind: LevelKind, unit: LevelUnit) -> LevelMember {
    let normal = names::normal(name);
    if let Some(number) = LevelName::number_named(&normal).filter(|number| (1..=NUMBER_MAX).contains(number)) {
        return LevelMember::Numbered(number);
    }
    let prices = price_members(kind);
    if let Some(rank) = prices.iter().position(|known| *known == normal) {
        return LevelMember::Level(unit, rank);
    }
    if PERCENT_MEMBERS.contains(&normal.as_str()) || name.trim() == "%" {
        return LevelMember::Level(LevelUnit::Percent, prices.len() + 1);
    }
    if DISTANCE_MEMBERS.contains(&normal.as_str()) {
        return LevelMember::Level(LevelUnit::Distance, prices.len() + 2);
    }
    match LevelName::of(name) {
        Some(LevelName { kind: its, number, says: LevelNameSense::Level(its_unit), .. }) if its == kind => match number
        {
            Some(number @ 1..) => LevelMember::Numbered(number),
            _ => LevelMember::Level(if its_unit == LevelUnit::Price { unit } else { its_unit }, prices.len()),
        },
        _ => LevelMember::Other,
    }
}

fn object(members: &Map<String, Value>, kind: LevelKind, unit: LevelUnit, depth: usize) -> LevelValue {
    if is_switched_off(members) {
        return LevelValue::default();
    }
    let unit = unit_in(members).unwrap_or(unit);
    let mut numbered = LevelValue { listed: true, ..LevelValue::default() };
    let mut ranked = Vec::new();
    for (name, value) in members {
        match member(name, kind, unit) {
            LevelMember::Numbered(number) if depth < OBJECT_LEVELS_MAX => {
                numbered.add_member(number, any(value, kind, unit, depth + 1), &format!(".{name}"));
            }
            LevelMember::Level(unit, rank) => ranked.push((rank, unit, name, value)),
            LevelMember::Other if value.is_object() => ranked.push((usize::MAX, unit, name, value)),
            LevelMember::Numbered(_) | LevelMember::Other => {}
        }
    }
    if !numbered.is_nothing() {
        return numbered;
    }
    ranked.sort_by_key(|(rank, ..)| *rank);
    let mut wrong = None;
    let mut is_named = false;
    for (rank, unit, name, value) in ranked {
        let inner = match value {
            Value::Object(_) | Value::Array(_) if depth + 1 >= OBJECT_LEVELS_MAX => {
                LevelValue::wrong(1, "stands too deep")
            }
            Value::Array(items) if items.is_empty() => LevelValue::default(),
            Value::Array(_) => LevelValue::wrong(1, "is a list: write one price"),
            value => any(value, kind, unit, depth + 1),
        };
        let mut gives = LevelValue::default();
        gives.add_member(1, inner, &format!(".{name}"));
        if !gives.levels.is_empty() {
            return gives;
        }
        // What an object of another name holds need not be about the level.
        if rank != usize::MAX {
            is_named |= unit != LevelUnit::Distance;
            wrong = wrong.or(Some(gives).filter(|gives| !gives.is_nothing()));
        }
    }
    match wrong {
        Some(wrong) => wrong,
        None if is_named || members.values().all(is_empty) => LevelValue::default(),
        None => LevelValue::wrong(1, "is an object without a price that can be read: write the price itself"),
    }
}

fn is_switched_off(members: &Map<String, Value>) -> bool {
    let off = |value: &Value| match value {
        Value::Bool(on) => !on,
        Value::String(text) => text.trim().eq_ignore_ascii_case("false"),
        _ => false,
    };
    members.iter().any(|(name, value)| SWITCHES.contains(&names::normal(name).as_str()) && off(value))
}

/// The unit that an object names for its values: `{type: "percent", value: 2}`.
fn unit_in(members: &Map<String, Value>) -> Option<LevelUnit> {
    let named = members.iter().filter(|(name, _)| UNIT_MEMBERS.contains(&names::normal(name).as_str()));
    named.filter_map(|(_, value)| value.as_str()).find_map(LevelName::unit_named)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(members) => members.values().all(is_empty),
        Value::Bool(flag) => !flag,
        scalar => matches!(single(scalar, LevelUnit::Price), ValueReading::Absent),
    }
}

/// A single value. Null, empty, false, zero and NaN mean that there is none (`na` is Pine's word for it).
fn single(value: &Value, unit: LevelUnit) -> ValueReading<GivenLevel> {
    let text = match values::scalar(value) {
        ValueReading::Usable(text) => text,
        ValueReading::Absent => return ValueReading::Absent,
        ValueReading::Unusable(..) if *value == Value::Bool(false) => return ValueReading::Absent,
        ValueReading::Unusable(_, reason) => {
            return ValueReading::Unusable(ProblemCode::NotANumber, reason);
        }
    };
    if let Some(placeholder) = values::placeholder(&text) {
        return values::unfilled_reading(placeholder);
    }
    if values::says_none(&text) {
        return ValueReading::Absent;
    }
    let (number, unit) = match (without_percent_sign(&text), unit) {
        (Some(number), LevelUnit::Price) => (number, LevelUnit::Percent),
        (Some(number), unit) => (number, unit),
        (None, unit) => (text.as_str(), unit),
    };
    match values::number(number) {
        ValueReading::Usable(number) if number == crate::money::Price::ZERO => ValueReading::Absent,
        ValueReading::Usable(number) => match unit {
            LevelUnit::Price => ValueReading::Usable(GivenLevel::At(number)),
            LevelUnit::Percent => percentage(number.get(), &text),
            LevelUnit::Distance => ValueReading::Unusable(
                ProblemCode::NotANumber,
                format!(
                    "is {}, a distance, of which no price can be made: send the level's price, or a percentage",
                    show_value(&text)
                ),
            ),
        },
        ValueReading::Absent => ValueReading::Absent,
        ValueReading::Unusable(code, reason) => ValueReading::Unusable(code, reason),
    }
}

/// More percent than this is no distance from a price.
const PERCENT_MAX: i64 = 1_000;

fn percentage(percent: rust_decimal::Decimal, text: &str) -> ValueReading<GivenLevel> {
    if percent.abs() <= PERCENT_MAX.into() {
        return ValueReading::Usable(GivenLevel::Percent(percent));
    }
    let reason =
        format!("is {}, more than {PERCENT_MAX} percent of the price: send the level's price", show_value(text));
    ValueReading::Unusable(ProblemCode::NotANumber, reason)
}

/// The number before a sign or a word for percent.
fn without_percent_sign(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let sign = ["%", "percent", "pct", "perc"].iter().find(|sign| lower.ends_with(**sign))?;
    Some(text[..text.len() - sign.len()].trim_end())
}
