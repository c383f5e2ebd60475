//! Percentiles: which ones are reported, how they are ranked, and how many samples each one needs
//! before it says something.

use super::named::Named;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Map;
use std::borrow::Cow;

/// A percentile, kept as a whole number of thousandths so that its rank is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentile(u16);

impl Percentile {
    /// The median.
    pub const P50: Self = Self(500);
    /// The 90th percentile.
    pub const P90: Self = Self(900);
    /// The 95th percentile.
    pub const P95: Self = Self(950);
    /// The 99th percentile.
    pub const P99: Self = Self(990);
    /// The 99.9th percentile.
    pub const P999: Self = Self(999);

    /// The percentiles of the summary's lists, in their order.
    pub const LISTED: [Self; 8] = [
        Self(500),
        Self(660),
        Self(750),
        Self(800),
        Self(900),
        Self(950),
        Self(980),
        Self(990),
    ];

    /// The listed ones, and the 99.9th.
    pub const ALL: [Self; 9] = [
        Self(500),
        Self(660),
        Self(750),
        Self(800),
        Self(900),
        Self(950),
        Self(980),
        Self(990),
        Self(999),
    ];

    /// The percentile as a share, from 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// The name: `p50`, `p99.9`.
    pub fn label(self) -> String {
        if self.0.is_multiple_of(10) {
            format!("p{}", self.0 / 10)
        } else {
            format!("p{}.{}", self.0 / 10, self.0 % 10)
        }
    }

    /// The nearest rank among `samples` samples in ascending order, from 1: the smallest whole number
    /// that is not below p × samples. 0 for no samples.
    pub fn rank(self, samples: u64) -> u64 {
        // A product of 64 and 10 bits; the quotient is at most `samples`.
        let rank = (u128::from(samples) * u128::from(self.0)).div_ceil(1000);
        u64::try_from(rank).unwrap_or(samples)
    }

    /// How many samples the percentile needs: the smallest n with 1 − pⁿ ≥ 0.99, which is 99 % confidence
    /// that at least one sample lies beyond the true percentile (each sample lies within it with
    /// probability p, and samples are taken as independent).
    pub fn needs(self) -> u64 {
        let p = self.share();
        (0.01_f64.ln() / p.ln()).ceil() as u64
    }

    /// The ranks between which the true percentile lies with 95 % confidence, from 1, given that many
    /// independent samples: the order statistics of Hahn, Meeker and Escobar, *Statistical Intervals*,
    /// 5.2. `None` on a side where even the extreme sample does not give that confidence.
    pub fn interval_ranks(self, samples: u64) -> (Option<u64>, Option<u64>) {
        let p = self.share();
        // The number of samples below the true percentile is binomial, B(samples, p). Of the lower rank,
        // P(B < rank) may be 2.5 % at most; seen from above, of the upper one P(B >= rank).
        let lower = samples_in_tail(samples, p);
        let upper = samples_in_tail(samples, 1.0 - p);
        (
            (lower > 0).then_some(lower),
            (upper > 0).then(|| samples + 1 - upper),
        )
    }

    /// Whether `samples` are fewer than [`Self::needs`].
    pub fn is_short(self, samples: u64) -> bool {
        samples < self.needs()
    }
}

/// The largest k with P(B(n, p) < k) ≤ 2.5 %. Exact as long as that takes few steps; else by the normal
/// approximation, rounded outwards.
fn samples_in_tail(n: u64, p: f64) -> u64 {
    const TAIL: f64 = 0.025;
    /// The quantile of the normal distribution at 1 − [`TAIL`].
    const Z: f64 = 1.959_963_984_540_054;
    let mean = n as f64 * p;
    if mean > 500.0 {
        let deviation = (mean * (1.0 - p)).sqrt();
        // At most n, for the deviation is above zero and the mean below n.
        return (mean - Z * deviation).floor().max(0.0) as u64;
    }
    // As logarithms: P(B = 0) = (1 − p)^n is below every float where p is above 1/2 and n some hundreds.
    let mut log_of_this = n as f64 * (1.0 - p).ln();
    let mut so_far = 0.0;
    let mut k = 0;
    while k < n && so_far + log_of_this.exp() <= TAIL {
        so_far += log_of_this.exp();
        log_of_this += ((n - k) as f64 / (k + 1) as f64 * p / (1.0 - p)).ln();
        k += 1;
    }
    k
}

/// A value for each of [`Percentile::ALL`], in JSON under names such as `p50_seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ByPercentile<T>(pub [T; Percentile::ALL.len()]);

impl<T> ByPercentile<T> {
    /// The value of one of [`Percentile::ALL`].
    pub fn get(&self, percentile: Percentile) -> Option<&T> {
        let place = Percentile::ALL.iter().position(|one| *one == percentile)?;
        self.0.get(place)
    }
}

impl Percentile {
    /// The name in a document, for a time: `p50_seconds`.
    pub fn key(self) -> String {
        format!("{}_seconds", self.label())
    }
}

impl<T: Serialize> Serialize for ByPercentile<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Percentile::ALL.map(Percentile::key).iter().zip(&self.0))
    }
}

impl<'de, T: DeserializeOwned + Default + Copy> Deserialize<'de> for ByPercentile<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Named::<serde_json::Value>::deserialize(deserializer)?;
        let mut values = [T::default(); Percentile::ALL.len()];
        for (value, percentile) in values.iter_mut().zip(Percentile::ALL) {
            if let Some(found) = members.get(&percentile.key()) {
                *value = T::deserialize(found.clone()).map_err(serde::de::Error::custom)?;
            }
        }
        Ok(Self(values))
    }
}

impl<T: JsonSchema> JsonSchema for ByPercentile<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("by_percentile_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = Percentile::ALL.map(Percentile::key);
        let properties: Map<String, serde_json::Value> = keys
            .iter()
            .map(|key| (key.clone(), generator.subschema_for::<T>().into()))
            .collect();
        json_schema!({ "type": "object", "properties": properties, "required": keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_percentile_knows_how_many_samples_it_needs() {
        let needs: Vec<(String, u64)> = Percentile::ALL
            .iter()
            .map(|p| (p.label(), p.needs()))
            .collect();
        let expected = [
            ("p50", 7),
            ("p66", 12),
            ("p75", 17),
            ("p80", 21),
            ("p90", 44),
            ("p95", 90),
            ("p98", 228),
            ("p99", 459),
            ("p99.9", 4603),
        ];
        assert_eq!(needs, expected.map(|(p, n)| (p.to_owned(), n)));
        for p in Percentile::ALL {
            let confidence = |n: u64| 1.0 - (f64::from(p.0) / 1000.0).powi(n as i32);
            assert!(confidence(p.needs()) >= 0.99);
            assert!(confidence(p.needs() - 1) < 0.99);
        }
    }

    #[test]
    fn intervals_have_the_ranks_of_the_tables() {
        // Hahn, Meeker and Escobar, table J.17 and the binomial distribution.
        assert_eq!(Percentile::P50.interval_ranks(100), (Some(40), Some(61)));
        assert_eq!(Percentile::P90.interval_ranks(100), (Some(84), Some(96)));
        assert_eq!(Percentile::P50.interval_ranks(5), (None, None));
        assert_eq!(Percentile::P50.interval_ranks(6), (Some(1), Some(6)));
        // 0.99^100 = 37 %: no sample is beyond with confidence.
        assert_eq!(Percentile::P99.interval_ranks(100).1, None);
        assert_eq!(Percentile::P99.interval_ranks(0), (None, None));
        let (lower, upper) = Percentile::P99.interval_ranks(1_000_000);
        assert_eq!(lower, Some(989_804));
        assert!(upper.unwrap().abs_diff(990_196) <= 2);
    }

    #[test]
    fn exact_and_approximate_ranks_meet() {
        let exact = samples_in_tail(999, 0.5);
        let approximate = samples_in_tail(1001, 0.5);
        assert!(approximate.abs_diff(exact) <= 2, "{exact} {approximate}");
    }

    #[test]
    fn an_interval_holds_its_percentile_whatever_the_number_of_samples() {
        for percentile in Percentile::ALL {
            for samples in (1..2000).chain([10_000, 100_000, 1_000_000]) {
                let rank = percentile.rank(samples);
                let (lower, upper) = percentile.interval_ranks(samples);
                let (lower, upper) = (lower.unwrap_or(1), upper.unwrap_or(samples));
                assert!(
                    lower <= rank && rank <= upper,
                    "{} of {samples}: {rank} is not in {lower} to {upper}",
                    percentile.label()
                );
            }
        }
    }

    #[test]
    fn ranks_are_the_nearest_from_above() {
        assert_eq!(Percentile::P50.rank(10), 5);
        assert_eq!(Percentile::P50.rank(11), 6);
        assert_eq!(Percentile::P90.rank(10), 9);
        // In floating point 0.95 × 20 is 19.000…4, and its ceiling 20.
        assert_eq!(Percentile(950).rank(20), 19);
        assert_eq!(Percentile::P999.rank(10), 10);
        assert_eq!(Percentile::P999.rank(1), 1);
        assert_eq!(Percentile::P50.rank(0), 0);
        assert_eq!(Percentile::P999.rank(u64::MAX), 18_428_297_329_635_842_064);
    }
}
