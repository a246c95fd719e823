//! An order's id and comment: where they say that a trade ends.

use super::super::phrase::Saying;
use super::super::signs::{Heard, Signs};
use super::super::{Intent, PositionChange};
use super::told::Direction;
use crate::market::Side;

/// What a label makes of an order that would open a trade; no intent where it contradicts it.
pub(super) struct Label<'s> {
    pub(super) heard: &'s Heard,
    pub(super) intent: Option<Intent>,
}

/// Step 4.
pub(super) fn by_labels(signs: &Signs, direction: Direction) -> Option<Label<'_>> {
    let readings = signs.labels.iter().filter_map(|heard| by_label(heard, direction).map(|told| (heard, told)));
    let mut found: Option<Label<'_>> = None;
    for (heard, intent) in readings {
        // One that tells the reason is better than one that does not.
        let better = match (&found, intent) {
            (None, _) => true,
            (Some(Label { intent: Some(before), .. }), Some(intent)) => {
                before.reason().is_none() && intent.reason().is_some()
            }
            (Some(Label { intent: None, .. }), Some(_)) | (Some(_), None) => false,
        };
        if better {
            found = Some(Label { heard, intent });
        }
    }
    found
}

/// None where the label does not speak; `Some(None)` where it says that a trade ends which this order cannot end.
fn by_label(heard: &Heard, direction: Direction) -> Option<Option<Intent>> {
    let order = match direction {
        Direction::Order(order) => order,
        Direction::Side(side) | Direction::Enter(side) => return by_label_beside_side(heard.saying, side, direction),
    };
    match heard.saying {
        Saying::Closing(closing) => {
            let held = order.opposite();
            if closing.side.is_some_and(|side| side != held) {
                // `buy` and `Long TP 2%`: a description. `buy` and `Exit Long`: neither.
                return closing.firm.then_some(None);
            }
            if closing.priced && !closing.firm {
                return Some(None);
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
        Saying::Turn { opens: Some(opens), both_told: true } if opens == order => {
            Some(Some(Intent::Turn { closes: opens.opposite(), reason: None, opens }))
        }
        Saying::Unclear(_) => Some(None),
        _ => None,
    }
}

/// `long` may be the order's direction or the trade's side: a label beside it counts only where both lead to one exit.
fn by_label_beside_side(saying: Saying, side: Side, direction: Direction) -> Option<Option<Intent>> {
    let named = matches!(direction, Direction::Side(_));
    match saying {
        Saying::Closing(closing) if closing.firm && named => Some(match (closing.reason, closing.side) {
            (Some(reason), named) => Some(Intent::Exit { reason, side: named, target: closing.target }),
            (None, Some(named)) => match closing.change {
                Some(change) => Some(Intent::Partial { side: Some(named), reason: None, change }),
                None => Some(Intent::Flat { side: Some(named), reason: None }),
            },
            (None, None) => None,
        }),
        // A word of opening beside it describes the levels of what it opens.
        Saying::Closing(closing) if !named && !closing.firm && closing.side == Some(side) => None,
        Saying::Closing(_) | Saying::Unclear(_) => Some(None),
        _ => None,
    }
}
