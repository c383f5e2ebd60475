//! Loading a plugin, with the cache of compiled ones.

use super::error::RunError;
use llmuses_core::plan::{Limits, ParserChoice};
use llmuses_observe::terminal;
use llmuses_plugin_host::{
    CacheError, CompileCache, Compiler, LoadError, Loading, Parser, PluginEngine, any_builtin,
};

/// Loads a parser under its bounds; what goes wrong with the cache of compiled ones is only told. With `debug`, what its
/// sandbox lacks on this system is told too.
///
/// # Errors
/// Where the parser cannot be loaded, or no parser can.
pub fn load_parser(
    choice: &ParserChoice,
    limits: &Limits,
    debug: bool,
) -> Result<Parser, RunError> {
    let engine = PluginEngine::new().map_err(|error| {
        // What the system said tells whether a thread is missing.
        match error.downcast::<std::io::Error>() {
            Ok(system) => RunError::Thread(system),
            Err(error) => RunError::Engine(format!("{error:#}")),
        }
    })?;
    let trouble = |error| {
        terminal::say(match error {
            CacheError::Entry { .. } | CacheError::Stays { .. } => format!("warning: {error}"),
            _ => format!("warning: compiled parsers are not kept for the next run: {error}"),
        });
    };
    let cache = if limits.compile_cache {
        CompileCache::open().map_err(trouble).ok()
    } else {
        None
    };
    let loading = Loading {
        engine: &engine,
        bounds: limits.parser,
        compiler: Compiler::child()?,
        cache: cache.as_ref(),
        messages: terminal::messages(),
        details: debug.then(terminal::messages),
        cache_trouble: &trouble,
    };
    Ok(match choice {
        ParserChoice::File(path) => Parser::from_file(&loading, path)?,
        ParserChoice::Builtin(name) => {
            let component = any_builtin(name)
                .ok_or_else(|| LoadError::Host(format!("no built-in plugin `{name}`")))?;
            Parser::from_builtin(&loading, component)?
        }
    })
}
