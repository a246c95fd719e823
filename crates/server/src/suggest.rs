//! The known word that a mistyped one was meant to be.

/// The word nearest to `name`, where one is near enough.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, word) = known.into_iter().map(|word| (distance(name, word), word)).min()?;
    (distance <= name.chars().count().div_ceil(3)).then_some(word)
}

/// How many letters have to be added, removed or changed to make one of the other; case counts for nothing.
fn distance(a: &str, b: &str) -> usize {
    strsim::levenshtein(&a.to_lowercase(), &b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_another_word_is_not() {
        let known = ["listen", "data_dir", "timeframe"];
        assert_eq!(nearest("lissen", known), Some("listen"));
        assert_eq!(nearest("timeFrame", known), Some("timeframe"));
        assert_eq!(nearest("datadir", known), Some("data_dir"));
        assert_eq!(nearest("colour", known), None);
    }
}
