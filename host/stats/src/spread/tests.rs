use super::*;
use proptest::prelude::*;

fn spread_of(times: impl IntoIterator<Item = Duration>) -> Spread {
    let mut spread = Spread::default();
    for time in times {
        spread.record(time);
    }
    spread
}

#[test]
fn an_empty_spread_has_no_figures() {
    let spread = Spread::default();
    assert_eq!(spread.samples(), 0);
    assert_eq!(spread.mean_seconds(), None);
    assert_eq!(spread.max(), None);
    assert_eq!(spread.percentile(Percentile::P50), None);
}

#[test]
fn percentiles_are_nearest_rank() {
    let spread = spread_of((1..=10).rev().map(Duration::from_millis));
    let [p50, p90, p99] = spread
        .percentiles([Percentile::P50, Percentile::P90, Percentile::P99])
        .unwrap();
    assert_eq!(p50, Duration::from_millis(5));
    assert_eq!(p90, Duration::from_millis(9));
    assert_eq!(p99, Duration::from_millis(10));
    assert_eq!(spread.mean_seconds(), Some(0.0055));
    assert_eq!(spread.min(), Some(Duration::from_millis(1)));
}

#[test]
fn deviation_intervals_and_curve_are_those_of_the_samples() {
    let spread = spread_of((1..=100).map(Duration::from_millis));
    let deviation = spread.standard_deviation_seconds().unwrap();
    // Of 1 to n: sqrt(n (n + 1) / 12).
    assert!((deviation - (100.0_f64 * 101.0 / 12.0).sqrt() / 1e3).abs() < 1e-9);
    let [median, p99] = spread.intervals([Percentile::P50, Percentile::P99], 100);
    let millis = |count| Some(Duration::from_millis(count));
    assert_eq!(median, (millis(40), millis(61)));
    assert_eq!(p99, (millis(97), None));
    // As of ten samples, which have ranks 2 and 9 for the median.
    let [median] = spread.intervals([Percentile::P50], 10);
    assert_eq!(median, (millis(20), millis(90)));
    assert_eq!(
        spread.curve(&[0.0, 50.0, 99.5, 100.0]),
        [1, 50, 100, 100].map(Duration::from_millis)
    );
    let empty = Spread::default();
    assert_eq!(empty.standard_deviation_seconds(), None);
    assert_eq!(empty.intervals([Percentile::P50], 9), [(None, None)]);
    assert!(empty.curve(&[0.0, 100.0]).is_empty());
}

#[test]
fn a_sample_that_counts_several_times_is_that_many_samples() {
    for times in [1, 3, FEW as u64 + 1] {
        let each = |millis: u64| std::iter::repeat_n(Duration::from_millis(millis), times as usize);
        let one_by_one = spread_of(each(7).chain(each(2)));
        let mut at_once = Spread::default();
        at_once.record_times(Duration::from_millis(7), times);
        at_once.record_times(Duration::from_millis(2), times);
        at_once.record_times(Duration::from_millis(9), 0);
        let figures = |spread: &Spread| {
            let percentiles = spread.percentiles(Percentile::ALL);
            (
                spread.samples(),
                spread.sum_nanos,
                spread.max(),
                percentiles,
            )
        };
        assert_eq!(figures(&at_once), figures(&one_by_one));
        let deviation = |spread: &Spread| spread.standard_deviation_seconds().unwrap();
        assert!((deviation(&at_once) - deviation(&one_by_one)).abs() < 1e-9);
    }
}

#[test]
fn zeros_and_nanoseconds_are_kept() {
    let spread = spread_of([0, 0, 1].map(Duration::from_nanos));
    assert_eq!(spread.percentile(Percentile::P50), Some(Duration::ZERO));
    assert_eq!(spread.max(), Some(Duration::from_nanos(1)));
    assert_eq!(spread.sum_nanos, 1);
}

#[test]
fn a_time_beyond_the_scale_is_counted_and_its_sum_is_exact() {
    let spread = spread_of([Duration::from_secs(1), LONGEST * 3]);
    assert_eq!(spread.beyond(), 1);
    assert_eq!(spread.max(), Some(LONGEST * 3));
    assert_eq!(
        spread.mean_seconds(),
        Some((1.0 + 3.0 * LONGEST.as_secs_f64()) / 2.0)
    );
    let p99 = spread.percentile(Percentile::P99).unwrap().as_secs_f64();
    assert!((p99 / LONGEST.as_secs_f64() - 1.0).abs() < 4e-6);
}

#[test]
fn memory_does_not_grow_with_the_samples() {
    let spread = spread_of((0..200_000).map(Duration::from_micros));
    assert!(matches!(spread.kept, Kept::Many(_)));
    assert_eq!(
        spread.percentile(Percentile::P90),
        Some(Duration::from_micros(179_999))
    );
}

/// Holds the percentiles of a spread against those of its samples, with a bound on the error in
/// nanoseconds for an exact value.
fn check(nanos: &[u64], bound: impl Fn(f64) -> f64) -> Result<(), TestCaseError> {
    let spread = spread_of(nanos.iter().copied().map(Duration::from_nanos));
    let mut sorted = nanos.to_vec();
    sorted.sort_unstable();
    let times = spread.percentiles(Percentile::ALL).unwrap();
    for (percentile, time) in Percentile::ALL.into_iter().zip(times) {
        let exact = sorted[percentile.rank(sorted.len() as u64) as usize - 1];
        let error = (time.as_nanos() as f64 - exact as f64).abs();
        prop_assert!(error <= bound(exact as f64), "{error} of {exact}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn percentiles_of_few_samples_are_exact(
        nanos in proptest::collection::vec(0_u64..100_000_000_000, 1..200)
    ) {
        check(&nanos, |_| 0.0)?;
    }

    #[test]
    fn percentiles_of_many_samples_keep_the_stated_error(
        nanos in proptest::collection::vec(0_u64..100_000_000_000, 1..200)
    ) {
        // Each sample so often that all together are many.
        let times = FEW / nanos.len() + 1;
        let many: Vec<u64> = nanos.iter().flat_map(|nanos| std::iter::repeat_n(*nanos, times)).collect();
        check(&many, |exact| 501.0 + exact / 260_000.0)?;
    }
}
