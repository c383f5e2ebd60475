//! Shares of the requests of one run, tested while it goes on.

use super::goodput::is_met;
use super::sample::Sample;
use super::share_test::{ShareFound, ShareTest};
use llmuses_core::plan::{Objectives, ShareBound, ShareOf};
use std::collections::BTreeMap;
use std::time::Duration;

/// Tests bounds of shares on the requests of a run in the order in which they were due, up to the first that is not over:
/// among those that are over at any moment, there are too many short ones.
#[derive(Debug)]
pub struct ShareWatch {
    bounds: Vec<(ShareBound, ShareTest)>,
    objectives: Option<Objectives>,
    /// The chance that one of the bounds is decided wrongly.
    error: f64,
    /// What later requests have for each bound, by number.
    later: BTreeMap<u64, Vec<Option<f64>>>,
    next: u64,
    /// Requests before which nothing is decided.
    fewest: u64,
    next_look: u64,
}

impl ShareWatch {
    /// Watches these bounds. `objectives`: of each request. `error`: the chance that any of the bounds is ever decided
    /// wrongly. `fewest`: requests before which nothing is decided.
    pub fn new(
        bounds: impl IntoIterator<Item = ShareBound>,
        objectives: Option<Objectives>,
        error: f64,
        fewest: u64,
    ) -> Self {
        let bounds: Vec<(ShareBound, ShareTest)> = bounds
            .into_iter()
            .map(|bound| {
                let level = match bound.of {
                    ShareOf::Longer(_, time) => time.as_secs_f64(),
                    ShareOf::Failed | ShareOf::MetAll => 1.0,
                };
                let test = ShareTest::new(level, bound.share, bound.below, fewest);
                (bound, test)
            })
            .collect();
        Self {
            error: error / bounds.len().max(1) as f64,
            bounds,
            objectives,
            later: BTreeMap::new(),
            next: 0,
            next_look: fewest,
            fewest,
        }
    }

    /// Adds a request that is over.
    pub fn offer(&mut self, sample: &Sample) {
        let values = self.bounds.iter().map(|(bound, _)| {
            if sample.warmup || sample.outcome.is_disconnected() {
                return None;
            }
            let succeeded = sample.outcome.succeeded();
            let whether = |yes: bool| Some(f64::from(u8::from(yes)));
            match bound.of {
                ShareOf::Failed => whether(!succeeded),
                ShareOf::MetAll => {
                    let met = |objectives| is_met(objectives, &sample.measured.times);
                    whether(succeeded && self.objectives.as_ref().is_some_and(met))
                }
                ShareOf::Longer(time, _) => sample.measured.times[time]
                    .filter(|_| succeeded)
                    .map(|time| time.as_secs_f64()),
            }
        });
        let values = values.collect();
        self.later.insert(sample.outcome.exchange.number, values);
        while let Some(values) = self.later.remove(&self.next) {
            self.next += 1;
            for ((_, test), value) in self.bounds.iter_mut().zip(values) {
                if let Some(value) = value {
                    test.add(value);
                }
            }
        }
    }

    /// What the shares are, where there are enough further requests for another look.
    pub fn look(&mut self) -> Option<Vec<ShareFound>> {
        if self.next < self.next_look {
            return None;
        }
        // Each look goes through all of them.
        self.next_look = self.next + self.next / 8;
        Some(self.found())
    }

    /// What the shares are now, one for each bound.
    pub fn found(&self) -> Vec<ShareFound> {
        let tests = self.bounds.iter().map(|(_, test)| test);
        tests.map(|test| test.look(self.error)).collect()
    }

    /// Whether so many requests as came in `time` so far will not be enough for a decision within `limit`.
    pub fn is_hopeless(&self, time: Duration, limit: Duration) -> bool {
        let rate = self.next as f64 / time.as_secs_f64();
        rate * limit.as_secs_f64() < self.fewest as f64
    }

    /// The bounds.
    pub fn bounds(&self) -> impl Iterator<Item = &ShareBound> {
        self.bounds.iter().map(|(bound, _)| bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Origin;
    use llmuses_core::document::ObjectiveOutcome;
    use llmuses_core::exchange::FailureKind;
    use llmuses_core::metric::LATENCY;
    use llmuses_samples::{OutcomeBuilder, millis};

    fn bound(of: ShareOf) -> ShareBound {
        ShareBound {
            text: "bound".to_owned(),
            of,
            share: 0.5,
            below: true,
        }
    }

    fn request(number: u64, latency: u64) -> Sample {
        let made_up = OutcomeBuilder::at(number).number(number).sent(number);
        Sample::of(made_up.end(number + latency).build(), Origin::Sent, false)
    }

    #[test]
    fn requests_count_up_to_the_first_that_is_not_over() {
        let mut watch = ShareWatch::new(
            [bound(ShareOf::Longer(LATENCY, millis(50)))],
            None,
            0.05,
            1000,
        );
        for number in (1..2000).rev() {
            watch.offer(&request(number, 10));
        }
        assert_eq!(watch.found()[0].requests, 0);
        assert_eq!(watch.look(), None);
        watch.offer(&request(0, 90));
        let found = watch.look().unwrap();
        assert_eq!((found[0].requests, found[0].counted), (2000, 1));
        assert_eq!(found[0].outcome, ObjectiveOutcome::Met);
        let second = Duration::from_secs(1);
        assert!(watch.is_hopeless(second * 10, second * 4));
        assert!(!watch.is_hopeless(second * 10, second * 6));
        assert_eq!(watch.look(), None);
    }

    #[test]
    fn failed_requests_and_those_that_meet_all_objectives_are_counted() {
        let objectives = Objectives::of([(LATENCY, millis(50))]);
        let bounds = [bound(ShareOf::Failed), bound(ShareOf::MetAll)];
        let mut watch = ShareWatch::new(bounds, Some(objectives), 0.05, 1000);
        watch.offer(&request(0, 10));
        watch.offer(&request(1, 90));
        let failed = OutcomeBuilder::at(2).number(2).sent(2).end(3);
        let failed = failed.fails(FailureKind::Connect, "no").build();
        watch.offer(&Sample::of(failed.clone(), Origin::Sent, false));
        let mut warmup = Sample::of(failed, Origin::Sent, true);
        warmup.outcome.exchange.number = 3;
        watch.offer(&warmup);
        let counted: Vec<(u64, u64)> = watch
            .found()
            .iter()
            .map(|found| (found.requests, found.counted))
            .collect();
        assert_eq!(counted, [(3, 1), (3, 1)]);
    }
}
