//! The machine that sent the requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The machine that sent the requests; null: the system does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Its name.
    pub host: Option<String>,
    /// Operating system and version of its kernel.
    pub kernel: Option<String>,
    /// The model of its processor.
    pub cpu: Option<String>,
    /// How many processors this program may use.
    pub processors: Option<u64>,
}
