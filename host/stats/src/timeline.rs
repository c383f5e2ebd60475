//! What happened when: a run cut into slots of equal length, for a chart over time.

use super::sketch::Sketch;
use llmuses_core::clock::Moment;
use llmuses_core::exchange::Outcome;
use llmuses_core::metric::{ByTime, LATENCY, TPOT, TTFT, Time};
use std::time::Duration;

/// The most slots. With one more, two and two become one, so that memory does not grow with the run.
const MOST_SLOTS: usize = 240;

/// The length of a slot at the start: runs of up to twelve seconds keep it.
const SHORTEST_SLOT_NANOS: u64 = 50_000_000;

/// The times of which each slot keeps the percentiles.
pub const SKETCHED: [Time; 3] = [TTFT, TPOT, LATENCY];

/// What happened in one slot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slot {
    /// Requests that were due.
    pub due: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// Requests that were over and had succeeded.
    pub succeeded: u64,
    /// Of these, requests that met all objectives.
    pub good: u64,
    /// Requests that were over and had failed.
    pub failed: u64,
    /// Requests that had been sent and were over, well or badly.
    pub left: u64,
    /// Output tokens of succeeded requests, shared evenly over the arrivals of their output events.
    pub output_tokens: f64,
    /// Tokens of the prompts of requests that were over and had succeeded.
    pub input_tokens: u64,
    /// The sum of the times to first token of succeeded requests that were sent in this slot.
    pub ttft_sum: Duration,
    /// How many such times there are.
    pub ttft_samples: u64,
    /// The longest of them.
    pub ttft_max: Duration,
    /// The sum of the latencies, from their sending, of succeeded requests that were sent in this slot.
    pub latency_sum: Duration,
    /// How many such latencies there are.
    pub latency_samples: u64,
    /// The times `SKETCHED` of succeeded requests that were sent in this slot.
    pub sketches: [Sketch; SKETCHED.len()],
}

impl Slot {
    fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.sent += other.sent;
        self.succeeded += other.succeeded;
        self.good += other.good;
        self.failed += other.failed;
        self.left += other.left;
        self.output_tokens += other.output_tokens;
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.ttft_sum += other.ttft_sum;
        self.ttft_samples += other.ttft_samples;
        self.ttft_max = self.ttft_max.max(other.ttft_max);
        self.latency_sum += other.latency_sum;
        self.latency_samples += other.latency_samples;
        for (sketch, other) in self.sketches.iter_mut().zip(&other.sketches) {
            sketch.add(other);
        }
    }
}

/// A run over time. Slot 0 begins with the run; what came before stands in it.
#[derive(Debug, Clone)]
pub struct Timeline {
    start: Moment,
    slot_nanos: u64,
    slots: Vec<Slot>,
}

impl Timeline {
    /// A run that begins at `start`, and in which nothing has happened.
    pub fn new(start: Moment) -> Self {
        Self {
            start,
            slot_nanos: SHORTEST_SLOT_NANOS,
            slots: Vec::new(),
        }
    }

    /// When the run began.
    pub fn start(&self) -> Moment {
        self.start
    }

    /// Adds a request with its times. `good`: whether it met all objectives.
    pub fn record(&mut self, outcome: &Outcome, times: &ByTime<Option<Duration>>, good: bool) {
        let exchange = &outcome.exchange;
        let succeeded = outcome.succeeded();
        self.at(exchange.intended).due += 1;
        if let Some(sent) = exchange.sent {
            let slot = self.at(sent);
            slot.sent += 1;
            if succeeded {
                slot.latency_sum += exchange.end.since(sent);
                slot.latency_samples += 1;
            }
            if succeeded {
                for (sketch, time) in slot.sketches.iter_mut().zip(SKETCHED) {
                    sketch.record(times[time]);
                }
            }
            if let Some(ttft) = times[TTFT].filter(|_| succeeded) {
                slot.ttft_sum += ttft;
                slot.ttft_samples += 1;
                slot.ttft_max = slot.ttft_max.max(ttft);
            }
        }
        let slot = self.at(exchange.end);
        slot.succeeded += u64::from(succeeded);
        slot.good += u64::from(good);
        slot.failed += u64::from(outcome.failed());
        slot.left += u64::from(exchange.sent.is_some());
        if succeeded {
            let prompt = outcome.reading.as_ref().and_then(|reading| reading.prompt);
            let tokens = prompt.map_or(0, |count| count.tokens);
            slot.input_tokens = slot.input_tokens.saturating_add(tokens);
            self.share_tokens(outcome);
        }
    }

    fn share_tokens(&mut self, outcome: &Outcome) {
        let Some(reading) = &outcome.reading else {
            return;
        };
        let Some(completion) = reading.completion else {
            return;
        };
        let response = &outcome.exchange.response;
        if reading.outputs.is_empty() {
            // Nobody said when they came: they are there at the end.
            self.at(outcome.exchange.end).output_tokens += completion.tokens as f64;
            return;
        }
        let each = completion.tokens as f64 / reading.outputs.len() as f64;
        for index in &reading.outputs {
            if let Some(arrival) = response.arrival(*index as usize) {
                self.at(arrival).output_tokens += each;
            }
        }
    }

    /// The length of a slot.
    pub fn slot_length(&self) -> Duration {
        Duration::from_nanos(self.slot_nanos)
    }

    /// The slots in order, from the start to the last end.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    fn at(&mut self, moment: Moment) -> &mut Slot {
        let mut index = self.index(moment);
        while index >= MOST_SLOTS {
            self.halve();
            index = self.index(moment);
        }
        if index >= self.slots.len() {
            self.slots.resize(index + 1, Slot::default());
        }
        &mut self.slots[index]
    }

    fn index(&self, moment: Moment) -> usize {
        let nanos = moment.nanos().saturating_sub(self.start.nanos());
        usize::try_from(nanos / self.slot_nanos).unwrap_or(usize::MAX)
    }

    fn halve(&mut self) {
        self.slot_nanos = self.slot_nanos.saturating_mul(2);
        self.slots = self
            .slots
            .chunks(2)
            .map(|pair| {
                let mut both = pair[0].clone();
                pair.iter().skip(1).for_each(|slot| both.add(slot));
                both
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::exchange::{FailureKind, TokenSource};
    use llmuses_samples::OutcomeBuilder;

    fn streamed(from: u64) -> Outcome {
        OutcomeBuilder::at(from)
            .sent(from)
            .events(&[from + 10, from + 60, from + 110])
            .end(from + 120)
            .outputs(&[0, 1, 2])
            .tokens(1, 6, TokenSource::Server)
            .build()
    }

    fn ttft() -> ByTime<Option<Duration>> {
        ByTime::of(|time| (time == TTFT).then_some(Duration::from_millis(10)))
    }

    #[test]
    fn each_fact_stands_in_its_slot() {
        let mut timeline = Timeline::new(Moment::from_nanos(2_000_000_000));
        timeline.record(&streamed(2000), &ttft(), true);
        let failed = OutcomeBuilder::at(2060)
            .end(2070)
            .fails(FailureKind::Connect, "no");
        timeline.record(&failed.build(), &ByTime::default(), false);
        let slots = timeline.slots();
        assert_eq!(slots.len(), 3);
        let tokens: Vec<f64> = slots.iter().map(|slot| slot.output_tokens).collect();
        assert_eq!(tokens, [2.0, 2.0, 2.0]);
        assert_eq!((slots[0].sent, slots[2].left), (1, 1));
        assert_eq!((slots[0].input_tokens, slots[2].input_tokens), (0, 1));
        assert_eq!((slots[1].failed, slots[1].left), (1, 0));
        assert_eq!((slots[1].good, slots[2].good), (0, 1));
        assert_eq!(slots[0].ttft_max, Duration::from_millis(10));
    }

    #[test]
    fn a_long_run_keeps_its_sums_in_as_many_slots() {
        let mut timeline = Timeline::new(Moment::default());
        for second in 0..3600 {
            timeline.record(&streamed(second * 1000), &ttft(), false);
        }
        assert!(timeline.slots().len() <= MOST_SLOTS);
        assert!(timeline.slots().len() > MOST_SLOTS / 4);
        let sent: u64 = timeline.slots().iter().map(|slot| slot.sent).sum();
        let tokens: f64 = timeline.slots().iter().map(|slot| slot.output_tokens).sum();
        assert_eq!(sent, 3600);
        assert!((tokens - 21_600.0).abs() < 1e-6);
    }
}
