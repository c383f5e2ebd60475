//! What a run leaves, and what is made of it: JSON, CSV, reports out of databases, sweeps, comparisons.

mod comparisons;
mod files;
mod load;
mod objectives;
mod reports;
mod search;
mod sweeps;

use crate::support::Bench;
use serde_json::Value;

/// A JSON file of the bench.
pub fn json(bench: &Bench, name: &str) -> Value {
    let text = std::fs::read_to_string(bench.path(name)).expect("the file is there");
    serde_json::from_str(&text).expect("it is JSON")
}

/// The runs of a document.
pub fn runs(document: &Value) -> &Vec<Value> {
    document["runs"].as_array().expect("a document has runs")
}
