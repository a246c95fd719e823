//! What a message's words say, taken together.

use super::super::ExitSignal;
use super::super::phrase::{ClosingPhrase, PhraseMeaning};
use super::super::signs::{FieldRole, IntentSigns, SpokenField};
use super::UnreadIntent;
use crate::market::{Side, Signal};

/// What the words say, together.
pub(super) struct WordSummary<'s> {
    /// All that ends something, as one; with the first that said it.
    pub(super) ending: Option<(&'s SpokenField, ClosingPhrase)>,
    pub(super) turn: Option<(&'s SpokenField, Option<Side>)>,
    /// The first that gives a direction.
    pub(super) direction: Option<(&'s SpokenField, StatedDirection)>,
    /// The first `long` or `short`.
    pub(super) side: Option<(&'s SpokenField, Side)>,
    /// An opening word, with or without a side.
    pub(super) enters: Option<&'s SpokenField>,
    pub(super) vague: Option<&'s SpokenField>,
    pub(super) idle: Option<&'s SpokenField>,
    /// A word that is not known, above all that speak.
    pub(super) unknown_above: Option<&'s SpokenField>,
    /// The first unknown action's word at all.
    pub(super) unknown: Option<&'s SpokenField>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatedDirection {
    Order(Side),
    Side(Side),
    Enter(Side),
}

impl StatedDirection {
    pub(super) const fn side(self) -> Side {
        match self {
            Self::Order(side) | Self::Side(side) | Self::Enter(side) => side,
        }
    }
}

impl<'s> WordSummary<'s> {
    pub(super) fn new(signs: &'s IntentSigns) -> Self {
        let mut told = Self {
            ending: None,
            turn: None,
            direction: None,
            side: None,
            enters: None,
            vague: None,
            idle: None,
            unknown_above: None,
            unknown: None,
        };
        let mut endings = Vec::new();
        for heard in &signs.words {
            let weak = heard.role == FieldRole::Reason;
            match heard.saying {
                PhraseMeaning::Closing(closing) => endings.push((heard, closing)),
                PhraseMeaning::Turn { opens, .. } => _ = told.turn.get_or_insert((heard, opens)),
                PhraseMeaning::Unclear(_) => _ = told.vague.get_or_insert(heard),
                // A reason of any words opens nothing, and keeps nothing from being opened.
                _ if weak => {}
                PhraseMeaning::Order(side) => told.directs(heard, StatedDirection::Order(side)),
                PhraseMeaning::Side(side) => {
                    told.side.get_or_insert((heard, side));
                    told.directs(heard, StatedDirection::Side(side));
                }
                PhraseMeaning::Enter(side) => {
                    told.enters = told.enters.or(Some(heard));
                    if let Some(side) = side {
                        told.directs(heard, StatedDirection::Enter(side));
                    }
                }
                PhraseMeaning::Idle => _ = told.idle.get_or_insert(heard),
                PhraseMeaning::Unknown => _ = told.unknown.get_or_insert(heard),
                PhraseMeaning::Nothing => {}
            }
        }
        told.ending = merge_endings(&endings);
        told.unknown_above = told.unknown_above(signs);
        told
    }

    fn directs(&mut self, heard: &'s SpokenField, direction: StatedDirection) {
        self.direction.get_or_insert((heard, direction));
    }

    /// The side that `long` or `short` names.
    pub(super) fn named_side(&self) -> Option<Side> {
        self.side.map(|(_, side)| side)
    }

    pub(super) fn decides(&self) -> Option<&'s SpokenField> {
        let ends = self.ending.map(|(heard, _)| heard);
        let turns = || self.turn.map(|(heard, _)| heard);
        ends.or_else(turns).or_else(|| self.direction.map(|(heard, _)| heard))
    }

    /// The unknown word that stands above the one that decides. Below it, and where it decides itself, none counts;
    /// neither does one among the kinds where an action decides.
    fn unknown_above(&self, signs: &'s IntentSigns) -> Option<&'s SpokenField> {
        let decides = self.decides();
        let above = signs.words.iter().take_while(|heard| decides.is_none_or(|decides| !std::ptr::eq(*heard, decides)));
        let kinds_count = self.ending.is_none() && decides.is_none_or(|decides| decides.role == FieldRole::Kind);
        let counts =
            |heard: &&SpokenField| heard.role == FieldRole::Action || kinds_count && heard.role == FieldRole::Kind;
        above.filter(|heard| heard.saying == PhraseMeaning::Unknown).find(counts)
    }

    /// The word to keep a refused alert under.
    pub(super) fn signal(&self, unread: &UnreadIntent<'_>) -> Option<Signal> {
        let reason = self.ending.and_then(|(_, closing)| closing.reason);
        let direction = self.direction.map(|(_, direction)| direction.side().into());
        match unread {
            UnreadIntent::TwoReadings { .. } | UnreadIntent::Vague(_) | UnreadIntent::NoSide(_) => {
                Some(reason.map_or(Signal::TpHit, Signal::from))
            }
            UnreadIntent::Missing | UnreadIntent::Unknown(_) | UnreadIntent::Idle(_) | UnreadIntent::Positions(..) => {
                reason.map(Signal::from).or(direction)
            }
        }
    }
}

/// Several words of closing as one: what one leaves open another may tell.
fn merge_endings<'s>(endings: &[(&'s SpokenField, ClosingPhrase)]) -> Option<(&'s SpokenField, ClosingPhrase)> {
    let (first, _) = endings.first()?;
    let all = || endings.iter().map(|(_, closing)| closing);
    let reason = all()
        .find_map(|closing| closing.reason)
        .filter(|reason| all().all(|closing| closing.reason.is_none_or(|other| other == *reason)));
    let side = all().find_map(|closing| closing.side);
    let side = side.filter(|side| all().all(|closing| closing.side.is_none_or(|other| other == *side)));
    let merged = ClosingPhrase {
        side,
        reason,
        target: all().find_map(|closing| closing.target).filter(|_| reason == Some(ExitSignal::TpHit)),
        change: all().find_map(|closing| closing.change),
        firm: all().any(|closing| closing.firm),
        priced: None,
    };
    Some((first, merged))
}
