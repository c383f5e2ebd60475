//! See `llmuses_fleet::fuzzed::lines`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llmuses_fleet::fuzzed::lines(input));
