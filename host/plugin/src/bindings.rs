//! The two versions of the contract as Rust types, generated from `wit/`.

// Generated items carry no documentation of their own; the contract documents them.
#![allow(missing_docs)]

/// Version 0.1: a plugin makes bodies of the prompt or the data set by itself.
pub mod first {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1",
        world: "plugin",
        imports: { default: trappable },
        with: {
            "llmuses:perf/datasets.line-reader": crate::readers::LineReader,
            "llmuses:perf/datasets.item-reader": crate::readers::ItemReader,
        },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// Version 0.2: APIs make requests of items, formats make entries of data sets.
pub mod second {
    wasmtime::component::bindgen!({
        path: "../../wit/0.2",
        world: "plugin",
        imports: { default: trappable },
        with: {
            "llmuses:perf/datasets.line-reader": crate::readers::LineReader,
            "llmuses:perf/datasets.item-reader": crate::readers::ItemReader,
        },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
