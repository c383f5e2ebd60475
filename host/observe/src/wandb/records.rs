//! The records of a run's file, as protocol buffers: of the Python client's messages, the fields that
//! were seen in its files and that its reader needs. Numbers of fields must stay as they are.

use serde_json::{Map, Value};
use std::time::Duration;

/// One record. One of its members is set beside `num` and `info`: on the wire, the same as the union
/// of the Python client's message.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Record {
    /// Counted from 1.
    #[prost(int64, tag = "1")]
    pub(super) num: i64,
    #[prost(message, optional, tag = "2")]
    pub(super) history: Option<History>,
    #[prost(message, optional, tag = "3")]
    pub(super) summary: Option<Summary>,
    #[prost(message, optional, tag = "17")]
    pub(super) run: Option<Run>,
    #[prost(message, optional, tag = "18")]
    pub(super) exit: Option<Exit>,
    #[prost(message, optional, tag = "21")]
    pub(super) header: Option<Header>,
    #[prost(message, optional, tag = "200")]
    pub(super) info: Option<Info>,
}

/// A row of the history.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct History {
    #[prost(message, repeated, tag = "1")]
    pub(super) item: Vec<Item>,
    #[prost(message, optional, tag = "2")]
    pub(super) step: Option<Step>,
}

/// The number of a row.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Step {
    #[prost(int64, tag = "1")]
    pub(super) num: i64,
}

/// Values of the summary that are new.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(super) update: Vec<Item>,
}

/// A named value, of a row, of the summary or of the configuration.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Item {
    /// The name, or else `nested_key`.
    #[prost(string, tag = "1")]
    pub(super) key: String,
    /// The way to the value, name by name.
    #[prost(string, repeated, tag = "2")]
    pub(super) nested_key: Vec<String>,
    #[prost(string, tag = "16")]
    pub(super) value_json: String,
}

/// The run.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Run {
    #[prost(string, tag = "1")]
    pub(super) run_id: String,
    #[prost(string, tag = "2")]
    pub(super) entity: String,
    #[prost(string, tag = "3")]
    pub(super) project: String,
    #[prost(message, optional, tag = "4")]
    pub(super) config: Option<Config>,
    #[prost(string, tag = "8")]
    pub(super) display_name: String,
    #[prost(message, optional, tag = "17")]
    pub(super) start_time: Option<Timestamp>,
}

/// The configuration.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Config {
    #[prost(message, repeated, tag = "1")]
    pub(super) update: Vec<Item>,
}

/// A point in Unix time.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

/// The end of the run.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Exit {
    #[prost(int32, tag = "1")]
    pub(super) exit_code: i32,
    /// Whole seconds.
    #[prost(int32, tag = "2")]
    pub(super) runtime: i32,
}

/// Who wrote the file.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Header {
    #[prost(message, optional, tag = "1")]
    pub(super) version_info: Option<VersionInfo>,
}

/// The program, and the oldest reader that makes sense of the file.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct VersionInfo {
    #[prost(string, tag = "1")]
    pub(super) producer: String,
    #[prost(string, tag = "2")]
    pub(super) min_consumer: String,
}

/// To which run a record belongs.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Info {
    #[prost(string, tag = "1")]
    pub(super) stream_id: String,
}

impl Item {
    /// A value under a name that is taken literally, whatever dots it has.
    pub(super) fn literal(name: &str, value: &Value) -> Self {
        Self {
            key: String::new(),
            nested_key: vec![name.to_owned()],
            value_json: value.to_string(),
        }
    }

    /// Every value of a map.
    pub(super) fn all(values: &Map<String, Value>) -> Vec<Self> {
        values
            .iter()
            .map(|(name, value)| Self::literal(name, value))
            .collect()
    }
}

impl Timestamp {
    /// The point `unix` after 1970.
    pub(super) fn of(unix: Duration) -> Self {
        Self {
            seconds: i64::try_from(unix.as_secs()).unwrap_or(i64::MAX),
            // Fits: it is less than a billion.
            nanos: unix.subsec_nanos() as i32,
        }
    }
}
