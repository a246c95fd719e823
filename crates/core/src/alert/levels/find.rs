//! Finding the levels among an alert's fields: by their names, at the top and in the objects that people group them in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::fields::FieldOrigin;
use super::super::names;
use super::super::rule_violation::{RuleViolation, plain};
use super::name::{LevelKind, LevelName, LevelNameSense, LevelUnit};
use super::value::{self, LevelValue};
use super::{FoundLevels, GivenLevel, GivenLevels, SidedLevels};
use crate::money::Price;

/// How many objects are looked into: `bracket: {takeProfit: …}`, `order: {exits: {tp: …}}`.
const GROUP_LEVELS_MAX: usize = 2;

/// Objects that speak of other trades, of settings or of the chart: levels in them are not the alert's.
const ASIDE: &[&str] = &[
    "prev",
    "last",
    "old",
    "closed",
    "history",
    "backtest",
    "stats",
    "statistics",
    "performance",
    "setting",
    "config",
    "input",
    "default",
    "plot",
    "bar",
    "indicator",
    "meta",
    "debug",
];

/// Members by which an object in a list says what it is: `exits: [{type: "tp", price: 110}]`.
const LABELS: &[&str] = &["type", "name", "kind", "label", "id"];

/// Reads the levels of a body, and of the query what the body lacks.
pub(in crate::alert) fn read(body: &Map<String, Value>, query: &Map<String, Value>) -> FoundLevels {
    let (body, query) = (LevelSource::read(body, FieldOrigin::Body), LevelSource::read(query, FieldOrigin::Query));
    let overruled = |number: &u32| body.targets.contains_key(number) || body.listed.contains_key(number);
    let mut used_of_query: Vec<String> = query.used.into_iter().flatten().collect();
    let (overruled_further, further_of_query): (Vec<_>, Vec<_>) =
        query.further.into_iter().partition(|(number, _)| overruled(number));
    used_of_query.extend(overruled_further.into_iter().map(|(_, name)| name));
    let further_of_query = further_of_query.into_iter().map(|(_, name)| name).collect();
    let mut targets = query.targets;
    targets.retain(|number, _| !overruled(number));
    targets.extend(body.targets);
    let listed = if body.listed.is_empty() { query.listed } else { body.listed };
    let mut perhaps = query.perhaps;
    perhaps.extend(body.perhaps);
    let sided = body.sided.into_iter().chain(query.sided).collect();
    let given = GivenLevels { targets, listed, stop_loss: body.stop_loss.or(query.stop_loss), perhaps, sided };
    let mut problems: Vec<RuleViolation> = Vec::new();
    for (which, problem) in body.wrong.into_iter().chain(query.wrong) {
        let is_there = match which {
            LevelSlot::StopLoss => given.stop_loss.is_some(),
            LevelSlot::Target(number) => given.targets.contains_key(&number) || given.listed.contains_key(&number),
        };
        if !is_there && problems.iter().all(|known| known.field != problem.field) {
            problems.push(problem);
        }
    }
    FoundLevels { given, problems, used: body.used, used_of_query, further_of_query }
}

/// Which of an alert's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LevelSlot {
    Target(u32),
    StopLoss,
}

impl LevelSlot {
    fn field(self) -> String {
        match self {
            Self::StopLoss => "sl".to_owned(),
            Self::Target(1) => "tp".to_owned(),
            Self::Target(number) => format!("tp{number}"),
        }
    }
}

/// What the body, or the query, gives.
#[derive(Default)]
struct LevelSource {
    targets: BTreeMap<u32, GivenLevel>,
    listed: BTreeMap<u32, GivenLevel>,
    stop_loss: Option<GivenLevel>,
    perhaps: BTreeMap<u32, Price>,
    sided: Vec<SidedLevels>,
    wrong: Vec<(LevelSlot, RuleViolation)>,
    /// Where the fields stand that are used up.
    used: Vec<Vec<String>>,
    /// The fields at the top that give further targets.
    further: Vec<(u32, String)>,
}

impl LevelSource {
    fn read(fields: &Map<String, Value>, origin: FieldOrigin) -> Self {
        let mut candidates = Vec::new();
        collect(fields, &[], None, &mut candidates);
        let units = units(&candidates);
        let mut levels: Vec<(LevelUnit, LevelCandidate<'_>)> = Vec::new();
        for candidate in candidates {
            if let LevelNameSense::Level(unit) = candidate.name.says {
                levels.push((unit, candidate));
            }
        }
        levels.sort_by_cached_key(|(unit, candidate)| candidate.rank(*unit));
        let mut part = Self::default();
        for (unit, candidate) in levels {
            let told = units.iter().find(|told| unit == LevelUnit::Price && candidate.is_meant(told));
            let unit = told.map_or(unit, |(.., told)| *told);
            part.take(&candidate, value::read(candidate.value, &candidate.name, unit), origin);
        }
        part
    }

    /// Takes in what a field gives. Of two that give the same level the first counts.
    fn take(&mut self, candidate: &LevelCandidate<'_>, gives: LevelValue, origin: FieldOrigin) {
        let LevelValue { levels, wrong, listed } = gives;
        if let Some(side) = candidate.name.side {
            let kind = candidate.name.kind;
            self.sided.extend(levels.into_iter().map(|(number, level)| SidedLevels { side, kind, number, level }));
            return;
        }
        if candidate.name.is_weak {
            // Whatever else it is, it is kept, and no entry is refused for it.
            let prices = levels.into_iter().filter_map(|(number, level)| match level {
                GivenLevel::At(price) => Some((number, price)),
                GivenLevel::Percent(_) => None,
            });
            prices.for_each(|(number, price)| _ = self.perhaps.entry(number).or_insert(price));
            return;
        }
        if listed && !self.listed.is_empty() {
            return;
        }
        for (number, level) in levels {
            match candidate.name.kind {
                LevelKind::StopLoss => {
                    if self.stop_loss.is_none() {
                        self.stop_loss = Some(level);
                        self.used.extend(candidate.used_up());
                    }
                }
                LevelKind::TakeProfit if listed => drop(self.listed.insert(number, level)),
                LevelKind::TakeProfit if self.targets.contains_key(&number) => {}
                LevelKind::TakeProfit => {
                    self.targets.insert(number, level);
                    match number {
                        1 => self.used.extend(candidate.used_up()),
                        _ => self.further.extend(candidate.path.first().map(|name| (number, name.clone()))),
                    }
                }
            }
        }
        for wrong in wrong {
            let which = match candidate.name.kind {
                LevelKind::TakeProfit => LevelSlot::Target(wrong.number),
                LevelKind::StopLoss => LevelSlot::StopLoss,
            };
            let written = plain(&format!("{}{}", candidate.path.join("."), wrong.place));
            let message = format!("{written}{} {}", origin.place(), wrong.reason);
            self.wrong.push((which, RuleViolation::new(&which.field(), wrong.code, message)));
        }
    }
}

/// A field whose name is a level's.
struct LevelCandidate<'a> {
    name: LevelName,
    path: Vec<String>,
    value: &'a Value,
    /// It stands in another level's object.
    within_level: bool,
}

impl LevelCandidate<'_> {
    /// The first with a usable value wins: a price before a percentage before what cannot be read, then by the order of
    /// the names (product, "Intake"), then what stands further out. Stop losses by their number first.
    fn rank(&self, unit: LevelUnit) -> (u32, LevelUnit, usize, usize) {
        let (number, list) = match self.name.kind {
            LevelKind::StopLoss => (self.name.number.unwrap_or(1), names::STOP_LOSS),
            LevelKind::TakeProfit => (0, names::TAKE_PROFIT),
        };
        let normal = self.path.last().map(|name| names::normal(name)).unwrap_or_default();
        let place = list.iter().position(|name| *name == normal).unwrap_or(list.len());
        (number, unit, place, self.path.len())
    }

    /// Whether a field that names a unit speaks of this one.
    fn is_meant(&self, (kind, number, _): &(LevelKind, Option<u32>, LevelUnit)) -> bool {
        self.name.kind == *kind && (number.is_none() || *number == self.name.number)
    }

    /// The field, to be taken from what is left over. Lists and objects stay: they hold more than the level, and what is
    /// read of them once more is to be the same.
    fn used_up(&self) -> Option<Vec<String>> {
        (!self.within_level && !self.value.is_array() && !self.value.is_object()).then(|| self.path.clone())
    }
}

/// The units that fields of their own name, as in `tp_type: "percent"`.
fn units(candidates: &[LevelCandidate<'_>]) -> Vec<(LevelKind, Option<u32>, LevelUnit)> {
    let named = candidates.iter().filter(|candidate| candidate.name.says == LevelNameSense::UnitOfIt);
    let unit = |candidate: &LevelCandidate<'_>| LevelName::unit_named(candidate.value.as_str()?);
    named.filter_map(|named| Some((named.name.kind, named.name.number, unit(named)?))).collect()
}

/// Lists the fields with a level's name. `within`: of which kind the level is whose object these are; in it stand levels
/// of the other kind only where their names are no words for its own price (`stopPrice` in a take profit).
fn collect<'a>(
    fields: &'a Map<String, Value>,
    path: &[String],
    within: Option<LevelKind>,
    candidates: &mut Vec<LevelCandidate<'a>>,
) {
    for (name, value) in fields {
        let level = LevelName::of(name).filter(|level| within.is_none_or(|kind| kind != level.kind && level.is_plain));
        let path: Vec<String> = path.iter().chain([name]).cloned().collect();
        let deeper = path.len() <= GROUP_LEVELS_MAX;
        match value {
            Value::Object(members) if deeper && !is_aside(name) => {
                collect(members, &path, level.map(|level| level.kind).or(within), candidates);
            }
            Value::Array(items) if deeper && level.is_none() && within.is_none() && !is_aside(name) => {
                let labelled = items.iter().filter_map(|item| Some((label(item.as_object()?)?, item)));
                candidates.extend(labelled.map(|(name, value)| LevelCandidate {
                    name,
                    path: path.clone(),
                    value,
                    within_level: false,
                }));
            }
            _ => {}
        }
        let within_level = within.is_some();
        candidates.extend(level.map(|name| LevelCandidate { name, path, value, within_level }));
    }
}

/// The level that an object in a list says it is.
fn label(members: &Map<String, Value>) -> Option<LevelName> {
    let labels = members.iter().filter(|(name, _)| LABELS.contains(&names::normal(name).as_str()));
    labels.filter_map(|(_, value)| value.as_str()).find_map(LevelName::of)
}

/// Whether an object of this name is not about this alert's trade.
fn is_aside(name: &str) -> bool {
    let name = names::normal(name);
    ASIDE.iter().any(|aside| name.starts_with(aside))
}
