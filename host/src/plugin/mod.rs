//! Parsers as WebAssembly components: the engine that runs them, what they may import, the bounds that
//! hold them, where compiled ones are kept, the ones inside this program, and the loading of others.
//!
//! What enters this room is bytes of a component and values of the contract; what leaves it is request
//! bodies and readings. No socket and no clock of a run is ever within a parser's reach.

mod bindings;
mod builtin;
mod cache;
mod engine;
mod instance;
mod load;
mod state;

pub use builtin::{BuiltinComponent, builtin, builtin_names};
pub use cache::{CacheError, CompileCache};
pub use engine::{CALL_LIMIT, MEMORY_LIMIT_BYTES, PluginEngine};
pub use instance::{BuildOptions, CallError, ParserInstance, RequestIterator};
pub use load::{LoadError, Parser, ParserInfo, Source};
pub use state::{DatasetAccess, EntryReader, InstanceContext, TokenCounter};

/// The version of the contract that this host speaks.
pub const CONTRACT_VERSION: &str = "llmuses:perf@0.1.0";

/// The version of wasmtime that runs the parsers.
pub const WASMTIME_VERSION: &str = "48.0.8";
