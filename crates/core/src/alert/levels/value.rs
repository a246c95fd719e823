//! What a level's field gives: a price, a percentage, several of them in a list, or an object with a price in it.

use serde_json::{Map, Value};

use super::super::problem::{ProblemCode, shown};
use super::super::values::{self, Reading};
use super::super::{json, names};
use super::Level;
use super::name::{Kind, LevelName, NUMBER_MAX, Says, Unit};

/// How many objects may stand within each other in a level's value: `takeProfit: {order: {limitPrice: 110}}`.
const OBJECT_LEVELS_MAX: usize = 2;

/// What one field gives.
#[derive(Debug, Default)]
pub(super) struct Gives {
    /// By their number, from 1.
    pub(super) levels: Vec<(u32, Level)>,
    pub(super) wrong: Vec<Wrong>,
    /// Whether the numbers are places in a list.
    pub(super) listed: bool,
}

/// A level that cannot be read.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) number: u32,
    /// Where it stands in the field: `.limitPrice`, `[2]`.
    pub(super) place: String,
    pub(super) code: ProblemCode,
    pub(super) reason: String,
}

impl Gives {
    fn one(number: u32, reading: Reading<Level>, place: String) -> Self {
        let mut gives = Self::default();
        gives.add(number, reading, place);
        gives
    }

    fn wrong(number: u32, reason: impl Into<String>) -> Self {
        Self::one(number, Reading::Unusable(ProblemCode::NotANumber, reason.into()), String::new())
    }

    fn add(&mut self, number: u32, reading: Reading<Level>, place: String) {
        match reading {
            Reading::Absent => {}
            Reading::Usable(level) => self.levels.push((number, level)),
            Reading::Unusable(code, reason) => {
                self.wrong.push(Wrong { number, place, code, reason });
            }
        }
    }

    /// Takes in what a member gives, under the number that it has here.
    fn add_member(&mut self, number: u32, gives: Self, place: &str) {
        if gives.listed {
            let reason = "is a list within a list: write one price for each".to_owned();
            self.add(number, Reading::Unusable(ProblemCode::NotANumber, reason), place.to_owned());
            return;
        }
        self.levels.extend(gives.levels.into_iter().map(|(_, level)| (number, level)));
        let wrong = gives.wrong.into_iter();
        self.wrong.extend(wrong.map(|wrong| Wrong { number, place: format!("{place}{}", wrong.place), ..wrong }));
    }

    fn is_nothing(&self) -> bool {
        self.levels.is_empty() && self.wrong.is_empty()
    }
}

/// Reads the field of such a name. `unit`: what the level is given in.
pub(super) fn read(value: &Value, name: &LevelName, unit: Unit) -> Gives {
    if name.number == Some(0) {
        let given = !matches!(single(value, unit), Reading::Absent);
        return if given { Gives::wrong(1, "has the number 0: levels count from 1") } else { Gives::default() };
    }
    let number = name.number.unwrap_or(1);
    let gives = match value.as_str().and_then(|text| written_list(text, name.is_plural)) {
        Some(items) => list(&items, name.kind, unit, 0),
        None => any(value, name.kind, unit, 0),
    };
    if !gives.listed {
        let mut numbered = Gives::default();
        numbered.add_member(number, gives, "");
        return numbered;
    }
    match (name.number, name.kind) {
        (None, Kind::TakeProfit) => gives,
        // A trade has one stop loss: the first.
        (_, Kind::StopLoss) => first_of(gives, number),
        (Some(_), Kind::TakeProfit) if gives.levels.len() + gives.wrong.len() > 1 => {
            Gives::wrong(number, "is a list, and its name is that of one level: write one price")
        }
        (Some(_), Kind::TakeProfit) => first_of(gives, number),
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
    let is_number = |part: &&str| matches!(number(part), Reading::Usable(_));
    (parts.len() > 1 && parts.iter().all(is_number)).then(|| parts.into_iter().map(Value::from).collect())
}

fn first_of(gives: Gives, number: u32) -> Gives {
    let first = gives.levels.iter().map(|(at, _)| *at).chain(gives.wrong.iter().map(|wrong| wrong.number)).min();
    let levels = gives.levels.into_iter().filter(|(at, _)| Some(*at) == first).map(|(_, level)| (number, level));
    let wrong = gives.wrong.into_iter().filter(|wrong| Some(wrong.number) == first);
    Gives { levels: levels.collect(), wrong: wrong.map(|wrong| Wrong { number, ..wrong }).collect(), listed: false }
}

/// `depth`: how many objects and lists are around the value.
fn any(value: &Value, kind: Kind, unit: Unit, depth: usize) -> Gives {
    match value {
        Value::Array(items) => list(items, kind, unit, depth),
        Value::Object(members) => object(members, kind, unit, depth),
        Value::String(text) => match json::written_out(text).filter(|_| depth == 0) {
            Some(inner) => any(&inner, kind, unit, 1),
            None => Gives::one(1, single(value, unit), String::new()),
        },
        _ => Gives::one(1, single(value, unit), String::new()),
    }
}

fn list(items: &[Value], kind: Kind, unit: Unit, depth: usize) -> Gives {
    if depth > OBJECT_LEVELS_MAX {
        return Gives::wrong(1, "is a list too deep within others: write one price");
    }
    let mut all = Gives { listed: true, ..Gives::default() };
    for (number, item) in (1..).zip(items) {
        if number > NUMBER_MAX {
            all.add_member(NUMBER_MAX, Gives::wrong(1, "is a list of more levels than a trade has"), "");
            break;
        }
        all.add_member(number, any(item, kind, unit, depth + 1), &format!("[{number}]"));
    }
    all
}

/// Members of a level's object that may hold its price, by how well they say so.
const fn price_members(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::TakeProfit => &[
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
        Kind::StopLoss => &[
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
enum Member {
    /// One of several levels.
    Numbered(u32),
    /// The level, in this unit; the lower the rank, the more surely.
    Level(Unit, usize),
    Other,
}

fn member(name: &str, kind: Kind, unit: Unit) -> Member {
    let normal = names::normal(name);
    if let Some(number) = LevelName::number_named(&normal).filter(|number| (1..=NUMBER_MAX).contains(number)) {
        return Member::Numbered(number);
    }
    let prices = price_members(kind);
    if let Some(rank) = prices.iter().position(|known| *known == normal) {
        return Member::Level(unit, rank);
    }
    if PERCENT_MEMBERS.contains(&normal.as_str()) || name.trim() == "%" {
        return Member::Level(Unit::Percent, prices.len() + 1);
    }
    if DISTANCE_MEMBERS.contains(&normal.as_str()) {
        return Member::Level(Unit::Distance, prices.len() + 2);
    }
    match LevelName::of(name) {
        Some(LevelName { kind: its, number, says: Says::Level(its_unit), .. }) if its == kind => match number {
            Some(number @ 1..) => Member::Numbered(number),
            _ => Member::Level(if its_unit == Unit::Price { unit } else { its_unit }, prices.len()),
        },
        _ => Member::Other,
    }
}

fn object(members: &Map<String, Value>, kind: Kind, unit: Unit, depth: usize) -> Gives {
    if is_switched_off(members) {
        return Gives::default();
    }
    let unit = unit_in(members).unwrap_or(unit);
    let mut numbered = Gives { listed: true, ..Gives::default() };
    let mut ranked = Vec::new();
    for (name, value) in members {
        match member(name, kind, unit) {
            Member::Numbered(number) if depth < OBJECT_LEVELS_MAX => {
                numbered.add_member(number, any(value, kind, unit, depth + 1), &format!(".{name}"));
            }
            Member::Level(unit, rank) => ranked.push((rank, unit, name, value)),
            Member::Other if value.is_object() => ranked.push((usize::MAX, unit, name, value)),
            Member::Numbered(_) | Member::Other => {}
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
            Value::Object(_) | Value::Array(_) if depth + 1 >= OBJECT_LEVELS_MAX => Gives::wrong(1, "stands too deep"),
            Value::Array(items) if items.is_empty() => Gives::default(),
            Value::Array(_) => Gives::wrong(1, "is a list: write one price"),
            value => any(value, kind, unit, depth + 1),
        };
        let mut gives = Gives::default();
        gives.add_member(1, inner, &format!(".{name}"));
        if !gives.levels.is_empty() {
            return gives;
        }
        // What an object of another name holds need not be about the level.
        if rank != usize::MAX {
            is_named |= unit != Unit::Distance;
            wrong = wrong.or(Some(gives).filter(|gives| !gives.is_nothing()));
        }
    }
    match wrong {
        Some(wrong) => wrong,
        None if is_named || members.values().all(is_empty) => Gives::default(),
        None => Gives::wrong(1, "is an object without a price that can be read: write the price itself"),
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
fn unit_in(members: &Map<String, Value>) -> Option<Unit> {
    let named = members.iter().filter(|(name, _)| UNIT_MEMBERS.contains(&names::normal(name).as_str()));
    named.filter_map(|(_, value)| value.as_str()).find_map(LevelName::unit_named)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(members) => members.values().all(is_empty),
        Value::Bool(flag) => !flag,
        scalar => matches!(single(scalar, Unit::Price), Reading::Absent),
    }
}

/// A single value. Null, empty, false, zero and NaN mean that there is none (`na` is Pine's word for it).
fn single(value: &Value, unit: Unit) -> Reading<Level> {
    let text = match values::scalar(value) {
        Reading::Usable(text) => text,
        Reading::Absent => return Reading::Absent,
        Reading::Unusable(..) if *value == Value::Bool(false) => return Reading::Absent,
        Reading::Unusable(_, reason) => {
            return Reading::Unusable(ProblemCode::NotANumber, reason);
        }
    };
    if let Some(placeholder) = values::placeholder(&text) {
        return values::unfilled(placeholder);
    }
    if values::says_none(&text) {
        return Reading::Absent;
    }
    let (number, unit) = match (without_percent_sign(&text), unit) {
        (Some(number), Unit::Price) => (number, Unit::Percent),
        (Some(number), unit) => (number, unit),
        (None, unit) => (text.as_str(), unit),
    };
    match values::number(number) {
        Reading::Usable(number) if number == crate::money::Price::ZERO => Reading::Absent,
        Reading::Usable(number) => match unit {
            Unit::Price => Reading::Usable(Level::At(number)),
            Unit::Percent => percentage(number.get(), &text),
            Unit::Distance => Reading::Unusable(
                ProblemCode::NotANumber,
                format!(
                    "is {}, a distance, of which no price can be made: send the level's price, or a percentage",
                    shown(&text)
                ),
            ),
        },
        Reading::Absent => Reading::Absent,
        Reading::Unusable(code, reason) => Reading::Unusable(code, reason),
    }
}

/// More percent than this is no distance from a price.
const PERCENT_MAX: i64 = 1_000;

fn percentage(percent: rust_decimal::Decimal, text: &str) -> Reading<Level> {
    if percent.abs() <= PERCENT_MAX.into() {
        return Reading::Usable(Level::Percent(percent));
    }
    let reason = format!("is {}, more than {PERCENT_MAX} percent of the price: send the level's price", shown(text));
    Reading::Unusable(ProblemCode::NotANumber, reason)
}

/// The number before a sign or a word for percent.
fn without_percent_sign(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let sign = ["%", "percent", "pct", "perc"].iter().find(|sign| lower.ends_with(**sign))?;
    Some(text[..text.len() - sign.len()].trim_end())
}
