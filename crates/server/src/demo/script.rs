//! The alerts of the demonstration, as TradingView would post them.

use alertcast_core::time::Time;

/// One request.
pub(super) struct DemoRequest {
    pub(super) title: &'static str,
    /// What it shows.
    pub(super) note: &'static str,
    pub(super) body: String,
    pub(super) query: &'static str,
    pub(super) content_type: &'static str,
}

/// The requests in their order, as of `now`.
pub(super) fn scenes(now: Time) -> Vec<DemoRequest> {
    let text = "text/plain; charset=utf-8";
    let bitcoin = |signal: &str, price: &str, levels: &str| {
        format!(
            "{{\"symbol\": \"BTCUSDT\", \"timeframe\": \"60\", \"strategy\": \"EMA Cross\", \"signal\": \"{signal}\", \
             \"price\": {price}{levels}, \"timestamp\": \"{now}\"}}"
        )
    };
    let first = bitcoin("BUY", "64250.5", ", \"tp\": 66000, \"sl\": 63000");
    vec![
        DemoRequest {
            title: "An entry",
            note: "Divya's subscription ended yesterday: she gets nothing.",
            body: first.clone(),
            query: "",
            content_type: text,
        },
        DemoRequest {
            title: "The same request once more",
            note: "TradingView resends when it is in doubt: it is recognised, and nobody hears of it.",
            body: first,
            query: "",
            content_type: text,
        },
        DemoRequest {
            title: "A second entry on the same side",
            note: "Basic allows one open trade: Chen's is replaced. Emil wants no replacements, and keeps his.",
            body: bitcoin("BUY", "64800", ", \"tp\": 66500, \"sl\": 63900, \"tp2\": 67500"),
            query: "",
            content_type: text,
        },
        DemoRequest {
            title: "A message with another spelling, of high risk",
            note: "key=value lines; what they lack stands in the URL. Ben takes low risk only, and Basic follows one \
                   configuration: only Asha gets it. NASDAQ:AAPL finds AAPL.",
            body: "ticker=NASDAQ:AAPL\nprice=227.15\ntake_profit=231\nstop=225.5\nrisk=high\naction=long".to_owned(),
            query: "?strategy=Breakout&timeframe=15",
            content_type: text,
        },
        DemoRequest {
            title: "An alert with a mistake in it",
            note: "Refused with what to change; the operators' chat hears of it at once.",
            body: bitcoin("SELL", "64900", ", \"tp\": 66000, \"sl\": 63000"),
            query: "",
            content_type: text,
        },
        DemoRequest {
            title: "Take profit",
            note: "Closes every trade whose level the price has reached. Chen's has not quite: it is near enough.",
            body: bitcoin("TP_HIT", "66010", ""),
            query: "",
            content_type: text,
        },
        DemoRequest {
            title: "A strategy's order: the position is flat",
            note: "{{strategy.order.action}} says only sell; market_position says that it is an exit.",
            body: "{\"symbol\":\"AAPL\",\"interval\":\"15\",\"strategy\":\"Breakout\",\"action\":\"sell\",\
                   \"market_position\":\"flat\",\"prev_market_position\":\"long\",\"price\":225.4}"
                .to_owned(),
            query: "",
            content_type: "application/json",
        },
    ]
}
