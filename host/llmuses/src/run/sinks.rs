//! The sinks of a run.

use llmuses_core::backlog::Backlog;
use llmuses_stats::{RunSoFar, Sample, Sink};
use std::sync::Arc;

/// The sinks of a run, in the order in which they get each sample. The last one gets the sample itself.
pub(super) struct Sinks<'a> {
    sinks: Vec<Box<dyn Sink + 'a>>,
    backlog: Arc<Backlog>,
}

impl<'a> Sinks<'a> {
    /// None as yet. `backlog` is told which of them is at work.
    pub(super) fn new(backlog: Arc<Backlog>) -> Self {
        Self {
            sinks: Vec::new(),
            backlog,
        }
    }

    /// Adds one behind all others.
    pub(super) fn add(&mut self, sink: impl Sink + 'a) {
        self.sinks.push(Box::new(sink));
    }

    pub(super) fn offer(&mut self, sample: Sample, run: &RunSoFar<'_>) {
        let Some((last, others)) = self.sinks.split_last_mut() else {
            return;
        };
        for sink in others {
            self.backlog
                .during(sink.stage(), || sink.offer(&sample, run));
        }
        self.backlog.during(last.stage(), || last.take(sample, run));
    }

    pub(super) fn tick(&mut self, run: &RunSoFar<'_>) {
        for sink in &mut self.sinks {
            self.backlog.during(sink.stage(), || sink.tick(run));
        }
    }

    pub(super) fn end(&mut self, run: &RunSoFar<'_>) {
        for sink in &mut self.sinks {
            self.backlog.during(sink.stage(), || sink.end(run));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::backlog::{PipelineStage, Waits};
    use llmuses_core::clock::Moment;
    use llmuses_core::exchange::{Exchange, Outcome, ResponseLog, StampQuality};
    use llmuses_core::turn::TurnPlace;
    use llmuses_stats::{Origin, RunStatistics};
    use std::cell::RefCell;
    use std::time::Duration;

    /// Notes what is done with it; while it is at work, a client thread waits.
    struct Noting<'a> {
        name: &'static str,
        stage: PipelineStage,
        backlog: &'a Backlog,
        notes: &'a RefCell<Vec<String>>,
    }

    impl Noting<'_> {
        fn note(&self, what: &str) {
            self.notes
                .borrow_mut()
                .push(format!("{} {what}", self.name));
            self.backlog.plugin_held_up(|| self.backlog.count_wait());
        }
    }

    impl Sink for Noting<'_> {
        fn stage(&self) -> PipelineStage {
            self.stage
        }

        fn offer(&mut self, sample: &Sample, _: &RunSoFar<'_>) {
            self.note(&format!("offer {}", sample.outcome.exchange.number));
        }

        fn take(&mut self, sample: Sample, _: &RunSoFar<'_>) {
            self.note(&format!("take {}", sample.outcome.exchange.number));
        }

        fn tick(&mut self, _: &RunSoFar<'_>) {
            self.note("tick");
        }

        fn end(&mut self, _: &RunSoFar<'_>) {
            self.note("end");
        }
    }

    fn sample(number: u64) -> Sample {
        let at = Moment::default();
        let exchange = Exchange {
            number,
            place: TurnPlace::alone(number),
            model: None,
            request_id: None,
            url: None,
            request: "{}".into(),
            intended: at,
            body_wait: Duration::ZERO,
            held_up: Duration::ZERO,
            sent: None,
            connection: None,
            head: None,
            response: ResponseLog::default(),
            end: at,
            stamps: StampQuality::Read,
            failure: None,
            held: Default::default(),
        };
        let outcome = Outcome {
            exchange,
            reading: None,
        };
        Sample::of(outcome, Origin::Sent, false)
    }

    #[test]
    fn the_last_sink_takes_the_sample_and_each_is_named_while_it_works() {
        let backlog = Arc::new(Backlog::default());
        let notes = RefCell::new(Vec::new());
        let mut sinks = Sinks::new(Arc::clone(&backlog));
        for (name, stage) in [
            ("csv", PipelineStage::Csv),
            ("database", PipelineStage::Database),
        ] {
            sinks.add(Noting {
                name,
                stage,
                backlog: &backlog,
                notes: &notes,
            });
        }
        let statistics = RunStatistics::new(Origin::Sent);
        let run = RunSoFar {
            statistics: &statistics,
            begun: 1,
            in_flight: 0,
            is_draining: false,
        };
        sinks.offer(sample(7), &run);
        sinks.tick(&run);
        sinks.end(&run);
        assert_eq!(
            notes.take(),
            [
                "csv offer 7",
                "database take 7",
                "csv tick",
                "database tick",
                "csv end",
                "database end"
            ]
        );
        let expected = Waits::default()
            .with(PipelineStage::Csv, 3)
            .with(PipelineStage::Database, 3);
        assert_eq!(backlog.waits(), expected);
    }
}
