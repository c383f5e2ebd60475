//! What was asked for, as it stands in a document: the groups of a plan as members of one object.

mod dataset;
mod group;
mod limits;
mod load;
mod outputs;
mod target;
mod transport;
mod work;

pub use dataset::DatasetRecord;
pub use group::Difference;
pub use limits::{BoundsRecord, LimitsRecord};
pub use load::{GoodputBounds, LoadRecord};
pub use outputs::{OutputsRecord, WandbRecord};
pub use target::TargetRecord;
pub use transport::TransportRecord;
pub use work::WorkRecord;

use group::is_told;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What was asked for, without credentials.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// Where requests went.
    #[serde(flatten)]
    pub target: TargetRecord,
    /// What was sent, but for the data set.
    #[serde(flatten)]
    pub work: WorkRecord,
    /// The data set, where prompts came from one.
    #[serde(flatten)]
    pub dataset: DatasetRecord,
    /// When it was sent.
    #[serde(flatten)]
    pub load: LoadRecord,
    /// How it was sent.
    #[serde(flatten)]
    pub transport: TransportRecord,
    /// What might be used of the machine.
    #[serde(flatten)]
    pub limits: LimitsRecord,
    /// What is known of where results went.
    #[serde(flatten)]
    pub outputs: OutputsRecord,
    /// What another version of this program asked for.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

impl PlanRecord {
    /// What differs between this plan and another one, in the order of the groups. Where results went is none of it.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let Self {
            target,
            work,
            dataset,
            load,
            transport,
            limits,
            outputs: _,
            others,
        } = self;
        let mut found = target.differences(&other.target);
        found.extend(work.differences(&other.work));
        found.extend(dataset.difference(&other.dataset));
        found.extend(load.differences(&other.load));
        found.extend(transport.differences(&other.transport));
        found.extend(limits.differences(&other.limits));
        let more = other
            .others
            .keys()
            .filter(|name| !others.contains_key(*name));
        found.extend(
            others
                .keys()
                .chain(more)
                .filter_map(|name| is_told(name, &others.get(name), &other.others.get(name))),
        );
        found
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(members: Value) -> PlanRecord {
        serde_json::from_value(members).unwrap()
    }

    #[test]
    fn members_of_all_groups_lie_side_by_side() {
        let members = json!({
            "model": "m",
            "dataset": "a",
            "dataset_sha256": "00",
            "parallel": 8,
            "transport": "socket",
            "keep_alive": false,
            "name": "n",
            "wandb": {"mode": "offline", "project": "p"},
            "new": [1],
        });
        let read = plan(members.clone());
        assert_eq!(read.load.parallel, Some(8));
        assert_eq!(read.dataset.sha256.as_deref(), Some("00"));
        assert_eq!(read.others.keys().collect::<Vec<_>>(), ["new"]);
        let written = serde_json::to_value(&read).unwrap();
        for (name, value) in members.as_object().unwrap() {
            assert_eq!(&written[name], value, "{name}");
        }
        assert!(plan(json!({})).transport.keep_alive);
    }

    #[test]
    fn the_rate_of_older_documents_for_all_at_once_is_none() {
        let load = |rate: Value| plan(json!({"arrivals": "all-at-once", "rate": rate}));
        assert_eq!(load(json!(-1.0)), load(Value::Null));
        assert_eq!(load(json!(-1)).load.rate, None);
        assert_eq!(load(json!(2.5)).load.rate, Some(2.5));
    }

    #[test]
    fn each_difference_says_whether_the_work_is_another() {
        let before = json!({"url": "a", "parallel": 8, "seed": 1, "keep_alive": true});
        let after = json!({"url": "b", "parallel": 64, "seed": 2, "keep_alive": false, "new": 1});
        let found: Vec<(String, bool)> = plan(before)
            .differences(&plan(after))
            .into_iter()
            .map(|found| (found.text, found.other_work))
            .collect();
        let expected = [
            ("--url: a and b", false),
            ("--parallel: 8 and 64", true),
            ("--seed: 1 and 2", false),
            ("kept connections (--no-keep-alive): true and false", false),
            ("new: none and 1", false),
        ];
        assert_eq!(found, expected.map(|(text, work)| (text.to_owned(), work)));
    }

    #[test]
    fn other_objectives_are_no_other_work() {
        let plan = |ttft: f64| {
            plan(json!({"objectives": {"time_to_first_token_seconds": ttft, "latency_seconds": 2}}))
        };
        let found = plan(0.04).differences(&plan(0.05));
        let expected = "--goodput: ttft:40ms,latency:2s and ttft:50ms,latency:2s";
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].text.as_str(), found[0].other_work),
            (expected, false)
        );
        assert_eq!(plan(0.04).differences(&plan(0.04)), []);
    }

    #[test]
    fn every_bound_of_the_plugin_is_compared() {
        let bounds =
            |sandbox: &str| plan(json!({"parser_bounds": {"memory_bytes": 1, "sandbox": sandbox}}));
        let found = bounds("wasi").differences(&bounds("strict"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "--sandbox: wasi and strict");
        let none = PlanRecord::default();
        assert_eq!(none.differences(&bounds("wasi")).len(), 1);
    }
}
