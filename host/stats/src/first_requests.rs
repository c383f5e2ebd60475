//! Whether it makes sense to go on: a run none of whose first requests succeeded would only fail again and again.

use llmuses_core::exchange::{Failure, FailureKind, Outcome};

/// A run ends where this many first requests are over, and none has succeeded; not where the client broke all of them off.
const NONE_SUCCEEDED: u64 = 100;

/// The same, where not one of them got a connection.
const NONE_CONNECTED: u64 = 10;

/// The outcome of the first requests, which are those of the first sessions: while one of them is under way, what others
/// failed with is no reason to stop, such as where a server takes a few requests and refuses all others at once.
#[derive(Debug, Default)]
pub struct FirstRequests {
    succeeded: bool,
    /// Of the first ones: those that are over, and the failed ones among them.
    over: u64,
    failed: u64,
    not_connected: u64,
    /// Why the last of them failed that did.
    last_failure: Option<Failure>,
}

impl FirstRequests {
    /// Takes note of a request that is over. Gives the reason to stop, where this is the one that makes it so.
    pub fn note(&mut self, outcome: &Outcome) -> Option<String> {
        let exchange = &outcome.exchange;
        let Some(failure) = &exchange.failure else {
            self.succeeded = true;
            return None;
        };
        // A request without a session is one by itself. Of a session, the first turn counts: a later one is sent after a
        // success only. Of a conversation of a trace, each entry counts.
        let number = exchange.place.session;
        let says_nothing = failure.kind == FailureKind::Cancelled;
        if self.succeeded || says_nothing || number >= NONE_SUCCEEDED {
            return None;
        }
        let mut what = None;
        self.over += 1;
        if outcome.failed() {
            self.failed += 1;
            self.last_failure = Some(failure.clone());
            let has_no_connection = matches!(
                failure.kind,
                FailureKind::Dns
                    | FailureKind::Connect
                    | FailureKind::Tls
                    | FailureKind::TimeoutConnect
            );
            if number < NONE_CONNECTED && has_no_connection {
                self.not_connected += 1;
                if self.not_connected == NONE_CONNECTED {
                    what = Some(format!(
                        "none of the first {NONE_CONNECTED} requests got a connection"
                    ));
                }
            }
        }
        // The last of the first requests may be the last of those too; that none got a connection tells more.
        if self.over == NONE_SUCCEEDED && what.is_none() {
            what = match self.failed {
                // Nothing is known of the server.
                0 => None,
                NONE_SUCCEEDED => Some(format!("the first {NONE_SUCCEEDED} requests all failed")),
                failed => Some(format!(
                    "none of the first {NONE_SUCCEEDED} requests succeeded, {failed} failed"
                )),
            };
        }
        let last = self.last_failure.as_ref();
        what.zip(last).map(|(what, last)| {
            format!(
                "{what}, the last of them with {}: {} (--keep-going sends the others all the same)",
                last.kind, last.message
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
        assert_eq!(waiting.note(&failed(3, FailureKind::Cancelled)), None);
    }

    #[test]
    fn requests_that_the_client_broke_off_are_over_and_did_not_fail() {
        let mut first = FirstRequests::default();
        for number in 0..99 {
            let kind = match number % 4 {
                0 => FailureKind::Disconnected,
                _ => FailureKind::HttpStatus,
            };
            assert_eq!(first.note(&failed(number, kind)), None);
        }
        // The failure that is told is that of another one.
        let reason = first.note(&failed(99, FailureKind::Disconnected)).unwrap();
        let said = "none of the first 100 requests succeeded, 74 failed, the last of them with http-status: why";
        assert!(reason.starts_with(said), "{reason}");
    }

    #[test]
    fn a_run_whose_requests_were_all_broken_off_goes_on() {
        let mut first = FirstRequests::default();
        for number in 0..1_000 {
            let broken_off = failed(number, FailureKind::Disconnected);
            assert_eq!(first.note(&broken_off), None);
        }
    }
}
