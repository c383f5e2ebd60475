//! When the requests of a run were due, were sent and ended: the first and the last of each.

use llmuses_core::clock::Moment;
use llmuses_core::exchange::Exchange;
use std::time::Duration;

/// The first and the last instants of a run's requests.
#[derive(Debug, Clone, Default)]
pub(super) struct RunSpan {
    intended: FirstAndLast,
    sent: FirstAndLast,
    last_end: Option<Moment>,
}

/// The first and the last of some instants. `None` where there was none.
#[derive(Debug, Clone, Default)]
struct FirstAndLast(Option<(Moment, Moment)>);

impl FirstAndLast {
    fn note(&mut self, moment: Moment) {
        let (first, last) = self.0.unwrap_or((moment, moment));
        self.0 = Some((first.min(moment), last.max(moment)));
    }

    fn first(&self) -> Option<Moment> {
        self.0.map(|(first, _)| first)
    }

    fn length(&self) -> Option<Duration> {
        self.0.map(|(first, last)| last.since(first))
    }
}

impl RunSpan {
    /// Takes in a request.
    pub(super) fn note(&mut self, exchange: &Exchange) {
        self.intended.note(exchange.intended);
        if let Some(sent) = exchange.sent {
            self.sent.note(sent);
        }
        let end = exchange.end;
        self.last_end = Some(self.last_end.map_or(end, |last| last.max(end)));
    }

    /// When the first request was sent.
    pub(super) fn first_sent(&self) -> Option<Moment> {
        self.sent.first()
    }

    /// From the first request that was due to the last one.
    pub(super) fn schedule(&self) -> Option<Duration> {
        self.intended.length()
    }

    /// From the first request that was sent to the last one, or to `until` where that is later.
    pub(super) fn sending(&self, until: Option<Moment>) -> Option<Duration> {
        let (first, last) = self.sent.0?;
        Some(until.map_or(last, |until| last.max(until)).since(first))
    }

    /// From the first request that was sent to the last end; where none was sent, from the first that was due.
    pub(super) fn wall(&self) -> Option<Duration> {
        let first = self.sent.first().or(self.intended.first())?;
        Some(self.last_end?.since(first))
    }
}
