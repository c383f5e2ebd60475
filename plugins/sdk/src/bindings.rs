//! The contract as Rust, generated from `wit/perf-plugin.wit`. Not part of what the kit promises: the rest
//! of the kit stands before it, and only [`export_parser!`](crate::export_parser) reaches in from outside.

#![allow(missing_docs, clippy::all)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "plugin",
    generate_all,
    pub_export_macro: true,
});
