//! Parsers as WebAssembly components: the engine that runs them, what they may import, the bounds that
//! hold them, where compiled ones are kept, the ones inside this program, and the loading of others.
//!
//! What enters this room is bytes of a component and values of the contract; what leaves it is request
//! bodies and readings. No socket and no clock of a run is ever within a parser's reach.

mod address;
mod answer;
mod bindings;
mod builtin;
mod cache;
mod cache_error;
mod clock;
mod compile;
mod confinement;
mod engine;
mod file;
mod header;
pub mod hints;
mod imports;
mod instance;
mod link;
mod load;
mod load_error;
mod log;
mod offers;
mod own_requests;
pub mod parse;
mod parts;
mod private_folder;
mod readers;
mod state;
mod summary;
mod text;
mod usage;

pub use address::complete;
pub use builtin::{
    BuiltinComponent, any_builtin, builtin, builtin_format, builtin_formats, builtin_names,
    format_names,
};
pub use cache::CompileCache;
pub use cache_error::CacheError;
pub use compile::{Compiler, REFUSED_EXIT_CODE, compile_as_child};
pub use engine::PluginEngine;
pub use instance::{CallError, ParserInstance};
pub use load::{Loading, Parser, ParserInfo, ParserSource};
pub use load_error::LoadError;
pub use offers::{FormatInfo, Offers};
pub use own_requests::{BuildOptions, RequestIterator};
pub use parts::{FileOptions, OpenEntries, PluginRequest};
pub use readers::EntryReader;
pub use state::{DatasetAccess, InstanceContext, TokenCounter};

/// The latest version of the contract.
pub const CONTRACT_VERSION: &str = "llmuses:perf@0.2.0";

/// The versions of the contract that this host speaks, the oldest first.
pub const CONTRACT_VERSIONS: [&str; 2] = ["0.1.0", "0.2.0"];

/// The version of wasmtime that runs the parsers.
pub const WASMTIME_VERSION: &str = "48.0.8";

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_of_wasmtime_that_is_told_is_the_one_that_runs() {
        let lock = include_str!("../../../Cargo.lock").replace('\r', "");
        let told = format!(
            "name = \"wasmtime\"\nversion = \"{}\"",
            super::WASMTIME_VERSION
        );
        assert!(lock.contains(&told), "{told}");
    }
}
