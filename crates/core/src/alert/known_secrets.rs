//! The secrets that the program itself knows, cut out of what a stranger sent before anything is done with it: some paste
//! their webhook's whole address, a bot's token or a token of the API into a message.
//!
//! They are found in any text, and also percent-encoded, escaped as in JSON, or as HTML's entities; twice over too.

use std::borrow::Cow;
use std::fmt;

use super::entities;
use crate::token::TOKEN_PREFIX;

/// What stands where a secret stood.
pub const REMOVED: &str = "[removed]";

/// A shorter secret would be found within words.
const SECRET_BYTES_MIN: usize = 6;

/// How often a text is decoded: what was encoded, and that once more.
const ROUNDS: usize = 2;

/// Digits of a token of the API. Of a shorter part too little is known to be one.
const TOKEN_DIGITS_MIN: usize = 32;

/// A bot's token: its number, a colon, and so many further characters.
const BOT_NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 6..=12;
const BOT_KEY_BYTES_MIN: usize = 35;

/// An entity is no longer than this.
const ENTITY_BYTES_MAX: usize = 10;

/// Secrets to be cut out.
#[derive(Clone, Default)]
pub struct KnownSecrets(Vec<Vec<u8>>);

impl KnownSecrets {
    /// These secrets. Of one that is encoded itself, as a password in an address, what it decodes to is one too.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known: Vec<Vec<u8>> = Vec::new();
        for secret in secrets {
            let plain = DecodedLayer::of(secret.as_bytes());
            let decoded = plain.decode();
            for form in [plain.bytes, decoded.bytes] {
                let in_base64 = base64_forms(&form);
                for form in std::iter::once(form).chain(in_base64) {
                    if form.len() >= SECRET_BYTES_MIN && !known.contains(&form) {
                        known.push(form);
                    }
                }
            }
        }
        Self(known)
    }

    /// The text with every one of them cut out, and whatever has the form of a token of the API or of a bot.
    pub fn cut<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let mut layer = DecodedLayer::of(text);
        let mut found = Vec::new();
        for round in 0..=ROUNDS {
            self.find(&layer, &mut found);
            if round == ROUNDS || !layer.bytes.iter().any(|byte| matches!(byte, b'%' | b'\\' | b'&')) {
                break;
            }
            layer = layer.decode();
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_unstable();
        let (mut kept, mut from) = (Vec::with_capacity(text.len()), 0);
        for (start, end) in found {
            if start >= from {
                kept.extend_from_slice(&text[from..start]);
                kept.extend_from_slice(REMOVED.as_bytes());
            }
            from = from.max(end);
        }
        kept.extend_from_slice(&text[from..]);
        Cow::Owned(kept)
    }

    /// Adds where in the text secrets stand.
    fn find(&self, layer: &DecodedLayer, found: &mut Vec<(usize, usize)>) {
        let bytes = &layer.bytes;
        for secret in &self.0 {
            // In capitals it gives as much away.
            let is_secret = |part: &[u8]| part.eq_ignore_ascii_case(secret);
            let places = bytes.windows(secret.len()).enumerate().filter(|(_, part)| is_secret(part));
            found.extend(places.map(|(at, part)| layer.span(at, at + part.len())));
        }
        let prefix = TOKEN_PREFIX.as_bytes();
        for (at, _) in bytes.windows(prefix.len()).enumerate().filter(|(_, part)| *part == prefix) {
            let digits = run(&bytes[at + prefix.len()..], u8::is_ascii_hexdigit);
            if digits >= TOKEN_DIGITS_MIN {
                found.push(layer.span(at, at + prefix.len() + digits));
            }
        }
        let in_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b':') {
            let number = bytes[..at].iter().rev().take(13).take_while(|byte| byte.is_ascii_digit()).count();
            let key = run(&bytes[at + 1..], in_key);
            if BOT_NUMBER_DIGITS.contains(&number) && key >= BOT_KEY_BYTES_MIN {
                found.push(layer.span(at - number, at + 1 + key));
            }
        }
    }
}

/// What a secret reads as within a text in Base64, as in `Authorization: Basic …`: by where in a group of three bytes it
/// begins; without what its neighbours tell too. Of a short one too little is left to be known by.
fn base64_forms(secret: &[u8]) -> Vec<Vec<u8>> {
    const BYTES_MIN: usize = 8;
    if secret.len() < BYTES_MIN {
        return Vec::new();
    }
    let form = |before: usize| {
        let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(secret.iter().copied()).collect();
        let first = (before * 8).div_ceil(6);
        let last = bytes.len() * 8 / 6;
        (first..last).map(|digit| base64_digit(&bytes, digit)).collect()
    };
    (0..3).map(form).collect()
}

/// The digit of that place, of those that six bits each make.
fn base64_digit(bytes: &[u8], place: usize) -> u8 {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| (byte >> (7 - at % 8)) & 1);
    let value = (place * 6..place * 6 + 6).fold(0, |value: u8, at| (value << 1) | bit(at));
    DIGITS[usize::from(value)]
}

impl fmt::Debug for KnownSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownSecrets({})", self.0.len())
    }
}

fn run(bytes: &[u8], of: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| of(byte)).count()
}

/// A text, decoded some times, and where each byte of it comes from.
struct DecodedLayer {
    bytes: Vec<u8>,
    /// Where in the original each byte begins; and where the last one ends.
    starts: Vec<usize>,
}

impl DecodedLayer {
    fn of(text: &[u8]) -> Self {
        Self { bytes: text.to_vec(), starts: (0..=text.len()).collect() }
    }

    /// Where these bytes stand in the original.
    fn span(&self, start: usize, end: usize) -> (usize, usize) {
        (self.starts[start], self.starts[end])
    }

    fn decode(&self) -> Self {
        let mut next = Self { bytes: Vec::with_capacity(self.bytes.len()), starts: Vec::new() };
        let mut at = 0;
        while at < self.bytes.len() {
            let (decoded, length) = escape(&self.bytes[at..]).unwrap_or((DecodedByte::Byte(self.bytes[at]), 1));
            let before = next.bytes.len();
            match decoded {
                DecodedByte::Byte(byte) => next.bytes.push(byte),
                DecodedByte::Char(c) => next.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            next.starts.resize(next.starts.len() + next.bytes.len() - before, self.starts[at]);
            at += length;
        }
        next.starts.push(self.starts[self.bytes.len()]);
        next
    }
}

enum DecodedByte {
    Byte(u8),
    Char(char),
}

/// What an escape at the start of `rest` stands for, and its length.
fn escape(rest: &[u8]) -> Option<(DecodedByte, usize)> {
    let hex = |range: std::ops::Range<usize>| {
        let digits = std::str::from_utf8(rest.get(range)?).ok()?;
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    };
    match (rest[0], rest.get(1)) {
        (b'%', _) => Some((DecodedByte::Byte(u8::try_from(hex(1..3)?).ok()?), 3)),
        (b'\\', Some(b'u')) => Some((DecodedByte::Char(char::from_u32(hex(2..6)?)?), 6)),
        (b'\\', Some(mark @ (b'"' | b'\\' | b'/'))) => Some((DecodedByte::Byte(*mark), 2)),
        (b'&', _) => {
            let end = rest.iter().take(ENTITY_BYTES_MAX).position(|byte| *byte == b';')?;
            Some((DecodedByte::Char(entities::character(std::str::from_utf8(&rest[1..end]).ok()?)?), end + 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "hook/secret-0123";
    const TOKEN: &str = "act_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const BOT: &str = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1";

    fn cut(text: &str) -> String {
        let known = KnownSecrets::new([SECRET, "p%40ssw%3Ard", "short"]);
        String::from_utf8(known.cut(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn secrets_are_cut_out_however_they_are_written() {
        let table = [
            ("https://x.test/webhook/hook/secret-0123?a=1", "https://x.test/webhook/[removed]?a=1"),
            ("a=hook%2Fsecret%2D0123&b=1", "a=[removed]&b=1"),
            ("a=hook%252Fsecret-0123&b=1", "a=[removed]&b=1"),
            ("{\"a\": \"hook\\/secret-0123\"}", "{\"a\": \"[removed]\"}"),
            ("{\"a\": \"\\u0068ook/secret\\u002d0123 é\"}", "{\"a\": \"[removed] é\"}"),
            ("{\"a\": \"{\\\"b\\\": \\\"hook\\\\/secret-0123\\\"}\"}", "{\"a\": \"{\\\"b\\\": \\\"[removed]\\\"}\"}"),
            ("hook&#47;secret-0123", "[removed]"),
            ("xhook/secret-0123hook/secret-0123x", "x[removed][removed]x"),
            ("p@ssw:rd and p%40ssw%3Ard", "[removed] and [removed]"),
            ("short words stay", "short words stay"),
            // In Base64, at each place within a group of three: `user:` before it, `u:` and `ab:`.
            ("Basic dXNlcjpob29rL3NlY3JldC0wMTIz", "Basic dXNlcjp[removed]"),
            ("Basic dTpob29rL3NlY3JldC0wMTIz", "Basic dTp[removed]"),
            ("aG9vay9zZWNyZXQtMDEyMw==", "[removed]w=="),
            ("eDpob29rL3NlY3JldC0wMTIzOnk=", "eDp[removed]Onk="),
            ("OmhvY", "OmhvY"),
            ("HOOK/Secret-0123 in capitals", "[removed] in capitals"),
            ("{\"hook/secret-0123\": 1}", "{\"[removed]\": 1}"),
            ("100% \\ & \\u12 %4 %zz &; \\", "100% \\ & \\u12 %4 %zz &; \\"),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(cut(text), expected, "{text}");
        }
    }

    #[test]
    fn what_has_the_form_of_a_token_is_cut_out() {
        assert_eq!(cut(&format!("token {TOKEN}, bot{BOT}/sendMessage")), "token [removed], bot[removed]/sendMessage");
        assert_eq!(cut(&BOT.replace(':', "%3A")), "[removed]");
        for none in ["act_on 5", "2026-11-22T10:00:00Z", "BINANCE:BTCUSDT", "12345678:short", "https://x.test"] {
            assert_eq!(cut(none), none);
        }
    }

    proptest! {
        #[test]
        fn cutting_never_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = KnownSecrets::new([SECRET]).cut(&text);
        }

        #[test]
        fn no_encoding_hides_a_secret(forms in prop::collection::vec(0..4, SECRET.len())) {
            let written: String = SECRET.chars().zip(forms).map(|(c, form)| match form {
                0 => format!("%{:02x}", u32::from(c)),
                1 => format!("\\u{:04X}", u32::from(c)),
                2 => format!("&#{};", u32::from(c)),
                _ => c.to_string(),
            }).collect();
            prop_assert_eq!(cut(&format!("a {written} b")), "a [removed] b");
        }
    }
}
