//! The fields of a URL's query: what a body lacks may stand there (product, "Intake").

use serde_json::{Map, Value};

use super::json::{self, ObjectMembers};
use super::lenient::read_typed;
use super::source::{FIELDS_MAX, UnreadableBody};

/// Reads a query, `a=b&c=d`, percent-encoded. Of a name that stands there twice the last counts, but for those that
/// decide.
pub(super) fn read(query: &str) -> Result<Map<String, Value>, UnreadableBody> {
    let pairs = pairs(query);
    if pairs.len() > FIELDS_MAX {
        return Err(UnreadableBody::TooManyFields);
    }
    let mut fields = ObjectMembers::default();
    for (name, value) in pairs {
        fields.put(name, read_typed(value.trim()))?;
    }
    let fields = fields.finish();
    json::check_texts(fields.values())?;
    Ok(fields)
}

/// The pairs of a query, up to one more than there may be. `&amp;`, as an address reads that was copied out of a page,
/// is `&`.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    let query = query.strip_prefix('?').unwrap_or(query).replace("&amp;", "&");
    let pairs = form_urlencoded::parse(query.as_bytes()).take(FIELDS_MAX + 1);
    pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
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
    fn an_address_copied_out_of_a_page_reads_as_it_does_there() {
        let map = read("strategy=EMA&amp;timeframe=1h&amp;note=a%26amp;b").unwrap();
        assert_eq!(map.len(), 3);
        assert_eq!((map["timeframe"].as_str(), map["note"].as_str()), (Some("1h"), Some("a&amp;b")));
    }

    #[test]
    fn a_query_is_bounded() {
        assert_eq!(read(&"a=1&".repeat(300)), Err(UnreadableBody::TooManyFields));
    }
}
