//! A request that is over, as one line: times and counts, no texts. Times are differences in nanoseconds, so that they are
//! short, and what is measured of them is to the digit what the worker measures.

use crate::bounds::ClockOffset;
use llmuses_core::clock::Moment;
use llmuses_core::exchange::{
    ConnectionOpening, Exchange, Failure, FailureKind, Outcome, Reading, ResponseHead, ResponseLog,
    StampQuality, TokenCount, TokenSource,
};
use llmuses_core::turn::TurnPlace;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A request that is over. Members that are absent are zero, empty or not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its number.
    #[serde(rename = "n")]
    number: u64,
    /// Session, turn, turns, and when the session began, of one that does not stand alone.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    place: Option<(u64, u32, u32, Option<i64>)>,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The model that it asks for, of several.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Its id, where one was sent with it.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// When it was due, by the worker's clock. All other times are counted from here.
    #[serde(rename = "i")]
    intended: u64,
    #[serde(rename = "w", default, skip_serializing_if = "is_zero")]
    body_wait: u64,
    #[serde(rename = "h", default, skip_serializing_if = "is_zero")]
    held_up: u64,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    sent: Option<i64>,
    /// All of the opening of its connection, name resolution, TLS.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    connection: Option<(u64, Option<u64>, Option<u64>)>,
    /// Status, and when the head was there.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    head: Option<(u16, i64)>,
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Arrivals of events, each counted from the one before it.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    arrivals: Vec<i64>,
    /// Bytes of the data of all events.
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    bytes: u64,
    /// Whether it is no stream.
    #[serde(rename = "x", default, skip_serializing_if = "is_false")]
    plain: bool,
    /// Whether it asked for a stream, of one that is none.
    #[serde(rename = "q", default, skip_serializing_if = "is_false")]
    asked_to_stream: bool,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    done: Option<i64>,
    #[serde(rename = "e")]
    end: i64,
    /// Whether reads stamped its arrivals, and not the kernel.
    #[serde(rename = "k", default, skip_serializing_if = "is_false")]
    read_stamped: bool,
    /// Kind and message.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    failure: Option<(String, String)>,
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    reading: Option<ReadingRow>,
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    asked: Option<AskedOfRow>,
}

/// What the parser read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ReadingRow {
    /// Tokens of the prompt, and who counted them.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    prompt: Option<(u64, String)>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    completion: Option<(u64, String)>,
    /// Which events carried output: runs of first and number.
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<(u32, u32)>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    answers: Option<Vec<(u32, u32)>>,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    tokens_so_far: Option<Vec<u32>>,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    finish_reason: Option<String>,
    /// `None`: a value that is no number.
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<(String, Option<f64>)>,
    #[serde(rename = "c", default, skip_serializing_if = "is_zero")]
    metrics_cut: u64,
}

/// What was asked of a request whose text was made of lengths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedOfRow {
    /// Tokens of the prompt.
    #[serde(rename = "i")]
    pub input: u32,
    /// Tokens of the output.
    #[serde(rename = "o")]
    pub output: Option<u32>,
    /// The prompt in pieces: of each, by what number it is known, and its tokens.
    #[serde(rename = "p")]
    pub pieces: Vec<(u64, u32)>,
}

/// What a row holds.
#[derive(Debug, Clone)]
pub struct RowContent {
    /// The request, without texts: of its body is kept at most that it asked for a stream.
    pub outcome: Outcome,
    /// What was asked of it.
    pub asked: Option<AskedOfRow>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(value: &bool) -> bool {
    !*value
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How much later than `from` a moment is, in nanoseconds.
fn after(from: Moment, moment: Moment) -> i64 {
    i64::try_from(i128::from(moment.nanos()) - i128::from(from.nanos())).unwrap_or(i64::MAX)
}

impl Row {
    /// The row of a request, in the worker's clock.
    pub fn of(outcome: &Outcome, asked: Option<AskedOfRow>) -> Self {
        let exchange = &outcome.exchange;
        let intended = exchange.intended;
        let from_intended = |moment: Moment| after(intended, moment);
        let place = exchange.place;
        let stands_alone = place == TurnPlace::alone(exchange.number);
        let response = &exchange.response;
        let mut before = intended;
        let arrivals = response.arrivals().map(|arrival| {
            let gap = after(before, arrival);
            before = arrival;
            gap
        });
        Self {
            number: exchange.number,
            place: (!stands_alone).then(|| {
                let began = place.began.map(from_intended);
                (place.session, place.turn, place.turns, began)
            }),
            url: text(exchange.url.as_deref()),
            model: text(exchange.model.as_deref()),
            request_id: text(exchange.request_id.as_deref()),
            intended: intended.nanos(),
            body_wait: nanos(exchange.body_wait),
            held_up: nanos(exchange.held_up),
            sent: exchange.sent.map(from_intended),
            connection: exchange.connection.map(|opening| {
                let total = nanos(opening.total);
                (total, opening.dns.map(nanos), opening.tls.map(nanos))
            }),
            head: exchange
                .head
                .as_ref()
                .map(|head| (head.status, from_intended(head.at))),
            content_type: text(
                exchange
                    .head
                    .as_ref()
                    .and_then(|head| head.content_type.as_deref()),
            ),
            label: text(
                exchange
                    .head
                    .as_ref()
                    .and_then(|head| head.label.as_deref()),
            ),
            arrivals: arrivals.collect(),
            bytes: response.bytes() as u64,
            plain: !response.is_streamed(),
            asked_to_stream: !response.is_streamed() && exchange.asked_to_stream(),
            done: response.done().map(from_intended),
            end: from_intended(exchange.end),
            read_stamped: exchange.stamps == StampQuality::Read,
            failure: exchange
                .failure
                .as_ref()
                .map(|failure| (failure.kind.as_str().to_owned(), failure.message.clone())),
            reading: outcome.reading.as_ref().map(ReadingRow::of),
            asked,
        }
    }

    /// The session that it belongs to.
    pub fn session(&self) -> u64 {
        self.place.map_or(self.number, |(session, ..)| session)
    }

    /// The request with its times in the clock of the coordinator. `offset`: of the worker's clock.
    pub fn content(self, offset: ClockOffset) -> RowContent {
        let intended = offset.to_coordinator(self.intended);
        let moment = |after: i64| {
            Moment::from_nanos(
                intended
                    .nanos()
                    .checked_add_signed(after)
                    .unwrap_or_default(),
            )
        };
        let span = Duration::from_nanos;
        let mut before = 0_i64;
        let arrivals = self.arrivals.into_iter().map(|gap| {
            before = before.saturating_add(gap);
            moment(before)
        });
        let bytes = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        let mut response = ResponseLog::without_data(arrivals, bytes);
        if !self.plain {
            response.set_streamed();
        }
        if let Some(done) = self.done {
            response.set_done(moment(done));
        }
        let place = match self.place {
            None => TurnPlace::alone(self.number),
            Some((session, turn, turns, began)) => TurnPlace {
                session,
                turn,
                turns,
                began: began.map(moment),
            },
        };
        let events = response.len();
        let exchange = Exchange {
            number: self.number,
            place,
            url: self.url.map(Into::into),
            model: self.model.map(Into::into),
            request_id: self.request_id.map(Into::into),
            request: Exchange::request_without_text(self.asked_to_stream),
            intended,
            body_wait: span(self.body_wait),
            held_up: span(self.held_up),
            sent: self.sent.map(moment),
            connection: self.connection.map(|(total, dns, tls)| ConnectionOpening {
                dns: dns.map(span),
                tls: tls.map(span),
                total: span(total),
            }),
            head: self.head.map(|(status, at)| ResponseHead {
                status,
                at: moment(at),
                content_type: self.content_type.map(Into::into),
                label: self.label.map(Into::into),
            }),
            response,
            end: moment(self.end),
            stamps: match self.read_stamped {
                true => StampQuality::Read,
                false => StampQuality::Kernel,
            },
            failure: self.failure.map(|(kind, message)| {
                let kind = FailureKind::of_name(&kind).unwrap_or(FailureKind::Protocol);
                Failure::new(kind, message)
            }),
            held: Default::default(),
        };
        RowContent {
            outcome: Outcome {
                exchange,
                reading: self.reading.map(|reading| reading.content(events)),
            },
            asked: self.asked,
        }
    }
}

fn text(text: Option<&str>) -> Option<String> {
    text.map(ToOwned::to_owned)
}

impl ReadingRow {
    fn of(reading: &Reading) -> Self {
        let tokens = |count: TokenCount| (count.tokens, count.source.key().to_owned());
        Self {
            prompt: reading.prompt.map(tokens),
            completion: reading.completion.map(tokens),
            outputs: runs(&reading.outputs),
            answers: reading.answers.as_deref().map(runs),
            tokens_so_far: reading.tokens_so_far.clone(),
            finish_reason: reading.finish_reason.clone(),
            metrics: reading
                .metrics
                .iter()
                .map(|(name, value)| (name.clone(), Some(*value).filter(|value| value.is_finite())))
                .collect(),
            metrics_cut: reading.metrics_cut,
        }
    }

    /// `events`: those of the response.
    fn content(self, events: usize) -> Reading {
        let tokens = |(tokens, source): (u64, String)| {
            let source = TokenSource::of_key(&source)?;
            Some(TokenCount { tokens, source })
        };
        Reading {
            prompt: self.prompt.and_then(tokens),
            completion: self.completion.and_then(tokens),
            outputs: indices(&self.outputs, events),
            answers: self.answers.map(|answers| indices(&answers, events)),
            tokens_so_far: self.tokens_so_far,
            finish_reason: self.finish_reason,
            // The message of the model is of use where the next turn is made, and that is with the worker.
            reply: None,
            metrics: self
                .metrics
                .into_iter()
                .map(|(name, value)| (name, value.unwrap_or(f64::NAN)))
                .collect(),
            metrics_cut: self.metrics_cut,
        }
    }
}

/// Ascending indices as runs of first and number.
fn runs(indices: &[u32]) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for index in indices {
        match runs.last_mut() {
            Some((first, number)) if first.checked_add(*number) == Some(*index) => *number += 1,
            _ => runs.push((*index, 1)),
        }
    }
    runs
}

/// The indices of runs, of a response with so many events: others there are none.
fn indices(runs: &[(u32, u32)], events: usize) -> Vec<u32> {
    let most = u32::try_from(events).unwrap_or(u32::MAX);
    let runs = runs.iter();
    runs.flat_map(|(first, number)| *first..first.saturating_add(*number).min(most))
        .take(events)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use llmuses_samples::OutcomeBuilder;

    fn there_and_back(outcome: &Outcome, offset: ClockOffset) -> Outcome {
        let row = Row::of(outcome, None);
        let text = serde_json::to_string(&row).unwrap();
        let read: Row = serde_json::from_str(&text).unwrap();
        assert_eq!(read, row);
        read.content(offset).outcome
    }

    const NONE: ClockOffset = ClockOffset {
        nanos: 0,
        bound_nanos: 0,
    };

    /// What is left of an outcome without texts.
    fn shown(outcome: &Outcome) -> String {
        let mut outcome = outcome.clone();
        let exchange = &mut outcome.exchange;
        exchange.request = Bytes::new();
        let arrivals: Vec<Moment> = exchange.response.arrivals().collect();
        let streamed = exchange.response.is_streamed();
        let facts = (
            arrivals,
            streamed,
            exchange.response.done(),
            exchange.response.bytes(),
        );
        exchange.response = ResponseLog::default();
        format!("{outcome:?} {facts:?}")
    }

    /// A line of a hundred bytes must not become some million numbers.
    #[test]
    fn outputs_are_among_the_events_of_a_row() {
        let read = |runs: &str| {
            let text = format!(r#"{{"n":8,"i":9,"a":[1,2],"e":5,"g":{{"e":{runs},"a":{runs}}}}}"#);
            let row: Row = serde_json::from_str(&text).unwrap();
            let reading = row.content(NONE).outcome.reading.unwrap();
            assert_eq!(reading.answers.as_deref(), Some(reading.outputs.as_slice()));
            reading.outputs
        };
        assert_eq!(read("[[2147483847,4294967295]]"), [0; 0]);
        assert_eq!(read("[[0,4294967295],[1,4294967295]]"), [0, 1]);
        assert_eq!(read("[[1,1]]"), [1]);
    }

    #[test]
    fn a_row_has_all_but_texts() {
        let mut streamed = OutcomeBuilder::at(100)
            .number(7)
            .sent(110)
            .connected_in(3)
            .events(&[150, 160, 170, 170, 200])
            .end(205)
            .outputs(&[1, 2, 4])
            .tokens(7, 4, TokenSource::Server)
            .metric("cached_tokens", 2.0)
            .build();
        streamed.exchange.body_wait = Duration::from_nanos(5);
        streamed.exchange.held_up = Duration::from_nanos(7);
        streamed.exchange.url = Some("http://h/".into());
        streamed.exchange.model = Some("lora".into());
        streamed.exchange.request_id = Some("run-7".into());
        streamed.exchange.head = Some(ResponseHead {
            status: 200,
            at: llmuses_samples::moment(140),
            content_type: Some("text/event-stream".into()),
            label: Some("replica-a".into()),
        });
        let reading = streamed.reading.as_mut().unwrap();
        reading.answers = Some(vec![2]);
        reading.tokens_so_far = Some(vec![1, 2, 4]);
        reading.finish_reason = Some("stop".to_owned());
        let mut turn = OutcomeBuilder::at(5)
            .number(9)
            .sent(5)
            .events(&[6])
            .end(8)
            .build();
        turn.exchange.place = TurnPlace::first(3, 2).next(Moment::from_nanos(12));
        let failed = OutcomeBuilder::at(0)
            .number(1)
            .end(60)
            .fails(FailureKind::Connect, "refused")
            .build();
        for outcome in [streamed, turn, failed] {
            assert_eq!(shown(&there_and_back(&outcome, NONE)), shown(&outcome));
        }
    }

    #[test]
    fn times_are_moved_to_the_clock_of_the_coordinator() {
        let outcome = OutcomeBuilder::at(600)
            .sent(610)
            .events(&[650])
            .end(700)
            .build();
        let offset = ClockOffset {
            nanos: 250_000_000,
            bound_nanos: 1,
        };
        let moved = there_and_back(&outcome, offset).exchange;
        let back = |moment: Moment| Moment::from_nanos(moment.nanos() - 250_000_000);
        assert_eq!(moved.intended, back(outcome.exchange.intended));
        assert_eq!(moved.sent, outcome.exchange.sent.map(back));
        assert_eq!(moved.end, back(outcome.exchange.end));
        assert_eq!(
            moved.response.arrival(0),
            outcome.exchange.response.arrival(0).map(back)
        );
    }

    #[test]
    fn a_row_of_a_stream_is_short() {
        let events: Vec<u64> = (0..16).map(|event| 150 + 10 * event).collect();
        let outputs: Vec<u32> = (1..15).collect();
        let outcome = OutcomeBuilder::at(100)
            .number(12_345)
            .sent(100)
            .events(&events)
            .end(310)
            .outputs(&outputs)
            .tokens(100, 14, TokenSource::Server)
            .build();
        let text = serde_json::to_string(&Row::of(&outcome, None)).unwrap();
        assert!(text.len() < 340, "{} {text}", text.len());
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let mut outcome = OutcomeBuilder::at(0)
            .sent(1)
            .events(&[2])
            .end(3)
            .outputs(&[0])
            .build();
        let reading = outcome.reading.as_mut().unwrap();
        reading.metrics = vec![("odd".to_owned(), f64::INFINITY), ("even".to_owned(), 2.0)];
        let found = there_and_back(&outcome, NONE).reading.unwrap().metrics;
        assert!(found[0].1.is_nan());
        assert_eq!(found[1], ("even".to_owned(), 2.0));
    }

    #[test]
    fn absurd_numbers_are_no_panic() {
        let text = r#"{"n":18446744073709551615,"i":18446744073709551615,"e":-9223372036854775808,
            "a":[9223372036854775807,9223372036854775807],"b":18446744073709551615,
            "g":{"e":[[4294967295,4294967295]]},"f":["nonsense","x"]}"#;
        let row: Row = serde_json::from_str(text).unwrap();
        let offset = ClockOffset {
            nanos: i64::MIN,
            bound_nanos: u64::MAX,
        };
        let found = row.content(offset).outcome;
        assert_eq!(found.reading.unwrap().outputs, [0; 0]);
        assert_eq!(found.exchange.failure.unwrap().kind, FailureKind::Protocol);
    }
}
