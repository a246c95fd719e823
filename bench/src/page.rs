//! The page that the report is a part of. What was measured stands between two marks; what people wrote around it, say why
//! a figure is not reached, is theirs.

use anyhow::{Context as _, ensure};

const BEGIN: &str = "<!-- measured: written anew by `--write` -->\n";
const END: &str = "<!-- end of what is measured -->\n";

/// The page with its measured part renewed; a new one where there is none.
pub(crate) fn renewed(page: Option<&str>, measured: &str) -> anyhow::Result<String> {
    let page = page.unwrap_or(NEW);
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("it has no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("it has no line {END} behind the first"))?;
    ensure!(!after.contains(BEGIN), "it has more than one measured part");
    Ok(format!("{before}{BEGIN}\n{measured}\n{END}{after}"))
}

const NEW: &str = "# Benchmarks

Made by `cargo run --release -p alertcast-bench -- --write docs/benchmarks.md`, on an otherwise idle machine. A figure
alone says little about another machine: beside each stands a probe of the same machine in the same run.

<!-- measured: written anew by `--write` -->
<!-- end of what is measured -->
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_around_the_figures_stays() {
        let first = renewed(None, "| 1 |\n").unwrap();
        let written = first.replace("# Benchmarks", "# Figures") + "\n## Why\n\nBecause.\n";
        let again = renewed(Some(&written), "| 2 |\n").unwrap();
        assert_eq!(again, written.replace("| 1 |", "| 2 |"));
    }

    #[test]
    fn a_page_without_its_marks_is_not_written_over() {
        for page in ["", "# Figures\n", BEGIN, END, &format!("{END}{BEGIN}"), &format!("{BEGIN}{END}{BEGIN}{END}")] {
            assert!(renewed(Some(page), "| 1 |\n").is_err(), "{page:?}");
        }
    }
}
