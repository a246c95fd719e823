use std::collections::HashMap;

use super::*;
use crate::delivery::Channel::Telegram;
use crate::fixtures::{self, at, delivery_id, trade_id};
use crate::money::Count;
use crate::trade::document::{EntryDelivery, TradeStatus};

/// What stands around.
#[derive(Default)]
struct House {
    deliveries: HashMap<DeliveryId, Delivery>,
    trades: HashMap<TradeId, Trade>,
}

impl DeliveryNeighbours for House {
    fn delivery(&self, id: DeliveryId) -> Option<&Delivery> {
        self.deliveries.get(&id)
    }

    fn trade(&self, id: TradeId) -> Option<&Trade> {
        self.trades.get(&id)
    }
}

impl House {
    /// Alert 1 opens a trade, and each up to `last` replaces the one before; then an exit by alert 99.
    fn chain(last: u32) -> Self {
        let mut house = Self::default();
        for by in 1..=last {
            let teller = if by == last { 99 } else { by + 1 };
            let mut trade = fixtures::trade(by, 1, 1, i64::from(by), &[Telegram]);
            trade.status = if by == last { TradeStatus::Closed } else { TradeStatus::Replaced };
            trade.alertcast.end_deliveries =
                vec![EntryDelivery { channel: Telegram, id: delivery_id(Telegram, teller, 1) }];
            house.trades.insert(trade.id, trade);
            let mut entry = fixtures::entry(Telegram, by, 1, 1);
            if by > 1 {
                let replaced = EndedTrade { number: Count(i64::from(by - 1)), ..fixtures::closed_trade() };
                entry.kind = MessageKind::Replacement;
                entry.facts = MessageFacts::Replacement { number: Count(i64::from(by)), replaced };
                entry.entry_deadline_at = Some(entry.deadline_at);
                entry.deadline_at = at(86_400);
                entry.entry_delivery = Some(delivery_id(Telegram, by - 1, 1));
            }
            house.deliveries.insert(entry.id, entry);
        }
        let exit = fixtures::exit(Telegram, 99, 1, 1, last);
        house.deliveries.insert(exit.id, exit);
        house
    }

    fn of(&self, by: u32) -> &Delivery {
        &self.deliveries[&delivery_id(Telegram, by, 1)]
    }

    fn set(&mut self, by: u32, change: impl FnOnce(&mut Delivery)) {
        change(self.deliveries.get_mut(&delivery_id(Telegram, by, 1)).unwrap());
    }

    /// As an adapter does it, without the consequences for trades.
    fn end(&mut self, overtaken: &[OvertakenDelivery]) {
        for one in overtaken {
            let delivery = self.deliveries.get_mut(&one.id).unwrap();
            delivery.state = delivery.state.after(one.event).unwrap();
            delivery.superseded_by = one.by;
        }
    }

    /// Everything that is asked for, found in rounds, as an adapter does it.
    fn found_for(&self, by: u32) -> Self {
        let mut found = Self::default();
        loop {
            let asked = list_needed(self.of(by), &found);
            let known = (found.deliveries.len(), found.trades.len());
            found.deliveries.extend(asked.deliveries.iter().map(|id| (*id, self.deliveries[id].clone())));
            found.trades.extend(asked.trades.iter().map(|id| (*id, self.trades[id].clone())));
            if known == (found.deliveries.len(), found.trades.len()) {
                return found;
            }
        }
    }
}

fn number_of(one: &OvertakenDelivery) -> u32 {
    fixtures::number(one.id.0)
}

#[test]
fn an_entry_of_an_open_trade_goes_and_asks_for_its_trade_alone() {
    let mut house = House::chain(1);
    house.trades.get_mut(&trade_id(1, 1)).unwrap().status = TradeStatus::Open;
    let asked = list_needed(house.of(1), &house);
    assert_eq!((asked.deliveries.len(), asked.trades.len()), (0, 1));
    assert_eq!(before(house.of(1), &house, at(2)), TakingOrder::Ends(Vec::new()));
    assert_eq!(decide_taking(house.of(1), &house, at(2)), TakingDecision::Goes(Box::new(house.of(1).clone())));
}

#[test]
fn what_is_asked_for_is_all_that_the_decision_rests_on() {
    for last in 1..=5 {
        let house = House::chain(last);
        for by in (1..=last).chain([99]) {
            let found = house.found_for(by);
            assert_eq!(before(house.of(by), &found, at(9)), before(house.of(by), &house, at(9)), "{by} of {last}");
            assert_eq!(
                decide_taking(house.of(by), &found, at(9)),
                decide_taking(house.of(by), &house, at(9)),
                "{by} of {last}"
            );
        }
    }
}

#[test]
fn an_exit_takes_over_all_that_waits_back_to_what_was_told() {
    let mut house = House::chain(4);
    house.set(1, |entry| entry.state = DeliveryState::Sent);
    let TakingOrder::Ends(overtaken) = before(house.of(99), &house, at(9)) else { panic!() };
    let events: Vec<_> = overtaken.iter().map(|one| one.event).collect();
    assert_eq!(events, [DeliveryEvent::Supersede, DeliveryEvent::Drop, DeliveryEvent::Drop]);
    house.end(&overtaken);
    for by in [2, 3] {
        house.trades.get_mut(&trade_id(by, 1)).unwrap().alertcast.unreached = true;
    }
    let TakingDecision::Goes(exit) = decide_taking(house.of(99), &house, at(9)) else { panic!() };
    let told: Vec<i64> = exit.also_ended.iter().map(|also| also.closed.number.0).collect();
    assert_eq!((exit.combines, told), (Some(delivery_id(Telegram, 4, 1)), vec![1]));
}

#[test]
fn what_is_taken_over_keeps_its_doubt() {
    for doubtful in 2..=3 {
        let mut house = House::chain(3);
        house.set(1, |entry| entry.state = DeliveryState::Sent);
        house.set(doubtful, |entry| entry.possible_repeat = true);
        let TakingOrder::Ends(overtaken) = before(house.of(99), &house, at(9)) else { panic!() };
        house.end(&overtaken);
        let TakingDecision::Goes(exit) = decide_taking(house.of(99), &house, at(9)) else { panic!() };
        // The trade that 3 replaced, then the one that 2 did.
        let marks: Vec<bool> = exit.also_ended.iter().map(|also| also.possible_repeat).collect();
        assert_eq!(marks, [doubtful == 3, doubtful == 2], "{doubtful}");
    }
}

#[test]
fn whatever_of_the_chain_is_being_sent_goes_before() {
    for sending in 1..=3 {
        let mut house = House::chain(3);
        house.set(sending, |entry| entry.state = DeliveryState::Sending);
        assert_eq!(before(house.of(99), &house, at(9)), TakingOrder::Wait(at(10)), "{sending}");
    }
}

#[test]
fn an_entry_whose_trade_has_ended_yields_to_the_first_that_still_tells_it() {
    let mut house = House::chain(3);
    for by in 1..=3 {
        let TakingOrder::Yields { to, overtaken } = before(house.of(by), &house, at(9)) else { panic!("{by}") };
        let teller = if by == 3 { 99 } else { by + 1 };
        assert_eq!(to, delivery_id(Telegram, teller, 1), "{by}");
        assert_eq!(number_of(&overtaken[0]), 1, "the user");
    }
    // The second was taken over by the third, and that by the exit.
    house.set(2, |entry| {
        (entry.state, entry.superseded_by) = (DeliveryState::Dropped, Some(delivery_id(Telegram, 3, 1)))
    });
    house.set(3, |entry| {
        (entry.state, entry.superseded_by) = (DeliveryState::Superseded, Some(delivery_id(Telegram, 99, 1)));
    });
    let TakingOrder::Yields { to, .. } = before(house.of(1), &house, at(9)) else { panic!() };
    assert_eq!(to, delivery_id(Telegram, 99, 1));
    // Nobody tells it any more.
    house.set(99, |exit| exit.state = DeliveryState::Sent);
    assert_eq!(before(house.of(1), &house, at(9)), TakingOrder::Ends(Vec::new()));
    assert_eq!(decide_taking(house.of(1), &house, at(9)), TakingDecision::Ends(DeliveryEvent::Drop, OVER));
}
