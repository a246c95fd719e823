//! Letters and digits as keyboards, phones and copied pages write them: wide forms, bold and italic ones, marks that
//! nobody sees. They are the letters that they look like.

/// The letter or digit that `c` is a form of; none for what is not seen, and for accents that stand apart.
pub(super) fn unstyle(c: char) -> Option<char> {
    let code = u32::from(c);
    match code {
        0xad | 0x300..=0x36f | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2064 | 0xfe00..=0xfe0f | 0xfeff => None,
        0xff01..=0xff5e => char::from_u32(code - 0xfee0),
        // Mathematical letters: alphabets of twice 26, one after the other; and digits, ten by ten.
        0x1d400..=0x1d6a3 => letter((code - 0x1d400) % 52),
        0x1d7ce..=0x1d7ff => char::from_digit((code - 0x1d7ce) % 10, 10),
        _ => Some(c),
    }
}

/// By its place among the capital letters, and then the small ones.
fn letter(place: u32) -> Option<char> {
    let base = if place < 26 { u32::from('A') } else { u32::from('a') - 26 };
    char::from_u32(base + place)
}

/// The text in such letters.
pub(super) fn unstyled_text(text: &str) -> String {
    text.chars().filter_map(unstyle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_what_they_look_like() {
        for text in ["Exit 1", "Ｅｘｉｔ\u{20}１", "𝐄𝐱𝐢𝐭 𝟏", "𝗘𝘅𝗶𝘁 𝟭", "𝙴𝚡𝚒𝚝 𝟷", "E\u{200b}x\u{ad}it\u{fe0f} 1"]
        {
            assert_eq!(unstyled_text(text), "Exit 1", "{text}");
        }
        assert_eq!(unstyled_text("sai\u{301}da saída выход 平仓"), "saida saída выход 平仓");
    }
}
