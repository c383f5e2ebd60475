//! Percentiles of the times of a slot, in little memory.

use llmuses_core::document::Percentile;
use std::collections::BTreeMap;
use std::time::Duration;

/// By how much the end of a bucket is longer than its beginning: a percentile is off by at most 1 %.
const STEP: f64 = 1.02;

/// Counts of times in buckets whose ends grow geometrically. Two of them add up to one, whatever the order.
///
/// Memory: some ten bytes for each bucket in use. All times from a microsecond to a day lie in 1,300 buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    buckets: BTreeMap<u16, u32>,
}

impl Sketch {
    /// Adds a time, where there is one.
    pub fn record(&mut self, time: Option<Duration>) {
        let Some(time) = time else { return };
        let nanos = time.as_nanos().max(1) as f64;
        // The logarithm of the longest duration is below 4,500.
        let bucket = (nanos.ln() / STEP.ln()).round() as u16;
        let count = self.buckets.entry(bucket).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds the times of another one.
    pub fn add(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            let sum = self.buckets.entry(*bucket).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// How many times there are.
    pub fn samples(&self) -> u64 {
        self.buckets.values().map(|count| u64::from(*count)).sum()
    }

    /// A nearest-rank percentile in seconds. `None` without times.
    pub fn percentile_seconds(&self, percentile: Percentile) -> Option<f64> {
        let rank = percentile.rank(self.samples());
        let mut seen = 0;
        self.buckets.iter().find_map(|(bucket, count)| {
            seen += u64::from(*count);
            // Of a thousandth of a microsecond there is nothing to be told.
            let nanos = STEP.powi(i32::from(*bucket)).round();
            (seen >= rank).then_some(nanos / 1e9)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_hundredth() {
        let (mut all, mut odd) = (Sketch::default(), Sketch::default());
        for millis in 1..=1000 {
            let into = if millis % 2 == 0 { &mut all } else { &mut odd };
            into.record(Some(Duration::from_millis(millis)));
        }
        all.record(None);
        all.add(&odd);
        assert_eq!(all.samples(), 1000);
        for percentile in Percentile::ALL {
            let exact = percentile.rank(1000) as f64 / 1e3;
            let found = all.percentile_seconds(percentile).unwrap();
            assert!((found / exact - 1.0).abs() < 0.0101, "{found} for {exact}");
        }
    }

    #[test]
    fn every_duration_has_a_bucket() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.percentile_seconds(Percentile::P50), None);
        sketch.record(Some(Duration::ZERO));
        assert!(sketch.percentile_seconds(Percentile::P50).unwrap() < 1e-6);
        sketch.record(Some(Duration::MAX));
        assert!(sketch.percentile_seconds(Percentile::P99).unwrap() > 1e9);
    }
}
