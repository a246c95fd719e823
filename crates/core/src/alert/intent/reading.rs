//! What a message asks for, from all that bears on it: the first that speaks decides.
//!
//! 1. Positions before and after a strategy's order.
//! 2. States: no position is left, the order can only close, the order goes against the position's side.
//! 3. Words, in the order of their fields. A word of closing in any of them wins.
//! 4. The order's id and comment, where they are an exit as a whole and the order's direction can close that side.
//!
//! A message that closes never opens: where something says that a trade ends and something else would open one, and
//! neither can be explained by the other, there is no reading, and both are told.

mod labels;
mod word_summary;

use self::labels::{LabelVerdict, by_labels};
use self::word_summary::{StatedDirection, WordSummary};
use super::phrase::{ClosingPhrase, PhraseMeaning};
use super::signs::{FieldRole, IntentSigns, PositionState, SpokenField, StateSays};
use super::{ExitSignal, Intent, OrderSigns, PositionChange, StrategyPosition, UnclearOrder, resolve};
use crate::market::{Side, Signal};

/// Why there is no reading.
#[derive(Debug)]
pub(in crate::alert) enum UnreadIntent<'s> {
    /// Nothing says what to do.
    Missing,
    /// A word that is not known stands where it would decide.
    Unknown(&'s SpokenField),
    /// It says that nothing is to be done.
    Idle(&'s SpokenField),
    /// It concerns an open trade, but does not say how.
    Vague(&'s SpokenField),
    /// A turn without its new side.
    NoSide(&'s SpokenField),
    /// One closes, the other opens, or they open opposite sides.
    TwoReadings { one: String, other: String },
    /// An order and the positions around it.
    Positions(UnclearOrder, OrderSigns),
}

/// The result, and the seed's word for an alert that is kept without one.
pub(in crate::alert) struct ReadIntent<'s> {
    pub(in crate::alert) intent: Result<Intent, UnreadIntent<'s>>,
    /// Never that of an entry where something closes.
    pub(in crate::alert) signal: Option<Signal>,
    /// The words that it was read from.
    pub(in crate::alert) read_from: Vec<&'s SpokenField>,
}

/// Reads what a message asks for.
pub(in crate::alert) fn read(signs: &IntentSigns) -> ReadIntent<'_> {
    let told = WordSummary::new(signs);
    let intent = decide(signs, &told);
    let signal = match &intent {
        Ok(intent) => Some(intent.signal()),
        Err(unread) => told.signal(unread),
    };
    // Beside an exit, the side says which trade it is.
    let exits = matches!(intent, Ok(intent) if intent.opens().is_none());
    let side = told.side.map(|(heard, _)| heard).filter(|_| exits);
    ReadIntent { intent, signal, read_from: told.decides().into_iter().chain(side).collect() }
}

type IntentResult<'s> = Result<Intent, UnreadIntent<'s>>;

fn decide<'s>(signs: &'s IntentSigns, told: &WordSummary<'s>) -> IntentResult<'s> {
    if told.ending.is_none()
        && let Some(idle) = told.idle
    {
        return Err(UnreadIntent::Idle(idle));
    }
    if signs.now.is_some() || signs.prev.is_some() {
        return by_positions(signs, told);
    }
    match by_state(signs, told) {
        Some(answer) => answer,
        None => by_words(signs, told),
    }
}

impl IntentSigns {
    fn state(&self, wanted: impl Fn(StateSays) -> bool) -> Option<&PositionState> {
        self.states.iter().find(|state| wanted(state.says))
    }

    fn flat(&self) -> Option<&PositionState> {
        self.state(|says| says == StateSays::Flat)
    }

    fn closing_flag(&self) -> Option<&PositionState> {
        self.state(|says| matches!(says, StateSays::Closes(_)))
    }

    /// The states that tell a side, those of the trade first.
    fn sided_states(&self) -> impl Iterator<Item = (&PositionState, Side)> {
        let of_trade = self.states.iter().filter_map(|state| match state.says {
            StateSays::Trade(side) => Some((state, side)),
            _ => None,
        });
        let held = self.states.iter().filter_map(|state| match state.says {
            StateSays::Held(side) => Some((state, side)),
            _ => None,
        });
        of_trade.chain(held)
    }

    /// The side that states name; none where they name both.
    fn state_side(&self) -> Option<Side> {
        let (_, first) = self.sided_states().next()?;
        self.sided_states().all(|(_, side)| side == first).then_some(first)
    }

    /// A state by which this closes.
    fn closes(&self, told: &WordSummary<'_>) -> Option<&PositionState> {
        let against = |side: Side| told.direction.is_some_and(|(_, direction)| direction.side() != side);
        self.state(|says| match says {
            StateSays::Flat | StateSays::Closes(_) => true,
            StateSays::Held(side) | StateSays::Trade(side) => against(side),
        })
    }
}

/// Step 1. An entry that these open must be contradicted by nothing.
fn by_positions<'s>(signs: &'s IntentSigns, told: &WordSummary<'s>) -> IntentResult<'s> {
    let ending = told.ending.map(|(_, closing)| closing);
    let reason = ending.and_then(|closing| closing.reason).or(signs.remark);
    let order = |signal| OrderSigns { signal, now: signs.now, prev: signs.prev, growth: signs.growth, remark: reason };
    if let Some(answer) = by_plain_exit(signs, told) {
        return answer;
    }
    // A side's name says which trade ended, where none is left.
    let direction = told.direction.map(|(_, direction)| direction).filter(|direction| {
        !(signs.now == Some(StrategyPosition::Flat) && matches!(direction, StatedDirection::Side(_)))
    });
    let by_reason = ending.and_then(|closing| closing.reason).map(|reason| order(Some(reason.into())));
    let by_direction = order(direction.map(|direction| direction.side().into()));
    // Either alone may fit the positions; what opens nothing goes first.
    let fits = |order: &OrderSigns| resolve(order).ok().filter(|intent| !matches!(intent, Intent::Entry { .. }));
    let exit = match (&by_reason, direction) {
        (Some(by_reason), Some(_)) => fits(&by_direction).or_else(|| fits(by_reason)),
        (Some(by_reason), None) => fits(by_reason),
        (None, _) => fits(&by_direction),
    };
    if let Some(intent) = exit {
        return match (told.unknown_above, intent.opens()) {
            // A word that is not known, beside positions that would open a trade, may mean anything.
            (Some(unknown), Some(_)) => Err(UnreadIntent::Unknown(unknown)),
            _ if told.enters.is_some() && signs.now == Some(StrategyPosition::Flat) => {
                Err(UnreadIntent::Positions(UnclearOrder::Contradiction, by_direction))
            }
            _ => Ok(in_detail(intent, signs, told)),
        };
    }
    let decided = by_reason.filter(|_| direction.is_none()).unwrap_or(by_direction);
    match resolve(&decided) {
        Ok(intent) => check_contradictions(signs, told, intent),
        Err(UnclearOrder::NoSignal) => Err(told.unknown.map_or(UnreadIntent::Missing, UnreadIntent::Unknown)),
        Err(unclear) => Err(UnreadIntent::Positions(unclear, decided)),
    }
}

/// `exit` and its like beside positions: no order, so what stays open is named, and what is over is told.
fn by_plain_exit<'s>(signs: &'s IntentSigns, told: &WordSummary<'s>) -> Option<IntentResult<'s>> {
    let (heard, closing) = told.ending?;
    let orders = matches!(told.direction, Some((_, StatedDirection::Order(_) | StatedDirection::Enter(_))));
    if orders || closing.reason.is_some() && closing.change.is_none() {
        return None;
    }
    let partial = |side| {
        let change = closing.change.unwrap_or(PositionChange::Reduced);
        Some(Ok(Intent::Partial { side, reason: closing.reason, change }))
    };
    let flat = |side| Some(Ok(Intent::Flat { side, reason: None }));
    match (signs.prev, signs.now) {
        (Some(StrategyPosition::Held(prev)), Some(StrategyPosition::Held(now))) if prev == now => partial(Some(now)),
        (None, Some(StrategyPosition::Held(now))) if closing.change.is_some() || signs.in_part => partial(Some(now)),
        (None, Some(StrategyPosition::Held(now))) => flat(Some(now)),
        (Some(StrategyPosition::Held(prev)), None) if closing.change.is_some() => partial(Some(prev)),
        (Some(StrategyPosition::Held(prev)), None) => flat(Some(prev)),
        (Some(StrategyPosition::Flat), Some(StrategyPosition::Held(now))) => {
            Some(Err(two(heard, opened_by_positions(now))))
        }
        (Some(StrategyPosition::Flat), None) => Some(by_words(signs, told)),
        _ => None,
    }
}

/// An exit that positions gave, with what words tell of its side and target.
fn in_detail(intent: Intent, signs: &IntentSigns, told: &WordSummary<'_>) -> Intent {
    let closing = told.ending.map(|(_, closing)| closing).unwrap_or_default();
    match intent {
        Intent::Exit { reason, .. } => {
            let side = closing.side.or(told.named_side()).or_else(|| signs.state_side());
            Intent::Exit { reason, side, target: closing.target }
        }
        Intent::Partial { side, reason, .. } => {
            Intent::Partial { side, reason, change: closing.change.unwrap_or(PositionChange::Reduced) }
        }
        Intent::Flat { side: None, reason } => Intent::Flat { side: closing.side, reason },
        other @ (Intent::Entry { .. } | Intent::Flat { .. } | Intent::Turn { .. }) => other,
    }
}

fn opened_by_positions(side: Side) -> String {
    format!("market_position and prev_market_position, by which a {} trade opens", name(side))
}

/// An entry that the positions give, if nothing in the message says that something closes.
fn check_contradictions<'s>(signs: &'s IntentSigns, told: &WordSummary<'s>, intent: Intent) -> IntentResult<'s> {
    let Some(side) = intent.opens().filter(|_| matches!(intent, Intent::Entry { .. })) else { return Ok(intent) };
    if let Some(unknown) = told.unknown_above.or(told.unknown.filter(|_| told.direction.is_none())) {
        return Err(UnreadIntent::Unknown(unknown));
    }
    let opened = || opened_by_positions(side);
    if let Some(heard) = told.ending.map(|(heard, _)| heard).or(told.vague) {
        return Err(two(heard, opened()));
    }
    if let Some(state) = signs.closes(told) {
        return Err(two(&state.heard, opened()));
    }
    if let Some(other) = find_opposed(signs, StatedDirection::Order(side)) {
        return Err(two(other, opened()));
    }
    match by_labels(signs, StatedDirection::Order(side)) {
        None => Ok(intent),
        // Where nothing was open before, there was nothing to turn.
        Some(LabelVerdict { intent: Some(turn @ Intent::Turn { .. }), .. }) => {
            Ok(if signs.prev.is_none() { turn } else { intent })
        }
        Some(LabelVerdict { heard, .. }) => Err(two(heard, opened())),
    }
}

/// Step 2. None where no state speaks, or where the words say more of the exit.
fn by_state<'s>(signs: &'s IntentSigns, told: &WordSummary<'s>) -> Option<IntentResult<'s>> {
    let reason = told.ending.and_then(|(_, closing)| closing.reason).or(signs.remark);
    let direction = told.direction.map(|(_, direction)| direction);
    if let Some(state) = signs.flat() {
        if let Some(enters) = told.enters.or(told.turn.map(|(heard, _)| heard)) {
            return Some(Err(two(&state.heard, enters.show())));
        }
        let named = told.ending.and_then(|(_, closing)| closing.side);
        let side = named.or_else(|| match direction {
            Some(StatedDirection::Order(side)) => Some(side.opposite()),
            _ => signs.state_side(),
        });
        return Some(Ok(Intent::Flat { side, reason }));
    }
    if let (Some(state), Some((turn, _))) = (signs.closing_flag(), told.turn) {
        return Some(Err(two(&state.heard, turn.show())));
    }
    let plain = told.ending.is_none_or(|(_, c)| c.reason.is_none() && c.side.is_none() && c.change.is_none());
    if !plain || told.turn.is_some() {
        return None;
    }
    if let Some(state) = signs.closing_flag() {
        return by_flag(signs, told, state, reason);
    }
    let against = direction.filter(|_| told.ending.is_none())?;
    let (state, side) = signs.sided_states().find(|(_, side)| *side != against.side())?;
    if signs.state_side().is_none() {
        return Some(Err(two(&state.heard, opened_by(told))));
    }
    if let Some(intent) = labelled_exit(signs, against) {
        return Some(Ok(intent));
    }
    Some(match (against, state.says) {
        (StatedDirection::Order(_), StateSays::Held(_)) => {
            Ok(Intent::Partial { side: Some(side), reason, change: PositionChange::Reduced })
        }
        (StatedDirection::Order(_), _) => Ok(Intent::Flat { side: Some(side), reason }),
        (StatedDirection::Side(_) | StatedDirection::Enter(_), _) => Err(two(&state.heard, opened_by(told))),
    })
}

/// An order that can only close.
fn by_flag<'s>(
    signs: &'s IntentSigns,
    told: &WordSummary<'s>,
    state: &'s PositionState,
    reason: Option<ExitSignal>,
) -> Option<IntentResult<'s>> {
    let StateSays::Closes(of_flag) = state.says else { return None };
    let named = of_flag.or_else(|| signs.state_side());
    let flat = |side| Some(Ok(Intent::Flat { side, reason }));
    if signs.in_part {
        let side = named.or(told.direction.and_then(|(_, direction)| match direction {
            StatedDirection::Order(side) => Some(side.opposite()),
            StatedDirection::Side(_) | StatedDirection::Enter(_) => None,
        }));
        return Some(Ok(Intent::Partial { side, reason, change: PositionChange::Reduced }));
    }
    let direction = told.direction.map(|(_, direction)| direction);
    if let Some(intent) = direction.and_then(|direction| labelled_exit(signs, direction)) {
        return Some(Ok(intent));
    }
    match direction {
        Some(StatedDirection::Order(side)) => flat(named.or(Some(side.opposite()))),
        Some(StatedDirection::Side(side)) if told.ending.is_some() => flat(named.or(Some(side))),
        Some(StatedDirection::Side(_)) if named.is_some() => flat(named),
        Some(StatedDirection::Side(_) | StatedDirection::Enter(_)) => Some(Err(two(&state.heard, opened_by(told)))),
        None if told.enters.is_some() => Some(Err(two(&state.heard, opened_by(told)))),
        None => flat(named),
    }
}

/// What a label tells of an order that closes: `TP1` of one that can only reduce.
fn labelled_exit(signs: &IntentSigns, direction: StatedDirection) -> Option<Intent> {
    let order = matches!(direction, StatedDirection::Order(_));
    by_labels(signs, direction)?.intent.filter(|intent| order && intent.opens().is_none())
}

/// Step 3.
fn by_words<'s>(signs: &'s IntentSigns, told: &WordSummary<'s>) -> IntentResult<'s> {
    if let Some(unknown) = told.unknown_above {
        return Err(UnreadIntent::Unknown(unknown));
    }
    if let Some((heard, opens)) = told.turn {
        return decide_turn(told, heard, opens);
    }
    if let Some((heard, closing)) = told.ending {
        return decide_end(signs, told, heard, closing);
    }
    if let Some(vague) = told.vague {
        return Err(match told.direction {
            Some(_) => two(vague, opened_by(told)),
            None => UnreadIntent::Vague(vague),
        });
    }
    let Some((heard, direction)) = told.direction else {
        return Err(told.unknown.or(told.enters).map_or(UnreadIntent::Missing, UnreadIntent::Unknown));
    };
    if let Some(other) = find_opposed(signs, direction) {
        return Err(UnreadIntent::TwoReadings { one: heard.show(), other: other.show() });
    }
    match by_labels(signs, direction) {
        None => Ok(Intent::Entry { side: direction.side() }),
        Some(LabelVerdict { intent: Some(intent), .. }) => Ok(intent),
        Some(LabelVerdict { heard: label, intent: None }) => Err(two(label, opened_by(told))),
    }
}

/// Another word that gives the opposite direction.
fn find_opposed(signs: &IntentSigns, direction: StatedDirection) -> Option<&SpokenField> {
    signs.words.iter().filter(|heard| heard.role != FieldRole::Reason).find(|heard| match heard.saying {
        PhraseMeaning::Order(side) | PhraseMeaning::Side(side) | PhraseMeaning::Enter(Some(side)) => {
            side != direction.side()
        }
        _ => false,
    })
}

fn decide_turn<'s>(told: &WordSummary<'s>, heard: &'s SpokenField, opens: Option<Side>) -> IntentResult<'s> {
    let beside = told.direction.map(|(_, direction)| direction.side());
    match (opens, beside) {
        (Some(opens), Some(beside)) if opens != beside => Err(two(heard, opened_by(told))),
        (None, None) => Err(UnreadIntent::NoSide(heard)),
        (Some(opens), _) | (None, Some(opens)) => Ok(Intent::Turn { closes: opens.opposite(), reason: None, opens }),
    }
}

fn decide_end<'s>(
    signs: &IntentSigns,
    told: &WordSummary<'s>,
    heard: &'s SpokenField,
    closing: ClosingPhrase,
) -> IntentResult<'s> {
    if told.enters.is_some() {
        return Err(two(heard, opened_by(told)));
    }
    let side = closing.side.or(told.named_side()).or_else(|| signs.state_side());
    let part = signs.in_part.then_some(PositionChange::Reduced).filter(|_| closing.reason.is_none());
    if let Some(change) = closing.change.or(part) {
        return Ok(Intent::Partial { side, reason: closing.reason, change });
    }
    match (closing.reason, side, told.direction) {
        // Which trade ended is found by the level that was reached.
        (Some(reason), _, _) => Ok(Intent::Exit { reason, side, target: closing.target }),
        (None, None, Some((_, StatedDirection::Order(_)))) => Err(two(heard, opened_by(told))),
        (None, side, _) => Ok(Intent::Flat { side, reason: None }),
    }
}

fn two(closes: &SpokenField, opens: String) -> UnreadIntent<'static> {
    UnreadIntent::TwoReadings { one: closes.show(), other: opens }
}

fn opened_by(told: &WordSummary<'_>) -> String {
    let heard = told.direction.map(|(heard, _)| heard).or(told.enters);
    heard.map(SpokenField::show).unwrap_or_default()
}

const fn name(side: Side) -> &'static str {
    match side {
        Side::Buy => "long",
        Side::Sell => "short",
    }
}
