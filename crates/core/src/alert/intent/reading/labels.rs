//! An order's id and comment: where they say that a trade ends.

use rust_decimal::Decimal;

use super::super::phrase::{ClosingPhrase, PhraseMeaning};
use super::super::signs::{IntentSigns, SpokenField};
use super::super::{ExitSignal, Intent, PositionChange};
use super::word_summary::StatedDirection;
use crate::market::Side;
use crate::money::Price;

/// What a label makes of an order that would open a trade; no intent where it contradicts it.
pub(super) struct LabelVerdict<'s> {
    pub(super) heard: &'s SpokenField,
    pub(super) intent: Option<Intent>,
}

/// Step 4.
pub(super) fn by_labels(signs: &IntentSigns, direction: StatedDirection) -> Option<LabelVerdict<'_>> {
    let readings =
        signs.labels.iter().filter_map(|heard| by_label(heard, direction, signs.price).map(|told| (heard, told)));
    let mut found: Option<LabelVerdict<'_>> = None;
    for (heard, intent) in readings {
        // One that tells the reason is better than one that does not.
        let better = match (&found, intent) {
            (None, _) => true,
            // What closes goes before a turn.
            (Some(LabelVerdict { intent: Some(before), .. }), Some(intent)) if before.opens() != intent.opens() => {
                intent.opens().is_none()
            }
            (Some(LabelVerdict { intent: Some(before), .. }), Some(intent)) => {
                before.reason().is_none() && intent.reason().is_some()
            }
            (Some(LabelVerdict { intent: None, .. }), Some(_)) | (Some(_), None) => false,
        };
        if better {
            found = Some(LabelVerdict { heard, intent });
        }
    }
    found
}

/// None where the label does not speak; `Some(None)` where it says that a trade ends which this order cannot end.
fn by_label(heard: &SpokenField, direction: StatedDirection, price: Option<Price>) -> Option<Option<Intent>> {
    let order = match direction {
        StatedDirection::Order(order) => order,
        StatedDirection::Side(side) | StatedDirection::Enter(side) => {
            return by_label_beside_side(heard.saying, side, direction);
        }
    };
    match heard.saying {
        PhraseMeaning::Closing(closing) => read_closed(closing, order, price),
        PhraseMeaning::Turn { opens, .. } => Some(turned_to(opens, order)),
        PhraseMeaning::Unclear(_) => Some(None),
        _ => None,
    }
}

fn read_closed(closing: ClosingPhrase, order: Side, price: Option<Price>) -> Option<Option<Intent>> {
    let held = order.opposite();
    if closing.side.is_some_and(|side| side != held) {
        // `buy` and `Long TP 2%`: a description. `buy` and `Exit Long`: neither.
        return closing.firm.then_some(None);
    }
    if let Some(level) = closing.priced.filter(|_| !closing.firm) {
        match PricedLabel::of(level, closing.reason, order, price) {
            PricedLabel::Reached => {}
            PricedLabel::Doubtful => return Some(None),
            PricedLabel::Planned => return None,
        }
    }
    Some(Some(match (closing.change, closing.reason) {
        (Some(PositionChange::Reduced), reason) => {
            Intent::Partial { side: Some(held), reason, change: PositionChange::Reduced }
        }
        // An order was filled: the stop that had been moved.
        (Some(PositionChange::Breakeven | PositionChange::StopMoved), _) | (None, None) => {
            Intent::Flat { side: Some(held), reason: None }
        }
        (None, Some(reason)) => Intent::Exit { reason, side: Some(held), target: closing.target },
    }))
}

/// `Reverse` beside an order: its direction is the new side. What is open on the other one ends with it, which an entry
/// would leave open.
fn turned_to(opens: Option<Side>, order: Side) -> Option<Intent> {
    let agrees = opens.is_none_or(|opens| opens == order);
    agrees.then(|| Intent::Turn { closes: order.opposite(), reason: None, opens: order })
}

/// What a level with its price is, beside an order at another one: `TP @ 110`.
enum PricedLabel {
    /// The order was filled there.
    Reached,
    /// It is where the trade is to end that the order opens.
    Planned,
    Doubtful,
}

impl PricedLabel {
    /// A level on the wrong side for what the order would open has been reached, and so has one at its price. What lies
    /// far off on the right side is planned; but stops are filled far behind their level, too.
    fn of(level: Decimal, reason: Option<ExitSignal>, order: Side, price: Option<Price>) -> Self {
        const REACHED_PERCENT_MAX: Decimal = Decimal::ONE;
        const PLANNED_PERCENT_MIN: Decimal = Decimal::from_parts(5, 0, 0, false, 0);
        let Some(price) = price.map(Price::get).filter(|price| price.is_sign_positive() && !price.is_zero()) else {
            return Self::Doubtful;
        };
        let percent = (level - price).abs().checked_mul(Decimal::ONE_HUNDRED).and_then(|d| d.checked_div(price));
        let Some(percent) = percent else { return Self::Doubtful };
        let above = reason == Some(ExitSignal::TpHit);
        let fits_an_entry = if (order == Side::Buy) == above { level > price } else { level < price };
        if !fits_an_entry || percent <= REACHED_PERCENT_MAX {
            Self::Reached
        } else if above && percent > PLANNED_PERCENT_MIN {
            Self::Planned
        } else {
            Self::Doubtful
        }
    }
}

/// `long` may be the order's direction or the trade's side: a label beside it counts only where both lead to one exit.
fn by_label_beside_side(saying: PhraseMeaning, side: Side, direction: StatedDirection) -> Option<Option<Intent>> {
    let named = matches!(direction, StatedDirection::Side(_));
    match saying {
        PhraseMeaning::Closing(closing) if closing.firm && named => Some(match (closing.reason, closing.side) {
            (Some(reason), named) => Some(Intent::Exit { reason, side: named, target: closing.target }),
            (None, Some(named)) => match closing.change {
                Some(change) => Some(Intent::Partial { side: Some(named), reason: None, change }),
                None => Some(Intent::Flat { side: Some(named), reason: None }),
            },
            (None, None) => None,
        }),
        // A word of opening beside it describes the levels of what it opens.
        PhraseMeaning::Closing(closing) if !named && !closing.firm && closing.side == Some(side) => None,
        PhraseMeaning::Closing(_) | PhraseMeaning::Unclear(_) => Some(None),
        PhraseMeaning::Turn { opens, .. } => Some(turned_to(opens, side)),
        _ => None,
    }
}
