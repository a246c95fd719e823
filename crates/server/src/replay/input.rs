//! Recorded alerts, one to a line: the payload as TradingView posts it, or with the moment and the query beside it,
//! `{"receivedAt": …, "query": …, "body": …}`.

use alertcast_core::time::Time;
use serde_json::Value;

/// One recorded request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// Where it stands in the file, counted from 1.
    pub line: u64,
    /// None: by the payload's own timestamp, else that of the alert before it.
    pub received_at: Option<Time>,
    pub query: String,
    pub body: Vec<u8>,
}

/// Why a file cannot be read as recorded alerts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    #[error("line {line}: {what}")]
    Line { line: u64, what: String },
    #[error("{0}")]
    File(String),
}

/// The keys of a line that is more than a payload.
const KEYS: [&str; 3] = ["receivedAt", "query", "body"];

/// A text with its lines ended as on Unix, however they were: each stays one line.
pub(super) fn unix_lines(text: &str) -> String {
    text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n")
}

/// Reads recorded alerts. Empty lines are passed over.
///
/// # Errors
/// A line whose `receivedAt`, `query` or `body` is not what it should be. What stands in a payload is not judged here.
pub fn lines(text: &str) -> Result<Vec<RecordedRequest>, InputError> {
    let mut all = Vec::new();
    for (number, line) in (1..).zip(unix_lines(text).lines()) {
        if !line.trim().is_empty() {
            all.push(read_recorded(number, line)?);
        }
    }
    Ok(all)
}

fn read_recorded(line: u64, text: &str) -> Result<RecordedRequest, InputError> {
    let plain = RecordedRequest { line, received_at: None, query: String::new(), body: text.as_bytes().to_vec() };
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else { return Ok(plain) };
    if !fields.contains_key("body") || !fields.keys().all(|key| KEYS.contains(&key.as_str())) {
        return Ok(plain);
    }
    let wrong = |what: &str| InputError::Line { line, what: what.to_owned() };
    let received_at =
        match fields.get("receivedAt") {
            None | Some(Value::Null) => None,
            Some(value) => Some(moment(value).ok_or_else(|| {
                wrong("receivedAt is no moment: write 2026-01-31T10:00:00Z, or milliseconds since 1970")
            })?),
        };
    let query = match fields.get("query") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(query)) => query.trim_start_matches('?').to_owned(),
        Some(_) => return Err(wrong("query is no text: write \"strategy=EMA&timeframe=1h\"")),
    };
    let body = match fields.get("body") {
        Some(Value::String(body)) => body.clone().into_bytes(),
        Some(body) => body.to_string().into_bytes(),
        None => Vec::new(),
    };
    Ok(RecordedRequest { line, received_at, query, body })
}

fn moment(value: &Value) -> Option<Time> {
    match value {
        Value::Number(millis) => millis.as_i64().map(Time::from_millis),
        Value::String(text) => text.parse::<jiff::Timestamp>().ok().map(Time::from),
        // As MongoDB's tools export a date.
        Value::Object(fields) => moment(fields.get("$date")?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_payload_or_has_one_beside_its_moment() {
        let text = "\u{feff}{\"symbol\": \"A\"}\n\nticker=A\n\
                    {\"receivedAt\": \"2026-01-01T00:00:00Z\", \"query\": \"?tf=1h\", \"body\": {\"symbol\": \"A\"}}\n\
                    {\"receivedAt\": 5, \"body\": \"price=1\"}\n{\"body\": \"x\", \"symbol\": \"A\"}\n";
        let all = lines(text).unwrap();
        let told: Vec<_> = all
            .iter()
            .map(|one| {
                let body = String::from_utf8(one.body.clone()).unwrap();
                (one.line, one.received_at.map(Time::millis), one.query.clone(), body)
            })
            .collect();
        let expected = [
            (1, None, "", "{\"symbol\": \"A\"}"),
            (3, None, "", "ticker=A"),
            (4, Some(1_767_225_600_000), "tf=1h", "{\"symbol\":\"A\"}"),
            (5, Some(5), "", "price=1"),
            (6, None, "", "{\"body\": \"x\", \"symbol\": \"A\"}"),
        ];
        let expected = expected.map(|(line, at, query, body)| (line, at, query.to_owned(), body.to_owned()));
        assert_eq!(told, expected);
        let windows = text.replace('\n', "\r\n");
        assert_eq!(lines(&windows).unwrap(), all, "however the lines end");
        assert_eq!(lines(&text.replace('\n', "\r")).unwrap(), all);
        let wrong = lines("{\"body\": 1}\n{\"receivedAt\": \"soon\", \"body\": 1}").unwrap_err();
        assert!(wrong.to_string().starts_with("line 2: receivedAt"), "{wrong}");
    }
}
