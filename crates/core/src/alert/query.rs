//! The fields of a URL's query: what a body lacks may stand there (product, "Intake").

use serde_json::{Map, Value};

use super::lenient::typed;
use super::source::{FIELDS_MAX, Unreadable};

/// Reads a query, `a=b&c=d`, percent-encoded. Of a name that stands there twice the last counts.
pub(super) fn read(query: &str) -> Result<Map<String, Value>, Unreadable> {
    let mut map = Map::new();
    let query = query.strip_prefix('?').unwrap_or(query);
    for (count, (name, value)) in form_urlencoded::parse(query.as_bytes()).enumerate() {
        if count >= FIELDS_MAX {
            return Err(Unreadable::TooManyFields);
        }
        map.insert(name.into_owned(), typed(value.trim()));
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_percent_decoded() {
        let map = read("?strategy=EMA%20Cross+2&timeframe=1h&symbol=NASDAQ%3AAAPL&n=5&empty").unwrap();
        assert_eq!(map["strategy"], "EMA Cross 2");
        assert_eq!(map["symbol"], "NASDAQ:AAPL");
        assert_eq!(map["n"], 5);
        assert_eq!(map["empty"], Value::Null);
        assert!(read("%ff=%fe").is_ok());
    }

    #[test]
    fn a_query_is_bounded() {
        assert_eq!(read(&"a=1&".repeat(300)), Err(Unreadable::TooManyFields));
    }
}
