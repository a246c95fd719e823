//! The two texts that metrics are read as: OpenMetrics, which Prometheus asks for, and the older one that everything
//! else understands.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFormat {
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

impl MetricsFormat {
    /// The one that a request's `Accept` asks for.
    #[must_use]
    pub fn choose_format(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Everything in the registry.
pub(super) fn render(registry: &Registry, format: MetricsFormat) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, registry);
    match format {
        MetricsFormat::OpenMetrics => text,
        MetricsFormat::Prometheus => older(&text),
    }
}

/// The older text names a counter by its samples' name, knows no infos and units, and has no end mark.
fn older(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        if let Some(of) = line.strip_prefix("# HELP ") {
            help = of.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|of| of.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            if let Some((_, words)) = help.take() {
                out.push_str(&format!("# HELP {name}{suffix} {words}\n"));
            }
            out.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with("# ") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::info::Info;

    use super::*;

    #[test]
    fn the_older_text_names_counters_as_their_samples_are_named() {
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        counter.inc();
        registry.register("things", "Things seen", counter);
        registry.register("program", "Which one", Info::new([("version", "1")]));
        let expected = "# HELP things_total Things seen.\n# TYPE things_total counter\nthings_total 1\n\
                        # HELP program_info Which one.\n# TYPE program_info gauge\nprogram_info{version=\"1\"} 1\n";
        assert_eq!(render(&registry, MetricsFormat::Prometheus), expected);
        assert!(render(&registry, MetricsFormat::OpenMetrics).ends_with("# EOF\n"));
    }
}
