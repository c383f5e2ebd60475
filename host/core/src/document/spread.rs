//! How a time is spread over the requests of a run.

use super::named::Named;
use super::percentile::{ByPercentile, Percentile};
use crate::metric::{ByTime, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// How a time is spread: exact count, mean and extremes, nearest-rank percentiles.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeFigures {
    /// How many times there are.
    pub samples: u64,
    /// The mean.
    #[serde(default)]
    pub mean_seconds: Option<f64>,
    /// Divisor n - 1; null below two samples.
    #[serde(default)]
    pub standard_deviation_seconds: Option<f64>,
    /// The shortest.
    #[serde(default)]
    pub min_seconds: Option<f64>,
    /// The longest.
    #[serde(default)]
    pub max_seconds: Option<f64>,
    /// Nearest-rank percentiles.
    #[serde(flatten)]
    pub percentiles: ByPercentile<Option<f64>>,
    /// Samples longer than a day, which count as a day in percentiles; absent where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub samples_beyond_the_scale: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How a time is spread, and how certain that is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// The figures.
    #[serde(flatten)]
    pub figures: TimeFigures,
    /// Lower and upper bound of each percentile by order statistics, with succeeded requests as independent samples; null
    /// where there are too few for a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ByPercentile<[Option<f64>; 2]>")]
    pub intervals_of_95_percent: Option<ByPercentile<[Option<f64>; 2]>>,
    /// The nearest-rank time at each percent; empty seconds without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Curve")]
    pub curve: Option<Curve>,
    /// How many of the times lie in each of at most 40 bins; absent without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Histogram")]
    pub histogram: Option<Histogram>,
}

/// How many times lie in each of some bins of equal width, the first of which begins at the shortest time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Histogram {
    /// Where the first bin begins.
    pub from_seconds: f64,
    /// The width of a bin.
    pub bin_seconds: f64,
    /// The times in each bin.
    pub samples: Vec<u64>,
    /// Times beyond the last bin: few, and so long that all others would lie in few bins.
    pub longer: u64,
}

impl std::ops::Deref for Distribution {
    type Target = TimeFigures;

    fn deref(&self) -> &TimeFigures {
        &self.figures
    }
}

impl TimeFigures {
    /// A percentile.
    pub fn percentile(&self, percentile: Percentile) -> Option<f64> {
        self.percentiles.get(percentile).copied().flatten()
    }
}

impl Distribution {
    /// The lower and the upper bound of a percentile.
    pub fn interval(&self, percentile: Percentile) -> [Option<f64>; 2] {
        let intervals = self.intervals_of_95_percent.as_ref();
        let bounds = intervals.and_then(|intervals| intervals.get(percentile));
        bounds.copied().unwrap_or_default()
    }
}

/// The curve of the percentiles.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Curve {
    /// From 0 to 100.
    pub percents: Vec<f64>,
    /// The time at each.
    pub seconds: Vec<f64>,
}

/// The times of a run, each under its name in the table of metrics. One that a document lacks has no samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Times(pub ByTime<Distribution>);

impl std::ops::Index<Time> for Times {
    type Output = Distribution;

    fn index(&self, time: Time) -> &Distribution {
        &self.0[time]
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (time, distribution) in self.0.iter() {
            map.serialize_entry(time.key, distribution)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut times = Self::default();
        for (key, value) in Named::<Value>::deserialize(deserializer)?.0 {
            if let Some(time) = Time::of_key(&key) {
                times.0[time] = Distribution::deserialize(value)
                    .map_err(|error| serde::de::Error::custom(format!("{key}: {error}")))?;
            }
        }
        Ok(times)
    }
}

impl JsonSchema for Times {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "times".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let properties: Map<String, Value> = Time::all()
            .map(|time| {
                let schema = if time.curve {
                    generator.subschema_for::<Distribution>()
                } else {
                    generator.subschema_for::<TimeFigures>()
                };
                (time.key.to_owned(), schema.into())
            })
            .collect();
        let required: Vec<&str> = Time::all()
            .filter(|time| !time.added)
            .map(|time| time.key)
            .collect();
        json_schema!({ "type": "object", "properties": properties, "required": required })
    }
}
