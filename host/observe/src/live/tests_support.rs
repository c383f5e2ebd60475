//! A made-up snapshot, for the tests of what shows one.

use super::{Buckets, Phase, RecentFigures, Snapshot};
use llmuses_core::exchange::FailureKind;
use llmuses_core::metric::{ByTime, Sums, TPOT, TTFT};
use llmuses_core::plan::Arrivals;
use llmuses_stats::FailureCount;
use std::time::Duration;

/// A closed loop of eight that is a bit more than a third done, and all is well.
pub(crate) fn snapshot() -> Snapshot {
    let millis = Duration::from_millis;
    let mut times = ByTime::<Buckets>::default();
    times[TTFT].record(millis(51));
    times[TTFT].record(millis(102));
    let mut recent = ByTime::default();
    recent[TTFT] = Some([millis(51), millis(102)]);
    recent[TPOT] = Some([Duration::from_micros(10_110), Duration::from_micros(11_900)]);
    Snapshot {
        run: 1,
        of: 1,
        arrivals: Arrivals::Closed { parallel: 8 },
        phase: Phase::Issuing,
        elapsed: millis(12_400),
        asked: Some(1000),
        duration: None,
        begun: 388,
        in_flight: 8,
        warmup: 0,
        succeeded: 380,
        failed: 0,
        disconnected: 0,
        failures: Vec::new(),
        sums: Sums {
            input_tokens: Some(3_800.0),
            output_tokens: Some(38_000.0),
            cached_tokens: Some(1_900.0),
            bytes_received: 7_600_000,
            ..Sums::default()
        },
        recent: RecentFigures {
            begun: 290,
            sums: Sums {
                wall_seconds: Some(9.4),
                completed: 287,
                succeeded: 287,
                output_tokens: Some(28_683.0),
                ..Sums::default()
            },
            times: recent,
        },
        times,
    }
}

/// The same, with failures of two kinds.
pub(crate) fn failing() -> Snapshot {
    let failure = |kind, count| FailureCount {
        kind,
        status: None,
        count,
        example: "what the server said".to_owned(),
    };
    Snapshot {
        succeeded: 357,
        failed: 23,
        disconnected: 0,
        failures: vec![
            failure(FailureKind::HttpStatus, 21),
            failure(FailureKind::TimeoutRead, 2),
        ],
        ..snapshot()
    }
}
