//! Bounds for a build: `--fail-if 'ttft_p99>+5%'`.

use super::comparison::RunComparison;
use super::judgement::{Change, Judgement};
use llmuses_core::document::Totals;
use llmuses_core::metric::Unit;
use llmuses_stats::{METRICS, Metric};
use std::str::FromStr;

/// A bound that a change, or a figure of the later run, must not pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    text: String,
    metric: &'static Metric,
    above: bool,
    limit: Limit,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    /// Of the change, as a share of the first run.
    Change(f64),
    /// Of the figure of the later run, in its unit.
    Value(f64),
}

/// The text is no bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BoundError {
    /// The form is not known.
    #[error(
        "`{0}` should be FIGURE>VALUE or FIGURE<VALUE, such as ttft_p99>200ms or qps<50; between two runs also a change, \
         such as ttft_p99>+5% or qps<-3%"
    )]
    Form(String),
    /// There is no such figure.
    #[error("there is no figure `{0}`: they are {names}", names = names())]
    Metric(String),
    /// The value does not fit the figure.
    #[error("`{value}` is no value of {name}: {example}")]
    Value {
        /// The value.
        value: String,
        /// The name of the figure.
        name: String,
        /// What one looks like.
        example: &'static str,
    },
}

fn names() -> String {
    let names: Vec<&str> = METRICS.iter().map(|metric| metric.name.as_str()).collect();
    names.join(", ")
}

impl FromStr for Bound {
    type Err = BoundError;

    fn from_str(text: &str) -> Result<Self, BoundError> {
        let form = || BoundError::Form(text.to_owned());
        let (name, sign, limit) = text
            .find(['<', '>'])
            .map(|at| (&text[..at], &text[at..=at], text[at + 1..].trim()))
            .ok_or_else(form)?;
        let name = name.trim();
        let metric = Metric::of_name(name).ok_or_else(|| BoundError::Metric(name.to_owned()))?;
        let number = |text: &str| {
            let number: f64 = text.trim().parse().map_err(|_| form())?;
            if number.is_finite() {
                Ok(number)
            } else {
                Err(form())
            }
        };
        let limit = match (limit.strip_suffix('%'), metric.unit) {
            // A share has percent as its unit: with a sign it is a change, without one a value.
            (Some(percent), Unit::Share) if !percent.starts_with(['+', '-']) => {
                Limit::Value(number(percent)? / 100.0)
            }
            (Some(percent), _) => Limit::Change(number(percent)? / 100.0),
            (None, _) if limit.is_empty() => return Err(form()),
            (None, _) => {
                let value = metric.value_of_text(limit);
                Limit::Value(value.ok_or_else(|| BoundError::Value {
                    value: limit.to_owned(),
                    name: metric.name.clone(),
                    example: metric.example(),
                })?)
            }
        };
        Ok(Self {
            text: text.to_owned(),
            metric,
            above: sign == ">",
            limit,
        })
    }
}

impl Bound {
    /// Whether its figure counts requests by the objectives of each of them.
    pub fn depends_on_goodput(&self) -> bool {
        self.metric.depends_on_objectives()
    }

    /// The bound, where it is one of a change, which a single run cannot have.
    pub fn of_a_change(&self) -> Option<&str> {
        matches!(self.limit, Limit::Change(_)).then_some(self.text.as_str())
    }

    /// Why a run with these totals breaks this bound by itself; `None` where it keeps it. What cannot be judged
    /// breaks it.
    pub fn broken_by_run(&self, totals: Option<&Totals>) -> Option<String> {
        let text = &self.text;
        let Limit::Value(limit) = self.limit else {
            return Some(format!("{text}: a single run has no change"));
        };
        match totals.and_then(|totals| self.metric.of(totals)) {
            None => Some(format!(
                "{text}: cannot be judged, the run does not have the figure"
            )),
            Some(figure) if self.passes(figure.value, limit) => Some(format!(
                "{text}: it is {}",
                self.metric.unit.format(figure.value)
            )),
            Some(_) => None,
        }
    }

    /// Why a comparison breaks this bound; `None` where it keeps it. What cannot be judged breaks it: a
    /// build must not pass because a figure is missing.
    ///
    /// A change breaks the bound where it passes the limit and is more than chance; where there are too few
    /// samples to tell, where it passes the limit.
    pub fn broken_by(&self, comparison: &RunComparison) -> Option<String> {
        let text = &self.text;
        let between = format!("{} against {}", comparison.after, comparison.before);
        if matches!(self.limit, Limit::Change(_)) && !comparison.is_comparable() {
            return Some(format!(
                "{text}: cannot be judged for {between}, the work differs ({})",
                comparison.different_work.join("; ")
            ));
        }
        let change = comparison
            .changes
            .iter()
            .find(|change| change.metric == self.metric);
        let Some(change) = change else {
            return Some(format!(
                "{text}: cannot be judged for {between}, neither run has the figure"
            ));
        };
        match self.limit {
            Limit::Change(limit) => self.broken_by_change(change, limit, &between),
            Limit::Value(limit) => match change.after {
                None => Some(format!(
                    "{text}: cannot be judged, {} does not have the figure",
                    comparison.after
                )),
                Some(after) if self.passes(after.value, limit) => Some(format!(
                    "{text}: it is {} in {}",
                    self.metric.unit.format(after.value),
                    comparison.after
                )),
                Some(_) => None,
            },
        }
    }

    fn broken_by_change(&self, change: &Change, limit: f64, between: &str) -> Option<String> {
        let text = &self.text;
        let (Some(before), Some(after)) = (change.before, change.after) else {
            return Some(format!(
                "{text}: cannot be judged for {between}, one of the runs does not have the figure"
            ));
        };
        if change.judgement == Judgement::NotComparable {
            return Some(format!(
                "{text}: cannot be judged for {between}, the objectives (--goodput) differ"
            ));
        }
        let Some(found) = change.change else {
            // From zero, any change is larger than any share of it.
            let worse = self.passes(after.value - before.value, 0.0)
                && change.judgement != Judgement::Unclear
                && change.judgement != Judgement::Same;
            return worse.then(|| {
                format!(
                    "{text}: it was 0 and is {} ({between})",
                    self.metric.unit.format(after.value)
                )
            });
        };
        let has_interval = found.low.is_some() && found.high.is_some();
        if !self.passes(found.value, limit) || (has_interval && found.holds_zero()) {
            return None;
        }
        let doubt = match has_interval {
            true => "",
            false => ", and there are too few samples to say whether that is chance",
        };
        Some(format!(
            "{text}: it changed by {:+.2} %{doubt} ({between})",
            found.value * 100.0
        ))
    }

    fn passes(&self, value: f64, limit: f64) -> bool {
        if self.above {
            value > limit
        } else {
            value < limit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Places;
    use llmuses_stats::Estimate;

    fn comparison(before: f64, after: f64, half: f64) -> RunComparison {
        let estimate = |value: f64| Estimate {
            value,
            low: Some(value - half),
            high: Some(value + half),
        };
        let (before, after) = (estimate(before), estimate(after));
        RunComparison {
            groups: Vec::new(),
            before: "a.db".to_owned(),
            after: "b.db".to_owned(),
            load: "parallel 1".to_owned(),
            repeats: [1, 1],
            places: Places::default(),
            different_work: Vec::new(),
            different_circumstances: Vec::new(),
            doubted: Vec::new(),
            changes: vec![Change {
                metric: Metric::of_name("ttft_p99").unwrap(),
                before: Some(before),
                after: Some(after),
                change: before.change_to(&after),
                judgement: Judgement::Worse,
            }],
            tested: 1,
        }
    }

    fn broken(bound: &str, comparison: &RunComparison) -> bool {
        let bound: Bound = bound.parse().unwrap();
        bound.broken_by(comparison).is_some()
    }

    #[test]
    fn bounds_hold_changes_and_values() {
        let slower = comparison(0.100, 0.110, 0.001);
        assert!(broken("ttft_p99>+5%", &slower));
        assert!(broken("ttft_p99 > 5%", &slower));
        assert!(!broken("ttft_p99>+15%", &slower));
        assert!(!broken("ttft_p99<-5%", &slower));
        assert!(broken("ttft_p99>105ms", &slower));
        assert!(!broken("ttft_p99>0.2s", &slower));
        // Beyond the limit, but chance could do it.
        assert!(!broken("ttft_p99>+5%", &comparison(0.100, 0.110, 0.020)));
        // A figure that is not there.
        assert!(broken("qps<-5%", &slower));
        let mut other_work = slower;
        other_work
            .different_work
            .push("--parallel: 1 and 2".to_owned());
        assert!(broken("ttft_p99>+50%", &other_work));
    }

    #[test]
    fn a_single_run_has_values_and_no_changes() {
        let mut totals = Totals::default();
        totals.requests.completed = 10;
        totals.requests.succeeded = 8;
        totals.requests.failed = 2;
        let broken = |bound: &str| bound.parse::<Bound>().unwrap().broken_by_run(Some(&totals));
        assert_eq!(broken("failed_share>25%"), None);
        let reason = broken("failed_share>10%").unwrap();
        assert!(reason.ends_with("it is 20.00 %"), "{reason}");
        assert!(broken("ttft_p99>1s").unwrap().contains("cannot be judged"));
        let change: Bound = "ttft_p99>+5%".parse().unwrap();
        assert_eq!(change.of_a_change(), Some("ttft_p99>+5%"));
    }

    #[test]
    fn what_is_no_bound_is_refused() {
        for text in ["ttft_p99>5", "qps>nan", "failed_share>1", "failed>0.5"] {
            assert!(
                matches!(text.parse::<Bound>(), Err(BoundError::Value { .. })),
                "{text}"
            );
        }
        for text in ["", "ttft_p99", "ttft_p99>", "qps>x%"] {
            assert!(
                matches!(text.parse::<Bound>(), Err(BoundError::Form(_))),
                "{text}"
            );
        }
        let error = "speed>+5%".parse::<Bound>().unwrap_err();
        assert!(error.to_string().contains("ttft_p99"), "{error}");
        assert!("failed_share>1%".parse::<Bound>().is_ok());
        assert!("failed>0".parse::<Bound>().is_ok());
        assert!("qps<100".parse::<Bound>().is_ok());
    }
}
