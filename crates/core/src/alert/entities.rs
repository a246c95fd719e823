//! HTML's entities, as messages hold them that were copied out of a page: `{&quot;symbol&quot;:…}`.

use std::borrow::Cow;

/// Encoded twice is the most that is decoded: `&amp;quot;`.
const ROUNDS: usize = 2;

/// An entity is no longer than this.
const ENTITY_BYTES_MAX: usize = 10;

/// Whether the quotes of a text are entities: then it was encoded as a whole.
pub(super) fn has_quotes(text: &str) -> bool {
    const QUOTES: &[&str] = &[
        "&quot;",
        "&QUOT;",
        "&#34;",
        "&#x22;",
        "&#39;",
        "&#x27;",
        "&apos;",
        "&ldquo;",
        "&rdquo;",
        "&amp;quot;",
        "&amp;#34;",
        "&amp;#39;",
    ];
    QUOTES.iter().any(|quote| text.contains(quote))
}

/// The text with its entities decoded, where its quotes are entities; else as it is.
pub(super) fn decode_entities(text: &str) -> Cow<'_, str> {
    let mut decoded = Cow::Borrowed(text);
    for _ in 0..ROUNDS {
        if !has_quotes(&decoded) {
            break;
        }
        decoded = Cow::Owned(once(&decoded));
    }
    decoded
}

fn once(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(ENTITY_BYTES_MAX).position(|byte| byte == b';');
        match end.and_then(|end| Some((end, character(&rest[1..end])?))) {
            Some((end, character)) => {
                out.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The character of an entity, by what stands between `&` and `;`.
pub(super) fn character(entity: &str) -> Option<char> {
    match entity {
        "quot" | "QUOT" => return Some('"'),
        "ldquo" => return Some('“'),
        "rdquo" => return Some('”'),
        "apos" => return Some('\''),
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "nbsp" => return Some(' '),
        _ => {}
    }
    let number = entity.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    code.ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_decoded_where_the_quotes_are_some() {
        let table = [
            ("{&quot;a&quot;: &#39;b &amp; c&#39;}", "{\"a\": 'b & c'}"),
            ("{&amp;quot;a&amp;quot;: 1}", "{\"a\": 1}"),
            ("&#x22;&lt;&#8364;&gt;&nosuch; &;&#;&#x110000;& &amp", "\"<€>&nosuch; &;&#;&#x110000;& &amp"),
            ("AT&amp;T stays: no quotes are encoded", "AT&amp;T stays: no quotes are encoded"),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(decode_entities(text), expected, "{text}");
        }
    }
}
