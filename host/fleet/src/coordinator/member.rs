//! A worker as the coordinator knows it.

use crate::bounds::ClockOffset;
use crate::lines::{Hello, Opening, Ready};
use crate::link::Link;
use llmuses_core::clock::Moment;
use serde_json::value::RawValue;
use std::time::Duration;

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Started,
    Greeted,
    Waits,
    Runs,
    Done,
    Lost,
}

/// A worker and what is known of it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) link: Link,
    pub(super) phase: Phase,
    pub(super) hello: Option<Hello>,
    /// For the next load.
    pub(super) ready: Option<Ready>,
    /// At the beginning of the load.
    pub(super) offset: ClockOffset,
    pub(super) rows: u64,
    pub(super) connections: Vec<Opening>,
    pub(super) lost: Option<Loss>,
    /// Why nothing comes from it any more, after the load.
    pub(super) gone: Option<String>,
    pub(super) totals: Option<Box<RawValue>>,
    /// When it said that a signal had ended its part.
    pub(super) signalled: Option<Moment>,
}

/// That a worker was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) after: Duration,
    pub(super) reason: String,
}

impl Member {
    /// One that has been started and has said nothing.
    pub(super) fn started(link: Link) -> Self {
        Self {
            link,
            phase: Phase::Started,
            hello: None,
            ready: None,
            offset: ClockOffset {
                nanos: 0,
                bound_nanos: 0,
            },
            rows: 0,
            connections: Vec::new(),
            lost: None,
            gone: None,
            totals: None,
            signalled: None,
        }
    }

    /// Requests that it had begun and of which no result came, as far as it had said.
    pub(super) fn missing(&self) -> u64 {
        let (begun, _) = self.link.counts();
        begun.saturating_sub(self.rows)
    }
}

/// How workers are called: by their machines, with a number where one machine has several.
pub(super) fn names(hosts: &[String]) -> Vec<String> {
    let named = hosts.iter().enumerate().map(|(place, host)| {
        let of_host = |other: &&String| *other == host;
        if hosts.iter().filter(of_host).count() == 1 {
            return host.clone();
        }
        format!(
            "{host}#{}",
            hosts[..place].iter().filter(of_host).count() + 1
        )
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_on_one_machine_have_numbers() {
        let hosts = ["a", "b", "a"].map(str::to_owned);
        assert_eq!(names(&hosts), ["a#1", "b", "a#2"]);
    }
}
