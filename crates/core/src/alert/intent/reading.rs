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
mod told;

use self::labels::{Label, by_labels};
use self::told::{Direction, Told};
use super::phrase::{Closing, Saying};
use super::signs::{Heard, Role, Signs, State, StateSays};
use super::{ExitSignal, Intent, Order, Position, PositionChange, Unclear, resolve};
use crate::market::{Side, Signal};

/// Why there is no reading.
#[derive(Debug)]
pub(in crate::alert) enum Unread<'s> {
    /// Nothing says what to do.
    Missing,
    /// A word that is not known stands where it would decide.
    Unknown(&'s Heard),
    /// It says that nothing is to be done.
    Idle(&'s Heard),
    /// It concerns an open trade, but does not say how.
    Vague(&'s Heard),
    /// A turn without its new side.
    NoSide(&'s Heard),
    /// One closes, the other opens, or they open opposite sides.
    TwoReadings { one: String, other: String },
    /// An order and the positions around it.
    Positions(Unclear, Order),
}

/// The result, and the seed's word for an alert that is kept without one.
pub(in crate::alert) struct Read<'s> {
    pub(in crate::alert) intent: Result<Intent, Unread<'s>>,
    /// Never that of an entry where something closes.
    pub(in crate::alert) signal: Option<Signal>,
    /// The words that it was read from.
    pub(in crate::alert) read_from: Vec<&'s Heard>,
}

/// Reads what a message asks for.
pub(in crate::alert) fn read(signs: &Signs) -> Read<'_> {
    let told = Told::new(signs);
    let intent = decide(signs, &told);
    let signal = match &intent {
        Ok(intent) => Some(intent.signal()),
        Err(unread) => told.signal(unread),
    };
    // Beside an exit, the side says which trade it is.
    let exits = matches!(intent, Ok(intent) if intent.opens().is_none());
    let side = told.side.map(|(heard, _)| heard).filter(|_| exits);
    Read { intent, signal, read_from: told.decides().into_iter().chain(side).collect() }
}

type Answer<'s> = Result<Intent, Unread<'s>>;

fn decide<'s>(signs: &'s Signs, told: &Told<'s>) -> Answer<'s> {
    if told.ending.is_none()
        && let Some(idle) = told.idle
    {
        return Err(Unread::Idle(idle));
    }
    if signs.now.is_some() || signs.prev.is_some() {
        return by_positions(signs, told);
    }
    match by_state(signs, told) {
        Some(answer) => answer,
        None => by_words(signs, told),
    }
}

impl Signs {
    fn state(&self, wanted: impl Fn(StateSays) -> bool) -> Option<&State> {
        self.states.iter().find(|state| wanted(state.says))
    }

    fn flat(&self) -> Option<&State> {
        self.state(|says| says == StateSays::Flat)
    }

    fn closing_flag(&self) -> Option<&State> {
        self.state(|says| matches!(says, StateSays::Closes(_)))
    }

    /// The states that tell a side, those of the trade first.
    fn sided(&self) -> impl Iterator<Item = (&State, Side)> {
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
        let (_, first) = self.sided().next()?;
        self.sided().all(|(_, side)| side == first).then_some(first)
    }

    /// A state by which this closes.
    fn closes(&self, told: &Told<'_>) -> Option<&State> {
        let against = |side: Side| told.direction.is_some_and(|(_, direction)| direction.side() != side);
        self.state(|says| match says {
            StateSays::Flat | StateSays::Closes(_) => true,
            StateSays::Held(side) | StateSays::Trade(side) => against(side),
        })
    }
}

/// Step 1. An entry that these open must be contradicted by nothing.
fn by_positions<'s>(signs: &'s Signs, told: &Told<'s>) -> Answer<'s> {
    let ending = told.ending.map(|(_, closing)| closing);
    let reason = ending.and_then(|closing| closing.reason).or(signs.remark);
    let order = |signal| Order { signal, now: signs.now, prev: signs.prev, growth: signs.growth, remark: reason };
    if let Some(answer) = by_plain_exit(signs, told) {
        return answer;
    }
    // A side's name says which trade ended, where none is left.
    let direction = told
        .direction
        .map(|(_, direction)| direction)
        .filter(|direction| !(signs.now == Some(Position::Flat) && matches!(direction, Direction::Side(_))));
    let by_reason = ending.and_then(|closing| closing.reason).map(|reason| order(Some(reason.into())));
    let by_direction = order(direction.map(|direction| direction.side().into()));
    // Either alone may fit the positions; what opens nothing goes first.
    let fits = |order: &Order| resolve(order).ok().filter(|intent| !matches!(intent, Intent::Entry { .. }));
    let exit = match (&by_reason, direction) {
        (Some(by_reason), Some(_)) => fits(&by_direction).or_else(|| fits(by_reason)),
        (Some(by_reason), None) => fits(by_reason),
        (None, _) => fits(&by_direction),
    };
    if let Some(intent) = exit {
        return match (told.unknown_above, intent.opens()) {
            // A word that is not known, beside positions that would open a trade, may mean anything.
            (Some(unknown), Some(_)) => Err(Unread::Unknown(unknown)),
            _ if told.enters.is_some() && signs.now == Some(Position::Flat) => {
                Err(Unread::Positions(Unclear::Contradiction, by_direction))
            }
            _ => Ok(in_detail(intent, signs, told)),
        };
    }
    let decided = by_reason.filter(|_| direction.is_none()).unwrap_or(by_direction);
    match resolve(&decided) {
        Ok(intent) => uncontradicted(signs, told, intent),
        Err(Unclear::NoSignal) => Err(told.unknown.map_or(Unread::Missing, Unread::Unknown)),
        Err(unclear) => Err(Unread::Positions(unclear, decided)),
    }
}

/// `exit` and its like beside positions: no order, so what stays open is named, and what is over is told.
fn by_plain_exit<'s>(signs: &'s Signs, told: &Told<'s>) -> Option<Answer<'s>> {
    let (heard, closing) = told.ending?;
    let orders = matches!(told.direction, Some((_, Direction::Order(_) | Direction::Enter(_))));
    if orders || closing.reason.is_some() && closing.change.is_none() {
        return None;
    }
    let partial = |side| {
        let change = closing.change.unwrap_or(PositionChange::Reduced);
        Some(Ok(Intent::Partial { side, reason: closing.reason, change }))
    };
    let flat = |side| Some(Ok(Intent::Flat { side, reason: None }));
    match (signs.prev, signs.now) {
        (Some(Position::Held(prev)), Some(Position::Held(now))) if prev == now => partial(Some(now)),
        (None, Some(Position::Held(now))) if closing.change.is_some() || signs.in_part => partial(Some(now)),
        (None, Some(Position::Held(now))) => flat(Some(now)),
        (Some(Position::Held(prev)), None) if closing.change.is_some() => partial(Some(prev)),
        (Some(Position::Held(prev)), None) => flat(Some(prev)),
        (Some(Position::Flat), Some(Position::Held(now))) => Some(Err(two(heard, opened_by_positions(now)))),
        (Some(Position::Flat), None) => Some(by_words(signs, told)),
        _ => None,
    }
}

/// An exit that positions gave, with what words tell of its side and target.
fn in_detail(intent: Intent, signs: &Signs, told: &Told<'_>) -> Intent {
    let closing = told.ending.map(|(_, closing)| closing).unwrap_or_default();
    match intent {
        Intent::Exit { reason, .. } => {
            let side = closing.side.or(told.named()).or_else(|| signs.state_side());
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
fn uncontradicted<'s>(signs: &'s Signs, told: &Told<'s>, intent: Intent) -> Answer<'s> {
    let Some(side) = intent.opens().filter(|_| matches!(intent, Intent::Entry { .. })) else { return Ok(intent) };
    if let Some(unknown) = told.unknown_above.or(told.unknown.filter(|_| told.direction.is_none())) {
        return Err(Unread::Unknown(unknown));
    }
    let opened = || opened_by_positions(side);
    if let Some(heard) = told.ending.map(|(heard, _)| heard).or(told.vague) {
        return Err(two(heard, opened()));
    }
    if let Some(state) = signs.closes(told) {
        return Err(two(&state.heard, opened()));
    }
    if let Some(other) = opposed(signs, Direction::Order(side)) {
        return Err(two(other, opened()));
    }
    match by_labels(signs, Direction::Order(side)) {
        None => Ok(intent),
        // Where nothing was open before, there was nothing to turn.
        Some(Label { intent: Some(turn @ Intent::Turn { .. }), .. }) => {
            Ok(if signs.prev.is_none() { turn } else { intent })
        }
        Some(Label { heard, .. }) => Err(two(heard, opened())),
    }
}

/// Step 2. None where no state speaks, or where the words say more of the exit.
fn by_state<'s>(signs: &'s Signs, told: &Told<'s>) -> Option<Answer<'s>> {
    let reason = told.ending.and_then(|(_, closing)| closing.reason).or(signs.remark);
    let direction = told.direction.map(|(_, direction)| direction);
    if let Some(state) = signs.flat() {
        if let Some(enters) = told.enters.or(told.turn.map(|(heard, _)| heard)) {
            return Some(Err(two(&state.heard, enters.shown())));
        }
        let named = told.ending.and_then(|(_, closing)| closing.side);
        let side = named.or_else(|| match direction {
            Some(Direction::Order(side)) => Some(side.opposite()),
            _ => signs.state_side(),
        });
        return Some(Ok(Intent::Flat { side, reason }));
    }
    if let (Some(state), Some((turn, _))) = (signs.closing_flag(), told.turn) {
        return Some(Err(two(&state.heard, turn.shown())));
    }
    let plain = told.ending.is_none_or(|(_, c)| c.reason.is_none() && c.side.is_none() && c.change.is_none());
    if !plain || told.turn.is_some() {
        return None;
    }
    if let Some(state) = signs.closing_flag() {
        return by_flag(signs, told, state, reason);
    }
    let against = direction.filter(|_| told.ending.is_none())?;
    let (state, side) = signs.sided().find(|(_, side)| *side != against.side())?;
    if signs.state_side().is_none() {
        return Some(Err(two(&state.heard, opened_by(told))));
    }
    if let Some(intent) = labelled_exit(signs, against) {
        return Some(Ok(intent));
    }
    Some(match (against, state.says) {
        (Direction::Order(_), StateSays::Held(_)) => {
            Ok(Intent::Partial { side: Some(side), reason, change: PositionChange::Reduced })
        }
        (Direction::Order(_), _) => Ok(Intent::Flat { side: Some(side), reason }),
        (Direction::Side(_) | Direction::Enter(_), _) => Err(two(&state.heard, opened_by(told))),
    })
}

/// An order that can only close.
fn by_flag<'s>(signs: &'s Signs, told: &Told<'s>, state: &'s State, reason: Option<ExitSignal>) -> Option<Answer<'s>> {
    let StateSays::Closes(of_flag) = state.says else { return None };
    let named = of_flag.or_else(|| signs.state_side());
    let flat = |side| Some(Ok(Intent::Flat { side, reason }));
    if signs.in_part {
        let side = named.or(told.direction.and_then(|(_, direction)| match direction {
            Direction::Order(side) => Some(side.opposite()),
            Direction::Side(_) | Direction::Enter(_) => None,
        }));
        return Some(Ok(Intent::Partial { side, reason, change: PositionChange::Reduced }));
    }
    let direction = told.direction.map(|(_, direction)| direction);
    if let Some(intent) = direction.and_then(|direction| labelled_exit(signs, direction)) {
        return Some(Ok(intent));
    }
    match direction {
        Some(Direction::Order(side)) => flat(named.or(Some(side.opposite()))),
        Some(Direction::Side(side)) if told.ending.is_some() => flat(named.or(Some(side))),
        Some(Direction::Side(_)) if named.is_some() => flat(named),
        Some(Direction::Side(_) | Direction::Enter(_)) => Some(Err(two(&state.heard, opened_by(told)))),
        None if told.enters.is_some() => Some(Err(two(&state.heard, opened_by(told)))),
        None => flat(named),
    }
}

/// What a label tells of an order that closes: `TP1` of one that can only reduce.
fn labelled_exit(signs: &Signs, direction: Direction) -> Option<Intent> {
    let order = matches!(direction, Direction::Order(_));
    by_labels(signs, direction)?.intent.filter(|intent| order && intent.opens().is_none())
}

/// Step 3.
fn by_words<'s>(signs: &'s Signs, told: &Told<'s>) -> Answer<'s> {
    if let Some(unknown) = told.unknown_above {
        return Err(Unread::Unknown(unknown));
    }
    if let Some((heard, opens)) = told.turn {
        return turned(told, heard, opens);
    }
    if let Some((heard, closing)) = told.ending {
        return ended(signs, told, heard, closing);
    }
    if let Some(vague) = told.vague {
        return Err(match told.direction {
            Some(_) => two(vague, opened_by(told)),
            None => Unread::Vague(vague),
        });
    }
    let Some((heard, direction)) = told.direction else {
        return Err(told.unknown.or(told.enters).map_or(Unread::Missing, Unread::Unknown));
    };
    if let Some(other) = opposed(signs, direction) {
        return Err(Unread::TwoReadings { one: heard.shown(), other: other.shown() });
    }
    match by_labels(signs, direction) {
        None => Ok(Intent::Entry { side: direction.side() }),
        Some(Label { intent: Some(intent), .. }) => Ok(intent),
        Some(Label { heard: label, intent: None }) => Err(two(label, opened_by(told))),
    }
}

/// Another word that gives the opposite direction.
fn opposed(signs: &Signs, direction: Direction) -> Option<&Heard> {
    signs.words.iter().filter(|heard| heard.role != Role::Reason).find(|heard| match heard.saying {
        Saying::Order(side) | Saying::Side(side) | Saying::Enter(Some(side)) => side != direction.side(),
        _ => false,
    })
}

fn turned<'s>(told: &Told<'s>, heard: &'s Heard, opens: Option<Side>) -> Answer<'s> {
    let beside = told.direction.map(|(_, direction)| direction.side());
    match (opens, beside) {
        (Some(opens), Some(beside)) if opens != beside => Err(two(heard, opened_by(told))),
        (None, None) => Err(Unread::NoSide(heard)),
        (Some(opens), _) | (None, Some(opens)) => Ok(Intent::Turn { closes: opens.opposite(), reason: None, opens }),
    }
}

fn ended<'s>(signs: &Signs, told: &Told<'s>, heard: &'s Heard, closing: Closing) -> Answer<'s> {
    if told.enters.is_some() {
        return Err(two(heard, opened_by(told)));
    }
    let side = closing.side.or(told.named()).or_else(|| signs.state_side());
    let part = signs.in_part.then_some(PositionChange::Reduced).filter(|_| closing.reason.is_none());
    if let Some(change) = closing.change.or(part) {
        return Ok(Intent::Partial { side, reason: closing.reason, change });
    }
    match (closing.reason, side, told.direction) {
        // Which trade ended is found by the level that was reached.
        (Some(reason), _, _) => Ok(Intent::Exit { reason, side, target: closing.target }),
        (None, None, Some((_, Direction::Order(_)))) => Err(two(heard, opened_by(told))),
        (None, side, _) => Ok(Intent::Flat { side, reason: None }),
    }
}

fn two(closes: &Heard, opens: String) -> Unread<'static> {
    Unread::TwoReadings { one: closes.shown(), other: opens }
}

fn opened_by(told: &Told<'_>) -> String {
    let heard = told.direction.map(|(heard, _)| heard).or(told.enters);
    heard.map(Heard::shown).unwrap_or_default()
}

const fn name(side: Side) -> &'static str {
    match side {
        Side::Buy => "long",
        Side::Sell => "short",
    }
}
