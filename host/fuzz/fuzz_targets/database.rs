//! See `llmuses_store::fuzzed::database`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llmuses_store::fuzzed::database(input));
