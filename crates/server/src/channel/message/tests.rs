//! Every message as a phone shows it, and as it is sent.

use alertcast_core::alert::intent::{ExitSignal, Intent, PositionChange};
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::delivery::{AlsoEnded, Channel, EndedTrade, ExitInference, MessageKind, TargetTrade};
use alertcast_core::fixtures;
use alertcast_core::market::{ExitReason, Side, Signal};
use alertcast_core::money::{Amount, Price};
use bson::doc;
use jiff::tz::TimeZone;

use super::*;

/// What a message is made of, with sensible parts to change.
struct Scene {
    delivery: Delivery,
    alert: Option<Alert>,
    config: AlertConfiguration,
    entry: Option<(Delivery, Alert)>,
    zone: TimeZone,
    /// Seconds from the alert's receipt to now.
    late: i64,
}

impl Scene {
    fn of(facts: MessageFacts) -> Self {
        let mut alert = bitcoin(7, Signal::Buy, "64250.5");
        alert.alert_data.take_profit_price = Some(price("66000"));
        alert.alert_data.stop_loss_price = Some(price("63400"));
        Self {
            delivery: Delivery { facts, ..fixtures::entry(Channel::Telegram, 7, 1, 1) },
            alert: Some(alert),
            config: fixtures::config(1),
            entry: None,
            zone: TimeZone::get("Asia/Kolkata").unwrap(),
            late: 2,
        }
    }

    fn exit(closed: EndedTrade) -> Self {
        let (signal, exit_price) = match closed.reason {
            ExitReason::SlHit => (Signal::SlHit, closed.exit_price),
            _ => (Signal::TpHit, closed.exit_price),
        };
        let mut alert = bitcoin(12_007, signal, "0");
        alert.alert_data.price = exit_price;
        Self { alert: Some(alert), ..Self::of(MessageFacts::Exit { closed }) }
    }

    fn about(mut self, facts: MessageFacts) -> Self {
        self.delivery.facts = facts;
        self
    }

    fn alert(&mut self) -> &mut Alert {
        self.alert.as_mut().unwrap()
    }

    fn render(&self) -> RenderedMessage {
        let received_at = self.alert.as_ref().map_or(self.delivery.queued_at, |alert| alert.webhook.received_at);
        let context = MessageContext {
            delivery: &self.delivery,
            alert: self.alert.as_ref(),
            config: Some(&self.config),
            entry: self.entry.as_ref().map(|(delivery, alert)| ToldEntry { delivery, alert }),
            zone: &self.zone,
            now: Time::from_millis(received_at.millis() + self.late * 1_000),
        };
        render(&context).unwrap()
    }

    /// As a phone shows it, then as it is sent.
    fn shown(&self) -> String {
        let message = self.render().message;
        let parsed = telegram_sim::html::parse(&message.html).unwrap();
        assert_eq!(parsed.plain, message.plain, "the plain form is what the other one shows");
        format!("{}\n\n════ as sent ════\n{}", message.plain, message.html)
    }
}

/// An alert of BTCUSDT on the hour, received `n` seconds after the beginning.
fn bitcoin(n: u32, signal: Signal, at_price: &str) -> Alert {
    let mut alert = fixtures::alert(n, 1);
    let data = &mut alert.alert_data;
    (data.symbol, data.strategy, data.signal) = ("BTCUSDT".to_owned(), "EMA Cross <fast & slow>".to_owned(), signal);
    (data.price, data.take_profit_price, data.stop_loss_price) = (price(at_price), None, None);
    alert
}

fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

fn ended(side: Side, from: &str, to: &str, reason: ExitReason) -> EndedTrade {
    let gain = price(to).get() - price(from).get();
    let gain = if side == Side::Buy { gain } else { -gain };
    let percentage = gain / price(from).get() * rust_decimal::Decimal::ONE_HUNDRED;
    EndedTrade {
        number: Count(7),
        side,
        entry_price: price(from),
        exit_price: price(to),
        reason,
        inferred: false,
        inference: None,
        opened_at: fixtures::at(7),
        pnl_amount: Amount::new(gain).unwrap(),
        pnl_percentage: Amount::new(percentage).unwrap(),
        currency: "USD".to_owned(),
        decimals: None,
        note: None,
    }
}

const ENTRY: MessageFacts = MessageFacts::Entry { number: Count(7) };

#[test]
fn an_entry() {
    insta::assert_snapshot!(Scene::of(ENTRY).shown());
}

#[test]
fn a_short_entry_with_further_targets() {
    let mut scene = Scene::of(ENTRY);
    let data = &mut scene.alert().alert_data;
    (data.signal, data.price) = (Signal::Sell, price("0.00001234"));
    (data.take_profit_price, data.stop_loss_price) = (Some(price("0.00001200")), Some(price("0.00001251")));
    data.additional_data = Some(doc! { "tp3": "0.0000114", "TP_2": 0.000_011_8, "tp1": 1, "note": "tp4", "tp4": "no" });
    insta::assert_snapshot!(scene.shown());
}

#[test]
fn levels_are_rounded_as_the_trade_keeps_it_and_the_edit_agrees() {
    let mut entry = Scene::of(ENTRY);
    entry.delivery.decimals = Some(Count(5));
    let data = &mut entry.alert().alert_data;
    (data.price, data.take_profit_price) = (price("1.08452"), Some(price("1.09345123456789")));
    data.stop_loss_price = Some(price("1.07712345678901"));
    let shown = entry.shown();
    let opening: Vec<String> =
        entry.render().message.plain.lines().filter(|line| line.contains("  1.0")).map(str::to_owned).collect();
    let closed =
        EndedTrade { decimals: Some(Count(5)), ..ended(Side::Buy, "1.08452", "1.09345123456789", ExitReason::TpHit) };
    let exit = Scene::exit(closed.clone()).render().message.plain;
    let edit = with_result(entry, closed).render().message.plain;
    assert!(opening.iter().all(|line| edit.contains(line.as_str())), "{opening:?} {edit}");
    insta::assert_snapshot!([shown, exit, edit].join("\n════\n"));
}

#[test]
fn each_currency_in_its_own_way() {
    let mut rupees = Scene::of(ENTRY);
    rupees.config.alertcast.currency = Some("INR".to_owned());
    let data = &mut rupees.alert().alert_data;
    (data.price, data.take_profit_price, data.stop_loss_price) =
        (price("1234567.5"), Some(price("1300000")), Some(price("1200000")));
    let of = |currency: &str, amount: &str, closed: EndedTrade| EndedTrade {
        currency: currency.to_owned(),
        pnl_amount: Amount::parse(amount).unwrap(),
        ..closed
    };
    let trade = || ended(Side::Buy, "150.125", "151.5", ExitReason::TpHit);
    let kept = || EndedTrade { decimals: Some(Count(3)), ..trade() };
    let ends = [
        of("JPY", "1375", trade()),
        of("JPY", "1375.4", trade()),
        of("KWD", "13.7555", trade()),
        of("INR", "1234567.891", trade()),
        of("JPY", "1.375", kept()),
        of("USDT", "0.00012345", trade()),
    ];
    let line = |closed| Scene::exit(closed).render().message.plain.lines().nth(4).unwrap().to_owned();
    let all: Vec<String> = std::iter::once(rupees.render().message.plain).chain(ends.map(line)).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn quantity_and_comment_are_shown_where_the_message_has_them() {
    let say = |scene: &mut Scene, comment: &str| {
        let ours = &mut scene.alert().alertcast;
        (ours.quantity, ours.comment) = (Some(Amount::parse("1250.5").unwrap()), Some(comment.to_owned()));
    };
    let mut entry = Scene::of(ENTRY);
    say(&mut entry, "Breakout <above> the range & volume");
    let mut exit = Scene::exit(ended(Side::Buy, "64250.5", "66000", ExitReason::TpHit));
    say(&mut exit, &"half of it ".repeat(40));
    insta::assert_snapshot!([entry.shown(), exit.shown()].join("\n════\n"));
}

#[test]
fn a_close_by_hand_says_the_same_in_exit_and_edit() {
    let note = Some("news <ahead>: the weekend".to_owned());
    let closed = EndedTrade { note, ..ended(Side::Buy, "64250.5", "64000", ExitReason::Manual) };
    let mut scene = Scene::exit(closed.clone());
    scene.alert = None;
    let edit = with_result(Scene::of(ENTRY), closed).render().message.plain;
    insta::assert_snapshot!([scene.shown(), edit.lines().last().unwrap().to_owned()].join("\n════\n"));
}

#[test]
fn an_entry_without_levels() {
    let mut scene = Scene::of(ENTRY);
    let data = &mut scene.alert().alert_data;
    (data.take_profit_price, data.stop_loss_price) = (None, None);
    insta::assert_snapshot!(scene.shown());
}

#[test]
fn a_late_entry_that_may_be_a_repeat() {
    let mut scene = Scene::of(ENTRY);
    scene.late = 7 * 60 + 20;
    scene.delivery.possible_repeat = true;
    insta::assert_snapshot!(scene.shown());
}

#[test]
fn a_replacement() {
    let replaced = EndedTrade { number: Count(5), ..ended(Side::Buy, "60000", "64250.5", ExitReason::Replaced) };
    let mut scene = Scene::of(MessageFacts::Replacement { number: Count(8), replaced });
    scene.alert().webhook.received_at = fixtures::at(187_207);
    insta::assert_snapshot!(scene.shown());
}

#[test]
fn a_replacement_whose_entry_is_too_old() {
    let replaced = EndedTrade { number: Count(5), ..ended(Side::Buy, "65000", "64250.5", ExitReason::Replaced) };
    let mut scene = Scene::of(MessageFacts::Replacement { number: Count(8), replaced });
    scene.delivery.entry_deadline_at = Some(fixtures::at(7 + 3_600));
    assert!(!scene.render().entry_lapsed);
    scene.late = 2 * 3_600;
    assert!(scene.render().entry_lapsed);
    insta::assert_snapshot!(scene.shown());
}

#[test]
fn an_exit_by_take_profit() {
    insta::assert_snapshot!(Scene::exit(ended(Side::Buy, "64250.5", "66000", ExitReason::TpHit)).shown());
}

#[test]
fn an_exit_by_stop_loss_of_a_short_trade() {
    insta::assert_snapshot!(Scene::exit(ended(Side::Sell, "1.0842", "1.0871", ExitReason::SlHit)).shown());
}

#[test]
fn an_exit_that_the_provider_did_not_name() {
    let inferred = EndedTrade { inferred: true, ..ended(Side::Buy, "64250.5", "64250.5", ExitReason::SlHit) };
    insta::assert_snapshot!(Scene::exit(inferred).shown());
}

#[test]
fn an_exit_by_hand_with_a_quantity() {
    let by_hand = EndedTrade {
        pnl_amount: Amount::parse("-1234567.5").unwrap(),
        ..ended(Side::Buy, "64250.5", "64000", ExitReason::Manual)
    };
    let mut scene = Scene::exit(by_hand);
    scene.alert = None;
    scene.delivery.queued_at = fixtures::at(3_600);
    insta::assert_snapshot!(scene.shown());
}

#[test]
fn an_exit_together_with_its_entry() {
    let mut scene = Scene::exit(ended(Side::Buy, "64250.5", "66000", ExitReason::TpHit));
    let entry = Scene::of(ENTRY);
    scene.entry = Some((entry.delivery, entry.alert.unwrap()));
    insta::assert_snapshot!(scene.shown());
}

#[test]
fn an_exit_together_with_its_replacement_that_may_be_a_repeat() {
    let replaced = EndedTrade { number: Count(5), ..ended(Side::Buy, "65000", "64250.5", ExitReason::Replaced) };
    let mut entry = Scene::of(MessageFacts::Replacement { number: Count(7), replaced: replaced.clone() });
    entry.delivery.possible_repeat = true;
    let mut scene = Scene::exit(ended(Side::Buy, "64250.5", "63400", ExitReason::SlHit));
    scene.delivery.also_ended =
        vec![AlsoEnded { closed: replaced, at: entry.alert().webhook.received_at, possible_repeat: false }];
    scene.entry = Some((entry.delivery, entry.alert.unwrap()));
    insta::assert_snapshot!(scene.shown());
}

/// Trade 5 was replaced by trade 7, which nobody was told of, and that by trade 8.
fn replaced_twice() -> Scene {
    let of =
        |number| EndedTrade { number: Count(number), ..ended(Side::Buy, "60000", "64250.5", ExitReason::Replaced) };
    let mut scene = Scene::of(MessageFacts::Replacement { number: Count(8), replaced: of(7) });
    scene.delivery.old_unknown = true;
    scene.delivery.also_ended = vec![AlsoEnded { closed: of(5), at: fixtures::at(187_207), possible_repeat: false }];
    scene
}

#[test]
fn a_replacement_says_nothing_of_a_trade_that_its_reader_never_heard_of() {
    let told = replaced_twice().shown();
    assert!(told.contains("· trade #8\n") && !told.contains("#7"), "{told}");
    assert!(told.contains("🔄 Trade #5 had ended\n60,000 → 64,250.5"), "{told}");
    let mut unknown = replaced_twice();
    unknown.delivery.also_ended.clear();
    assert!(!unknown.shown().contains("Trade #"), "{}", unknown.shown());
}

#[test]
fn an_end_whose_first_message_may_have_arrived_is_marked_in_the_message_that_took_it_over() {
    let mark = "May be a repeat";
    let mut scene = replaced_twice();
    assert!(!scene.shown().contains(mark));
    scene.delivery.also_ended[0].possible_repeat = true;
    assert!(scene.shown().contains(mark), "{}", scene.shown());
}

#[test]
fn a_replacement_that_is_over_tells_of_the_old_trades_alone() {
    let mut scene = replaced_twice();
    scene.delivery.entry_over = true;
    let told = scene.shown();
    assert!(told.contains("TRADE REPLACED") && told.contains("BUY trade #5"), "{told}");
    assert!(told.contains("(trade #8) is over already: leave it out") && !told.contains("#7"), "{told}");
}

/// The edit of an entry's message, made hours after it.
fn with_result(mut entry: Scene, closed: EndedTrade) -> Scene {
    let sent_at = entry.alert().webhook.received_at.millis() + entry.late * 1_000;
    entry.delivery.ended_at = Some(Time::from_millis(sent_at));
    let told = (entry.delivery, entry.alert.unwrap());
    Scene { entry: Some(told), late: 5 * 3_600, ..Scene::exit(closed.clone()) }.about(MessageFacts::Result { closed })
}

#[test]
fn an_entry_with_its_result() {
    let mut scene = with_result(Scene::of(ENTRY), ended(Side::Buy, "64250.5", "66000", ExitReason::TpHit));
    scene.delivery.possible_repeat = true;
    let text = scene.shown();
    assert!(!text.contains("repeat") && !text.contains(" old"), "the entry's marks, not the edit's: {text}");
    insta::assert_snapshot!(text);
}

#[test]
fn an_entrys_marks_survive_its_edit() {
    let replaced = EndedTrade { number: Count(5), ..ended(Side::Buy, "60000", "64250.5", ExitReason::Replaced) };
    for facts in [ENTRY, MessageFacts::Replacement { number: Count(8), replaced }] {
        let mut entry = Scene { late: 12 * 60, ..Scene::of(facts) };
        entry.delivery.possible_repeat = true;
        let marks = |text: &str| {
            let is_mark = |line: &&str| line.contains("old") || line.contains("repeat");
            text.lines().filter(is_mark).map(str::to_owned).collect::<Vec<_>>()
        };
        let sent = marks(&entry.render().message.plain);
        assert_eq!(sent.len(), 2, "{sent:?}");
        let edited = with_result(entry, ended(Side::Buy, "64250.5", "66000", ExitReason::TpHit));
        assert_eq!(marks(&edited.render().message.plain), sent);
    }
}

#[test]
fn a_replacement_with_its_result() {
    let replaced = EndedTrade { number: Count(5), ..ended(Side::Buy, "60000", "64250.5", ExitReason::Replaced) };
    let mut entry = Scene::of(MessageFacts::Replacement { number: Count(8), replaced });
    entry.alert().webhook.received_at = fixtures::at(187_207);
    insta::assert_snapshot!(with_result(entry, ended(Side::Buy, "64250.5", "63400", ExitReason::SlHit)).shown());
}

#[test]
fn every_result_in_one_line() {
    let stopped_in_profit = ended(Side::Sell, "1.0842", "1.0800", ExitReason::SlHit);
    let ends = [
        ended(Side::Buy, "64250.5", "66000", ExitReason::TpHit),
        ended(Side::Buy, "64250.5", "63250.5", ExitReason::SlHit),
        stopped_in_profit,
        EndedTrade { inferred: true, ..ended(Side::Buy, "64250.5", "64250.5", ExitReason::SlHit) },
        ended(Side::Sell, "0.00001234", "0.00001300", ExitReason::Manual),
        ended(Side::Buy, "64000", "64500", ExitReason::Replaced),
    ];
    let line = |closed| with_result(Scene::of(ENTRY), closed).render().message.plain.lines().last().unwrap().to_owned();
    insta::assert_snapshot!(ends.map(line).join("\n"));
}

#[test]
fn a_result_without_its_entry_cannot_be_told() {
    let closed = ended(Side::Buy, "64250.5", "66000", ExitReason::TpHit);
    let scene = Scene::exit(closed.clone()).about(MessageFacts::Result { closed });
    let (delivery, alert) = (&scene.delivery, scene.alert.as_ref());
    let context =
        MessageContext { delivery, alert, config: None, entry: None, zone: &scene.zone, now: Time::from_millis(0) };
    assert_eq!(render(&context), Err(UntellableMessage));
}

#[test]
fn a_partial_exit() {
    let facts = |change| MessageFacts::PartialExit { numbers: vec![Count(3), Count(4)], change };
    insta::assert_snapshot!(Scene::of(facts(PositionChange::Reduced)).shown());
}

#[test]
fn a_stop_at_breakeven_and_one_that_was_moved() {
    let facts = |change| MessageFacts::PartialExit { numbers: vec![Count(3)], change };
    let mut moved = Scene::of(facts(PositionChange::StopMoved));
    let with_stop = moved.render().message.plain;
    moved.alert().alert_data.stop_loss_price = None;
    moved.alert().alert_data.price = price("0");
    let without = moved.render().message.plain;
    let breakeven = moved.about(facts(PositionChange::Breakeven)).render().message.plain;
    insta::assert_snapshot!([with_stop, without, breakeven].join("\n════\n"));
}

#[test]
fn a_target_reached() {
    let at = |number, level: &str, next: &str| TargetTrade {
        number: Count(number),
        level: Some(price(level)),
        next: Some(price(next)),
    };
    let facts = |trades, by_yourself| MessageFacts::TargetReached { target: Count(1), trades, by_yourself };
    let one = Scene::of(facts(vec![at(3, "64000", "66000")], false)).shown();
    let alike = Scene::of(facts(vec![at(3, "64000", "66000"), at(4, "64000", "66000")], true));
    let apart = Scene::of(facts(vec![at(3, "64000", "66000"), at(4, "64100", "66100")], false));
    let plain = |scene: Scene| scene.render().message.plain;
    insta::assert_snapshot!([one, plain(alike), plain(apart)].join("\n════\n"));
}

#[test]
fn an_exit_without_a_price_and_a_profit_at_a_loss() {
    let at_level = EndedTrade {
        inferred: true,
        inference: Some(ExitInference::AtLevel),
        ..ended(Side::Buy, "64250.5", "66000", ExitReason::TpHit)
    };
    let at_a_loss = EndedTrade {
        inferred: true,
        inference: Some(ExitInference::AtALoss),
        ..ended(Side::Sell, "2470", "9999", ExitReason::SlHit)
    };
    let exits = [at_level.clone(), at_a_loss.clone()].map(|closed| Scene::exit(closed).render().message.plain);
    let line = |closed| with_result(Scene::of(ENTRY), closed).render().message.plain.lines().last().unwrap().to_owned();
    let lines = [at_level, at_a_loss].map(line);
    insta::assert_snapshot!(exits.into_iter().chain(lines).collect::<Vec<_>>().join("\n════\n"));
}

#[test]
fn a_level_reached() {
    let mut scene = Scene::of(MessageFacts::LevelReached { numbers: vec![Count(3)] });
    scene.alert().alert_data.signal = Signal::SlHit;
    insta::assert_snapshot!(scene.shown());
}

#[test]
fn an_exit_to_the_holder_of_a_trade_that_cannot_be_read() {
    let long = Some(Side::Buy);
    let flat = Intent::Flat { side: long, reason: None };
    let mut whole = Scene::of(MessageFacts::UnreadTrade { intent: flat });
    whole.alert().alertcast.comment = Some("Close <all>".to_owned());
    let first = whole.shown();
    let others = [
        Intent::exit(ExitSignal::TpHit),
        Intent::Exit { reason: ExitSignal::SlHit, side: long, target: None },
        Intent::Exit { reason: ExitSignal::TpHit, side: None, target: Some(2) },
        Intent::Turn { closes: Side::Sell, reason: None, opens: Side::Buy },
        Intent::Partial { side: None, reason: None, change: PositionChange::Reduced },
        Intent::Partial { side: long, reason: None, change: PositionChange::StopMoved },
    ];
    let heads = others.map(|intent| {
        let plain = Scene::of(MessageFacts::UnreadTrade { intent }).render().message.plain;
        plain.lines().filter(|line| !line.starts_with("ℹ️") && !line.starts_with("🕒")).collect::<Vec<_>>().join("\n")
    });
    let mut unpriced = Scene::of(MessageFacts::UnreadTrade { intent: Intent::exit(ExitSignal::SlHit) });
    unpriced.alert().alert_data.price = price("0");
    let unpriced = unpriced.render().message.plain;
    assert!(!unpriced.contains("Price"), "{unpriced}");
    let all: Vec<String> = std::iter::once(first).chain(heads).collect();
    insta::assert_snapshot!(all.join("\n════\n"));
}

#[test]
fn a_word_to_the_operators() {
    let lines = vec![
        "BTCUSDT 1h \"EMA <Cross>\": the price 6425 is 90% below the last one".to_owned(),
        "If it is right, send it again: a second price that agrees is taken".to_owned(),
    ];
    let mut scene = Scene::of(MessageFacts::Operator { title: "Alert refused: price".to_owned(), lines, test: false });
    (scene.alert, scene.zone, scene.delivery.kind) = (None, TimeZone::UTC, MessageKind::Operator);
    insta::assert_snapshot!(scene.shown());
}

#[test]
fn the_same_to_the_operators_again() {
    let facts = MessageFacts::OperatorMore { title: "Alert refused: price".to_owned(), count: Count(14) };
    insta::assert_snapshot!(Scene { alert: None, ..Scene::of(facts) }.shown());
}

#[test]
fn no_value_breaks_out_of_its_place_or_fills_the_message() {
    let mut scene = Scene::of(ENTRY);
    let hostile = "<b>&\"\u{202e}\nTarget 1\r\n</code>𝄞".repeat(400);
    let data = &mut scene.alert().alert_data;
    (data.strategy, data.symbol) = (hostile.clone(), hostile.clone());
    data.additional_data = Some((2..90).map(|n| (format!("tp{n}"), bson::Bson::Int32(70_000 + n))).collect());
    let lines = vec![hostile.clone(); 50];
    let operator = Scene::of(MessageFacts::Operator { title: hostile, lines, test: false });
    for scene in [scene, operator] {
        let message = scene.render().message;
        assert!(message.plain.encode_utf16().count() <= 4_096);
        assert_eq!(telegram_sim::html::parse(&message.html).unwrap().plain, message.plain);
        assert!(!message.plain.contains('\u{202e}'));
    }
}

#[test]
fn an_entry_without_its_alert_cannot_be_told() {
    let mut scene = Scene::of(ENTRY);
    scene.alert = None;
    let context = MessageContext {
        delivery: &scene.delivery,
        alert: None,
        config: None,
        entry: None,
        zone: &scene.zone,
        now: Time::from_millis(0),
    };
    assert_eq!(render(&context), Err(UntellableMessage));
}
