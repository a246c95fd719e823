//! What Telegram takes and what it refuses, in its own words.

use proptest::prelude::*;

use super::*;

fn shown(markup: &str) -> String {
    parse(markup).expect("valid").plain
}

fn kinds(markup: &str) -> Vec<(&'static str, usize, usize)> {
    parse(markup).expect("valid").entities.iter().map(|e| (e.kind, e.offset, e.length)).collect()
}

fn refusal(markup: &str) -> String {
    parse(markup).expect_err("invalid")
}

#[test]
fn every_supported_tag_is_read() {
    for (tag, kind) in [
        ("b", "bold"),
        ("strong", "bold"),
        ("i", "italic"),
        ("em", "italic"),
        ("u", "underline"),
        ("ins", "underline"),
        ("s", "strikethrough"),
        ("strike", "strikethrough"),
        ("del", "strikethrough"),
        ("code", "code"),
        ("pre", "pre"),
        ("tg-spoiler", "spoiler"),
        ("blockquote", "blockquote"),
        ("B", "bold"),
    ] {
        assert_eq!(kinds(&format!("x<{tag}>word</{tag}>")), [(kind, 1, 4)], "{tag}");
    }
    assert_eq!(kinds("<span class=\"tg-spoiler\">word</span>"), [("spoiler", 0, 4)]);
    assert_eq!(kinds("<blockquote expandable>word</blockquote>"), [("expandable_blockquote", 0, 4)]);
}

#[test]
fn tags_nest() {
    assert_eq!(kinds("<b>a<i>b</i></b>"), [("bold", 0, 2), ("italic", 1, 1)]);
    assert_eq!(shown("<b>a<i>b</i></b>"), "ab");
    assert_eq!(kinds("<b></b>x"), []);
}

#[test]
fn offsets_count_utf16_code_units() {
    assert_eq!(kinds("😀<b>😀é</b>"), [("bold", 2, 3)]);
}

#[test]
fn links_and_languages_are_kept() {
    let link = parse("<a href=\"https://x.y/?a=1&amp;b=2\">here</a>").expect("valid");
    assert_eq!(link.entities[0].url.as_deref(), Some("https://x.y/?a=1&b=2"));
    let bare = parse("<a>https://x.y</a>").expect("valid");
    assert_eq!(bare.entities[0].url.as_deref(), Some("https://x.y"));
    let code = parse("<pre><code class=\"language-rust\">fn</code></pre>").expect("valid");
    assert_eq!((code.entities.len(), code.entities[0].kind), (1, "pre"));
    assert_eq!(code.entities[0].language.as_deref(), Some("rust"));
}

#[test]
fn references_are_decoded_and_unknown_ones_left() {
    assert_eq!(shown("&lt;&gt;&amp;&quot; &#65;&#x1F600;&lt"), "<>&\" A😀<");
    assert_eq!(shown("&nbsp; & &#0; &#xD800; AT&T &"), "&nbsp; & &#0; &#xD800; AT&T &");
}

#[test]
fn mistakes_are_named_in_telegrams_words() {
    let cases = [
        ("a<b", "Unclosed start tag at byte offset 1"),
        ("<", "Unclosed start tag at byte offset 0"),
        ("é<br>", "Unsupported start tag \"br\" at byte offset 2"),
        ("<100>", "Unsupported start tag \"100\" at byte offset 0"),
        ("< b>x</b>", "Unsupported start tag \"\" at byte offset 0"),
        ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b>x</i>", "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\""),
        ("<b><i>x</b></i>", "Unmatched end tag at byte offset 7, expected \"</i>\", found \"</b>\""),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<span>x</span>", "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0"),
        ("<a =x>x</a>", "Empty attribute name in the tag \"a\" at byte offset 0"),
        ("<a href=\"x>x</a>", "Unclosed start tag at byte offset 0"),
        ("<a href=x?y>x</a>", "Unexpected end of name token at byte offset 8"),
        ("<tg-emoji>x</tg-emoji>", "Invalid custom emoji identifier specified"),
    ];
    for (markup, expected) in cases {
        assert_eq!(refusal(markup), expected, "{markup}");
    }
}

#[test]
fn white_space_at_the_ends_is_trimmed_and_entities_follow() {
    let trimmed = parse(" \n<b>ab </b>\n").expect("valid").trim_text();
    assert_eq!(trimmed.plain, "ab");
    assert_eq!((trimmed.entities[0].offset, trimmed.entities[0].length), (0, 2));
    assert!(parse("<b> </b>").expect("valid").trim_text().entities.is_empty());
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

proptest! {
    #[test]
    fn no_input_makes_it_panic(markup in r#"(<|>|/|&|;|#|x|"|'|=| |b|a|pre|code|span|😀|[0-9]|\PC){0,40}"#) {
        if let Ok(parsed) = parse(&markup) {
            let parsed = parsed.trim_text();
            let units = parsed.plain.encode_utf16().count();
            for entity in &parsed.entities {
                prop_assert!(entity.length > 0 && entity.offset + entity.length <= units);
            }
        }
    }

    #[test]
    fn escaped_text_comes_back_as_it_was(text in r"\PC{0,60}") {
        let parsed = parse(&format!("<b>{}</b>", escape(&text))).expect("escaped text is valid");
        prop_assert_eq!(parsed.plain, text);
    }
}
