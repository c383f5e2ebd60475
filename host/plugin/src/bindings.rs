//! The contract as Rust types, generated from `wit/`.

// Generated items carry no documentation of their own; the contract documents them.
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "plugin",
    imports: { default: trappable },
    with: {
        "llmuses:perf/datasets.line-reader": super::readers::LineReader,
        "llmuses:perf/datasets.item-reader": super::readers::ItemReader,
    },
    ownership: Borrowing { duplicate_if_necessary: true },
});
