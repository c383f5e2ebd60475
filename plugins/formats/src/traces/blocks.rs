//! The blocks that a prompt of a trace consists of, by which prompts share their beginnings.

use crate::record::{Members, number_of};
use llmuses_plugin::Value;

/// Whether the blocks of a record are as many as blocks of this size would be.
pub(super) fn fit_blocks(members: &Members, block: u64) -> bool {
    let (Some(input), Some(Value::Array(ids))) = (
        number_of(members, &["input_length"]),
        members.get("hash_ids"),
    ) else {
        return false;
    };
    ids.len() as u64 == input.div_ceil(block)
}

/// The ids of the blocks of a prompt of `input` tokens.
///
/// # Errors
/// Where they are no ids, or more than such a prompt has blocks.
pub(super) fn checked(ids: Value, input: u64, block: u64) -> Result<Value, String> {
    let Value::Array(list) = &ids else {
        return Err("\"hash_ids\" is not a list".to_owned());
    };
    if let Some(id) = list.iter().find(|id| id.as_u64().is_none()) {
        return Err(format!(
            "\"hash_ids\" has {id}, which is no whole number of 64 bits from 0 on"
        ));
    }
    let most = input.div_ceil(block);
    match list.len() as u64 > most {
        true => Err(format!(
            "{} \"hash_ids\", and a prompt of {input} tokens has {most} blocks of {block} tokens",
            list.len()
        )),
        false => Ok(ids),
    }
}
