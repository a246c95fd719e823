//! The report: a row for each figure, with what it is held against.

use crate::probe::median;
use crate::show;

/// The rows so far.
#[derive(Debug, Default)]
pub(crate) struct BenchReport {
    rows: Vec<String>,
}

/// What a figure is to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FigureGoal {
    /// The ratio to the probe.
    RatioAtLeast(f64),
    /// The ratio to the probe, or the figure itself, whichever is more.
    RatioAtMostOr(f64, f64),
    /// The figure itself, in its unit.
    AtMost(f64),
    AtLeast(f64),
    /// Told for its own sake.
    None,
}

/// One figure over its runs.
#[derive(Debug)]
pub(crate) struct ReportFigure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) measured: Vec<f64>,
    pub(crate) probe: Vec<f64>,
    pub(crate) probe_unit: &'static str,
    pub(crate) goal: FigureGoal,
}

impl ReportFigure {
    /// A figure without a probe.
    pub(crate) fn alone(name: impl Into<String>, unit: &'static str, measured: Vec<f64>, goal: FigureGoal) -> Self {
        Self { name: name.into(), unit, measured, probe: Vec::new(), probe_unit: "", goal }
    }
}

impl BenchReport {
    pub(crate) fn add(&mut self, figure: ReportFigure) {
        let measured = median(figure.measured.clone());
        let held = (!figure.probe.is_empty()).then(|| median(figure.probe.clone()));
        let ratio = held.map(|probe| measured / probe);
        let (goal, reached) = match (figure.goal, ratio) {
            (FigureGoal::RatioAtLeast(goal), Some(ratio)) => (format!("≥ {goal}"), Some(ratio >= goal)),
            (FigureGoal::RatioAtMostOr(goal, alone), Some(ratio)) => {
                (format!("≤ {goal}, or {alone} {}", figure.unit), Some(ratio <= goal || measured <= alone))
            }
            (FigureGoal::AtLeast(goal), _) => (format!("≥ {goal} {}", figure.unit), Some(measured >= goal)),
            (FigureGoal::AtMost(goal), _) => (format!("≤ {goal} {}", figure.unit), Some(measured <= goal)),
            _ => (String::new(), None),
        };
        let mark = reached.map_or("", |reached| if reached { "✔" } else { "✖" });
        let row = format!(
            "| {} | {} {} | {} | {} | {goal} {mark} |",
            figure.name,
            spread(&figure.measured),
            figure.unit,
            held.map_or_else(String::new, |probe| format!("{} {}", number(probe), figure.probe_unit)),
            ratio.map_or_else(String::new, number),
        );
        show(&row);
        self.rows.push(row);
    }

    /// Whether nothing was measured.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table, and how it was made.
    pub(crate) fn format_measured(&self, runs: usize) -> String {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        format!(
            "{HEAD}{}\n\nMachine: {cores} cores. Medians of {runs} runs, with the lowest and the highest in brackets. \
             Program, stand-in for\nTelegram and load generator are processes of their own on the same cores.\n",
            self.rows.join("\n")
        )
    }
}

/// The median, and what it lies between.
fn spread(runs: &[f64]) -> String {
    let middle = number(median(runs.to_vec()));
    if runs.len() < 2 {
        return middle;
    }
    let low = runs.iter().copied().fold(f64::INFINITY, f64::min);
    let high = runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{middle} ({}–{})", number(low), number(high))
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

const HEAD: &str = "| figure | measured | probe | ratio | to reach |
|---|---|---|---|---|
";
