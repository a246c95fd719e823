//! Subscribers whose chat takes no messages any more.

use std::time::Duration;

use alertcast_core::fixtures::user_id;

use super::{buy, small_world, tp_hit};
use crate::harness::{App, chat};

fn told(app: &App) -> Vec<String> {
    app.operator_texts().into_iter().filter(|text| text.contains("blocked the bot")).collect()
}

#[tokio::test]
async fn the_operators_hear_once_who_has_blocked_the_bot() {
    let mut app = App::start(small_world()).await;
    app.done(buy(100.0)).await;
    app.sim.block(chat(2));
    app.sim.block(chat(3));
    app.done(buy(101.0)).await;
    let first = told(&app);
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(first[0].contains("A subscriber has blocked the bot") && first[0].contains("sort=-chatBlockedAt"));
    assert!((2..=3).any(|n| first[0].contains(&format!("Subscriber {}", user_id(n)))), "{}", first[0]);
    app.advance(Duration::from_secs(6 * 60));
    app.quiet().await;
    assert_eq!(told(&app)[1], "🔁 Once more: A subscriber has blocked the bot");
    // Their exits are tried, and refused again: that is no news.
    app.done(tp_hit(120.0)).await;
    app.advance(Duration::from_secs(6 * 60));
    app.quiet().await;
    assert_eq!(told(&app).len(), 2);
    let books = app.finish().await;
    assert!((2..=3).all(|n| books.users[&user_id(n)].chat_blocked_since().is_some()));
}
