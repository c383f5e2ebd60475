//! Made-up outcomes for the tests of the statistics, the sink and the report. Times in milliseconds
//! since the start of the clock.

use llmuses_core::clock::Moment;
use llmuses_core::exchange::{
    ConnectionOpening, Exchange, Failure, FailureKind, Outcome, Reading, ResponseHead, ResponseLog,
    StampQuality, TokenCount, TokenSource,
};
use llmuses_core::turn::TurnPlace;
use std::time::Duration;

/// A duration in milliseconds.
pub fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A moment in milliseconds since the start of the clock.
pub fn moment(count: u64) -> Moment {
    Moment::from_nanos(count * 1_000_000)
}

/// An outcome in the making.
#[derive(Debug, Clone)]
pub struct OutcomeBuilder(Outcome, Ending);

/// Whether a stream says that it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Told,
    Untold,
}

impl OutcomeBuilder {
    /// A request that was intended at `intended`, and nothing else.
    pub fn at(intended: u64) -> Self {
        let outcome = Outcome {
            exchange: Exchange {
                number: 0,
                place: TurnPlace::alone(0),
                model: None,
                request_id: None,
                url: None,
                request: r#"{"model":"qwen"}"#.into(),
                intended: moment(intended),
                body_wait: Duration::ZERO,
                held_up: Duration::ZERO,
                sent: None,
                connection: None,
                head: None,
                response: ResponseLog::default(),
                end: moment(intended),
                stamps: StampQuality::Kernel,
                failure: None,
                held: Default::default(),
            },
            reading: None,
        };
        Self(outcome, Ending::Told)
    }

    pub fn number(mut self, number: u64) -> Self {
        self.0.exchange.number = number;
        self.0.exchange.place = TurnPlace::alone(number);
        self
    }

    /// Makes it a turn of a session of several.
    pub fn turn(mut self, session: u64, turn: u32, turns: u32) -> Self {
        self.0.exchange.place = TurnPlace {
            turn,
            began: (turn > 0).then(Moment::default),
            ..TurnPlace::first(session, turns)
        };
        self
    }

    pub fn sent(mut self, at: u64) -> Self {
        self.0.exchange.sent = Some(moment(at));
        self
    }

    pub fn body_after(mut self, time: u64) -> Self {
        self.0.exchange.body_wait = millis(time);
        self
    }

    pub fn held_up(mut self, time: u64) -> Self {
        self.0.exchange.held_up = millis(time);
        self
    }

    pub fn connected_in(mut self, time: u64) -> Self {
        self.0.exchange.connection = Some(ConnectionOpening {
            dns: None,
            tls: None,
            total: millis(time),
        });
        self
    }

    pub fn read_stamps(mut self) -> Self {
        self.0.exchange.stamps = StampQuality::Read;
        self
    }

    /// Events with `{"i":INDEX}` as their data; a head with status 200 at the first of them.
    pub fn events(mut self, arrivals: &[u64]) -> Self {
        let exchange = &mut self.0.exchange;
        if arrivals.len() > 1 {
            exchange.response.set_streamed();
        }
        for (index, at) in arrivals.iter().enumerate() {
            let data = format!(r#"{{"i":{index}}}"#);
            assert!(exchange.response.push(data.as_bytes(), moment(*at)));
        }
        exchange.head = arrivals.first().map(|at| ResponseHead {
            status: 200,
            at: moment(*at),
            content_type: None,
            label: None,
        });
        self
    }

    /// A stream, though it has one event.
    pub fn streamed(mut self) -> Self {
        self.0.exchange.response.set_streamed();
        self
    }

    pub fn end(mut self, at: u64) -> Self {
        self.0.exchange.end = moment(at);
        self
    }

    pub fn outputs(mut self, indices: &[u32]) -> Self {
        self.reading().outputs = indices.to_vec();
        self
    }

    pub fn tokens(mut self, prompt: u64, completion: u64, source: TokenSource) -> Self {
        let count = |tokens| Some(TokenCount { tokens, source });
        self.reading().prompt = count(prompt);
        self.reading().completion = count(completion);
        self
    }

    pub fn input_tokens(mut self, tokens: u64, source: TokenSource) -> Self {
        self.reading().prompt = Some(TokenCount { tokens, source });
        self
    }

    pub fn metric(mut self, name: &str, value: f64) -> Self {
        self.reading().metrics.push((name.to_owned(), value));
        self
    }

    pub fn finish_reason(mut self, reason: &str) -> Self {
        self.reading().finish_reason = Some(reason.to_owned());
        self
    }

    pub fn fails(mut self, kind: FailureKind, message: &str) -> Self {
        self.0.exchange.failure = Some(Failure::new(kind, message));
        self
    }

    pub fn status(mut self, status: u16, at: u64) -> Self {
        self.0.exchange.head = Some(ResponseHead {
            status,
            at: moment(at),
            content_type: None,
            label: None,
        });
        self
    }

    /// A stream that does not say that it is over.
    pub fn without_end(mut self) -> Self {
        self.1 = Ending::Untold;
        self
    }

    pub fn build(mut self) -> Outcome {
        let exchange = &mut self.0.exchange;
        if exchange.response.is_streamed() && self.1 == Ending::Told {
            exchange.response.set_done(exchange.end);
        }
        self.0
    }

    fn reading(&mut self) -> &mut Reading {
        self.0.reading.get_or_insert_default()
    }
}
