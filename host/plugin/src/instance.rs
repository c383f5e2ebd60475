//! A running parser: the calls of the contract with their bounds, and the checks of what comes back.

use super::bindings::first::exports::llmuses::perf::perf_plugin as own;
use super::bindings::second::exports::llmuses::perf::{
    dataset_plugin as format, perf_plugin as api,
};
use super::offers::{FormatInfo, Offers};
use super::state::State;
use super::summary::{self, Summary, Wrong};
use super::text::{shown, shown_reason};
use super::usage::Exceeded;
use llmuses_core::bounds::Bounds;
use llmuses_core::cost::CallCost;
use llmuses_core::document::Task;
use llmuses_core::exchange::{Framing, Reading, ResponseLog};
use llmuses_core::redact::Secrets;
use wasmtime::component::InstancePre;
use wasmtime::{Store, Trap};
use wasmtime_wasi::I32Exit;

/// A call into a parser did not give a result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The parser said that it could not do what it was asked. The instance is as good as before.
    #[error("{0}")]
    Refused(String),
    /// The parser broke: it trapped, ran out of a bound, or broke the contract. The instance must not be
    /// used again.
    #[error("parser `{parser}` {reason}")]
    Broken {
        /// The name of the parser.
        parser: String,
        /// What it did.
        reason: String,
    },
}

/// Where the functions of a component are, by what it offers.
#[derive(Clone)]
pub(super) enum Indices {
    Own(own::GuestIndices),
    Parts {
        api: Option<api::GuestIndices>,
        format: Option<format::GuestIndices>,
    },
}

impl Indices {
    /// Those of a component that offers this.
    pub(super) fn of(pre: &InstancePre<State>, offers: Offers) -> wasmtime::Result<Self> {
        Ok(match offers {
            Offers::OwnRequests => Self::Own(own::GuestIndices::new(pre)?),
            offers => Self::Parts {
                api: match offers.has_api() {
                    true => Some(api::GuestIndices::new(pre)?),
                    false => None,
                },
                format: match offers.has_format() {
                    true => Some(format::GuestIndices::new(pre)?),
                    false => None,
                },
            },
        })
    }
}

/// The functions of an instance.
pub(super) enum Exports {
    Own(own::Guest),
    Parts {
        api: Option<api::Guest>,
        format: Option<format::Guest>,
    },
}

impl Exports {
    fn load(
        store: &mut Store<State>,
        pre: &InstancePre<State>,
        indices: &Indices,
    ) -> wasmtime::Result<Self> {
        let instance = pre.instantiate(&mut *store)?;
        Ok(match indices {
            Indices::Own(own) => Self::Own(own.load(&mut *store, &instance)?),
            Indices::Parts { api, format } => Self::Parts {
                api: match api {
                    Some(api) => Some(api.load(&mut *store, &instance)?),
                    None => None,
                },
                format: match format {
                    Some(format) => Some(format.load(&mut *store, &instance)?),
                    None => None,
                },
            },
        })
    }

    /// The functions of an API of its own requests.
    pub(super) fn own(&self) -> wasmtime::Result<&own::Guest> {
        match self {
            Self::Own(own) => Ok(own),
            Self::Parts { .. } => Err(Missing("requests of its own").into()),
        }
    }

    /// The functions of an API.
    pub(super) fn api(&self) -> wasmtime::Result<&api::Guest> {
        match self {
            Self::Parts { api: Some(api), .. } => Ok(api),
            _ => Err(Missing("an API that takes items").into()),
        }
    }

    /// The functions of a format.
    pub(super) fn format(&self) -> wasmtime::Result<&format::Guest> {
        match self {
            Self::Parts {
                format: Some(format),
                ..
            } => Ok(format),
            _ => Err(Missing("a format of data sets").into()),
        }
    }
}

/// What a plugin was asked for that it does not offer.
#[derive(Debug, thiserror::Error)]
#[error("it does not offer {0}")]
struct Missing(&'static str);

/// What a plugin says of itself.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) description: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) path: Option<String>,
    pub(super) framing: Framing,
    pub(super) task: Task,
    /// Its formats of data sets.
    pub(super) formats: Vec<FormatInfo>,
}

/// An instance of a parser. It belongs to one thread at a time.
pub struct ParserInstance {
    parser: String,
    bounds: Bounds,
    store: Store<State>,
    exports: Exports,
    cost: CallCost,
    /// The parser broke. Its memory may be in any state, so nothing in it is ever called again.
    poisoned: bool,
}

impl ParserInstance {
    pub(super) fn start(
        parser: &str,
        bounds: Bounds,
        mut store: Store<State>,
        pre: &InstancePre<State>,
        indices: &Indices,
    ) -> Result<Self, CallError> {
        begin_call(&mut store, &bounds);
        let exports = Exports::load(&mut store, pre, indices)
            .map_err(|error| trapped(parser, "its start", &bounds, &error))?;
        Ok(Self {
            parser: parser.to_owned(),
            bounds,
            store,
            exports,
            cost: CallCost::default(),
            poisoned: false,
        })
    }

    /// What the calls so far have cost.
    pub fn cost(&self) -> CallCost {
        self.cost
    }

    /// Has the plugin introduce itself.
    pub(super) fn describe(&mut self) -> Result<Told, CallError> {
        match self.exports {
            Exports::Own(_) => self.describe_own(),
            Exports::Parts { .. } => self.describe_parts(),
        }
    }

    /// Reads what there is to know out of a finished response. `reply`: whether the message of the model is wanted too.
    ///
    /// # Errors
    /// Where the plugin refuses the response, or breaks.
    pub fn parse_responses(
        &mut self,
        response: &ResponseLog,
        request: &[u8],
        parameters: &str,
        reply: bool,
    ) -> Result<Reading, CallError> {
        match self.exports {
            Exports::Own(_) => self.parse_own(response, request, parameters),
            Exports::Parts { .. } => self.parse_parts(response, request, parameters, reply),
        }
    }

    /// One call under the bounds.
    pub(super) fn call<R>(
        &mut self,
        name: &str,
        call: impl FnOnce(&Exports, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, CallError> {
        if self.poisoned {
            return Err(self.broken(format!("was to do {name}, but it is broken already")));
        }
        begin_call(&mut self.store, &self.bounds);
        let result = call(&self.exports, &mut self.store);
        self.cost.add(self.store.data().call().elapsed());
        result.map_err(|error| {
            self.poisoned = true;
            trapped(&self.parser, name, &self.bounds, &error)
        })
    }

    pub(super) fn exports(&self) -> &Exports {
        &self.exports
    }

    /// Adds the size of a result to what the call moved through the host's functions.
    pub(super) fn count_moved(&mut self, call: &str, bytes: usize) -> Result<(), CallError> {
        self.store
            .data_mut()
            .add_moved(bytes)
            .map_err(|error| self.broken(format!("broke in {call}: {error}")))
    }

    /// What must not be shown or kept of what the plugin says.
    pub(super) fn secrets(&self) -> &Secrets {
        self.store.data().secrets()
    }

    /// Why the plugin refuses something, as it is shown: credentials are blanked before it is cut.
    pub(super) fn reason(&self, message: &str) -> String {
        shown_reason(&self.secrets().blank_text(message))
    }

    /// What the plugin said in place of a result.
    pub(super) fn refused(&self, message: &str) -> CallError {
        CallError::Refused(self.reason(message))
    }

    /// What the plugin says that it found in a response of so many events, checked.
    pub(super) fn read(&mut self, told: Summary, responses: usize) -> Result<Reading, CallError> {
        match summary::reading(told, responses, self.secrets()) {
            Ok(reading) => Ok(reading),
            Err(Wrong::Server(reason)) => Err(CallError::Refused(reason)),
            Err(Wrong::Plugin(reason)) => Err(self.broken(reason)),
        }
    }

    pub(super) fn broken(&mut self, reason: String) -> CallError {
        self.poisoned = true;
        CallError::Broken {
            parser: self.parser.clone(),
            reason,
        }
    }
}

fn begin_call(store: &mut Store<State>, bounds: &Bounds) {
    store.data_mut().begin_call();
    // From the next tick on, the time of the call is counted.
    store.set_epoch_deadline(1);
    // Of each crossing; what all crossings of a call move together is counted by the host's functions.
    store.set_hostcall_fuel(bounds.transfer_bytes);
}

fn trapped(parser: &str, call: &str, bounds: &Bounds, error: &wasmtime::Error) -> CallError {
    CallError::Broken {
        parser: parser.to_owned(),
        reason: format!("broke in {call}: {}", reason_of(error, bounds)),
    }
}

/// Why a call was ended, in words for a user rather than for somebody who builds engines.
fn reason_of(error: &wasmtime::Error, bounds: &Bounds) -> String {
    if let Some(exceeded) = error.downcast_ref::<Exceeded>() {
        return exceeded.to_string();
    }
    if let Some(missing) = error.downcast_ref::<Missing>() {
        return missing.to_string();
    }
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return format!("it ended itself with exit code {code}, where it should have returned");
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => "its calls were nested too deeply for its stack".to_owned(),
        Some(Trap::UnreachableCodeReached) => {
            "it gave up (a panic, or an `unreachable` instruction)".to_owned()
        }
        Some(trap) => {
            let text = trap.to_string();
            text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned()
        }
        None => engine_words(&format!("{error:#}"), bounds),
    }
}

/// What the engine says where it has no type for it, in plain words. Its words are those of the one
/// version of wasmtime that this program is built with, and the tests of hostile parsers hold them.
fn engine_words(text: &str, bounds: &Bounds) -> String {
    const WORDS: [(&str, &str); 9] = [
        (
            "mmap failed to reserve",
            "this process may not have the address space that plugins need, some GiB for each instance: \
             raise the limit (`ulimit -v unlimited`)",
        ),
        (
            "out of bounds of memory",
            "it gave a text or a list that does not lie in its memory",
        ),
        (
            "store handle limit exceeded",
            "it holds too many resources at once",
        ),
        (
            "resource table has no free keys",
            "it holds too many resources of the host at once",
        ),
        ("invalid utf-8", "it gave a text that is not UTF-8"),
        (
            "discriminant",
            "it gave a value that its type does not have",
        ),
        (
            "unknown handle index",
            "it gave a resource that it does not have",
        ),
        (
            "exceeds limit",
            "it asked for more random bytes at once than parsers get",
        ),
        (
            "count too high at",
            "it has too many memories, tables or parts",
        ),
    ];
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        return Exceeded::Transfer(bounds.transfer_bytes).to_string();
    }
    match WORDS.iter().find(|(engine, _)| text.contains(engine)) {
        Some((_, plain)) => format!("{plain} ({})", shown(text)),
        None => shown(text),
    }
}
