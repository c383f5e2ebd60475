//! When it was sent.

use super::super::named::Named;
use super::group::{Difference, group, is_no_difference, is_told, is_work};
use crate::metric::{ByTime, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::time::Duration;

group! {
    /// When it was sent. Number, duration and seed say how many samples there are and where chance lies, not what is
    /// estimated; objectives say what is counted of it.
    #[derive(Default)]
    pub struct LoadRecord {
        /// How many requests to make.
        number: Option<u64> => is_told("-n"),
        /// How many sessions to begin.
        sessions: Option<u64> => is_told("--sessions"),
        /// How long requests are issued.
        duration_seconds: Option<f64> => is_told("--duration"),
        /// How long requests in flight have after that.
        drain_seconds: Option<f64> => is_told("--drain-timeout"),
        /// The warm-up, as a number of requests; of sessions, a number of sessions.
        warmup_requests: Option<u64> => is_work("--warmup"),
        /// The warm-up, as a time.
        warmup_seconds: Option<f64> => is_work("--warmup"),
        /// What requests should achieve.
        objectives: Option<GoodputBounds> => objectives_are_told("--goodput"),
        /// When requests go: `closed`, `poisson`, `constant`, `gamma`, `all-at-once` or `trace`.
        arrivals: String => is_work("arrivals"),
        /// The slots of a closed loop; with stages, the most of them.
        parallel: Option<u64> => is_work("--parallel"),
        /// The requests per second of an open loop that has a rate; with stages, the highest.
        #[serde(deserialize_with = "rate")]
        rate: Option<f64> => is_work("--rate"),
        /// Standard deviation of the gaps between requests by their mean, where it was given (`gamma`).
        #[serde(skip_serializing_if = "Option::is_none")]
        gaps_cv: Option<f64> => is_work("--arrival gamma"),
        /// By what the times of a replayed trace were divided.
        #[serde(skip_serializing_if = "Option::is_none")]
        trace_speed: Option<f64> => is_work("--trace-speed"),
        /// How many of the first entries of a trace were to be sent; absent: all.
        #[serde(skip_serializing_if = "Option::is_none")]
        trace_entries: Option<u64> => is_told("--trace-limit"),
        /// The time of the trace before which entries were to be sent; absent: all.
        #[serde(skip_serializing_if = "Option::is_none")]
        trace_seconds: Option<f64> => is_told("--trace-limit"),
        /// How the rate or the number of slots changes while the run goes on.
        #[serde(skip_serializing_if = "Option::is_none")]
        stages: Option<String> => is_work("--stages"),
        /// The table of rates from which `stages` were read.
        #[serde(skip_serializing_if = "Option::is_none")]
        rate_from: Option<String> => is_told("--rate-from"),
        /// In what time the slots of a closed loop opened, evenly one after another; absent: all at the start.
        #[serde(skip_serializing_if = "Option::is_none")]
        ramp_up_seconds: Option<f64> => is_work("--ramp-up"),
        /// Which of several runs of this load it was, from 1; absent: there was one.
        #[serde(skip_serializing_if = "Option::is_none")]
        repeat: Option<u64> => is_no_difference("--repeat"),
        /// The most requests of an open loop that may be in flight; null: as many as the machine held.
        max_in_flight: Option<u64> => is_work("--max-in-flight"),
        /// The seed of the schedule.
        seed: u64 => is_told("--seed"),
        /// Whether requests were sent on and on though every one of the first failed.
        keep_going: bool => is_told("--keep-going"),
        /// The part of the load that this run sent, as number and number of parts; null: all of it.
        shard: Option<String> => is_work("--shard"),
        /// The run of `--on` of which this is a part, or all; absent: no coordinator made it.
        #[serde(skip_serializing_if = "Option::is_none")]
        run_id: Option<String> => is_no_difference("id of the run"),
        /// When it was to begin, in Unix seconds; absent: as soon as it could.
        #[serde(skip_serializing_if = "Option::is_none")]
        start_at_unix_seconds: Option<f64> => is_no_difference("--start-at"),
        /// What ends the run early.
        stop_if: Vec<String> => is_told("--stop-if"),
        /// Which requests the client cancelled.
        #[serde(skip_serializing_if = "Option::is_none")]
        cancel: Option<String> => is_work("--cancel"),
    }
}

/// Older versions wrote -1 where all requests went at once.
fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(Option::deserialize(deserializer)?.filter(|rate| *rate >= 0.0))
}

/// Objectives count requests that were sent all the same: only what is counted by them is another figure.
fn objectives_are_told(
    name: &str,
    before: &Option<GoodputBounds>,
    after: &Option<GoodputBounds>,
) -> Option<Difference> {
    // As they are typed: `ttft:200ms,latency:2s`.
    let text = |bounds: &GoodputBounds| {
        let typed = bounds.0.iter().filter_map(|(time, bound)| {
            let bound = Duration::try_from_secs_f64((*bound)?).ok()?;
            Some(format!("{}:{bound:?}", time.short.unwrap_or(time.key)))
        });
        typed.collect::<Vec<_>>().join(",")
    };
    is_told(name, &before.as_ref().map(text), &after.as_ref().map(text))
}

/// Bounds that each request should keep, in seconds: null where there is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GoodputBounds(pub ByTime<Option<f64>>);

impl Serialize for GoodputBounds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Time::objectives().map(|time| (time.seconds_key(), self.0[time])))
    }
}

impl<'de> Deserialize<'de> for GoodputBounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Named::<Option<f64>>::deserialize(deserializer)?;
        Ok(Self(ByTime::of(|time| {
            members.get(&time.seconds_key()).copied().flatten()
        })))
    }
}

impl JsonSchema for GoodputBounds {
    fn schema_name() -> Cow<'static, str> {
        "objectives".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let properties: Map<String, Value> = Time::objectives()
            .map(|time| (time.seconds_key(), json!({ "type": ["number", "null"] })))
            .collect();
        let required: Vec<String> = Time::objectives()
            .filter(|time| !time.added)
            .map(Time::seconds_key)
            .collect();
        json_schema!({ "type": "object", "properties": properties, "required": required })
    }
}
