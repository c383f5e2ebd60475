//! What the host does for a plugin: it reads the data set, counts tokens, and prints.
//!
//! Both versions of the contract have the same functions under names of their own. A component uses those of the
//! version that it exports; the macro that exports it says which. Natively, in tests, there is no host; then no data set
//! can be opened, nothing is counted and nothing printed.

use crate::dataset::Reader;
use std::sync::OnceLock;

/// How much a message matters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// The functions of the host in one version of the contract.
pub(crate) struct Host {
    pub(crate) lines: fn() -> Result<Box<dyn Reader>, String>,
    pub(crate) items: fn() -> Result<Box<dyn Reader>, String>,
    count: fn(&str) -> Option<Result<u64, String>>,
    log: fn(Level, &str),
}

static HOST: OnceLock<&'static Host> = OnceLock::new();

/// The host, where there is one.
pub(crate) fn host() -> Option<&'static Host> {
    HOST.get().copied()
}

macro_rules! host_of {
    ($use_it:ident, $($module:tt)+) => {
        /// Has the kit call the functions of this version.
        pub(crate) fn $use_it() {
            #[cfg(target_family = "wasm")]
            {
                use $($module)+::llmuses::perf::{datasets, logging, tokenizer};

                static FUNCTIONS: Host = Host {
                    lines: || Ok(Box::new(datasets::line_by_line()?)),
                    items: || Ok(Box::new(datasets::json_list()?)),
                    count: |text| tokenizer::available().then(|| tokenizer::count(text)),
                    log: |level, message| {
                        let level = match level {
                            Level::Debug => logging::Level::Debug,
                            Level::Info => logging::Level::Info,
                            Level::Warn => logging::Level::Warn,
                            Level::Error => logging::Level::Error,
                        };
                        logging::log(level, message);
                    },
                };
                // A component exports one version, so this is the first call or changes nothing.
                let _ = HOST.set(&FUNCTIONS);
            }
        }

        impl Reader for $($module)+::llmuses::perf::datasets::LineReader {
            fn read(&mut self, max: u32) -> Result<Vec<String>, String> {
                self.next(max)
            }
        }

        impl Reader for $($module)+::llmuses::perf::datasets::ItemReader {
            fn read(&mut self, max: u32) -> Result<Vec<String>, String> {
                self.next(max)
            }
        }
    };
}

host_of!(use_first, crate::bindings::first);
host_of!(use_second, crate::bindings::api);

/// How many tokens `text` has for the tokenizer of `--tokenizer-path`, special tokens not added.
///
/// `None` where there is no tokenizer, or where it failed; the failure is then logged as a warning, since a
/// response is not bad because it could not be counted.
pub fn tokenizer_count(text: &str) -> Option<u64> {
    match (host()?.count)(text)? {
        Ok(count) => Some(count),
        Err(error) => {
            log::warn(&format!("the tokenizer failed: {error}"));
            None
        }
    }
}

/// Words for the person who runs the test. The host bounds how much of them it prints.
pub mod log {
    use super::{Level, host};

    macro_rules! levels {
        ($($(#[$doc:meta])* $name:ident => $level:ident;)*) => {$(
            $(#[$doc])*
            pub fn $name(message: &str) {
                if let Some(host) = host() {
                    (host.log)(Level::$level, message);
                }
            }
        )*};
    }

    levels! {
        /// Says what only helps in finding a fault of the plugin.
        debug => Debug;
        /// Says what is worth knowing and needs nothing done.
        info => Info;
        /// Says what may make the figures of the run doubtful.
        warn => Warn;
        /// Says what went wrong.
        error => Error;
    }
}
