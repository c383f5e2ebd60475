//! What one request measures: the formulas, each in one place, as pure functions of an outcome.

use llmuses_core::clock::Moment;
use llmuses_core::exchange::{Exchange, Outcome, Reading, TokenCount};
use llmuses_core::metric::{
    ANSWER, BODY_WAIT, ByTime, CLIENT_LAG, CONNECT, DISPATCH_LAG, DNS, FIRST_PACKAGE, FIRST_TURN,
    HELD_UP, LATENCY, LATER_TURNS, RESPONSE_HEAD, SESSION, TLS, TPOT, TTFT,
};
use llmuses_core::plan::Arrivals;
use std::num::NonZeroU32;
use std::time::Duration;

/// The instant from which the times of a request are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// When the schedule wanted the request sent. For an open loop: a client that falls behind makes its
    /// own numbers worse, not better.
    Intended,
    /// When the request was sent. For a closed loop, where the schedule has no opinion on the instant.
    Sent,
}

impl Origin {
    /// The origin that belongs to a kind of arrivals.
    pub fn of(arrivals: &Arrivals) -> Self {
        if arrivals.is_open() {
            Self::Intended
        } else {
            Self::Sent
        }
    }

    /// The instant in one exchange. A request that was never sent is counted from when it was intended,
    /// in either loop: it can only be a failed one, and there is no other start to count from.
    pub fn moment(self, exchange: &Exchange) -> Moment {
        match self {
            Self::Intended => exchange.intended,
            Self::Sent => exchange.sent.unwrap_or(exchange.intended),
        }
    }

    /// The name for the database: `intended` or `sent`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Sent => "sent",
        }
    }
}

/// Everything that is measured of one request. `None`: the request has no such figure.
///
/// The same for requests that failed: what they got as far as is of use in the database. The totals
/// leave their times out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// Its times, by the table of metrics. The gaps between output events are several (see [`output_gaps`]); a time per
    /// output token needs two tokens, and two output events: all tokens in one event have no time between them to be
    /// measured. Tokens that were counted and did not come are not among them. Without a parser that says which events
    /// carried output, there is no first one; nor is there of a plain response, for when it was made cannot be told.
    pub times: ByTime<Option<Duration>>,
    /// Gaps between one output event and the next.
    pub output_gaps: u64,
    /// How many of these gaps are zero: both events came in one read and share its instant.
    pub coalesced_gaps: u64,
    /// Packages: events of a stream without `[DONE]`, or one for a plain response.
    pub packages: u64,
    /// `chunk[n−2] − chunk[0]`, for three packages or more. The last one is left out since it often
    /// carries nothing but the usage.
    pub package_span: Option<Duration>,
    /// The gaps within [`Self::package_span`]: n − 2, or 0 where there is none.
    pub package_gaps: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: Option<TokenCount>,
    /// Tokens that the model produced.
    pub completion_tokens: Option<TokenCount>,
}

impl Measurement {
    /// Measures one request.
    pub fn of(outcome: &Outcome, origin: Origin) -> Self {
        let exchange = &outcome.exchange;
        let response = &exchange.response;
        let reading = outcome.reading.as_ref();
        let start = origin.moment(exchange);

        let output = |index: &u32| response.arrival(*index as usize);
        let outputs = reading.map_or(&[][..], |reading| reading.outputs.as_slice());
        let first_output = outputs.first().and_then(output);
        let last_output = outputs.last().and_then(output);
        let completion_tokens = reading.and_then(|reading| reading.completion);

        let (mut gaps, mut coalesced) = (0, 0);
        for gap in output_gaps(outcome) {
            gaps += 1;
            coalesced += u64::from(gap.is_zero());
        }

        let n = response.len();
        let span = match n.checked_sub(2) {
            Some(last @ 1..) => response
                .arrival(0)
                .zip(response.arrival(last))
                .map(|(first, last)| last.since(first)),
            _ => None,
        };
        let connect = exchange.connection.map(|opening| opening.total);
        let dispatch_lag = exchange.sent.map(|sent| sent.since(exchange.intended));

        let mut times = ByTime::default();
        times[LATENCY] = Some(exchange.end.since(start));
        times[RESPONSE_HEAD] = exchange.head.as_ref().map(|head| head.at.since(start));
        times[FIRST_PACKAGE] = response.arrival(0).map(|first| first.since(start));
        times[TTFT] = first_output
            .filter(|_| response.is_streamed())
            .map(|first| first.since(start));
        times[ANSWER] = reading
            .and_then(|reading| reading.answers.as_ref()?.first())
            .filter(|_| response.is_streamed())
            .and_then(output)
            .map(|first| first.since(start));
        times[TPOT] = first_output
            .zip(last_output)
            .filter(|_| outputs.len() >= 2 && !reading.is_some_and(Reading::has_several_choices))
            .zip(completion_tokens)
            .and_then(|((first, last), count)| {
                let hidden = reading.map_or(0, Reading::hidden_tokens);
                per_token(last.since(first), count.tokens.saturating_sub(hidden))
            });
        let place = exchange.place;
        if place.is_of_several() {
            let time = if place.turn == 0 {
                FIRST_TURN
            } else {
                LATER_TURNS
            };
            times[time] = times[TTFT];
        }
        times[SESSION] = place
            .began
            .filter(|_| place.left() == 0)
            .map(|began| exchange.end.since(began));
        times[CONNECT] = connect;
        times[DNS] = exchange.connection.and_then(|opening| opening.dns);
        times[TLS] = exchange.connection.and_then(|opening| opening.tls);
        times[DISPATCH_LAG] = dispatch_lag;
        // This client's own doing: a connection takes as long to open as the network and the server want, a body as
        // long to come as the plugin and the data set want, and a place as long to be free as the server wants.
        times[CLIENT_LAG] = dispatch_lag.map(|lag| {
            lag.saturating_sub(connect.unwrap_or_default())
                .saturating_sub(exchange.body_wait)
                .saturating_sub(exchange.held_up)
        });
        times[BODY_WAIT] = Some(exchange.body_wait);
        times[HELD_UP] = Some(exchange.held_up).filter(|time| !time.is_zero());

        Self {
            times,
            output_gaps: gaps,
            coalesced_gaps: coalesced,
            packages: n as u64,
            package_span: span,
            package_gaps: if span.is_some() { n as u64 - 2 } else { 0 },
            prompt_tokens: reading.and_then(|reading| reading.prompt),
            completion_tokens,
        }
    }

    /// Average package latency of this request: [`Self::package_span`] / [`Self::package_gaps`], in
    /// seconds.
    pub fn package_latency_seconds(&self) -> Option<f64> {
        self.package_span
            .map(|span| span.as_secs_f64() / self.package_gaps as f64)
    }
}

/// Inter-token latency (ITL): the gaps between each output event and the next, in order. Empty where
/// no parser said which events carried output, and where several answers came in one stream.
pub fn output_gaps(outcome: &Outcome) -> impl Iterator<Item = Duration> + '_ {
    let response = &outcome.exchange.response;
    let outputs = outcome
        .reading
        .as_ref()
        .filter(|reading| !reading.has_several_choices())
        .map_or(&[][..], |reading| reading.outputs.as_slice());
    outputs.windows(2).filter_map(|pair| {
        let earlier = response.arrival(pair[0] as usize)?;
        let later = response.arrival(pair[1] as usize)?;
        Some(later.since(earlier))
    })
}

/// For each output event that brought tokens, but the first: the time since the event before it that did, and how many
/// tokens it brought. Empty where the server does not tell the tokens so far with every output, and where several answers came in one stream. An event with text and
/// no further token has a part of a token in it, and its time belongs to the next one that brings some.
pub(super) fn token_gaps(outcome: &Outcome) -> impl Iterator<Item = (Duration, NonZeroU32)> + '_ {
    let response = &outcome.exchange.response;
    let told = outcome
        .reading
        .as_ref()
        .filter(|reading| !reading.has_several_choices())
        .and_then(|reading| Some((&reading.outputs, reading.tokens_so_far.as_ref()?)));
    let events = told
        .into_iter()
        .flat_map(|(outputs, tokens)| outputs.iter().zip(tokens));
    let mut last: Option<(Moment, u32)> = None;
    events.filter_map(move |(index, so_far)| {
        let at = response.arrival(*index as usize)?;
        let Some((before, had)) = last else {
            last = Some((at, *so_far));
            return None;
        };
        let tokens = NonZeroU32::new(so_far.saturating_sub(had))?;
        last = Some((at, *so_far));
        Some((at.since(before), tokens))
    })
}

/// `span / (tokens − 1)`, rounded down to whole nanoseconds; `None` for fewer than two tokens.
fn per_token(span: Duration, tokens: u64) -> Option<Duration> {
    let gaps = tokens.checked_sub(1).filter(|gaps| *gaps > 0)?;
    // The quotient is at most the span, which was made from nanoseconds that fit.
    let nanos = span.as_nanos() / u128::from(gaps);
    Some(Duration::from_nanos(
        u64::try_from(nanos).unwrap_or(u64::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::exchange::{ConnectionOpening, TokenSource};
    use llmuses_samples::{OutcomeBuilder, millis};

    /// Intended at 100 ms, sent at 110; events at 150 (role), 160, 170, 170, 200 (usage); end at 205.
    fn streamed() -> OutcomeBuilder {
        OutcomeBuilder::at(100)
            .sent(110)
            .events(&[150, 160, 170, 170, 200])
            .end(205)
            .outputs(&[1, 2, 3])
            .tokens(7, 4, TokenSource::Server)
    }

    #[test]
    fn times_are_counted_from_the_origin() {
        let outcome = streamed().build();
        let closed = Measurement::of(&outcome, Origin::Sent);
        assert_eq!(closed.times[LATENCY], Some(millis(95)));
        assert_eq!(closed.times[FIRST_PACKAGE], Some(millis(40)));
        assert_eq!(closed.times[TTFT], Some(millis(50)));
        let open = Measurement::of(&outcome, Origin::Intended);
        assert_eq!(open.times[LATENCY], Some(millis(105)));
        assert_eq!(open.times[FIRST_PACKAGE], Some(millis(50)));
        assert_eq!(open.times[TTFT], Some(millis(60)));
    }

    #[test]
    fn the_answer_begins_behind_the_reasoning() {
        let answered = |answers: Option<&[u32]>| {
            let mut outcome = streamed().build();
            outcome.reading.as_mut().unwrap().answers = answers.map(<[u32]>::to_vec);
            Measurement::of(&outcome, Origin::Sent).times[ANSWER]
        };
        assert_eq!(answered(Some(&[2, 3])), Some(millis(60)));
        assert_eq!(answered(Some(&[])), None);
        assert_eq!(answered(None), None);
    }

    #[test]
    fn what_lies_between_does_not_depend_on_the_origin() {
        let outcome = streamed().build();
        for origin in [Origin::Sent, Origin::Intended] {
            let m = Measurement::of(&outcome, origin);
            // (170 − 160) / (4 − 1)
            assert_eq!(m.times[TPOT], Some(Duration::from_nanos(3_333_333)));
            assert_eq!((m.output_gaps, m.coalesced_gaps), (2, 1));
            // chunk[3] − chunk[0] over three gaps
            assert_eq!(m.package_span, Some(millis(20)));
            assert_eq!((m.packages, m.package_gaps), (5, 3));
            assert!((m.package_latency_seconds().unwrap() - 0.020 / 3.0).abs() < 1e-12);
            assert_eq!(m.times[DISPATCH_LAG], Some(millis(10)));
            assert_eq!(m.times[CLIENT_LAG], Some(millis(10)));
            assert_eq!(m.times[CONNECT], None);
            assert_eq!(m.prompt_tokens.unwrap().tokens, 7);
            assert_eq!(m.completion_tokens.unwrap().tokens, 4);
        }
        let gaps: Vec<Duration> = output_gaps(&outcome).collect();
        assert_eq!(gaps, [millis(10), Duration::ZERO]);
    }

    #[test]
    fn gaps_of_tokens_are_those_between_events_that_bring_some() {
        let gaps = |so_far: Option<&[u32]>| -> Vec<(Duration, u32)> {
            let mut outcome = streamed().outputs(&[0, 1, 2, 3, 4]).build();
            outcome.reading.as_mut().unwrap().tokens_so_far = so_far.map(<[u32]>::to_vec);
            let gaps = token_gaps(&outcome);
            gaps.map(|(gap, tokens)| (gap, tokens.get())).collect()
        };
        // Events at 150, 160, 170, 170, 200.
        assert_eq!(
            gaps(Some(&[2, 3, 3, 7, 9])),
            [(millis(10), 1), (millis(10), 4), (millis(30), 2)]
        );
        assert_eq!(gaps(Some(&[2, 2, 2, 2, 2])), []);
        assert_eq!(gaps(None), []);
    }

    #[test]
    fn a_connection_is_not_the_clients_own_lag() {
        let mut outcome = streamed().build();
        outcome.exchange.connection = Some(ConnectionOpening {
            tls: None,
            dns: Some(millis(2)),
            total: millis(8),
        });
        let m = Measurement::of(&outcome, Origin::Sent);
        assert_eq!(m.times[CONNECT], Some(millis(8)));
        assert_eq!(m.times[DNS], Some(millis(2)));
        assert_eq!(m.times[DISPATCH_LAG], Some(millis(10)));
        assert_eq!(m.times[CLIENT_LAG], Some(millis(2)));
    }

    #[test]
    fn a_plain_response_is_one_package() {
        let outcome = OutcomeBuilder::at(0)
            .sent(1)
            .events(&[41])
            .end(42)
            .outputs(&[0])
            .tokens(3, 9, TokenSource::Server)
            .build();
        let m = Measurement::of(&outcome, Origin::Sent);
        assert_eq!(m.packages, 1);
        assert_eq!(m.times[TTFT], None);
        assert_eq!(m.times[FIRST_PACKAGE], Some(millis(40)));
        assert_eq!(m.times[LATENCY], Some(millis(41)));
        // Nine tokens in one event: no time lies between them.
        assert_eq!(m.times[TPOT], None);
        assert_eq!((m.package_span, m.package_gaps), (None, 0));
        assert_eq!(m.package_latency_seconds(), None);
    }

    #[test]
    fn tokens_that_did_not_come_have_no_share_in_the_time_between() {
        let hidden = |tokens: f64| {
            let outcome = streamed()
                .tokens(7, 504, TokenSource::Server)
                .metric(llmuses_core::exchange::HIDDEN_REASONING, tokens)
                .build();
            Measurement::of(&outcome, Origin::Sent).times[TPOT]
        };
        assert_eq!(hidden(500.0), Some(Duration::from_nanos(3_333_333)));
        assert_eq!(hidden(504.0), None);
        assert_eq!(hidden(f64::NAN), hidden(0.0));
    }

    #[test]
    fn of_several_answers_in_one_stream_no_time_per_token_is_told() {
        let measured = |choices: f64| {
            let outcome = streamed()
                .tokens(7, 4, TokenSource::Server)
                .metric(llmuses_core::exchange::CHOICES, choices)
                .build();
            let m = Measurement::of(&outcome, Origin::Sent);
            (m.times[TTFT], m.times[TPOT].is_some(), m.output_gaps)
        };
        let one = measured(1.0);
        assert_eq!((one.1, one.2), (true, 2));
        assert_eq!(measured(2.0), (one.0, false, 0));
    }

    #[test]
    fn two_packages_have_no_span_and_one_token_no_tpot() {
        let outcome = OutcomeBuilder::at(0)
            .sent(0)
            .events(&[10, 20])
            .end(20)
            .outputs(&[0, 1])
            .tokens(1, 1, TokenSource::Server)
            .build();
        let m = Measurement::of(&outcome, Origin::Sent);
        assert_eq!((m.packages, m.package_span), (2, None));
        assert_eq!(m.times[TPOT], None);
    }

    #[test]
    fn a_request_that_was_never_sent_counts_from_its_intention() {
        let outcome = OutcomeBuilder::at(100)
            .end(160)
            .fails(llmuses_core::exchange::FailureKind::Connect, "refused")
            .build();
        let m = Measurement::of(&outcome, Origin::Sent);
        assert_eq!(m.times[LATENCY], Some(millis(60)));
        assert_eq!((m.times[TTFT], m.times[FIRST_PACKAGE]), (None, None));
        assert_eq!((m.times[DISPATCH_LAG], m.times[CLIENT_LAG]), (None, None));
        assert_eq!(m.packages, 0);
    }

    #[test]
    fn without_a_reading_there_is_no_first_token() {
        let mut outcome = streamed().build();
        outcome.reading = None;
        let m = Measurement::of(&outcome, Origin::Sent);
        assert_eq!(m.times[FIRST_PACKAGE], Some(millis(40)));
        assert_eq!(
            (m.times[TTFT], m.times[TPOT], m.output_gaps),
            (None, None, 0)
        );
    }
}
