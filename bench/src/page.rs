//! The page that the report is a part of. What was measured stands between two marks, for each store; what people wrote
//! around it, say why a figure is not reached, is theirs.

use anyhow::{Context as _, ensure};

/// A measured part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageSection {
    Embedded,
    MongoDb,
}

impl PageSection {
    /// The lines before and after it.
    const fn marks(self) -> (&'static str, &'static str) {
        match self {
            Self::Embedded => ("<!-- measured: written anew by `--write` -->\n", "<!-- end of what is measured -->\n"),
            Self::MongoDb => (
                "<!-- measured on MongoDB: written anew by `--write` -->\n",
                "<!-- end of what is measured on MongoDB -->\n",
            ),
        }
    }
}

/// The page with these parts of it renewed; a new one where there is none.
pub(crate) fn renew_page(page: Option<&str>, measured: &[(PageSection, String)]) -> anyhow::Result<String> {
    let mut page = page.unwrap_or(NEW).to_owned();
    for (part, text) in measured {
        let (begin, end) = part.marks();
        let (before, rest) = page.split_once(begin).with_context(|| format!("it has no line {begin}"))?;
        let (_, after) = rest.split_once(end).with_context(|| format!("it has no line {end} behind the first"))?;
        ensure!(!after.contains(begin), "it has a measured part twice");
        page = format!("{before}{begin}\n{text}\n{end}{after}");
    }
    Ok(page)
}

const NEW: &str = "# Benchmarks

Made by `cargo run --release -p alertcast-bench -- --write docs/benchmarks.md`, on an otherwise idle machine. A figure
alone says little about another machine: beside each stands a probe of the same machine in the same run.

<!-- measured: written anew by `--write` -->
<!-- end of what is measured -->

## On MongoDB

<!-- measured on MongoDB: written anew by `--write` -->
<!-- end of what is measured on MongoDB -->
";

#[cfg(test)]
mod tests {
    use super::*;

    fn both(text: &str) -> [(PageSection, String); 2] {
        [(PageSection::Embedded, text.to_owned()), (PageSection::MongoDb, format!("{text} on MongoDB"))]
    }

    #[test]
    fn what_people_wrote_around_the_figures_stays() {
        let first = renew_page(None, &both("| 1 |\n")).unwrap();
        let written = first.replace("# Benchmarks", "# Figures") + "\n## Why\n\nBecause.\n";
        let again = renew_page(Some(&written), &both("| 2 |\n")).unwrap();
        assert_eq!(again, written.replace("| 1 |", "| 2 |"));
    }

    #[test]
    fn what_was_not_measured_stays() {
        let first = renew_page(None, &both("| 1 |\n")).unwrap();
        let again = renew_page(Some(&first), &both("| 2 |\n")[1..]).unwrap();
        assert_eq!(again, first.replace("| 1 |\n on", "| 2 |\n on"));
    }

    #[test]
    fn a_page_without_its_marks_is_not_written_over() {
        for part in [PageSection::Embedded, PageSection::MongoDb] {
            let (begin, end) = part.marks();
            let broken = ["", "# Figures\n", begin, end, &format!("{end}{begin}"), &format!("{begin}{end}").repeat(2)];
            for page in broken {
                assert!(renew_page(Some(page), &[(part, "| 1 |\n".to_owned())]).is_err(), "{page:?}");
            }
        }
    }
}
