//! A format of data sets at work.

use super::super::super::CommandOutcome;
use super::ENTRIES;
use super::text::{cost, cut, tell_skipped};
use crate::run::DataFormat;
use llmuses_observe::terminal::print;
use llmuses_plugin_host::{CallError, InstanceContext};
use std::fmt::Write;

/// Has a format read the first entries of a data set.
pub(super) fn check_format(format: &DataFormat, context: InstanceContext) -> CommandOutcome {
    let mut text = String::new();
    let result = read_entries(format, context, &mut text);
    print(text);
    match result {
        Ok(0) => print("FAILED: it gave no entry\n"),
        Ok(_) => {
            print("it works\n");
            return CommandOutcome::Done;
        }
        Err(error) => print(format!("FAILED: {error}\n")),
    }
    CommandOutcome::Failed
}

fn read_entries(
    format: &DataFormat,
    context: InstanceContext,
    text: &mut String,
) -> Result<usize, CallError> {
    let mut instance = format.component.instantiate(context)?;
    let entries = instance.open(&format.options)?;
    let mut shown = 0;
    while shown < ENTRIES {
        let more = instance.next_entries(entries, (ENTRIES - shown) as u32)?;
        if more.is_empty() {
            break;
        }
        for entry in more {
            shown += 1;
            let json = serde_json::to_string(&entry).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "entry {shown}: {}", cut(&json));
        }
    }
    tell_skipped(text, &instance.skipped_entries(entries)?);
    instance.drop_entries(entries)?;
    let _ = writeln!(text, "cost of entries: {}", cost(instance.cost()));
    Ok(shown)
}
