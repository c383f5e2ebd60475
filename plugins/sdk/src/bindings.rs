//! The contract as Rust, generated from `wit`. Not part of what the kit promises: the rest of the kit stands before
//! it, and only the macros that export a plugin reach in from outside.

#![allow(missing_docs, clippy::all)]

/// Version 0.1.
pub mod first {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        world: "plugin",
        generate_all,
        pub_export_macro: true,
    });
}

/// Version 0.2: an API.
pub mod api {
    wit_bindgen::generate!({
        path: "../../wit/0.2",
        world: "api",
        generate_all,
        pub_export_macro: true,
    });
}

/// Version 0.2: a format of data sets. What it imports is the same as that of an API.
pub mod format {
    wit_bindgen::generate!({
        path: "../../wit/0.2",
        world: "format",
        with: {
            "llmuses:perf/types@0.2.0": crate::bindings::api::llmuses::perf::types,
            "llmuses:perf/datasets@0.2.0": crate::bindings::api::llmuses::perf::datasets,
            "llmuses:perf/tokenizer@0.2.0": crate::bindings::api::llmuses::perf::tokenizer,
            "llmuses:perf/logging@0.2.0": crate::bindings::api::llmuses::perf::logging,
        },
        generate_all,
        pub_export_macro: true,
    });
}
