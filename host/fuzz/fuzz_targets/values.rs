//! See `llmuses_transport::fuzzed::values`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llmuses_transport::fuzzed::values(input));
