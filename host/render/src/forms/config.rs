//! The flags of the runs, as a file that `--config` takes.

use super::{FormSource, Renderer};
use llmuses_core::document::Document;

pub(super) struct Config;

impl Renderer for Config {
    fn flag(&self) -> &'static str {
        "--save-config"
    }

    fn help(&self) -> &'static str {
        "Write the flags of the run to a new TOML file that --config takes, without credentials and files of results; - for \
         standard output"
    }

    fn source(&self) -> FormSource {
        FormSource::Document(render)
    }
}

fn render(document: &Document) -> String {
    let first = document.runs.first();
    let settings = first.and_then(|run| run.plan.outputs.settings.clone());
    settings.unwrap_or_else(|| {
        "# The flags of this run are not known: an older version of llmuses made it.\n".to_owned()
    })
}
