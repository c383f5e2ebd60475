//! The data set that prompts came from.

use super::group::{Difference, cut, is_work};
use serde::{Deserialize, Serialize};

/// The data set that prompts came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DatasetRecord {
    /// Its file.
    #[serde(rename = "dataset")]
    pub path: Option<String>,
    /// SHA-256 of that file, in hexadecimal digits.
    #[serde(rename = "dataset_sha256")]
    pub sha256: Option<String>,
    /// What read it, where that was not the parser itself.
    #[serde(rename = "dataset_parser", skip_serializing_if = "Option::is_none")]
    pub parser: Option<String>,
}

impl DatasetRecord {
    /// Data sets differ by what is in them: the same content under another path is the same work.
    pub(super) fn difference(&self, other: &Self) -> Option<Difference> {
        self.other_content(other).or_else(|| {
            let (before, after) = (self.parser.as_ref()?, other.parser.as_ref()?);
            is_work("--dataset-parser", before, after)
        })
    }

    fn other_content(&self, other: &Self) -> Option<Difference> {
        let (Some(before), Some(after)) = (&self.sha256, &other.sha256) else {
            // Runs of older versions do not have it.
            return is_work("--dataset", &self.path, &other.path);
        };
        let path = |of: &Self| of.path.as_deref().map_or("none".to_owned(), cut);
        (before != after).then(|| Difference {
            text: format!(
                "content of --dataset: {} (sha256 {before:.12}) and {} (sha256 {after:.12})",
                path(self),
                path(other)
            ),
            other_work: true,
        })
    }
}
