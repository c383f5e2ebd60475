//! What a model is asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a model is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Task {
    /// To produce tokens.
    #[default]
    Generate,
    /// To embed texts.
    Embed,
    /// To rank documents.
    Rerank,
    /// Something else.
    Other,
}

impl Task {
    /// A word for a person.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Embed => "embed",
            Self::Rerank => "rerank",
            Self::Other => "other",
        }
    }

    /// Whether servers may put a chat template around a prompt. Texts to embed and documents go to the model as they are.
    pub fn may_have_template(self) -> bool {
        !matches!(self, Self::Embed | Self::Rerank)
    }

    /// Whether tokens of an answer and the times between them that are not known are worth a line. Other tasks have no
    /// such thing.
    pub fn has_output_tokens(self) -> bool {
        self == Self::Generate
    }
}
