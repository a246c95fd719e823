use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::alert::intent::ExitSignal::{SlHit, TpHit};
use crate::alert::intent::PositionChange::Reduced;
use crate::market::Side::{Buy, Sell};
use crate::trade::fixtures::{amount, price, trade};
use crate::trade::request::TradeRef;

const SETTINGS: TradeRules = TradeRules {
    limit: 3,
    replace_on_same_signal: true,
    allow_opposite_signals: true,
    auto_close: true,
    tolerance: Amount::ZERO,
};

fn settings() -> TradeRules {
    TradeRules { tolerance: amount("0.05"), ..SETTINGS }
}

fn ask(intent: Intent, at: &str) -> TradeRequest {
    TradeRequest {
        intent,
        price: price(at),
        take_profit: None,
        stop_loss: None,
        targets: Vec::new(),
        quantity: None,
        trade_ref: None,
    }
}

fn named(intent: Intent, at: &str, name: &str) -> TradeRequest {
    TradeRequest { trade_ref: Some(TradeRef { name: name.to_owned(), explicit: false }), ..ask(intent, at) }
}

/// As `trade_id`.
fn meant(intent: Intent, at: &str, name: &str) -> TradeRequest {
    TradeRequest { trade_ref: Some(TradeRef { name: name.to_owned(), explicit: true }), ..ask(intent, at) }
}

/// A step in short: `end 1 TP_HIT`, `open`, `replace 1`, `LimitReached`, `tell LevelReached 1 2`, `left 3`, `unmatched`.
fn told(open: &[Trade], ask: &TradeRequest, settings: &TradeRules) -> String {
    let step = step(open, ask, settings).unwrap();
    let mut words: Vec<String> = Vec::new();
    for ending in &step.ends {
        let inferred = match ending.inference {
            None => String::new(),
            Some(ExitInference::BySign) => "?".to_owned(),
            Some(ExitInference::AtALoss) => "!".to_owned(),
            Some(ExitInference::AtLevel) => format!(" at {}", ending.price),
        };
        let far = if ending.far_off { " far off" } else { "" };
        words.push(format!("end {} {}{inferred}{far}", ending.trade.trade_number.0, ending.reason));
    }
    words.extend(step.left_open.iter().map(|trade| format!("left {}", trade.trade_number.0)));
    if let Some(notice) = &step.notice {
        let numbers: Vec<String> = notice.trades.iter().map(|trade| trade.trade_number.0.to_string()).collect();
        let news = match notice.news {
            HolderNews::LevelReached => "LevelReached".to_owned(),
            HolderNews::TargetReached { number } => format!("target {number}"),
            HolderNews::PartialExit(change) => change.to_string(),
        };
        words.push(format!("tell {news} {}", numbers.join(" ")));
    }
    match step.entry {
        Some(TradeAdmission::Open) => words.push("open".to_owned()),
        Some(TradeAdmission::Replace(ending)) => words.push(format!("replace {}", ending.trade.trade_number.0)),
        Some(TradeAdmission::Refused(refusal)) => words.push(format!("{refusal:?}")),
        None => {}
    }
    if step.unmatched {
        words.push("unmatched".to_owned());
    }
    words.join(", ")
}

#[test]
fn an_entry_opens_replaces_or_is_refused() {
    let buy = || ask(Intent::Entry { side: Buy }, "100");
    let (b, s) = (|n| trade(n, Buy, "90"), |n| trade(n, Sell, "90"));
    let lone = TradeRules { limit: 1, ..settings() };
    let no_replacing = TradeRules { replace_on_same_signal: false, ..settings() };
    let one_way = TradeRules { allow_opposite_signals: false, ..settings() };
    let table: Vec<(&str, Vec<Trade>, TradeRules, &str)> = vec![
        ("nothing open", vec![], settings(), "open"),
        ("below the limit", vec![b(1), s(2)], settings(), "open"),
        ("at the limit the oldest of the side goes", vec![s(1), b(2), b(3)], settings(), "replace 2"),
        ("whatever the order they come in", vec![b(3), s(1), b(2)], settings(), "replace 2"),
        ("above the limit, which was lowered", vec![b(1), b(2), b(3)], lone, "replace 1"),
        ("at the limit, none of the side", vec![s(1), s(2), s(3)], settings(), "LimitReached"),
        ("at the limit, no replacing", vec![b(1), b(2), b(3)], no_replacing, "LimitReached"),
        ("below the limit, no replacing", vec![b(1), b(2)], no_replacing, "open"),
        ("the other side is open", vec![s(1)], one_way, "OppositeOpen"),
        ("the other side stands before the limit", vec![s(1), b(2), b(3)], one_way, "OppositeOpen"),
        ("only the same side is open", vec![b(1)], one_way, "open"),
        ("who never heard of a trade is not blocked by it", vec![s(1).unreached()], one_way, "open"),
        ("nor does it count", vec![b(1).unreached(), b(2), b(3)], settings(), "open"),
        ("nor is it replaced", vec![b(1).unreached(), b(2), b(3), b(4)], settings(), "replace 2"),
        ("a limit of nothing is a limit of one", vec![], TradeRules { limit: 0, ..settings() }, "open"),
    ];
    for (name, open, settings, want) in table {
        assert_eq!(told(&open, &buy(), &settings), want, "{name}");
    }
}

#[test]
fn an_exit_finds_its_trades() {
    let tp = |at| ask(Intent::exit(TpHit), at);
    let sl = |at| ask(Intent::exit(SlHit), at);
    let named_tp = |at, name| named(Intent::exit(TpHit), at, name);
    let b = |n| trade(n, Buy, "100");
    let s = |n| trade(n, Sell, "100");
    let table: Vec<(&str, Vec<Trade>, TradeRequest, &str)> = vec![
        ("nothing open", vec![], tp("110"), ""),
        (
            "by name, though another's level is reached",
            vec![b(1).tp("105"), b(2).named("L")],
            named_tp("110", "L"),
            "end 2 TP_HIT",
        ),
        (
            "one name twice: the reached one",
            vec![b(1).named("L").tp("120"), b(2).named("L").tp("110"), b(3).tp("110")],
            named_tp("110", "L"),
            "end 2 TP_HIT",
        ),
        (
            "one name twice, neither level near: the oldest",
            vec![b(1).named("L").tp("200"), b(2).named("L").tp("300"), b(3)],
            named_tp("110", "L"),
            "end 1 TP_HIT",
        ),
        (
            "an unknown name counts for nothing",
            vec![b(1).tp("105").named("K"), b(2).tp("120")],
            named_tp("110", "L"),
            "end 1 TP_HIT",
        ),
        (
            "every reached level",
            vec![b(1).tp("105"), b(2).tp("120"), b(3).tp("110")],
            tp("110"),
            "end 1 TP_HIT, end 3 TP_HIT",
        ),
        ("a sell's tp is reached from above", vec![s(1).tp("90"), s(2).tp("80")], tp("90"), "end 1 TP_HIT"),
        ("a buy's sl is reached from above", vec![b(1).sl("95"), b(2).sl("85")], sl("90"), "end 1 SL_HIT"),
        ("a sell's sl is reached from below", vec![s(1).sl("105"), s(2).sl("120")], sl("110"), "end 1 SL_HIT"),
        ("a tp says nothing of the sl", vec![b(1).sl("120").tp("200"), b(2).tp("110")], tp("110"), "end 2 TP_HIT"),
        (
            "the nearest within the tolerance",
            vec![b(1).tp("120"), b(2).tp("112"), b(3).tp("111")],
            tp("110"),
            "end 3 TP_HIT",
        ),
        ("nearest by its share of the level", vec![b(1).tp("104.9"), s(2).tp("95.2")], tp("100"), "end 1 TP_HIT"),
        ("of equals the oldest", vec![b(2).tp("112"), b(1).tp("112")], tp("110"), "end 1 TP_HIT"),
        (
            "the edge of the tolerance is within",
            vec![trade(1, Buy, "90").tp("100"), b(2).tp("300")],
            tp("95"),
            "end 1 TP_HIT",
        ),
        ("none near: the only one", vec![b(1).tp("200")], tp("110"), "end 1 TP_HIT"),
        (
            "none near: the oldest without the level",
            vec![b(1).tp("200"), b(2).sl("90"), b(3)],
            tp("110"),
            "end 2 TP_HIT",
        ),
        ("none near, all with levels", vec![b(1).tp("200"), b(2).tp("300")], tp("110"), "unmatched"),
        (
            "the only known one, beside one that never arrived",
            vec![b(1).unreached(), b(2)],
            tp("110"),
            "end 2 TP_HIT, end 1 TP_HIT",
        ),
        (
            "what never arrived is matched by itself",
            vec![b(1).unreached().tp("105"), b(2).tp("200"), b(3).tp("300")],
            tp("110"),
            "end 1 TP_HIT, unmatched",
        ),
        ("a level of nought is never near", vec![b(1).sl("0"), b(2).sl("1")], sl("5"), "unmatched"),
    ];
    for (name, open, ask, want) in table {
        assert_eq!(told(&open, &ask, &settings()), want, "{name}");
    }
}

#[test]
fn a_target_ends_the_trades_that_have_none_behind_it_and_is_told_of_the_others() {
    let b = |n, targets: &[&str]| trade(n, Buy, "100").tp("110").targets(targets);
    let s = |n, targets: &[&str]| trade(n, Sell, "100").tp("90").targets(targets);
    let tpn = |n, at| ask(Intent::Exit { reason: TpHit, side: None, target: Some(n) }, at);
    let of = |side, n, at| ask(Intent::Exit { reason: TpHit, side: Some(side), target: Some(n) }, at);
    let table: Vec<(&str, Vec<Trade>, TradeRequest, &str)> = vec![
        ("the first of three", vec![b(1, &["120", "130"])], tpn(1, "110"), "tell target 1 1"),
        ("the second of three", vec![b(1, &["120", "130"])], tpn(2, "120"), "tell target 2 1"),
        ("the last", vec![b(1, &["120", "130"])], tpn(3, "130"), "end 1 TP_HIT"),
        ("beyond the last", vec![b(1, &["120"])], tpn(4, "130"), "end 1 TP_HIT"),
        ("no others are known", vec![b(1, &[])], tpn(1, "110"), "end 1 TP_HIT"),
        ("no level is known", vec![trade(1, Buy, "100")], tpn(1, "110"), "end 1 TP_HIT"),
        ("each trade by itself", vec![b(1, &["120"]), b(2, &[])], tpn(1, "110"), "end 2 TP_HIT, tell target 1 1"),
        ("by the level of that target", vec![b(1, &["120"]), b(2, &["125", "135"])], tpn(2, "121"), "end 1 TP_HIT"),
        ("reached from above", vec![s(1, &["80"]), s(2, &["70"])], tpn(2, "79"), "end 1 TP_HIT"),
        ("of one side", vec![b(1, &["120"]), s(2, &["80"])], of(Sell, 1, "90"), "tell target 1 2"),
        ("of a side that nobody holds", vec![b(1, &["120"])], of(Sell, 1, "90"), "unmatched"),
        ("without a price told all the same", vec![b(1, &["120"])], tpn(1, "0"), "tell target 1 1"),
        ("without a price at that target's level", vec![b(1, &["120"])], tpn(2, "0"), "end 1 TP_HIT at 120"),
        (
            "what nobody heard of is not told of, and stays",
            vec![b(1, &["120"]).unreached(), b(2, &["120"])],
            tpn(1, "110"),
            "tell target 1 2",
        ),
        ("and not missed", vec![b(1, &["120"]).unreached()], tpn(1, "110"), ""),
        ("a plain take profit ends it all", vec![b(1, &["120"])], ask(Intent::exit(TpHit), "110"), "end 1 TP_HIT"),
    ];
    for (name, open, ask, want) in table {
        assert_eq!(told(&open, &ask, &settings()), want, "{name}");
    }
    let told_only = TradeRules { auto_close: false, ..settings() };
    assert_eq!(told(&[b(1, &["120"])], &tpn(1, "110"), &told_only), "tell target 1 1");
    assert_eq!(told(&[b(1, &["120"])], &tpn(2, "120"), &told_only), "tell LevelReached 1", "the last");
}

#[test]
fn an_exit_of_one_side_leaves_the_other() {
    let open = [trade(1, Buy, "100").tp("110"), trade(2, Sell, "120").tp("115")];
    let of = |side| ask(Intent::Exit { reason: TpHit, side: Some(side), target: None }, "112");
    assert_eq!(told(&open, &of(Sell), &settings()), "end 2 TP_HIT");
    assert_eq!(told(&open, &of(Buy), &settings()), "end 1 TP_HIT");
    assert_eq!(told(&open[..1], &of(Sell), &settings()), "unmatched");
}

#[test]
fn a_trade_id_that_names_nothing_is_not_guessed_at() {
    let b = |n| trade(n, Buy, "100");
    let tp = Intent::exit(TpHit);
    let table: Vec<(&str, Vec<Trade>, TradeRequest, &str)> = vec![
        ("its trade", vec![b(1).named("A"), b(2)], meant(tp, "110", "A"), "end 1 TP_HIT"),
        ("several, no level", vec![b(1).named("A"), b(2)], meant(tp, "110", "B"), "unmatched"),
        ("several, a level near but not reached", vec![b(1).tp("111"), b(2)], meant(tp, "110", "B"), "unmatched"),
        ("a level that was reached", vec![b(1).tp("110"), b(2)], meant(tp, "110", "B"), "end 1 TP_HIT"),
        ("only one is left", vec![b(1).named("A")], meant(tp, "110", "B"), "end 1 TP_HIT"),
        ("without a price", vec![b(1).tp("110"), b(2).tp("120")], meant(tp, "0", "B"), "unmatched"),
        ("an order's id may be the exit's own", vec![b(1).named("A"), b(2)], named(tp, "110", "B"), "end 1 TP_HIT"),
    ];
    for (name, open, ask, want) in table {
        assert_eq!(told(&open, &ask, &settings()), want, "{name}");
    }
}

#[test]
fn an_exit_without_a_price_ends_each_trade_at_its_own_level() {
    let b = |n| trade(n, Buy, "100");
    let s = |n| trade(n, Sell, "100");
    let exit = |reason, at| ask(Intent::exit(reason), at);
    let flat = |side, reason| ask(Intent::Flat { side, reason }, "0");
    let turn = ask(Intent::Turn { closes: Buy, reason: Some(SlHit), opens: Sell }, "0");
    let table: Vec<(&str, Vec<Trade>, TradeRequest, &str)> = vec![
        (
            "each at its own",
            vec![b(1).tp("105").sl("95"), s(2).tp("80").sl("105")],
            exit(TpHit, "0"),
            "end 1 TP_HIT at 105, end 2 TP_HIT at 80",
        ),
        ("below zero is no price either", vec![b(1).sl("95")], exit(SlHit, "-5"), "end 1 SL_HIT at 95"),
        (
            "without that level it stays",
            vec![b(1).tp("105"), b(2).sl("90")],
            exit(TpHit, "0"),
            "end 1 TP_HIT at 105, left 2",
        ),
        ("also the only one", vec![b(1).sl("95")], exit(TpHit, "0"), "left 1"),
        ("a level of nought is none", vec![b(1).tp("0")], exit(TpHit, "0"), "left 1"),
        (
            "only those of its name",
            vec![b(1).tp("105"), b(2).tp("110").named("L"), b(3).named("L")],
            named(Intent::exit(TpHit), "0", "L"),
            "end 2 TP_HIT at 110, left 3",
        ),
        (
            "what nobody heard of is not missed",
            vec![b(1).tp("105").unreached(), b(2).unreached(), b(3).tp("110")],
            exit(TpHit, "0"),
            "end 3 TP_HIT at 110, end 1 TP_HIT at 105",
        ),
        ("a stop above the entry was moved", vec![b(1).sl("101")], exit(SlHit, "0"), "end 1 SL_HIT at 101"),
        ("a target on the wrong side is a loss", vec![b(1).tp("90")], exit(TpHit, "0"), "end 1 SL_HIT!"),
        (
            "an ended position",
            vec![b(1).sl("95"), b(2), s(3).sl("105")],
            flat(Some(Buy), Some(SlHit)),
            "end 1 SL_HIT at 95, left 2",
        ),
        ("an ended position that says nothing", vec![b(1).tp("105").sl("95")], flat(None, None), "left 1"),
        ("the old side of a turn", vec![b(1).sl("95")], turn, "end 1 SL_HIT at 95, open"),
        ("nothing open", vec![], exit(TpHit, "0"), ""),
    ];
    for (name, open, ask, want) in table {
        assert_eq!(told(&open, &ask, &settings()), want, "{name}");
    }
    let told_only = TradeRules { auto_close: false, ..settings() };
    let open = [b(1).tp("105"), b(2)];
    assert_eq!(
        told(&open, &exit(TpHit, "0"), &told_only),
        "tell LevelReached 1 2",
        "nothing to close, nothing left open"
    );
}

#[test]
fn a_take_profit_at_a_loss_is_a_stop_loss_and_a_stop_in_profit_stays_one() {
    let b = |n| trade(n, Buy, "100");
    let s = |n| trade(n, Sell, "100");
    let wide = TradeRules { tolerance: amount("1"), ..settings() };
    let exit = |reason, at| ask(Intent::exit(reason), at);
    let flat = |reason, at| ask(Intent::Flat { side: None, reason }, at);
    let table: Vec<(&str, Vec<Trade>, TradeRequest, &str)> = vec![
        ("a sell that ends above", vec![s(1).tp("90")], exit(TpHit, "104"), "end 1 SL_HIT!"),
        ("a buy that ends below", vec![b(1).tp("110")], exit(TpHit, "96"), "end 1 SL_HIT!"),
        ("each trade by itself", vec![b(1), s(2)], flat(Some(TpHit), "104"), "end 1 TP_HIT, end 2 SL_HIT!"),
        ("nothing gained is no loss", vec![b(1)], exit(TpHit, "100"), "end 1 TP_HIT"),
        ("a trailing stop", vec![b(1).sl("103")], exit(SlHit, "103"), "end 1 SL_HIT"),
        ("a stop of a position in profit", vec![s(1)], flat(Some(SlHit), "96"), "end 1 SL_HIT"),
    ];
    for (name, open, ask, want) in table {
        assert_eq!(told(&open, &ask, &wide), want, "{name}");
    }
}

#[test]
fn a_price_far_from_all_that_a_trade_knows_of_is_looked_at() {
    let b = || trade(1, Buy, "100");
    let s = || trade(1, Sell, "2470");
    let exit = |reason, at| ask(Intent::exit(reason), at);
    let tight = TradeRules { tolerance: amount("0.01"), ..settings() };
    let none = TradeRules { tolerance: Amount::ZERO, ..settings() };
    let table: Vec<(&str, Trade, TradeRequest, TradeRules, &str)> = vec![
        ("a slipped digit", s().tp("2400").sl("2500"), exit(TpHit, "9999"), settings(), "end 1 SL_HIT! far off"),
        ("and back", b().tp("110").sl("95"), exit(SlHit, "9.5"), settings(), "end 1 SL_HIT far off"),
        ("ten tolerances are allowed", b().tp("110").sl("95"), exit(TpHit, "165"), settings(), "end 1 TP_HIT"),
        ("and not more", b().tp("110").sl("95"), exit(TpHit, "165.01"), settings(), "end 1 TP_HIT far off"),
        ("by the configuration's tolerance", b().tp("110").sl("95"), exit(TpHit, "122"), tight, "end 1 TP_HIT far off"),
        ("between the levels nothing is far", b().tp("1000").sl("1"), exit(SlHit, "2"), tight, "end 1 SL_HIT"),
        ("one level is enough", b().tp("110"), exit(TpHit, "166"), settings(), "end 1 TP_HIT far off"),
        ("back at the entry nothing is far", b().tp("900"), exit(SlHit, "99"), settings(), "end 1 SL_HIT"),
        ("without a level half of the entry", b(), exit(TpHit, "150"), settings(), "end 1 TP_HIT"),
        ("and not more", b(), exit(TpHit, "151"), settings(), "end 1 TP_HIT far off"),
        ("either way", b(), exit(SlHit, "49"), settings(), "end 1 SL_HIT far off"),
        ("no tolerance says nothing of how far", b().tp("110"), exit(TpHit, "111"), none, "end 1 TP_HIT"),
        ("an own level is never far", b().tp("900"), exit(TpHit, "0"), settings(), "end 1 TP_HIT at 900"),
    ];
    for (name, trade, ask, settings, want) in table {
        assert_eq!(told(&[trade], &ask, &settings), want, "{name}");
    }
    let far_off = |at| close_by_hand(&b(), price(at), amount("0.05")).unwrap().far_off;
    assert!(far_off("1000") && !far_off("120"), "an operator's slip is one too");
}

#[test]
fn an_ended_position_ends_its_trades_whatever_their_levels() {
    let b = |n, entry| trade(n, Buy, entry).tp("500");
    let s = |n, entry| trade(n, Sell, entry).tp("1");
    let flat = |side, reason| ask(Intent::Flat { side, reason }, "100");
    let table: Vec<(&str, Vec<Trade>, TradeRequest, &str)> = vec![
        (
            "the stated reason",
            vec![b(1, "90"), b(2, "110")],
            flat(Some(Buy), Some(SlHit)),
            "end 1 SL_HIT, end 2 SL_HIT",
        ),
        (
            "the sign of each trade's result",
            vec![b(1, "90"), b(2, "110")],
            flat(Some(Buy), None),
            "end 1 TP_HIT?, end 2 SL_HIT?",
        ),
        (
            "a sell's sign is the other",
            vec![s(1, "90"), s(2, "110")],
            flat(Some(Sell), None),
            "end 1 SL_HIT?, end 2 TP_HIT?",
        ),
        ("nothing gained is no profit", vec![b(1, "100")], flat(Some(Buy), None), "end 1 SL_HIT?"),
        ("the other side stays", vec![b(1, "90"), s(2, "90")], flat(Some(Sell), Some(SlHit)), "end 2 SL_HIT"),
        (
            "both sides where none is told",
            vec![b(1, "90"), s(2, "90")],
            flat(None, Some(SlHit)),
            "end 1 SL_HIT, end 2 SL_HIT",
        ),
        ("none of that side", vec![b(1, "90")], flat(Some(Sell), None), "unmatched"),
        ("nothing open", vec![], flat(Some(Sell), None), ""),
        ("what never arrived ends too", vec![b(1, "90").unreached()], flat(Some(Buy), None), "end 1 TP_HIT?"),
    ];
    for (name, open, ask, want) in table {
        assert_eq!(told(&open, &ask, &settings()), want, "{name}");
    }
}

#[test]
fn a_turn_closes_one_side_and_opens_the_other() {
    let turn = |reason| ask(Intent::Turn { closes: Buy, reason, opens: Sell }, "100");
    let b = |n| trade(n, Buy, "90");
    let s = |n| trade(n, Sell, "90");
    let one_way = TradeRules { allow_opposite_signals: false, ..settings() };
    let table: Vec<(&str, Vec<Trade>, TradeRules, &str)> = vec![
        ("closes and opens", vec![b(1), b(2)], settings(), "end 1 TP_HIT?, end 2 TP_HIT?, open"),
        ("what it closes is no opposite any more", vec![b(1)], one_way, "end 1 TP_HIT?, open"),
        ("what it closes leaves room", vec![b(1), b(2), s(3)], settings(), "end 1 TP_HIT?, end 2 TP_HIT?, open"),
        ("the new side is full", vec![s(1), s(2), s(3)], settings(), "replace 1"),
        ("nothing to close", vec![], settings(), "open"),
        (
            "only told: the old side stays in the way",
            vec![b(1)],
            TradeRules { auto_close: false, ..one_way },
            "tell LevelReached 1, OppositeOpen",
        ),
        (
            "only told: both stand",
            vec![b(1)],
            TradeRules { auto_close: false, ..settings() },
            "tell LevelReached 1, open",
        ),
    ];
    for (name, open, settings, want) in table {
        assert_eq!(told(&open, &turn(None), &settings), want, "{name}");
    }
    assert_eq!(told(&[b(1)], &turn(Some(SlHit)), &settings()), "end 1 SL_HIT, open", "the stated reason");
}

#[test]
fn a_notice_changes_nothing() {
    let told_only = TradeRules { auto_close: false, ..settings() };
    let open = [
        trade(1, Buy, "90").tp("100"),
        trade(2, Sell, "90"),
        trade(3, Buy, "90").tp("100"),
        trade(4, Buy, "90").tp("100").unreached(),
    ];
    let exit = |reason| ask(Intent::exit(reason), "100");
    let flat = |side| ask(Intent::Flat { side, reason: None }, "100");
    let part = |side| ask(Intent::Partial { side: Some(side), reason: None, change: Reduced }, "100");
    assert_eq!(told(&open, &exit(TpHit), &told_only), "tell LevelReached 1 3");
    assert_eq!(told(&open, &flat(Some(Sell)), &told_only), "tell LevelReached 2");
    assert_eq!(told(&open, &part(Buy), &told_only), "tell reduced 1 3");
    assert_eq!(told(&open, &part(Buy), &settings()), "tell reduced 1 3");
    assert_eq!(told(&open[..1], &part(Sell), &settings()), "unmatched");
    assert_eq!(told(&open[3..], &part(Buy), &settings()), "");
}

#[test]
fn what_has_ended_never_changes_again() {
    for status in [TradeStatus::Closed, TradeStatus::Replaced] {
        let ended = Trade { status, ..trade(1, Buy, "90") };
        let error = NotOpen { trade: ended.id, status };
        let open = [trade(2, Buy, "90"), ended];
        for intent in [
            Intent::Entry { side: Buy },
            Intent::exit(TpHit),
            Intent::Flat { side: None, reason: None },
            Intent::Turn { closes: Buy, reason: None, opens: Sell },
            Intent::Partial { side: Some(Sell), reason: None, change: Reduced },
        ] {
            assert_eq!(step(&open, &ask(intent, "100"), &settings()), Err(error), "{status} {intent:?}");
        }
        assert_eq!(close_by_hand(&open[1], price("100"), Amount::ZERO), Err(error));
    }
}

#[test]
fn an_ending_is_written_and_told_alike() {
    let open = Trade {
        timestamps: crate::trade::document::TradeTimes { opened_at: Time::from_millis(7), ..Default::default() },
        ..trade(4, Sell, "80").units("2.5")
    };
    let ending = close_by_hand(&open, price("60"), Amount::ZERO).unwrap();
    let (at, alert) = (Time::from_millis(9), AlertId::MIN);
    let end = ending.commit(at, None, None);
    assert_eq!((end.status, end.reason, end.inferred), (TradeStatus::Closed, ExitReason::Manual, false));
    assert_eq!((end.pnl_amount, end.pnl_percentage, end.exit_price), (amount("50"), amount("25"), price("60")));
    assert_eq!((end.at, end.replaced_by, end.replacement_reason), (at, None, None));
    let told = ending.ended_trade();
    assert_eq!((told.number.0, told.side, told.entry_price), (4, Sell, price("80")));
    assert_eq!((told.opened_at, told.pnl_amount, told.currency.as_str()), (Time::from_millis(7), amount("50"), "USD"));

    let full = TradeRules { limit: 1, ..settings() };
    let again = ask(Intent::Entry { side: Sell }, "100");
    let open = [open];
    let step = step(&open, &again, &full).unwrap();
    let Some(TradeAdmission::Replace(replaced)) = step.entry else { panic!("{step:?}") };
    let end = replaced.commit(at, Some(alert), Some(TradeId::MIN));
    assert_eq!((end.status, end.reason), (TradeStatus::Replaced, ExitReason::Replaced));
    assert_eq!((end.exit_price, end.pnl_amount, end.replaced_by), (price("100"), amount("-50"), Some(TradeId::MIN)));
    assert_eq!(end.replacement_reason.as_deref(), Some(REPLACEMENT_REASON));
}

fn any_side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Buy), Just(Sell)]
}

fn any_intent() -> impl Strategy<Value = Intent> {
    let reason = || proptest::option::of(prop_oneof![Just(TpHit), Just(SlHit)]);
    prop_oneof![
        4 => any_side().prop_map(|side| Intent::Entry { side }),
        2 => (proptest::option::of(any_side()), reason()).prop_map(|(side, reason)| Intent::Exit {
            reason: reason.unwrap_or(TpHit),
            side,
            target: None,
        }),
        1 => (proptest::option::of(any_side()), reason()).prop_map(|(side, reason)| Intent::Flat { side, reason }),
        1 => (any_side(), reason())
            .prop_map(|(closes, reason)| Intent::Turn { closes, reason, opens: closes.opposite() }),
        1 => (proptest::option::of(any_side()), reason())
            .prop_map(|(side, reason)| Intent::Partial { side, reason, change: Reduced }),
    ]
}

fn any_settings() -> impl Strategy<Value = TradeRules> {
    (1_usize..=3, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(limit, replace, opposite, auto)| TradeRules {
        limit,
        replace_on_same_signal: replace,
        allow_opposite_signals: opposite,
        auto_close: auto,
        ..settings()
    })
}

fn any_trade(number: u32) -> impl Strategy<Value = Trade> {
    let level = || proptest::option::of(1_u32..300);
    (any_side(), 1_u32..300, level(), level(), any::<bool>()).prop_map(move |(side, entry, tp, sl, unreached)| {
        let mut trade = trade(number, side, &entry.to_string());
        trade.trade_data.take_profit_price = tp.map(|level| price(&level.to_string()));
        trade.trade_data.stop_loss_price = sl.map(|level| price(&level.to_string()));
        trade.alertcast.unreached = unreached;
        trade.alertcast.targets = (1..number).map(|n| price(&(300 + n).to_string())).collect();
        trade
    })
}

proptest! {
    #[test]
    fn open_trades_never_rise_above_the_limit(
        open in (any_trade(1), any_trade(2), any_trade(3), any_trade(4)).prop_map(|(a, b, c, d)| [a, b, c, d]),
        count in 0_usize..=4, intent in any_intent(), at in 0_u32..300, settings in any_settings(),
    ) {
        let open = &open[..count];
        let known = |trade: &Trade| !trade.alertcast.unreached;
        let before = open.iter().filter(|trade| known(trade)).count();
        let ask = ask(intent, &at.to_string());
        let step = step(open, &ask, &settings).unwrap();

        let mut ended: Vec<TradeId> = step.ends.iter().map(|ending| ending.trade.id).collect();
        let mut left = before - step.ends.iter().filter(|ending| known(ending.trade)).count();
        match step.entry {
            Some(TradeAdmission::Open) => left += 1,
            Some(TradeAdmission::Replace(ending)) => {
                prop_assert!(known(ending.trade));
                ended.push(ending.trade.id);
            }
            Some(TradeAdmission::Refused(_)) | None => {}
        }
        prop_assert!(left <= before.max(settings.limit));
        let distinct: BTreeSet<TradeId> = ended.iter().copied().collect();
        prop_assert_eq!(distinct.len(), ended.len(), "a trade ends once");
        prop_assert_eq!(step.entry.is_some(), intent.opens().is_some());
        let at_target = matches!(step.notice, Some(HolderNotice { news: HolderNews::TargetReached { .. }, .. }));
        prop_assert!(step.notice.is_none() || step.ends.is_empty() || at_target);
        let told: BTreeSet<TradeId> = step.notice.iter().flat_map(|n| &n.trades).map(|trade| trade.id).collect();
        prop_assert!(told.is_disjoint(&distinct), "what is told of stays as it is");
        let left: BTreeSet<TradeId> = step.left_open.iter().map(|trade| trade.id).collect();
        prop_assert!(left.is_empty() || at == 0, "only what has no price stays open");
        prop_assert!(left.is_disjoint(&distinct));
        for ending in &step.ends {
            let loss = ending.result.is_loss();
            prop_assert!(!(ending.reason == ExitReason::TpHit && loss), "a take profit is no loss");
            prop_assert!(ending.price.is_positive());
        }
        if !settings.auto_close || matches!(intent, Intent::Entry { .. } | Intent::Partial { .. }) {
            prop_assert!(step.ends.is_empty());
        }
    }
}
