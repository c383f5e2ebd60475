//! The figures of a run as a whole, by the table of metrics.

use super::named::Named;
use crate::metric::{Figure, Sums};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Every figure of a run as a whole under its name in the table of metrics; null where the run does not have it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunFigures(Named<Option<f64>>);

impl RunFigures {
    /// The figures that these sums make.
    pub fn of(sums: &Sums) -> Self {
        Self(
            Figure::all()
                .map(|figure| (figure.name.to_owned(), figure.of(sums)))
                .collect(),
        )
    }

    /// A figure.
    pub fn get(&self, figure: Figure) -> Option<f64> {
        self.0.get(figure.name).copied().flatten()
    }
}

/// How certain a figure is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FigureError {
    /// Requests of which the figure is made.
    pub requests: u64,
    /// The standard error, in the unit of the figure; requests are taken as independent of one another.
    pub standard_error: f64,
}

impl JsonSchema for RunFigures {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "figures".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let properties: Map<String, Value> = Figure::all()
            .map(|figure| {
                let schema = json!({ "type": ["number", "null"], "description": figure.formula });
                (figure.name.to_owned(), schema)
            })
            .collect();
        let required: Vec<&str> = Figure::all().map(|figure| figure.name).collect();
        json_schema!({ "type": "object", "properties": properties, "required": required })
    }
}
