//! Objectives of a run as a whole: `--objective 'ttft_p99<200ms'`.

use super::compared::{Metric, MetricSource};
use super::estimate::{Estimate, Z};
use llmuses_core::document::{ObjectiveFigures, ObjectiveOutcome, Percentile, Totals};
use llmuses_core::metric::{
    FAILED_SHARE, Figure, GOODPUT_SHARE, PREDICTED_CACHED_SHARE, Sum, Time,
};
use llmuses_core::plan::{ShareBound, ShareOf};
use std::str::FromStr;
use std::time::Duration;

/// A bound that a figure of a run should keep.
#[derive(Debug, Clone, PartialEq)]
pub struct RunObjective {
    text: String,
    metric: &'static Metric,
    below: bool,
    limit: f64,
}

/// A text is no objective.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunObjectiveError {
    /// The form is not known.
    #[error(
        "`{0}` should be FIGURE<VALUE or FIGURE>VALUE, such as ttft_p99<200ms, failed<0.1% or qps>50"
    )]
    Form(String),
    /// There is no such figure.
    #[error(
        "there is no figure `{0}`: give the name of a figure such as failed, goodput_share or qps, or of a time \
         (ttft, tpot, itl, latency) with _mean or a percentile such as _p95; they are in the manual under metrics"
    )]
    Figure(String),
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

/// A bound that cannot be tested while a run goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoShareError {
    /// Its figure is none of single requests.
    #[error(
        "{0}: give a percentile of a time such as ttft_p99, or failed, or goodput_share; other figures cannot be \
         tested request by request"
    )]
    Figure(String),
    /// A share that is everything or nothing, or a time of zero.
    #[error("{0}: a share should be above 0% and below 100%, and a time above zero")]
    Bound(String),
}

impl FromStr for RunObjective {
    type Err = RunObjectiveError;

    fn from_str(text: &str) -> Result<Self, RunObjectiveError> {
        let at = text
            .find(['<', '>'])
            .ok_or_else(|| RunObjectiveError::Form(text.to_owned()))?;
        let (name, value) = (text[..at].trim(), &text[at + 1..]);
        let value = value.strip_prefix('=').unwrap_or(value).trim();
        if name.is_empty() || value.is_empty() {
            return Err(RunObjectiveError::Form(text.to_owned()));
        }
        let metric =
            Metric::of_any_name(name).ok_or_else(|| RunObjectiveError::Figure(name.to_owned()))?;
        let limit = metric
            .value_of_text(value)
            .ok_or_else(|| RunObjectiveError::Value {
                value: value.to_owned(),
                name: metric.name.clone(),
                example: metric.example(),
            })?;
        Ok(Self {
            text: text.to_owned(),
            metric,
            below: text[at..].starts_with('<'),
            limit,
        })
    }
}

impl RunObjective {
    /// As it was asked for.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether its figure counts requests by the objectives of each of them.
    pub fn depends_on_goodput(&self) -> bool {
        self.metric.depends_on_objectives()
    }

    /// The bound: seconds of a time, a share of 1.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// Whether the figure should be below the bound.
    pub fn is_below(&self) -> bool {
        self.below
    }

    /// The percentile of a time that it bounds, if it bounds one.
    pub fn percentile(&self) -> Option<(Time, Percentile)> {
        match self.metric.source {
            MetricSource::Percentile(time, percentile) => Some((time, percentile)),
            _ => None,
        }
    }

    /// The figure of the run that it bounds, if it bounds one.
    pub fn figure(&self) -> Option<Figure> {
        match self.metric.source {
            MetricSource::Figure(figure) => Some(figure),
            _ => None,
        }
    }

    /// The same as a bound of a share of requests.
    ///
    /// # Errors
    /// Where its figure is neither a share of requests nor a percentile.
    pub fn share_bound(&self) -> Result<ShareBound, NoShareError> {
        let (of, share) = match self.metric.source {
            MetricSource::Percentile(time, percentile) => {
                let bound = Duration::try_from_secs_f64(self.limit).unwrap_or_default();
                if bound.is_zero() {
                    return Err(NoShareError::Bound(self.text.clone()));
                }
                (ShareOf::Longer(time, bound), 1.0 - percentile.share())
            }
            MetricSource::Figure(FAILED_SHARE) => (ShareOf::Failed, self.limit),
            MetricSource::Figure(GOODPUT_SHARE) => (ShareOf::MetAll, self.limit),
            MetricSource::Figure(_) | MetricSource::Mean(_) => {
                return Err(NoShareError::Figure(self.text.clone()));
            }
        };
        if share <= 0.0 || share >= 1.0 {
            return Err(NoShareError::Bound(self.text.clone()));
        }
        Ok(ShareBound {
            text: self.text.clone(),
            of,
            share,
            below: self.below,
        })
    }

    /// A value of its figure for a person.
    pub fn shown(&self, value: f64) -> String {
        self.metric.unit.format(value)
    }

    /// Its outcome in a run, by the 95 % confidence interval of the figure: decided where the whole interval lies on
    /// one side of the bound.
    pub fn decide(&self, totals: &Totals) -> ObjectiveFigures {
        let estimate = self.estimate(totals);
        let outcome = estimate.map_or(ObjectiveOutcome::NotDecided, |found| self.outcome(&found));
        let requests_needed = match (estimate, outcome) {
            (Some(found), ObjectiveOutcome::NotDecided) => self.needed(&found, totals),
            _ => None,
        };
        ObjectiveFigures {
            objective: self.text.clone(),
            figure: self.metric.name.clone(),
            limit: self.limit,
            value: estimate.map(|found| found.value),
            low: estimate.and_then(|found| found.low),
            high: estimate.and_then(|found| found.high),
            outcome,
            requests_needed,
        }
    }

    /// The figure with its interval.
    fn estimate(&self, totals: &Totals) -> Option<Estimate> {
        let found = self.metric.of(totals)?;
        if self.figure() != Some(PREDICTED_CACHED_SHARE) {
            return Some(found);
        }
        // What was sent is known. Only whether a prompt finds what was sent just before it, or left by a failed request, is
        // not.
        let lengths = totals.asked_lengths.as_ref();
        let cached = lengths.and_then(|lengths| lengths.cached);
        let most = cached.and_then(|cached| {
            let prompt = cached.mean_prompt_tokens.filter(|tokens| *tokens > 0.0)?;
            Some(cached.mean_possible_tokens / prompt)
        });
        Some(Estimate {
            value: found.value,
            low: Some(found.value),
            high: most.map(|most| most.max(found.value)),
        })
    }

    /// Whether a value keeps the bound.
    fn keeps(&self, value: f64) -> bool {
        if self.below {
            value < self.limit
        } else {
            value > self.limit
        }
    }

    fn outcome(&self, found: &Estimate) -> ObjectiveOutcome {
        let (worst, best) = match self.below {
            true => (found.high, found.low),
            false => (found.low, found.high),
        };
        if worst.is_some_and(|worst| self.keeps(worst)) {
            ObjectiveOutcome::Met
        } else if best.is_some_and(|best| !self.keeps(best)) {
            ObjectiveOutcome::Missed
        } else {
            ObjectiveOutcome::NotDecided
        }
    }

    /// Requests of a run that would decide the objective, if the figure stays as it is.
    fn needed(&self, found: &Estimate, totals: &Totals) -> Option<u64> {
        let (value, limit) = (found.value, self.limit);
        if self.figure() == Some(PREDICTED_CACHED_SHARE) {
            // Further requests are no better known.
            return None;
        }
        if self
            .figure()
            .is_some_and(|figure| matches!(figure.sum, Sum::Share(..)))
        {
            // Wilson's interval ends at the bound where the score test of the bound does.
            let distance = value - limit;
            let needed = Z * Z * limit * (1.0 - limit) / (distance * distance);
            return whole(needed);
        }
        let towards = if value < limit { found.high } else { found.low };
        match (towards, self.percentile()) {
            // The half of an interval shrinks with the root of the requests.
            (Some(bound), _) => {
                let times = ((bound - value) / (limit - value)).powi(2);
                whole(times * totals.requests.succeeded as f64)
            }
            // The least number of requests with which the interval has this end.
            (None, Some((_, percentile))) => {
                let p = percentile.share();
                let within = if value < limit { p } else { 1.0 - p };
                whole(0.025_f64.ln() / within.ln())
            }
            (None, None) => None,
        }
    }
}

fn whole(requests: f64) -> Option<u64> {
    requests
        .is_finite()
        .then(|| requests.ceil().max(1.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::totals;
    use crate::{Circumstances, Origin, RunStatistics};
    use llmuses_core::document::{AskedLengths, CachedTokens};
    use llmuses_core::exchange::{FailureKind, TokenSource};
    use llmuses_core::metric::TTFT;
    use llmuses_samples::OutcomeBuilder;

    /// `requests` requests with times to first token of 1 ms, 2 ms, ... 100 ms and again, and failed ones.
    fn run(requests: u64, failed: u64) -> Totals {
        let mut statistics = RunStatistics::new(Origin::Sent);
        for number in 0..requests {
            let from = number * 10;
            let outcome = OutcomeBuilder::at(from)
                .sent(from)
                .events(&[from + 1 + number % 100, from + 200])
                .end(from + 200)
                .outputs(&[0, 1])
                .build();
            statistics.record(&outcome);
        }
        for number in 0..failed {
            let outcome = OutcomeBuilder::at(number).sent(number).end(number + 1);
            statistics.record(&outcome.fails(FailureKind::Connect, "refused").build());
        }
        totals(&statistics, &Circumstances::default())
    }

    fn decided(objective: &str, totals: &Totals) -> ObjectiveFigures {
        objective.parse::<RunObjective>().unwrap().decide(totals)
    }

    #[test]
    fn an_objective_is_decided_by_the_whole_interval() {
        let totals = run(1000, 0);
        for (objective, outcome) in [
            ("ttft_p50<60ms", ObjectiveOutcome::Met),
            ("ttft_p50<40ms", ObjectiveOutcome::Missed),
            ("ttft_p50<50ms", ObjectiveOutcome::NotDecided),
            ("ttft_p50 > 40ms", ObjectiveOutcome::Met),
            ("ttft_p95<=99ms", ObjectiveOutcome::Met),
            ("ttft_mean<80ms", ObjectiveOutcome::Met),
            ("failed<1%", ObjectiveOutcome::Met),
            ("failed<0.1%", ObjectiveOutcome::NotDecided),
            ("goodput>1", ObjectiveOutcome::NotDecided),
            ("packages<3", ObjectiveOutcome::Met),
            ("packages<2", ObjectiveOutcome::Missed),
        ] {
            assert_eq!(decided(objective, &totals).outcome, outcome, "{objective}");
        }
        let many_failed = run(100, 100);
        let failed = decided("failed<10%", &many_failed);
        assert_eq!(failed.outcome, ObjectiveOutcome::Missed);
        assert_eq!(failed.value, Some(0.5));
    }

    /// Two requests, of which the server had 10 of 100 and 300 of 300 tokens of the prompt in its cache.
    fn two_requests() -> Totals {
        let mut statistics = RunStatistics::new(Origin::Sent);
        for (from, tokens, cached) in [(0, 100, 10.0), (400, 300, 300.0)] {
            let outcome = OutcomeBuilder::at(from)
                .sent(from)
                .events(&[from + 10, from + 200])
                .end(from + 200)
                .outputs(&[0, 1])
                .tokens(tokens, tokens / 10, TokenSource::Server)
                .metric("cached_tokens", cached)
                .metric("reasoning_tokens", cached / 100.0)
                .build();
            statistics.record(&outcome);
        }
        totals(&statistics, &Circumstances::default())
    }

    #[test]
    fn a_ratio_of_few_requests_decides_nothing() {
        let few = two_requests();
        for objective in [
            "cached_share>10%",
            "input_tokens<250",
            "output_tokens>10",
            "reasoning_tokens<3",
            "time_per_token<16ms",
        ] {
            let found = decided(objective, &few);
            assert!(found.value.is_some(), "{objective}");
            assert_eq!(found.outcome, ObjectiveOutcome::NotDecided, "{objective}");
        }
        assert!(decided("cached_share>10%", &few).low < Some(0.1));
        // A figure never has a bound that it cannot reach.
        assert_eq!(decided("cached_share>10%", &few).high, Some(1.0));
    }

    #[test]
    fn the_predicted_share_is_decided_by_its_range() {
        let mut few = two_requests();
        few.asked_lengths = Some(AskedLengths {
            cached: Some(CachedTokens {
                requests: 2,
                mean_predicted_tokens: 20.0,
                mean_possible_tokens: 40.0,
                mean_prompt_tokens: Some(100.0),
                ..CachedTokens::default()
            }),
            ..AskedLengths::default()
        });
        for (objective, outcome) in [
            ("predicted_cached_share>10%", ObjectiveOutcome::Met),
            ("predicted_cached_share<50%", ObjectiveOutcome::Met),
            ("predicted_cached_share<30%", ObjectiveOutcome::NotDecided),
            ("predicted_cached_share>40%", ObjectiveOutcome::Missed),
        ] {
            let found = decided(objective, &few);
            assert_eq!(found.outcome, outcome, "{objective}");
            assert_eq!(found.requests_needed, None, "{objective}");
        }
    }

    #[test]
    fn what_is_not_decided_says_what_it_would_take() {
        let few = decided("ttft_p99<200ms", &run(100, 0));
        assert_eq!(few.outcome, ObjectiveOutcome::NotDecided);
        // 0.99^367 = 2.5 %.
        assert_eq!(few.requests_needed, Some(368));
        let enough = decided("ttft_p99<200ms", &run(368, 0));
        assert_eq!(enough.outcome, ObjectiveOutcome::Met);
        // z² (1 − p) / p for a share of zero.
        let failed = decided("failed<1%", &run(100, 0));
        assert_eq!(failed.requests_needed, Some(381));
        assert_eq!(
            decided("failed<1%", &run(381, 0)).outcome,
            ObjectiveOutcome::Met
        );
        let at_the_bound = decided("ttft_p50<50ms", &run(1000, 0));
        assert_eq!(at_the_bound.requests_needed, None);
        assert_eq!(decided("goodput>1", &run(9, 0)).value, None);
    }

    #[test]
    fn a_percentile_below_a_time_is_a_share_of_longer_requests() {
        let bound = |text: &str| text.parse::<RunObjective>().unwrap().share_bound();
        let found = bound("ttft_p90<200ms").unwrap();
        assert_eq!(found.of, ShareOf::Longer(TTFT, Duration::from_millis(200)));
        assert!((found.share - 0.1).abs() < 1e-12 && found.below);
        assert_eq!(bound("failed>5%").unwrap().share, 0.05);
        assert!(matches!(bound("qps>5"), Err(NoShareError::Figure(_))));
        assert!(matches!(
            bound("ttft_mean<1s"),
            Err(NoShareError::Figure(_))
        ));
        assert!(matches!(bound("failed<0%"), Err(NoShareError::Bound(_))));
        assert!(matches!(bound("ttft_p99<0s"), Err(NoShareError::Bound(_))));
    }

    #[test]
    fn what_is_no_objective_is_refused() {
        let error = |text: &str| text.parse::<RunObjective>().unwrap_err().to_string();
        assert!(error("ttft_p99").contains("FIGURE<VALUE"));
        assert!(error("<5").contains("FIGURE<VALUE"));
        assert!(error("speed<5").contains("no figure `speed`"));
        assert!(error("ttft_p99<200").contains("200ms"));
        assert!(error("failed<+x%").contains("0.1%"));
        assert!(error("qps>fast").contains("50"));
    }
}
