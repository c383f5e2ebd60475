//! What was sent, but for the data set.

use super::group::{group, is_no_difference, is_told, is_work};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

group! {
    /// What was sent, but for the data set.
    #[derive(Default)]
    pub struct WorkRecord {
        /// The parser as it was given.
        parser: Option<String> => is_work("--parser"),
        /// The field of the entries of the data set that has the prompt.
        field: Option<String> => is_work("--field"),
        /// The folder of the images that the data set names.
        image_folder: Option<String> => is_told("--image-folder"),
        /// The prompt, where all requests have the same.
        prompt: Option<String> => is_work("--prompt"),
        /// Prompts must be longer than this.
        min_prompt_length: Option<u64> => is_work("--min-prompt-length"),
        /// Prompts must be shorter than this.
        max_prompt_length: Option<u64> => is_work("--max-prompt-length"),
        /// Extra members of every request body.
        parameters: Map<String, Value> => is_work("--parameters"),
        /// How long made-up prompts are, in tokens.
        input_tokens: Option<String> => is_work("--input-tokens"),
        /// How long outputs are to be, in tokens.
        output_tokens: Option<String> => is_work("--output-tokens"),
        /// What made-up prompts have in common.
        prefixes: Option<String> => is_work("shared prefixes"),
        /// The text that made-up prompts are pieces of.
        text: Option<String> => is_work("--text"),
        /// Whether made-up prompts are sent as the ids of their tokens.
        send_token_ids: bool => is_work("--send-token-ids"),
        /// How many turns a session has.
        turns: Option<String> => is_work("--turns"),
        /// The time between the end of a turn and the next one.
        think_time: Option<String> => is_work("--think-time"),
        /// Whether later turns have the replies that the data set recorded.
        recorded_replies: bool => is_work("--recorded-replies"),
        /// In which order prompts are used.
        prompt_order: Option<String> => is_told("order of prompts"),
        /// The `tokenizer.json`. The same one may lie elsewhere.
        tokenizer: Option<String> => is_told("--tokenizer-path"),
        /// Whether broken entries of a data set are passed over.
        skip_bad_lines: bool => is_work("--skip-bad-lines"),
        /// Of a part of a load: what its requests were made from, each with its SHA-256.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        made_from: BTreeMap<String, String> => is_no_difference("what requests are made from"),
    }
}
