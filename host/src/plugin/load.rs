//! From a name or a file to a parser that can be run: reading, sniffing, compiling, linking, and the
//! questions that are asked of it once.

use super::bindings::{Plugin, PluginPre};
use super::builtin::BuiltinComponent;
use super::cache::{CacheError, CompileCache};
use super::engine::{CALL_LIMIT, PluginEngine, TRANSFER_LIMIT_BYTES, ticks};
use super::instance::{CallError, ParserInstance, reason_of};
use super::state::{InstanceContext, State, printable};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker};

/// The largest file that is taken for a parser, in bytes.
const FILE_LIMIT_BYTES: u64 = 128 << 20;

/// A parser could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("the parser {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a component, or not one of a parser.
    #[error("{label} is not a parser: {reason}")]
    NotAParser {
        /// The file or name.
        label: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// It asks for more than parsers get.
    #[error("{label} cannot be run: {reason}")]
    Imports {
        /// The file or name.
        label: String,
        /// What it asks for.
        reason: String,
    },
    /// It has a wish that is not granted.
    #[error("parser `{parser}` wants a header that parsers may not set: {reason}")]
    Header {
        /// The name of the parser.
        parser: String,
        /// Which, and why not.
        reason: String,
    },
    /// It broke while it was asked who it is.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The linker refused the host's own functions.
    #[error("the plugin host could not be set up: {0}")]
    Host(String),
}

/// Where a parser came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From inside this program.
    Builtin,
    /// From a file.
    File(PathBuf),
}

/// What is known of a parser.
#[derive(Debug, Clone)]
pub struct ParserInfo {
    /// Its name, by its own account.
    pub name: String,
    /// Its version, by its own account.
    pub version: String,
    /// What it is for, by its own account.
    pub description: String,
    /// Headers that it wants on every request.
    pub headers: http::HeaderMap,
    /// SHA-256 of the component, in hexadecimal.
    pub sha256: String,
    /// Where it came from.
    pub source: Source,
}

/// A loaded parser, of which instances can be made.
#[derive(Clone)]
pub struct Parser {
    engine: PluginEngine,
    pre: PluginPre<State>,
    info: ParserInfo,
}

impl Parser {
    /// Loads a parser from inside this program.
    ///
    /// # Errors
    /// Where it cannot be compiled or run on this machine. Use of the cache never fails the load: what
    /// went wrong with it is handed to `cache_trouble`.
    pub fn from_builtin(
        engine: &PluginEngine,
        component: &BuiltinComponent,
        cache: Option<&CompileCache>,
        cache_trouble: &mut dyn FnMut(CacheError),
    ) -> Result<Self, LoadError> {
        Self::from_bytes(
            engine,
            component.bytes,
            component.name,
            Source::Builtin,
            cache,
            cache_trouble,
        )
    }

    /// Loads a parser from a file.
    ///
    /// # Errors
    /// Where the file cannot be read, is no component, asks for more than parsers get, does not offer
    /// what the contract wants, or breaks when it is asked who it is. The cache as above.
    pub fn from_file(
        engine: &PluginEngine,
        path: &Path,
        cache: Option<&CompileCache>,
        cache_trouble: &mut dyn FnMut(CacheError),
    ) -> Result<Self, LoadError> {
        let bytes = read(path)?;
        let label = path.display().to_string();
        sniff(&bytes, &label)?;
        let source = Source::File(path.to_owned());
        Self::from_bytes(engine, &bytes, &label, source, cache, cache_trouble)
    }

    fn from_bytes(
        engine: &PluginEngine,
        bytes: &[u8],
        label: &str,
        source: Source,
        cache: Option<&CompileCache>,
        cache_trouble: &mut dyn FnMut(CacheError),
    ) -> Result<Self, LoadError> {
        let sha256 = hexadecimal(&Sha256::digest(bytes));
        let component = compile(engine, bytes, &sha256, label, cache, cache_trouble)?;
        let linker = linker(engine)?;
        let pre = linker
            .instantiate_pre(&component)
            .map_err(|error| LoadError::Imports {
                label: label.to_owned(),
                reason: format!(
                    "it asks for something that parsers do not get ({}). A parser may import the \
                     interfaces of {} and WASI 0.2",
                    printable(&format!("{error:#}")),
                    super::CONTRACT_VERSION
                ),
            })?;
        let pre = PluginPre::new(pre).map_err(|error| LoadError::NotAParser {
            label: label.to_owned(),
            reason: format!(
                "it does not offer what the contract {} wants ({})",
                super::CONTRACT_VERSION,
                printable(&format!("{error:#}"))
            ),
        })?;
        let mut parser = Self {
            engine: engine.clone(),
            pre,
            info: ParserInfo {
                name: label.to_owned(),
                version: String::new(),
                description: String::new(),
                headers: http::HeaderMap::new(),
                sha256,
                source,
            },
        };
        parser.ask()?;
        Ok(parser)
    }

    /// Has the parser introduce itself.
    fn ask(&mut self) -> Result<(), LoadError> {
        let (mut store, plugin) = self.start(InstanceContext::default())?;
        store.set_epoch_deadline(ticks(CALL_LIMIT));
        let description = plugin
            .llmuses_perf_perf_plugin()
            .call_describe(&mut store)
            .map_err(|error| self.broken("describe", &error))?;
        self.info.name = printable(&description.name);
        self.info.version = printable(&description.version);
        self.info.description = printable(&description.description);
        for (name, value) in &description.headers {
            let (name, value) = header(name, value).map_err(|reason| LoadError::Header {
                parser: self.info.name.clone(),
                reason,
            })?;
            self.info.headers.append(name, value);
        }
        Ok(())
    }

    /// What is known of the parser.
    pub fn info(&self) -> &ParserInfo {
        &self.info
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// Where the parser breaks as it starts.
    pub fn instantiate(&self, context: InstanceContext) -> Result<ParserInstance, CallError> {
        let (store, plugin) = self.start(context)?;
        Ok(ParserInstance::new(self.info.name.clone(), store, plugin))
    }

    fn start(&self, context: InstanceContext) -> Result<(Store<State>, Plugin), CallError> {
        let state = State::new(&self.info.name, context);
        let mut store = Store::new(self.engine.engine(), state);
        store.limiter(State::limiter);
        store.set_epoch_deadline(ticks(CALL_LIMIT));
        store.set_hostcall_fuel(TRANSFER_LIMIT_BYTES);
        let plugin = self
            .pre
            .instantiate(&mut store)
            .map_err(|error| self.broken("its start", &error))?;
        Ok((store, plugin))
    }

    fn broken(&self, call: &str, error: &wasmtime::Error) -> CallError {
        CallError::Broken {
            parser: self.info.name.clone(),
            reason: format!("broke in {call}: {}", reason_of(error)),
        }
    }
}

fn compile(
    engine: &PluginEngine,
    bytes: &[u8],
    digest: &str,
    label: &str,
    cache: Option<&CompileCache>,
    cache_trouble: &mut dyn FnMut(CacheError),
) -> Result<Component, LoadError> {
    let engine = engine.engine();
    if let Some(component) = cache.and_then(|cache| cache.load(engine, digest)) {
        return Ok(component);
    }
    let component =
        Component::from_binary(engine, bytes).map_err(|error| LoadError::NotAParser {
            label: label.to_owned(),
            reason: format!("it does not compile ({})", printable(&format!("{error:#}"))),
        })?;
    if let Some(cache) = cache {
        match component.serialize() {
            Ok(compiled) => {
                if let Err(error) = cache.store(engine, digest, &compiled) {
                    cache_trouble(error);
                }
            }
            Err(error) => cache_trouble(CacheError::Io {
                path: PathBuf::from(label),
                source: std::io::Error::other(format!("{error:#}")),
            }),
        }
    }
    Ok(component)
}

fn linker(engine: &PluginEngine) -> Result<Linker<State>, LoadError> {
    let mut linker = Linker::new(engine.engine());
    Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)
        .map_err(|error| LoadError::Host(format!("{error:#}")))?;
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)
        .map_err(|error| LoadError::Host(format!("{error:#}")))?;
    Ok(linker)
}

/// Reads a file that should be a parser.
fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    let not = |reason: String| LoadError::NotAParser {
        label: path.display().to_string(),
        reason,
    };
    if metadata.is_dir() {
        return Err(not("it is a folder".to_owned()));
    }
    if !metadata.is_file() {
        return Err(not("it is not an ordinary file".to_owned()));
    }
    if metadata.len() > FILE_LIMIT_BYTES {
        return Err(not(format!(
            "it has {} MiB, and {} MiB is the most that is taken",
            metadata.len() >> 20,
            FILE_LIMIT_BYTES >> 20
        )));
    }
    std::fs::read(path).map_err(failed)
}

/// Tells from its first bytes what a file is, for a better message than the compiler would give.
fn sniff(bytes: &[u8], label: &str) -> Result<(), LoadError> {
    const COMPONENT: &[u8] = b"\0asm\x0d\x00\x01\x00";
    const MODULE: &[u8] = b"\0asm\x01\x00\x00\x00";
    const MADE: &str =
        "Parsers are WebAssembly components (see \"Writing a parser\" in the README)";
    let reason = if bytes.is_empty() {
        format!("the file is empty. {MADE}")
    } else if bytes.starts_with(COMPONENT) {
        return Ok(());
    } else if bytes.starts_with(MODULE) {
        "it is a core WebAssembly module, not a component. Build it for wasm32-wasip2, or make a \
         component of it with `wasm-tools component new`"
            .to_owned()
    } else if bytes.starts_with(b"\x7fELF") {
        format!("it is machine code; compiled parsers from elsewhere are never run. {MADE}")
    } else if bytes.starts_with(b"\0asm") {
        "it is WebAssembly of a version that is not known here".to_owned()
    } else {
        format!("it is no WebAssembly at all. {MADE}")
    };
    Err(LoadError::NotAParser {
        label: label.to_owned(),
        reason,
    })
}

/// Checks a header that a parser wishes for.
fn header(name: &str, value: &str) -> Result<(http::HeaderName, http::HeaderValue), String> {
    /// Credentials, and what steers the connection or the framing of the message.
    const REFUSED: [&str; 14] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "host",
        "connection",
        "proxy-connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "content-length",
        "accept-encoding",
    ];
    let shown = printable(name);
    let parsed = http::HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("`{shown}` is not a header name"))?;
    if REFUSED.contains(&parsed.as_str()) {
        return Err(format!(
            "`{shown}` carries credentials or steers the connection"
        ));
    }
    let value = http::HeaderValue::from_str(value)
        .map_err(|_| format!("the value of `{shown}` has bytes that no header may have"))?;
    Ok((parsed, value))
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_parsers_are_told_what_they_are() {
        let said = |bytes: &[u8]| sniff(bytes, "x").unwrap_err().to_string();
        assert!(said(b"").contains("empty"));
        assert!(said(b"\0asm\x01\0\0\0").contains("core WebAssembly module"));
        assert!(said(b"\x7fELF").contains("machine code"));
        assert!(said(b"class PerfPlugin:").contains("no WebAssembly"));
        assert!(sniff(b"\0asm\x0d\0\x01\0", "x").is_ok());
    }

    #[test]
    fn parsers_get_no_headers_with_credentials() {
        assert!(header("X-DashScope-SSE", "enable").is_ok());
        for (name, value) in [
            ("Authorization", "x"),
            ("HOST", "x"),
            ("a b", "x"),
            ("x", "a\r\nb: c"),
        ] {
            assert!(header(name, value).is_err(), "{name}");
        }
    }
}
