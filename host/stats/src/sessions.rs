//! Sessions of several turns, and how the figures of a request change with its turn.

use super::measure::Measurement;
use super::spread::Spread;
use llmuses_core::document::{SessionFigures, TimeFigures, TurnFigures, name_of_turn};
use llmuses_core::exchange::Outcome;
use llmuses_core::metric::{CACHED_TOKENS, LATENCY, TPOT, TTFT};

/// Places of turns that are told apart; the last one is for all later ones too.
const PLACES: usize = 10;

/// The place at which a turn is counted, from 0.
pub(super) fn place_of(turn: u32) -> usize {
    (turn as usize).min(PLACES - 1)
}

/// The number of the turns at a place, from 1, and whether turns at all later places are among them.
fn turn_of(place: usize) -> (u32, bool) {
    let turn = u32::try_from(place + 1).unwrap_or(u32::MAX);
    (turn, place + 1 == PLACES)
}

/// A place for a person.
pub(super) fn name_of_place(place: usize) -> String {
    let (turn, and_later) = turn_of(place);
    name_of_turn(turn, and_later)
}

/// Totals of sessions. The order in which requests are added does not matter.
#[derive(Debug, Clone, Default)]
pub struct SessionTotals {
    begun: u64,
    complete: u64,
    failed: u64,
    disconnected: u64,
    asked: u64,
    over: u64,
    by_turn: Vec<TurnTotals>,
}

#[derive(Debug, Clone, Default)]
struct TurnTotals {
    requests: u64,
    failed: u64,
    disconnected: u64,
    input: Mean,
    output: Mean,
    cached: Mean,
    ttft: Spread,
    tpot: Spread,
    latency: Spread,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum += value;
            self.count += 1;
        }
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl SessionTotals {
    /// Adds a request, where it is a turn of a session of several.
    pub(super) fn add(&mut self, outcome: &Outcome, measured: &Measurement) {
        let place = outcome.exchange.place;
        if !place.is_of_several() {
            return;
        }
        if place.turn == 0 {
            self.begun += 1;
            self.asked += u64::from(place.turns);
        }
        self.over += 1;
        let index = place_of(place.turn);
        if self.by_turn.len() <= index {
            self.by_turn.resize_with(index + 1, TurnTotals::default);
        }
        let turn = &mut self.by_turn[index];
        turn.requests += 1;
        if outcome.is_disconnected() {
            turn.disconnected += 1;
            self.disconnected += 1;
            return;
        }
        if !outcome.succeeded() {
            turn.failed += 1;
            self.failed += 1;
            return;
        }
        self.complete += u64::from(place.left() == 0);
        turn.input
            .add(measured.prompt_tokens.map(|count| count.tokens as f64));
        turn.output
            .add(measured.completion_tokens.map(|count| count.tokens as f64));
        let reading = outcome.reading.as_ref();
        turn.cached
            .add(reading.and_then(|reading| reading.metric(CACHED_TOKENS)));
        for (spread, time) in [
            (&mut turn.ttft, TTFT),
            (&mut turn.tpot, TPOT),
            (&mut turn.latency, LATENCY),
        ] {
            if let Some(time) = measured.times[time] {
                spread.record(time);
            }
        }
    }

    /// Whether a session had several turns.
    pub(super) fn has_any(&self) -> bool {
        self.over > 0
    }

    /// Turns that were not sent, since one before them failed or was cancelled, or the run was over.
    pub fn not_sent(&self) -> u64 {
        self.asked.saturating_sub(self.over)
    }

    /// As they stand in a document. `None`: no session had several turns. `time`: how the document tells a spread.
    pub(super) fn to_document(
        &self,
        time: impl Fn(&Spread) -> TimeFigures,
    ) -> Option<SessionFigures> {
        let places = (0..).map(turn_of).zip(&self.by_turn);
        (self.over > 0).then(|| SessionFigures {
            begun: self.begun,
            complete: self.complete,
            ended_by_failure: self.failed,
            disconnected: self.disconnected,
            cut_short: self
                .begun
                .saturating_sub(self.complete + self.failed + self.disconnected),
            turns_asked: self.asked,
            turns_not_sent: self.not_sent(),
            by_turn: places
                .map(|((turn, and_later), totals)| TurnFigures {
                    turn,
                    and_later,
                    requests: totals.requests,
                    failed: totals.failed,
                    disconnected: totals.disconnected,
                    input_tokens_per_request: totals.input.value(),
                    output_tokens_per_request: totals.output.value(),
                    cached_tokens_per_request: totals.cached.value(),
                    time_to_first_token: time(&totals.ttft),
                    time_per_output_token: time(&totals.tpot),
                    latency: time(&totals.latency),
                })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Origin;
    use llmuses_core::exchange::{FailureKind, TokenSource};
    use llmuses_samples::OutcomeBuilder;

    fn totals(outcomes: impl IntoIterator<Item = Outcome>) -> Option<SessionFigures> {
        let mut totals = SessionTotals::default();
        for outcome in outcomes {
            totals.add(&outcome, &Measurement::of(&outcome, Origin::Sent));
        }
        totals.to_document(|spread| TimeFigures {
            samples: spread.samples(),
            max_seconds: spread.max().map(|max| max.as_secs_f64()),
            ..TimeFigures::default()
        })
    }

    fn turn(session: u64, turn: u32, turns: u32) -> OutcomeBuilder {
        let first = 10 + 40 / u64::from(turn + 1);
        OutcomeBuilder::at(0)
            .sent(0)
            .events(&[first, first + 10])
            .end(first + 20)
            .outputs(&[0, 1])
            .tokens(100 * (u64::from(turn) + 1), 2, TokenSource::Server)
            .metric("cached_tokens", 90.0 * f64::from(turn))
            .turn(session, turn, turns)
    }

    #[test]
    fn sessions_end_in_different_ways() {
        let outcomes = [
            turn(0, 0, 3),
            turn(0, 1, 3),
            turn(0, 2, 3),
            turn(1, 0, 3),
            turn(1, 1, 3).fails(FailureKind::TimeoutRead, "silence"),
            turn(2, 0, 4),
        ];
        let found = totals(outcomes.map(OutcomeBuilder::build)).unwrap();
        assert_eq!((found.begun, found.complete), (3, 1));
        assert_eq!((found.ended_by_failure, found.cut_short), (1, 1));
        assert_eq!((found.turns_asked, found.turns_not_sent), (10, 4));
        let [first, second, third] = &found.by_turn[..] else {
            panic!("{found:?}");
        };
        assert_eq!((first.turn, first.requests, first.failed), (1, 3, 0));
        assert_eq!((second.requests, second.failed), (2, 1));
        assert_eq!(third.input_tokens_per_request, Some(300.0));
        assert_eq!(third.cached_tokens_per_request, Some(180.0));
        assert_eq!(first.time_to_first_token.max_seconds, Some(0.050));
        assert_eq!(second.time_to_first_token.max_seconds, Some(0.030));
        assert!(!third.and_later);
    }

    #[test]
    fn a_turn_that_the_client_cancelled_neither_succeeded_nor_failed() {
        let cancelled = turn(0, 1, 3).fails(FailureKind::Disconnected, "cancelled");
        let found = totals([turn(0, 0, 3), cancelled].map(OutcomeBuilder::build)).unwrap();
        assert_eq!((found.disconnected, found.ended_by_failure), (1, 0));
        let second = &found.by_turn[1];
        assert_eq!(
            (second.requests, second.failed, second.disconnected),
            (1, 0, 1)
        );
        assert_eq!(found.by_turn[0].disconnected, 0);
    }

    #[test]
    fn turns_far_behind_are_one_row() {
        let found = totals((0..14).map(|place| turn(0, place, 14).build())).unwrap();
        assert_eq!(found.by_turn.len(), 10);
        let last = &found.by_turn[9];
        assert!(last.and_later);
        assert_eq!((last.turn, last.requests), (10, 5));
    }

    #[test]
    fn requests_that_stand_alone_are_no_sessions() {
        assert_eq!(totals([OutcomeBuilder::at(0).number(3).build()]), None);
    }
}
