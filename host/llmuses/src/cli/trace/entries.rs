//! The entries of a trace in a file, in whichever built-in format it is.

use crate::cli::bounds::BoundsArguments;
use crate::cli::plugin::limits_of;
use crate::run::{RunError, recognised};
use llmuses_core::item::Entry;
use llmuses_plugin_host::InstanceContext;
use llmuses_workload::Dataset;
use std::sync::Arc;

/// Entries that are read at once.
const BATCH: u32 = 256;

/// What was found beside the entries.
pub(super) struct WholeTrace {
    /// The name of the format.
    pub(super) format: String,
    /// What the format passed over, by reason.
    pub(super) skipped: Vec<(String, u64)>,
}

/// Hands over all entries in the order of the file. `field`: the member or column that has the prompt.
///
/// # Errors
/// Where no built-in format recognises the file, or an entry cannot be read.
pub(super) fn each_entry(
    dataset: Dataset,
    field: Option<&str>,
    bounds: &BoundsArguments,
    mut take: impl FnMut(Entry),
) -> Result<WholeTrace, RunError> {
    let limits = limits_of(&bounds.clone().into_bounds());
    let format = recognised(&dataset, field, &limits)?;
    let context = InstanceContext {
        dataset: Some(Arc::new(dataset)),
        ..InstanceContext::default()
    };
    let mut instance = format.component.instantiate(context)?;
    let pass = instance.open(&format.options)?;
    loop {
        let entries = instance.next_entries(pass, BATCH)?;
        if entries.is_empty() {
            break;
        }
        entries.into_iter().for_each(&mut take);
    }
    Ok(WholeTrace {
        format: format.info().0,
        skipped: instance.skipped_entries(pass)?,
    })
}
