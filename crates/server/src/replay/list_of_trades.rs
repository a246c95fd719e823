//! TradingView's "List of trades" (Strategy Tester, *Export data*), in its older and newer spellings, as the alerts that
//! the strategy would have sent: an entry for each trade, and an exit with what became of the position.
//!
//! | from        | columns                                                               |
//! |-------------|-----------------------------------------------------------------------|
//! | first       | `Trade #,Type,Signal,Date/Time,Price,Contracts,Profit,…`               |
//! | 2023        | the same, with the currency: `Price USD`, `Profit USD`                 |
//! | 2025        | `Trade #,Type,Date and time,Signal,Price USD,Position size (qty),…`     |
//! | 2026        | `Trade number,Type,Date and time,Signal,Price USD,Size (qty),…`         |
//!
//! A trade has two rows, the exit's often first; that of an open trade names no moment or no price. Times are the
//! chart's, without a zone.

use std::collections::BTreeMap;

use alertcast_core::market::Side;
use alertcast_core::time::Time;
use csv::StringRecord;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::json;

use super::input::{InputError, RecordedRequest, unix_lines};

/// What the export does not say.
#[derive(Debug, Clone)]
pub struct ExportDefaults {
    pub symbol: String,
    pub timeframe: String,
    pub strategy: String,
    /// The chart's zone.
    pub zone: TimeZone,
}

/// Whether a text begins as such an export does.
#[must_use]
pub fn is_list_of_trades(text: &str) -> bool {
    let head = text.trim_start_matches('\u{feff}').split(['\n', '\r']).next().unwrap_or_default();
    let first = head.split(',').next().unwrap_or_default().trim_matches('"');
    NUMBER.contains(&first.trim().to_lowercase().as_str())
}

const NUMBER: [&str; 3] = ["trade #", "trade number", "trade no."];
const MOMENT: [&str; 3] = ["date/time", "date and time", "date"];
const QUANTITY: [&str; 6] = ["contracts", "position size (qty)", "size (qty)", "position size", "quantity", "qty"];

/// Where the columns are.
struct ExportColumns {
    number: usize,
    kind: usize,
    moment: usize,
    price: usize,
    signal: Option<usize>,
    quantity: Option<usize>,
}

impl ExportColumns {
    fn of(head: &StringRecord) -> Result<Self, InputError> {
        let names: Vec<String> = head.iter().map(|name| name.trim().to_lowercase()).collect();
        let any = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str()));
        // `Price`, with or without a currency.
        let price = names.iter().position(|name| name == "price" || name.starts_with("price "));
        let needed = |at: Option<usize>, column: &str| {
            at.ok_or_else(|| {
                InputError::File(format!(
                    "the column {column} is missing: export the List of trades of TradingView's Strategy Tester, in \
                     English"
                ))
            })
        };
        Ok(Self {
            number: needed(any(&NUMBER), "Trade #")?,
            kind: needed(any(&["type"]), "Type")?,
            moment: needed(any(&MOMENT), "Date and time")?,
            price: needed(price, "Price")?,
            signal: any(&["signal"]),
            quantity: any(&QUANTITY),
        })
    }
}

/// One row that says something.
struct ExportRow {
    line: u64,
    at: Time,
    number: i64,
    enters: bool,
    side: Side,
    price: String,
    signal: String,
    quantity: String,
}

/// Reads the export as alerts, in the order of their moments.
///
/// # Errors
/// A column is missing, or a row is not one of a trade.
pub fn list_of_trades(text: &str, naming: &ExportDefaults) -> Result<Vec<RecordedRequest>, InputError> {
    let text = unix_lines(text);
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let broken = |error: csv::Error| InputError::File(format!("it is no CSV: {error}"));
    let columns = ExportColumns::of(reader.headers().map_err(broken)?)?;
    let (mut rows, mut places) = (Vec::new(), LinePlaces { text: &text, at: 0, line: 1 });
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let line = places.line_of(record.position().map_or(0, csv::Position::byte));
        rows.extend(row(&record, line, &columns, &naming.zone)?);
    }
    // What ends makes room for what begins at the same moment.
    rows.sort_by_key(|row| (row.at, row.enters, row.number));
    let mut open = BTreeMap::<&'static str, i64>::new();
    Ok(rows.iter().map(|row| alert(row, naming, &mut open)).collect())
}

/// Which line a place in the text is in, asked in order.
struct LinePlaces<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl LinePlaces<'_> {
    /// The line of a record that begins there. A reader counts the empty lines before it to it.
    fn line_of(&mut self, byte: u64) -> u64 {
        let bytes = self.text.as_bytes();
        let mut start = usize::try_from(byte).unwrap_or(usize::MAX).clamp(self.at, bytes.len());
        while bytes.get(start) == Some(&b'\n') {
            start += 1;
        }
        let passed = bytes[self.at..start].iter().filter(|byte| **byte == b'\n').count();
        self.line = self.line.saturating_add(u64::try_from(passed).unwrap_or(0));
        self.at = start;
        self.line
    }
}

/// None for the exit of a trade that is still open.
fn row(
    record: &StringRecord,
    line: u64,
    columns: &ExportColumns,
    zone: &TimeZone,
) -> Result<Option<ExportRow>, InputError> {
    let wrong = |what: String| InputError::Line { line, what };
    let field = |at: usize| record.get(at).unwrap_or_default();
    let (kind, moment, price) = (field(columns.kind).to_lowercase(), field(columns.moment), field(columns.price));
    let side = match (kind.contains("long"), kind.contains("short")) {
        (true, false) => Side::Buy,
        (false, true) => Side::Sell,
        _ => return Err(wrong(format!("Type is {kind:?}, which is neither long nor short"))),
    };
    let enters = kind.starts_with("entry");
    if !enters && (price.is_empty() || moment.is_empty() || moment.eq_ignore_ascii_case("open")) {
        return Ok(None);
    }
    let at = point_in_time(moment, zone)
        .ok_or_else(|| wrong(format!("Date and time is {moment:?}, which is no moment like 2026-01-31 10:00")))?;
    let number = field(columns.number);
    let number = number.parse().map_err(|_| wrong(format!("Trade # is {number:?}, which is no number")))?;
    let optional = |at: Option<usize>| at.map(field).unwrap_or_default().to_owned();
    Ok(Some(ExportRow {
        line,
        at,
        number,
        enters,
        side,
        price: price.to_owned(),
        signal: optional(columns.signal),
        quantity: optional(columns.quantity),
    }))
}

fn point_in_time(text: &str, zone: &TimeZone) -> Option<Time> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.into());
    }
    let civil = text.parse::<DateTime>().ok()?;
    Some(zone.to_timestamp(civil).ok()?.into())
}

/// As the strategy's alert would have said it. `open`: how many trades of each side the strategy holds.
fn alert(row: &ExportRow, naming: &ExportDefaults, open: &mut BTreeMap<&'static str, i64>) -> RecordedRequest {
    let position = match row.side {
        Side::Buy => "long",
        Side::Sell => "short",
    };
    let held = open.entry(position).or_default();
    let mut body = json!({
        "symbol": naming.symbol, "timeframe": naming.timeframe, "strategy": naming.strategy, "price": row.price,
        "timestamp": row.at.to_string(), "comment": row.signal,
    });
    if row.enters {
        *held += 1;
        body["signal"] = row.side.as_str().into();
        body["alert_id"] = format!("trade {} entry", row.number).into();
        if !row.quantity.is_empty() {
            body["quantity"] = row.quantity.as_str().into();
        }
    } else {
        *held -= 1;
        // The last one out leaves the position flat; before that, an exit is a partial one.
        let after = if *held > 0 { position } else { "flat" };
        body["action"] = row.side.opposite().as_str().to_lowercase().into();
        body["market_position"] = after.into();
        body["prev_market_position"] = position.into();
        body["alert_id"] = format!("trade {} exit", row.number).into();
    }
    RecordedRequest {
        line: row.line,
        received_at: Some(row.at),
        query: String::new(),
        body: body.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn naming(zone: &str) -> ExportDefaults {
        ExportDefaults {
            symbol: "BTCUSDT".to_owned(),
            timeframe: "1h".to_owned(),
            strategy: "EMA".to_owned(),
            zone: TimeZone::get(zone).unwrap(),
        }
    }

    fn told(text: &str, zone: &str) -> Vec<(u64, String)> {
        assert!(is_list_of_trades(text));
        let told = |one: &RecordedRequest| {
            let body: Value = serde_json::from_slice(&one.body).unwrap();
            let what = body["signal"].as_str().map_or_else(
                || format!("{} to {}", body["prev_market_position"], body["market_position"]).replace('"', ""),
                str::to_owned,
            );
            let price = body["price"].as_str().unwrap();
            (one.line, format!("{} {what} {price} {}", one.received_at.unwrap(), body["comment"].as_str().unwrap()))
        };
        list_of_trades(text, &naming(zone)).unwrap().iter().map(told).collect()
    }

    fn line(number: u64, text: &str) -> (u64, String) {
        (number, text.to_owned())
    }

    #[test]
    fn the_first_spelling_is_read() {
        let text = "Trade #,Type,Signal,Date/Time,Price,Contracts,Profit,Profit %\n\
                    1,Entry Long,Long,2026-01-05 10:00,100,2,,\n1,Exit Long,TP,2026-01-06 11:30,110.5,2,21,10.5\n\
                    2,Entry Short,Short,2026-01-07,109,2,,\n";
        let expected = [
            line(2, "2026-01-05T10:00:00Z BUY 100 Long"),
            line(3, "2026-01-06T11:30:00Z long to flat 110.5 TP"),
            line(4, "2026-01-07T00:00:00Z SELL 109 Short"),
        ];
        assert_eq!(told(text, "UTC"), expected);
        assert_eq!(told(&text.replace('\n', "\r\n"), "UTC"), expected, "however the lines end");
        let apart = text.replace('\n', "\r\n\r\n");
        assert_eq!(told(&apart, "UTC").iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 5, 7]);
    }

    #[test]
    fn the_newer_spellings_are_read_with_exits_first_and_open_trades_left_open() {
        let head = [
            "Trade #,Type,Date and time,Signal,Price USDT,Position size (qty),Net P&L USDT",
            "Trade number,Type,Date and time,Signal,Price USD,Size (qty),Net PnL USD",
        ];
        let rows = "3,Exit long,Open,Open,,1,5\n3,Entry long,2026-01-08 09:00,Long,108,1,5\n\
                    2,Exit short,2026-01-08 09:00,Long,108,1,1\n2,Entry short,2026-01-06 11:30,Short,109,1,1\n\
                    1,Exit long,2026-01-06 11:30,Short,109,1,9\n1,Entry long,2026-01-05 10:00,Long,100,1,9\n";
        for head in head {
            let text = format!("\u{feff}{head}\n{rows}");
            let expected = [
                line(7, "2026-01-05T04:30:00Z BUY 100 Long"),
                line(6, "2026-01-06T06:00:00Z long to flat 109 Short"),
                line(5, "2026-01-06T06:00:00Z SELL 109 Short"),
                line(4, "2026-01-08T03:30:00Z short to flat 108 Long"),
                line(3, "2026-01-08T03:30:00Z BUY 108 Long"),
            ];
            assert_eq!(told(&text, "Asia/Kolkata"), expected, "{head}");
        }
    }

    #[test]
    fn of_several_trades_at_once_only_the_last_exit_leaves_the_position_flat() {
        let text = "Trade #,Type,Signal,Date/Time,Price USD,Contracts\n1,Entry long,L,2026-01-05 10:00,100,1\n\
                    2,Entry long,L,2026-01-05 11:00,101,1\n1,Exit long,X,2026-01-05 12:00,102,1\n\
                    2,Exit long,X,2026-01-05 13:00,103,1\n";
        let all: Vec<String> = told(text, "UTC").into_iter().map(|(_, told)| told).collect();
        assert!(all[2].contains("long to long") && all[3].contains("long to flat"), "{all:?}");
    }

    #[test]
    fn what_is_not_such_an_export_is_told_with_its_place() {
        assert!(!is_list_of_trades("{\"symbol\": \"A\"}") && !is_list_of_trades("Time,Price\n"));
        let refused = |text: &str| list_of_trades(text, &naming("UTC")).unwrap_err().to_string();
        assert!(refused("Trade #,Type,Signal\n").contains("Date and time is missing"));
        let head = "Trade #,Type,Signal,Date/Time,Price\n";
        assert!(refused(&format!("{head}1,Entry,L,2026-01-05,1\n")).starts_with("line 2: Type is"));
        assert!(refused(&format!("{head}1,Entry long,L,05/01/2026,1\n")).starts_with("line 2: Date and time is"));
    }
}
