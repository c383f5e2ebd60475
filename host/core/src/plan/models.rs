//! Several models that share the requests of a run.

use std::fmt;
use std::sync::Arc;

/// One of several models, and how many of the sessions it gets.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedModel {
    /// Its name, as the server knows it.
    pub name: Arc<str>,
    /// Its share by the sum of the weights of all; above 0.
    pub weight: f64,
}

impl fmt::Display for WeightedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.weight)
    }
}
