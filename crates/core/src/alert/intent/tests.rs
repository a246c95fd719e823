//! The table of orders and positions, row by row.

use super::*;

/// An order in one line: `signal now prev sizes`, `-` for what is not told; sizes are `+`, `-` or `=`.
fn order(line: &str) -> OrderSigns {
    let words: Vec<&str> = line.split_whitespace().collect();
    OrderSigns {
        signal: Signal::from_exact(words[0]),
        now: StrategyPosition::from_word(words[1]),
        prev: StrategyPosition::from_word(words[2]),
        growth: match words.get(3) {
            Some(&"+") => Some(Ordering::Greater),
            Some(&"-") => Some(Ordering::Less),
            Some(&"=") => Some(Ordering::Equal),
            _ => None,
        },
        remark: None,
    }
}

#[test]
fn an_order_and_the_positions_around_it() {
    use ExitSignal::{SlHit, TpHit};
    use Side::{Buy, Sell};
    use UnclearOrder::{Contradiction, NoPosition, NoSignal};
    let entry = |side| Ok(Intent::Entry { side });
    let exit = |reason| Ok(Intent::exit(reason));
    let flat = |side, reason| Ok(Intent::Flat { side, reason });
    let turn = |closes: Side| Ok(Intent::Turn { closes, reason: None, opens: closes.opposite() });
    let partial = |side, reason| Ok(Intent::Partial { side: Some(side), reason, change: PositionChange::Reduced });
    let table: &[(&str, Result<Intent, UnclearOrder>)] = &[
        // No positions.
        ("BUY - -", entry(Buy)),
        ("SELL - -", entry(Sell)),
        ("TP_HIT - -", exit(TpHit)),
        ("SL_HIT - -", exit(SlHit)),
        ("- - -", Err(NoSignal)),
        // Only the previous position.
        ("BUY - flat", entry(Buy)),
        ("BUY - long", entry(Buy)),
        ("SELL - long", Err(NoPosition)),
        ("BUY - short", Err(NoPosition)),
        ("TP_HIT - long", exit(TpHit)),
        ("- - long", Err(NoSignal)),
        // Flat after the order.
        ("SELL flat long", flat(Some(Buy), None)),
        ("BUY flat short", flat(Some(Sell), None)),
        ("- flat long", flat(Some(Buy), None)),
        ("TP_HIT flat long", flat(Some(Buy), Some(TpHit))),
        ("SL_HIT flat short", flat(Some(Sell), Some(SlHit))),
        ("SELL flat -", flat(Some(Buy), None)),
        ("BUY flat -", flat(Some(Sell), None)),
        ("- flat -", flat(None, None)),
        ("TP_HIT flat -", flat(None, Some(TpHit))),
        ("BUY flat long", Err(Contradiction)),
        ("SELL flat short", Err(Contradiction)),
        ("SELL flat flat", Err(Contradiction)),
        ("- flat flat", Err(Contradiction)),
        // Out of flat.
        ("BUY long flat", entry(Buy)),
        ("SELL short flat +", entry(Sell)),
        ("- long flat", entry(Buy)),
        ("- short flat", entry(Sell)),
        ("SELL long flat", Err(Contradiction)),
        ("BUY short flat", Err(Contradiction)),
        ("TP_HIT long flat", Err(Contradiction)),
        // Turned round.
        ("BUY long short", turn(Sell)),
        ("SELL short long", turn(Buy)),
        ("SELL short long -", turn(Buy)),
        ("- short long", turn(Buy)),
        ("SELL long short", Err(Contradiction)),
        ("BUY short long", Err(Contradiction)),
        ("TP_HIT long short", Err(Contradiction)),
        // The same position.
        ("BUY long long", entry(Buy)),
        ("BUY long long +", entry(Buy)),
        ("BUY long long =", entry(Buy)),
        ("BUY long long -", Err(Contradiction)),
        ("SELL short short", entry(Sell)),
        ("SELL long long", partial(Buy, None)),
        ("SELL long long -", partial(Buy, None)),
        ("SELL long long =", partial(Buy, None)),
        ("SELL long long +", Err(Contradiction)),
        ("BUY short short", partial(Sell, None)),
        ("TP_HIT long long", partial(Buy, Some(TpHit))),
        ("SL_HIT short short -", partial(Sell, Some(SlHit))),
        ("TP_HIT long long +", Err(Contradiction)),
        ("- long long +", entry(Buy)),
        ("- long long -", partial(Buy, None)),
        ("- long long =", Err(NoSignal)),
        ("- long long", Err(NoSignal)),
        // The previous position not told.
        ("BUY long -", entry(Buy)),
        ("SELL short -", entry(Sell)),
        ("SELL long -", partial(Buy, None)),
        ("BUY short -", partial(Sell, None)),
        ("TP_HIT long -", partial(Buy, Some(TpHit))),
        ("- long -", Err(NoSignal)),
        ("- long - +", entry(Buy)),
        ("- long - -", partial(Buy, None)),
    ];
    for (line, expected) in table {
        assert_eq!(resolve(&order(line)), *expected, "{line}");
    }
}

#[test]
fn every_combination_keeps_the_orders_direction() {
    for signal in ["BUY", "SELL", "TP_HIT", "SL_HIT", "-"] {
        for now in ["long", "short", "flat", "-"] {
            for prev in ["long", "short", "flat", "-"] {
                for sizes in ["+", "-", "=", ""] {
                    let line = format!("{signal} {now} {prev} {sizes}");
                    let order = order(&line);
                    let Ok(intent) = resolve(&order) else { continue };
                    match (intent.opens(), order.signal.and_then(Signal::entry_side)) {
                        (Some(opened), Some(direction)) => assert_eq!(opened, direction, "{line}"),
                        (Some(_), None) => assert_eq!(order.signal, None, "{line}: an exit opens nothing"),
                        (None, _) => {}
                    }
                    match intent {
                        Intent::Flat { .. } => assert_eq!(order.now, Some(StrategyPosition::Flat), "{line}"),
                        Intent::Partial { side, .. } => {
                            assert_eq!(order.now, side.map(StrategyPosition::Held), "{line}")
                        }
                        Intent::Turn { closes, opens, .. } => assert_eq!(closes, opens.opposite(), "{line}"),
                        Intent::Entry { .. } | Intent::Exit { .. } => {}
                    }
                }
            }
        }
    }
}

#[test]
fn remarks_say_how_a_position_ended_only_where_they_are_plain() {
    let table = [
        ("TP", Some(ExitSignal::TpHit)),
        ("Long TP1", Some(ExitSignal::TpHit)),
        ("tp_2 hit", Some(ExitSignal::TpHit)),
        ("ExitLongTP", Some(ExitSignal::TpHit)),
        ("Take Profit", Some(ExitSignal::TpHit)),
        ("takeProfit", Some(ExitSignal::TpHit)),
        ("SL", Some(ExitSignal::SlHit)),
        ("short-sl", Some(ExitSignal::SlHit)),
        ("Stop Loss", Some(ExitSignal::SlHit)),
        ("stoploss", Some(ExitSignal::SlHit)),
        ("Stopped out", Some(ExitSignal::SlHit)),
        ("TP/SL", None),
        ("Trailing Stop Loss", None),
        ("Close entry(s) order Long", None),
        ("Long", None),
        ("slow exit", None),
        ("http", None),
        ("", None),
    ];
    for (text, expected) in table {
        assert_eq!(remark(text), expected, "{text}");
    }
}

#[test]
fn an_intent_comes_back_from_its_document() {
    let intents = [
        Intent::Entry { side: Side::Buy },
        Intent::exit(ExitSignal::SlHit),
        Intent::Exit { reason: ExitSignal::TpHit, side: Some(Side::Buy), target: Some(2) },
        Intent::Exit { reason: ExitSignal::TpHit, side: None, target: Some(1) },
        Intent::Exit { reason: ExitSignal::SlHit, side: Some(Side::Sell), target: None },
        Intent::Flat { side: None, reason: None },
        Intent::Flat { side: Some(Side::Sell), reason: Some(ExitSignal::TpHit) },
        Intent::Turn { closes: Side::Buy, reason: None, opens: Side::Sell },
        Intent::Partial { side: Some(Side::Buy), reason: Some(ExitSignal::SlHit), change: PositionChange::Reduced },
        Intent::Partial { side: None, reason: None, change: PositionChange::Breakeven },
        Intent::Partial { side: None, reason: None, change: PositionChange::StopMoved },
    ];
    for intent in intents {
        let document = intent.to_document();
        assert_eq!(Intent::from_document(intent.signal(), document.as_ref()).unwrap(), intent);
    }
    let flat = Intent::Flat { side: Some(Side::Buy), reason: None };
    assert_eq!(flat.to_document(), Some(bson::doc! {"kind": "flat", "side": "BUY"}));
    assert_eq!(flat.signal(), Signal::TpHit, "in the seed's words an exit, never an entry");
    let stored_before = bson::doc! {"kind": "partial", "side": "SELL", "reason": "TP_HIT"};
    assert_eq!(
        Intent::from_document(Signal::TpHit, Some(&stored_before)).unwrap(),
        Intent::Partial { side: Some(Side::Sell), reason: Some(ExitSignal::TpHit), change: PositionChange::Reduced }
    );
    assert_eq!(Intent::exit(ExitSignal::TpHit).to_document(), None, "the signal says it all");
    assert!(Intent::from_document(Signal::Buy, Some(&bson::doc! {"kind": "?"})).is_err());
}
