//! From a name or a file to a parser that can be run: reading, sniffing, compiling, linking, and the
//! questions that are asked of it once.

use super::builtin::BuiltinComponent;
use super::cache::CompileCache;
use super::cache_error::CacheError;
use super::compile::{CompileError, Compiler, compile};
use super::engine::PluginEngine;
use super::file::{read, sniff};
use super::header::headers;
use super::instance::{CallError, Indices, ParserInstance};
use super::link;
use super::load_error::LoadError;
use super::log::PluginLog;
use super::offers::{FormatInfo, Offers};
use super::state::{InstanceContext, State};
use super::text::{shown, shown_name};
use llmuses_core::bounds::Bounds;
use llmuses_core::document::Task;
use llmuses_core::exchange::Framing;
use llmuses_core::messages::Messages;
use llmuses_core::wording::hexadecimal;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Once};
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre};

/// The most handles to resources that a parser may hold at once, its own and the host's. A run needs
/// one for its requests, and one for each reader and stream.
const MOST_HANDLES: usize = 1024;

/// A person who waits for longer wants to know for what.
const A_WHILE: Duration = Duration::from_secs(1);

/// Where a parser came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParserSource {
    /// From inside this program.
    Builtin,
    /// From a file.
    File(PathBuf),
}

impl std::fmt::Display for ParserSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Builtin => f.write_str("built in"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How parsers are loaded.
pub struct Loading<'a> {
    /// The engine that runs them.
    pub engine: &'a PluginEngine,
    /// The bounds that hold them.
    pub bounds: Bounds,
    /// Where those from files are compiled.
    pub compiler: Compiler,
    /// Where compiled ones are kept.
    pub cache: Option<&'a CompileCache>,
    /// Takes what parsers log.
    pub messages: Messages,
    /// Takes what matters only to somebody who looks closely. `None`: nobody does.
    pub details: Option<Messages>,
    /// Takes what goes wrong with the cache; that never fails a load.
    pub cache_trouble: &'a dyn Fn(CacheError),
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
    /// The size of the component in bytes.
    pub size: usize,
    /// SHA-256 of the component, in hexadecimal.
    pub sha256: String,
    /// The version of the contract that it was built for.
    pub contract_version: &'static str,
    /// The interfaces of the contract that it exports.
    pub exports: Vec<String>,
    /// What it can be used for.
    pub offers: Offers,
    /// The path of its API, with `{model}` for the name of the model. `None`: it tells none.
    pub path: Option<String>,
    /// How responses of its API are split into events.
    pub framing: Framing,
    /// What a model is asked for.
    pub task: Task,
    /// Whether servers of its API put a chat template around a prompt. Of a plugin from a file its task tells.
    pub has_template: bool,
    /// Its formats of data sets, by its own account.
    pub formats: Vec<FormatInfo>,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// Where it came from.
    pub source: ParserSource,
}

/// A loaded parser, of which instances can be made.
#[derive(Clone)]
pub struct Parser {
    engine: PluginEngine,
    pre: InstancePre<State>,
    indices: Indices,
    bounds: Bounds,
    log: Arc<PluginLog>,
    info: ParserInfo,
}

impl ParserInfo {
    /// Whether it would be loaded with `--sandbox strict`.
    pub fn is_strict(&self) -> bool {
        link::is_strict(&self.imports)
    }
}

impl Parser {
    /// Loads a parser from inside this program.
    ///
    /// # Errors
    /// Where it cannot be compiled or run on this machine.
    pub fn from_builtin(
        loading: &Loading<'_>,
        component: &BuiltinComponent,
    ) -> Result<Self, LoadError> {
        let bytes = component
            .bytes()
            .map_err(|error| LoadError::Host(format!("{}: {error}", component.name)))?;
        let mut parser = Self::load(
            loading,
            &bytes,
            component.name,
            ParserSource::Builtin,
            &Compiler::InProcess,
        )?;
        parser.info.has_template &= component.has_template;
        Ok(parser)
    }

    /// Loads a parser from a file.
    ///
    /// # Errors
    /// Where the file cannot be read, is no component, asks for more than parsers get, does not offer
    /// what the contract wants, or breaks when it is asked who it is.
    pub fn from_file(loading: &Loading<'_>, path: &Path) -> Result<Self, LoadError> {
        let bytes = read(path, &loading.bounds)?;
        Self::from_bytes(loading, &bytes, path)
    }

    /// Loads a parser from the bytes of a file.
    ///
    /// # Errors
    /// As [`Self::from_file`].
    pub fn from_bytes(loading: &Loading<'_>, bytes: &[u8], path: &Path) -> Result<Self, LoadError> {
        let label = path.display().to_string();
        sniff(bytes, &label)?;
        let source = ParserSource::File(path.to_owned());
        Self::load(loading, bytes, &label, source, &loading.compiler)
    }

    fn load(
        loading: &Loading<'_>,
        bytes: &[u8],
        label: &str,
        source: ParserSource,
        compiler: &Compiler,
    ) -> Result<Self, LoadError> {
        let engine = loading.engine.engine();
        let sha256 = hexadecimal(&Sha256::digest(bytes));
        let (component, compiled) = component(loading, bytes, &sha256, label, compiler)?;
        let sandbox = loading.bounds.sandbox;
        let interface = link::check(engine, &component, label, sandbox)?;
        let pre = link::linker(engine, sandbox)?
            .instantiate_pre(&component)
            .map_err(|error| LoadError::Imports {
                label: label.to_owned(),
                reason: format!(
                    "what it imports is not what this program has under that name ({})",
                    shown(&format!("{error:#}"))
                ),
            })?;
        let indices =
            Indices::of(&pre, interface.offers).map_err(|error| LoadError::NotAParser {
                label: label.to_owned(),
                reason: format!(
                    "it does not offer what the contract {} wants ({})",
                    link::contract(interface.contract_version),
                    shown(&format!("{error:#}"))
                ),
            })?;
        let mut parser = Self {
            engine: loading.engine.clone(),
            pre,
            indices,
            bounds: loading.bounds,
            log: PluginLog::new(label, &loading.bounds, &loading.messages),
            info: ParserInfo {
                name: shown_name(label),
                version: String::new(),
                description: String::new(),
                headers: http::HeaderMap::new(),
                size: bytes.len(),
                sha256,
                contract_version: interface.contract_version,
                exports: interface.exports,
                offers: interface.offers,
                path: None,
                framing: Framing::default(),
                task: Task::default(),
                has_template: Task::default().may_have_template(),
                formats: Vec::new(),
                imports: interface.imports,
                source,
            },
        };
        parser.ask()?;
        // Not before: what is refused is not kept.
        if let (Some(cache), Some(compiled)) = (loading.cache, compiled)
            && let Err(error) = cache.store(engine, &parser.info.sha256, &compiled)
        {
            (loading.cache_trouble)(error);
        }
        Ok(parser)
    }

    /// Has the parser introduce itself.
    fn ask(&mut self) -> Result<(), LoadError> {
        let told = self
            .instantiate(InstanceContext::default())
            .and_then(|mut instance| instance.describe())
            .map_err(|error| self.misfit(error))?;
        let name = shown_name(told.name.trim());
        // One without a name keeps that of its file.
        if !name.trim().is_empty() {
            self.info.name = name;
        }
        self.log.set_parser(&self.info.name);
        self.info.path = told.path;
        self.info.framing = told.framing;
        self.info.task = told.task;
        self.info.has_template = told.task.may_have_template();
        self.info.formats = told.formats;
        self.info.version = shown_name(&told.version);
        self.info.description = shown(&told.description);
        self.info.headers = headers(&told.headers).map_err(|reason| LoadError::Header {
            parser: self.info.name.clone(),
            reason,
        })?;
        Ok(())
    }

    /// The engine compares the types of exported functions with ours when it makes the first instance.
    /// A difference is none of a parser's doings, but a contract that it does not keep.
    fn misfit(&self, error: CallError) -> LoadError {
        match error {
            CallError::Broken { reason, .. } if reason.contains("failed to convert function") => {
                LoadError::NotAParser {
                    label: self.info.source.to_string(),
                    reason: format!(
                        "a function of it is not of the type that the contract {} gives it ({reason})",
                        link::contract(self.info.contract_version)
                    ),
                }
            }
            error => error.into(),
        }
    }

    /// The same parser, with what it may log counted from the beginning.
    pub fn for_another_run(&self) -> Self {
        Self {
            log: self.log.anew(&self.info.name, &self.bounds),
            ..self.clone()
        }
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
        let state = State::new(&self.log, &self.bounds, context);
        let mut store = Store::new(self.engine.engine(), state);
        store.limiter(State::limiter);
        store.set_max_component_handles(MOST_HANDLES);
        store.epoch_deadline_callback(|mut store| store.data_mut().at_deadline());
        ParserInstance::start(
            &self.info.name,
            self.bounds,
            store,
            &self.pre,
            &self.indices,
        )
    }
}

/// Compiles a component, and says so where that takes a while.
fn compile_and_tell(
    loading: &Loading<'_>,
    compiler: &Compiler,
    bytes: &[u8],
    label: &str,
) -> Result<Vec<u8>, CompileError> {
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let kept = match loading.cache {
            Some(_) => "; the next run finds it compiled",
            None => "",
        };
        let label = shown_name(label);
        let text = format!("compiling the plugin {label}, which takes some seconds{kept}");
        let messages = loading.messages.clone();
        let tell = move || {
            if is_done.recv_timeout(A_WHILE) == Err(RecvTimeoutError::Timeout) {
                messages.say(text);
            }
        };
        // Where the system gives no thread it is compiled all the same.
        let _ = std::thread::Builder::new().spawn_scoped(scope, tell);
        let compiled = compile(compiler, bytes, &loading.bounds);
        drop(done);
        let compiled = compiled?;
        if let Some(details) = &loading.details {
            tell_once(details, &compiled.not_confined);
        }
        Ok(compiled.code)
    })
}

/// Tells what the system does not make possible, which is the same for each component.
fn tell_once(details: &Messages, not_confined: &[String]) {
    static TOLD: Once = Once::new();
    if !not_confined.is_empty() {
        TOLD.call_once(|| {
            details.say(format!(
                "plugins are compiled in a process with less of a sandbox than there could be: {}",
                not_confined.join("; ")
            ));
        });
    }
}

/// A component ready to be run: from the cache, or compiled, and its compiled form then.
fn component(
    loading: &Loading<'_>,
    bytes: &[u8],
    digest: &str,
    label: &str,
    compiler: &Compiler,
) -> Result<(Component, Option<Vec<u8>>), LoadError> {
    let engine = loading.engine.engine();
    if let Some(cache) = loading.cache {
        match cache.load(engine, digest) {
            Ok(Some(component)) => return Ok((component, None)),
            Ok(None) => {}
            Err(error) => (loading.cache_trouble)(error),
        }
    }
    let compiled =
        compile_and_tell(loading, compiler, bytes, label).map_err(|error| match error {
            CompileError::Refused(_) => LoadError::NotAParser {
                label: label.to_owned(),
                reason: error.to_string(),
            },
            CompileError::Start(_) | CompileError::Threads(_) => LoadError::Host(error.to_string()),
            _ => LoadError::Compile {
                label: label.to_owned(),
                reason: error.to_string(),
            },
        })?;
    // SAFETY: these bytes come from the compiler of this very program, here or in a child process that
    // this process started from its own file and whose pipe nobody else holds. The engine refuses
    // artefacts of another version or other settings.
    let component = unsafe { Component::deserialize(engine, &compiled) }.map_err(|error| {
        LoadError::Host(format!("what the compiler made cannot be read: {error:#}"))
    })?;
    Ok((component, Some(compiled)))
}
