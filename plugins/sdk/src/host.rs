//! What the host does for a parser besides reading the data set: it counts tokens, and it prints.
//!
//! Natively, in tests, there is no host; then nothing is counted and nothing printed.

/// How many tokens `text` has for the tokenizer of `--tokenizer-path`, special tokens not added.
///
/// `None` where there is no tokenizer, or where it failed; the failure is then logged as a warning, since a
/// response is not bad because it could not be counted.
pub fn tokenizer_count(text: &str) -> Option<u64> {
    #[cfg(target_family = "wasm")]
    {
        use crate::bindings::llmuses::perf::tokenizer;
        if !tokenizer::available() {
            return None;
        }
        match tokenizer::count(text) {
            Ok(count) => Some(count),
            Err(error) => {
                log::warn(&format!("the tokenizer failed: {error}"));
                None
            }
        }
    }
    #[cfg(not(target_family = "wasm"))]
    {
        let _ = text;
        None
    }
}

/// Words for the person who runs the test. The host bounds how much of them it prints.
pub mod log {
    macro_rules! levels {
        ($($(#[$doc:meta])* $name:ident => $level:ident;)*) => {$(
            $(#[$doc])*
            pub fn $name(message: &str) {
                #[cfg(target_family = "wasm")]
                {
                    use crate::bindings::llmuses::perf::logging::{Level, log};
                    log(Level::$level, message);
                }
                #[cfg(not(target_family = "wasm"))]
                let _ = message;
            }
        )*};
    }

    levels! {
        /// Says what only helps in finding a fault of the parser.
        debug => Debug;
        /// Says what is worth knowing and needs nothing done.
        info => Info;
        /// Says what may make the figures of the run doubtful.
        warn => Warn;
        /// Says what went wrong.
        error => Error;
    }
}
