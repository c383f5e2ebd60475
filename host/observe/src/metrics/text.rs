//! The text format of Prometheus, version 0.0.4: what every scraper reads, asked for or not.

use crate::live::{BOUNDS_SECONDS, Buckets};
use std::fmt::{Display, Write};

/// The type of content that this is.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The sorts of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only ever goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bounds.
    Histogram,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Labels of a sample.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A text that grows, family by family. Writing to it does not fail: it is in memory.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        let _ = writeln!(
            self.0,
            "# HELP {name} {help}\n# TYPE {name} {}",
            kind.as_str()
        );
        Family {
            text: &mut self.0,
            name,
        }
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// A family under way.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    /// Adds a sample of a counter or a gauge.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.line("", labels, None, value);
    }

    /// Adds the samples of a histogram of seconds.
    pub(super) fn histogram(&mut self, labels: Labels<'_>, buckets: &Buckets) {
        for (bound, count) in BOUNDS_SECONDS.iter().zip(buckets.cumulative()) {
            self.line("_bucket", labels, Some(&bound.to_string()), count);
        }
        self.line("_bucket", labels, Some("+Inf"), buckets.samples());
        self.line("_sum", labels, None, buckets.sum().as_secs_f64());
        self.line("_count", labels, None, buckets.samples());
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, le: Option<&str>, value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        let labels = labels.iter().copied().chain(le.map(|bound| ("le", bound)));
        let mut before = '{';
        for (name, text) in labels {
            let text = text
                .replace('\\', r"\\")
                .replace('"', r#"\""#)
                .replace('\n', r"\n");
            let _ = write!(self.text, "{before}{name}=\"{text}\"");
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_could_break_a_line_is_escaped() {
        let mut text = Exposition::default();
        let mut family = text.family("a", Kind::Gauge, "one\\two\nthree");
        family.sample(&[], 1.5);
        family.sample(&[("b", "x\"y\\z\nw"), ("c", "ä")], 12_u64);
        assert_eq!(
            text.into_text(),
            "# HELP a one\\\\two\\nthree\n# TYPE a gauge\na 1.5\na{b=\"x\\\"y\\\\z\\nw\",c=\"ä\"} 12\n"
        );
    }

    #[test]
    fn buckets_add_up() {
        let mut buckets = Buckets::default();
        buckets.record(Duration::from_millis(1));
        buckets.record(Duration::from_millis(1500));
        let mut text = Exposition::default();
        text.family("t_seconds", Kind::Histogram, "T.")
            .histogram(&[("run", "1")], &buckets);
        let text = text.into_text();
        let has = |line: &str| assert!(text.contains(&format!("\n{line}\n")), "{text}");
        has("# TYPE t_seconds histogram");
        has(r#"t_seconds_bucket{run="1",le="0.001"} 1"#);
        has(r#"t_seconds_bucket{run="1",le="1"} 1"#);
        has(r#"t_seconds_bucket{run="1",le="2.5"} 2"#);
        has(r#"t_seconds_bucket{run="1",le="+Inf"} 2"#);
        has(r#"t_seconds_sum{run="1"} 1.501"#);
        assert!(text.ends_with("t_seconds_count{run=\"1\"} 2\n"));
    }
}
