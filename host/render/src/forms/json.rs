//! The document itself.

use super::{FormSource, Renderer};
use llmuses_core::document::Document;

pub(super) struct Json;

impl Renderer for Json {
    fn flag(&self) -> &'static str {
        "--json"
    }

    fn help(&self) -> &'static str {
        "Write everything of the summary as JSON to a new file; - for standard output"
    }

    fn source(&self) -> FormSource {
        FormSource::Document(Document::to_json)
    }
}
