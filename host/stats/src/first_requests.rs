//! Whether it makes sense to go on: a run whose first requests all failed would only do so again and again.

use llmuses_core::exchange::{FailureKind, Outcome};

/// A run ends where this many first requests have failed, and none has succeeded.
const ALL_FAILED: u64 = 100;

/// The same, where not one of them got a connection.
const NONE_CONNECTED: u64 = 10;

/// The outcome of the first requests, by their number: while one of them is under way, what others failed with is no
/// reason to stop, such as where a server takes a few requests and refuses all others at once.
#[derive(Debug, Default)]
pub struct FirstRequests {
    succeeded: bool,
    failed: u64,
    not_connected: u64,
}

impl FirstRequests {
    /// Takes note of a request that is over. Gives the reason to stop, where this is the one that makes it so.
    pub fn note(&mut self, outcome: &Outcome) -> Option<String> {
        let exchange = &outcome.exchange;
        let Some(failure) = &exchange.failure else {
            self.succeeded = true;
            return None;
        };
        let says_nothing = matches!(
            failure.kind,
            FailureKind::Cancelled | FailureKind::Disconnected
        );
        if self.succeeded || says_nothing {
            return None;
        }
        let has_no_connection = matches!(
            failure.kind,
            FailureKind::Dns
                | FailureKind::Connect
                | FailureKind::Tls
                | FailureKind::TimeoutConnect
        );
        // Of sessions, first turns: where one of them has a later turn, it has succeeded.
        let number = exchange.place.session;
        let mut what = None;
        if number < NONE_CONNECTED && has_no_connection {
            self.not_connected += 1;
            if self.not_connected == NONE_CONNECTED {
                what = Some(format!(
                    "none of the first {NONE_CONNECTED} requests got a connection"
                ));
            }
        }
        if number < ALL_FAILED {
            self.failed += 1;
            // The last of the first requests may be the last of those too; that none got a connection tells more.
            if self.failed == ALL_FAILED && what.is_none() {
                what = Some(format!("the first {ALL_FAILED} requests all failed"));
            }
        }
        what.map(|what| {
            format!(
                "{what}, the last of them with {}: {} (--keep-going sends the others all the same)",
                failure.kind, failure.message
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_samples::OutcomeBuilder;

    fn failed(number: u64, kind: FailureKind) -> Outcome {
        OutcomeBuilder::at(0)
            .number(number)
            .fails(kind, "why")
            .build()
    }

    #[test]
    fn a_run_without_any_success_ends() {
        let mut first = FirstRequests::default();
        for number in 0..99 {
            assert_eq!(first.note(&failed(number, FailureKind::HttpStatus)), None);
        }
        let reason = first.note(&failed(99, FailureKind::HttpStatus)).unwrap();
        assert!(
            reason.starts_with(
                "the first 100 requests all failed, the last of them with http-status: why"
            ),
            "{reason}"
        );
        // It is said once.
        assert_eq!(first.note(&failed(100, FailureKind::HttpStatus)), None);
    }

    #[test]
    fn without_a_connection_it_ends_sooner() {
        let mut first = FirstRequests::default();
        for number in 0..9 {
            assert_eq!(first.note(&failed(number, FailureKind::Connect)), None);
        }
        let reason = first.note(&failed(9, FailureKind::Dns)).unwrap();
        assert!(
            reason.starts_with("none of the first 10 requests got a connection"),
            "{reason}"
        );
    }

    #[test]
    fn one_success_or_one_that_is_under_way_is_reason_to_go_on() {
        let mut first = FirstRequests::default();
        assert_eq!(first.note(&OutcomeBuilder::at(0).number(3).build()), None);
        let mut waiting = FirstRequests::default();
        for number in (0..3).chain(4..1_000) {
            let failed = failed(number, FailureKind::HttpStatus);
            assert_eq!(first.note(&failed), None);
            assert_eq!(waiting.note(&failed), None);
        }
        for kind in [FailureKind::Cancelled, FailureKind::Disconnected] {
            assert_eq!(waiting.note(&failed(3, kind)), None);
        }
    }
}
