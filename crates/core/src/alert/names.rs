//! The names that a field may go by (product, "Intake"). In each list the first name with a usable value wins.
//!
//! Names are compared in their normal form: letters and digits only, in lower case, so that `take_profit`,
//! `Take-Profit`, `takeProfit` and `TAKE PROFIT` are one name.

use super::letters;

pub(super) const SYMBOL: &[&str] = &["symbol", "ticker", "asset", "pair", "market"];
pub(super) const TIMEFRAME: &[&str] = &["timeframe", "interval", "tf"];
pub(super) const STRATEGY: &[&str] = &["strategy", "strategyid", "strategyname", "indicator"];
pub(super) const PRICE: &[&str] = &["price", "orderprice", "entry", "entryprice", "close"];
pub(super) const TAKE_PROFIT: &[&str] =
    &["tp", "takeprofit", "takeprofitprice", "tp1", "target", "target1", "takeprofit1", "tpprice"];
pub(super) const STOP_LOSS: &[&str] = &["sl", "stoploss", "stoplossprice", "stop", "slprice", "stoploss1"];
pub(super) const TIMESTAMP: &[&str] = &["timestamp", "timenow", "time", "tvtime"];
pub(super) const ALERT_ID: &[&str] = &["alertid", "idempotencykey"];
pub(super) const QUANTITY: &[&str] = &["quantity", "contracts", "size", "qty"];
pub(super) const TRADE_ID: &[&str] = &["tradeid"];
pub(super) const ORDER_ID: &[&str] = &["orderid"];
pub(super) const COMMENT: &[&str] = &["comment", "ordercomment"];
pub(super) const POSITION: &[&str] = &["marketposition", "strategymarketposition"];
pub(super) const POSITION_SIZE: &[&str] = &["marketpositionsize", "strategymarketpositionsize"];
pub(super) const PREV_POSITION: &[&str] = &["prevmarketposition", "strategyprevmarketposition"];
pub(super) const PREV_POSITION_SIZE: &[&str] = &["prevmarketpositionsize", "strategyprevmarketpositionsize"];
pub(super) const RISK: &[&str] = &["risk"];
/// It stands beside a symbol without one, and is kept among the additional data.
pub(super) const EXCHANGE: &[&str] = &["exchange"];

/// Every list.
pub(super) const ALL: &[&[&str]] = &[
    SYMBOL,
    TIMEFRAME,
    STRATEGY,
    PRICE,
    TAKE_PROFIT,
    STOP_LOSS,
    TIMESTAMP,
    ALERT_ID,
    QUANTITY,
    TRADE_ID,
    ORDER_ID,
    COMMENT,
    POSITION,
    POSITION_SIZE,
    PREV_POSITION,
    PREV_POSITION_SIZE,
    RISK,
];

/// Objects whose members count as the alert's own, as people group TradingView's placeholders. Others (`takeProfit:
/// {price: …}`, say) are kept as they are, because a `price` in them is not the alert's.
const GROUPS: &[&str] = &[
    "strategy",
    "strategyinfo",
    "order",
    "bar",
    "data",
    "alert",
    "payload",
    "signal",
    "trade",
    "message",
    "content",
    "text",
    "body",
];

/// Fields in whose text a whole alert may stand, as chat programs and relays wrap it.
pub(super) const WRAPPERS: &[&str] = &["content", "text", "message", "payload", "body", "data", "alert"];

/// Lists whose objects are orders of their own.
pub(super) const ORDERS: &[&str] = &["orders", "alerts", "signals", "trades"];

/// A name's normal form.
pub(super) fn normal(name: &str) -> String {
    let letters = name.chars().filter_map(letters::unstyle).filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Whether an object of this normal name is a group. A bar's `time` is its start, not the alert's moment: see `fields`.
pub(super) fn is_group(normal: &str) -> bool {
    GROUPS.contains(&normal)
}

/// What stands before the last dot of a name (`order` of `strategy.order.id`), and the name itself; none where that is no
/// group.
pub(super) fn split_dotted(name: &str) -> Option<(&str, &str)> {
    let (before, last) = name.rsplit_once('.')?;
    let groups = before.split('.').all(|part| is_group(&normal(part)));
    (groups && !normal(last).is_empty()).then(|| (before.rsplit('.').next().unwrap_or_default(), last))
}

/// Whether a field of this normal name is read at all.
pub(super) fn is_read(normal: &str) -> bool {
    ALL.iter().any(|list| list.contains(&normal))
}

/// Whether a field of this normal name holds a secret: by how it ends, so that `webhook_secret` and `token2` count too, or
/// as a whole. Generous, because what is taken for a secret is only left out.
pub(super) fn is_secret(normal: &str) -> bool {
    /// Alone they are a secret's name; in others (`idempotency_key`, `bandpass`) mostly not.
    const WHOLE: &[&str] =
        &["key", "auth", "authkey", "accesskey", "pin", "pwd", "pass", "passcode", "license", "licence", "licensekey"];
    is_surely_secret(normal) || WHOLE.contains(&without_number(normal))
}

/// Whether a field of this name, as it is written, holds a secret: `auth.key` and `auth[key]` are a key of `auth`.
pub(super) fn names_a_secret(name: &str) -> bool {
    is_secret(&normal(name)) || name.split(['.', '[', '/', ':']).any(|part| is_secret(&normal(part)))
}

/// Whether a field of this normal name holds nothing but a secret: not a word that may stand in other fields too.
pub(super) fn is_surely_secret(normal: &str) -> bool {
    const ENDINGS: &[&str] =
        &["secret", "passphrase", "password", "passwd", "apikey", "token", "secretkey", "privatekey", "authorization"];
    let name = without_number(normal);
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn without_number(normal: &str) -> &str {
    normal.trim_end_matches(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_normal_form_and_have_no_name_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for name in ALL.iter().flat_map(|list| list.iter()) {
            assert_eq!(normal(name), *name);
            assert!(seen.insert(*name), "{name} stands in two lists");
            assert!(!is_secret(name), "{name} would be taken for a secret");
        }
    }

    #[test]
    fn spellings_of_a_name_are_one() {
        for name in [
            "take_profit",
            "Take-Profit",
            "takeProfit",
            "TAKE PROFIT",
            "TakeProfit",
            "ｔａｋｅＰｒｏｆｉｔ",
            "take\u{200b}profit",
        ] {
            assert_eq!(normal(name), "takeprofit");
        }
    }

    #[test]
    fn secrets_are_known_by_name() {
        for name in [
            "secret",
            "Passphrase",
            "token",
            "apikey",
            "api_key",
            "API-Key",
            "password",
            "webhook_secret",
            "authToken",
            "secret2",
            "key",
            "Key",
            "auth",
            "auth_key",
            "authKey",
            "pin",
            "PIN2",
            "pwd",
            "pass",
            "license",
        ] {
            assert!(is_secret(&normal(name)), "{name}");
        }
        for name in ["auth.key", "user.pin", "api[key]", "settings.license.id", "headers/Authorization"] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in ["strategy.order.id", "idempotency.id", "order[price]", "NSE:PASSIVE"] {
            assert!(!names_a_secret(name), "{name}");
        }
        for name in [
            "idempotency_key",
            "idempotencyKey",
            "order_key",
            "tokens_left",
            "symbol",
            "pin_bar",
            "bandpass",
            "passed",
            "licensed",
            "author",
            "secret sauce",
        ] {
            assert!(!is_secret(&normal(name)), "{name}");
        }
    }
}
