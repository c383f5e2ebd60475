//! Goodput: the requests that met every objective (Zhong et al., *DistServe*, OSDI 2024).

use llmuses_core::metric::{ByTime, Objective};
use llmuses_core::plan::Objectives;
use std::time::Duration;

/// Whether a succeeded request with these times met its objectives. A time to first token that nobody knows is not met; a
/// time per output token that the request cannot have (one token has no gaps) is.
pub fn is_met(objectives: &Objectives, times: &ByTime<Option<Duration>>) -> bool {
    objectives.bounds().all(|(time, bound)| match times[time] {
        Some(found) => found <= bound,
        None => time.objective == Objective::Met,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Measurement, Origin};
    use llmuses_core::exchange::TokenSource;
    use llmuses_core::metric::{LATENCY, TPOT, TTFT};
    use llmuses_samples::{OutcomeBuilder, millis};

    #[test]
    fn every_objective_must_be_met() {
        // TTFT 50 ms, TPOT 10 ms, latency 80 ms.
        let outcome = OutcomeBuilder::at(0)
            .sent(0)
            .events(&[50, 60, 70])
            .end(80)
            .outputs(&[0, 1, 2])
            .tokens(1, 3, TokenSource::Server)
            .build();
        let measured = Measurement::of(&outcome, Origin::Sent);
        let objectives = |ttft: u64, tpot: u64, latency: u64| {
            Objectives::of([
                (TTFT, millis(ttft)),
                (TPOT, millis(tpot)),
                (LATENCY, millis(latency)),
            ])
        };
        assert!(is_met(&objectives(50, 10, 80), &measured.times));
        assert!(!is_met(&objectives(49, 10, 80), &measured.times));
        assert!(!is_met(&objectives(50, 9, 80), &measured.times));
        assert!(!is_met(&objectives(50, 10, 79), &measured.times));
    }

    #[test]
    fn what_cannot_be_known_is_not_met_and_what_cannot_be_is() {
        let one_token = OutcomeBuilder::at(0)
            .sent(0)
            .events(&[50])
            .streamed()
            .end(50)
            .outputs(&[0])
            .tokens(1, 1, TokenSource::Server)
            .build();
        let unknown = OutcomeBuilder::at(0).sent(0).events(&[50]).end(50).build();
        let bound = millis(60);
        let tpot = Objectives::of([(TPOT, bound)]);
        let ttft = Objectives::of([(TTFT, bound)]);
        let met =
            |objectives, outcome| is_met(objectives, &Measurement::of(outcome, Origin::Sent).times);
        assert!(met(&tpot, &one_token));
        assert!(met(&ttft, &one_token));
        assert!(!met(&ttft, &unknown));
    }
}
