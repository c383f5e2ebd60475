//! What was asked for, as it stands in a document.

use super::named::Named;
use crate::metric::{ByTime, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// What was asked for, without credentials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// The model.
    #[serde(default)]
    pub model: String,
    /// The endpoint, without user information and without the values of its query.
    #[serde(default)]
    pub url: String,
    /// The names of the user's headers; their values may be credentials.
    #[serde(default)]
    pub header_names: Vec<String>,
    /// The parser as it was typed.
    #[serde(default)]
    pub parser: Option<String>,
    /// The prompt, where all requests have the same.
    #[serde(default)]
    pub prompt: Option<String>,
    /// The file of the data set.
    #[serde(default)]
    pub dataset: Option<String>,
    /// SHA-256 of that file, in hexadecimal digits.
    #[serde(default)]
    pub dataset_sha256: Option<String>,
    /// Prompts must be longer than this.
    #[serde(default)]
    pub min_prompt_length: Option<u64>,
    /// Prompts must be shorter than this.
    #[serde(default)]
    pub max_prompt_length: Option<u64>,
    /// Extra members of every request body.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// How many requests to make.
    #[serde(default)]
    pub number: Option<u64>,
    /// How long requests are issued.
    #[serde(default)]
    pub duration_seconds: Option<f64>,
    /// How long requests in flight have after that.
    #[serde(default)]
    pub drain_seconds: Option<f64>,
    /// The warm-up, as a number of requests.
    #[serde(default)]
    pub warmup_requests: Option<u64>,
    /// The warm-up, as a time.
    #[serde(default)]
    pub warmup_seconds: Option<f64>,
    /// What requests should achieve.
    #[serde(default)]
    pub objectives: Option<GoodputBounds>,
    /// When requests go: `closed`, `poisson` or `all-at-once`.
    #[serde(default)]
    pub arrivals: String,
    /// The slots of a closed loop.
    #[serde(default)]
    pub parallel: Option<u64>,
    /// The requests per second of an open loop.
    #[serde(default)]
    pub rate: Option<f64>,
    /// The seed of the schedule.
    #[serde(default)]
    pub seed: u64,
    /// In which order prompts are used.
    #[serde(default)]
    pub prompt_order: Option<String>,
    /// How long to wait for a connection.
    #[serde(default)]
    pub connect_timeout_seconds: Option<f64>,
    /// How long the server may be silent.
    #[serde(default)]
    pub read_timeout_seconds: Option<f64>,
    /// How long a request may take.
    #[serde(default)]
    pub total_timeout_seconds: Option<f64>,
    /// A progress line after this many requests.
    #[serde(default)]
    pub log_every_n_query: Option<u64>,
    /// The name of the run.
    #[serde(default)]
    pub name: Option<String>,
    /// The `tokenizer.json`.
    #[serde(default)]
    pub tokenizer: Option<String>,
    /// Whether broken entries of a data set are passed over.
    #[serde(default)]
    pub skip_bad_lines: bool,
    /// Whether TLS certificates are taken unverified.
    #[serde(default)]
    pub insecure: bool,
    /// What carries requests.
    #[serde(default)]
    pub transport: String,
    /// Whether the connections of a closed loop are opened before it begins.
    #[serde(default)]
    pub warm_connections: bool,
    /// Whether a connection carries more than one request.
    #[serde(default = "yes")]
    pub keep_alive: bool,
    /// How many threads carry requests.
    #[serde(default)]
    pub client_threads: Option<u64>,
    /// Whether a run whose figures are to be read with care counts as failed.
    #[serde(default)]
    pub require_valid: bool,
    /// What the parser may take.
    #[serde(default)]
    pub parser_bounds: Value,
    /// The bytes that responses, request bodies, what is read ahead and counting may take together.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    /// Where the run is logged at Weights & Biases.
    #[serde(default)]
    pub wandb: Value,
    /// What another version of this program asked for.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// What holds where a document does not say.
fn yes() -> bool {
    true
}

impl Default for PlanRecord {
    /// The plan of a document that says nothing of it.
    fn default() -> Self {
        Self {
            model: String::new(),
            url: String::new(),
            header_names: Vec::new(),
            parser: None,
            prompt: None,
            dataset: None,
            dataset_sha256: None,
            min_prompt_length: None,
            max_prompt_length: None,
            parameters: Map::new(),
            number: None,
            duration_seconds: None,
            drain_seconds: None,
            warmup_requests: None,
            warmup_seconds: None,
            objectives: None,
            arrivals: String::new(),
            parallel: None,
            rate: None,
            seed: 0,
            prompt_order: None,
            connect_timeout_seconds: None,
            read_timeout_seconds: None,
            total_timeout_seconds: None,
            log_every_n_query: None,
            name: None,
            tokenizer: None,
            skip_bad_lines: false,
            insecure: false,
            transport: String::new(),
            warm_connections: false,
            keep_alive: yes(),
            client_threads: None,
            require_valid: false,
            parser_bounds: Value::Null,
            memory_limit_bytes: None,
            wandb: Value::Null,
            others: Map::new(),
        }
    }
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

impl JsonSchema for PlanRecord {
    fn schema_name() -> Cow<'static, str> {
        "plan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // It grows with every flag, and its members are told by the flags.
        json_schema!({
            "type": "object",
            "required": ["model", "url", "arrivals", "seed"],
        })
    }
}
