//! The known word that a mistyped one was meant to be.

/// The word nearest to `name`, where one is near enough.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, word) = known.into_iter().map(|word| (distance(name, word), word)).min()?;
    (distance <= name.chars().count().div_ceil(3)).then_some(word)
}

/// How many letters have to be added, removed or changed to make one of the other; case counts for nothing.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
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
