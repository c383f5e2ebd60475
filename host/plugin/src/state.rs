//! What an instance has beside its own memory: the data set, the token counter and the log behind the
//! imports of the contract, a WASI with nothing behind it, and what it has used.

use super::clock::{VirtualClock, VirtualTime};
use super::log::{PluginLog, StandardStream};
use super::readers::{EntryReader, ItemReader, LineReader};
use super::usage::{CallUsage, Exceeded, HostCall, MemoryUsage};
use llmuses_core::bounds::Bounds;
use llmuses_core::budget::{Budget, Charge};
use llmuses_core::redact::Secrets;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime::{ResourceLimiter, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The data set of a run, as a parser may read it.
pub trait DatasetAccess: Send + Sync {
    /// Opens it as lines, from its beginning.
    ///
    /// # Errors
    /// A text for the user.
    fn lines(&self) -> Result<Box<dyn EntryReader>, String>;

    /// Opens it as the items of one JSON array, from its beginning.
    ///
    /// # Errors
    /// A text for the user.
    fn items(&self) -> Result<Box<dyn EntryReader>, String>;
}

/// Counts tokens.
pub trait TokenCounter: Send + Sync {
    /// The tokens of `text`, special tokens not added.
    ///
    /// # Errors
    /// A text for the user.
    fn count(&self, text: &str) -> Result<u64, String>;

    /// Bytes of memory that counting in `text` takes at most.
    fn memory_bytes(&self, text: &str) -> usize;
}

/// What an instance is given.
#[derive(Clone, Default)]
pub struct InstanceContext {
    /// The data set, where there is one.
    pub dataset: Option<Arc<dyn DatasetAccess>>,
    /// The token counter, where there is one.
    pub tokenizer: Option<Arc<dyn TokenCounter>>,
    /// Whether messages of the lowest level are shown.
    pub debug: bool,
    /// What counting of tokens draws its memory from.
    pub budget: Arc<Budget>,
    /// What must not be shown or kept of what the instance says.
    pub secrets: Arc<Secrets>,
    /// The seed of the random numbers of WASI. Every instance draws the same ones, so that it does not
    /// matter which of them makes a request or reads a response.
    pub seed: u64,
}

/// The most resources that a parser may hold at once: a few readers, and the streams and pollables of
/// its standard library.
const MOST_RESOURCES: usize = 256;

/// Entries that a reader hands over at once at most: an empty entry takes no bytes of the batch, but
/// memory all the same.
const MOST_ENTRIES: u32 = 1024;

/// Bytes in which the tokenizer counts at most: some million tokens. It cannot be interrupted.
const MOST_TOKENIZED_BYTES: usize = 8 << 20;

/// How long counting waits for memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// Readers that an instance has open at once at most. Each holds an open file, a buffer and perhaps a thread.
const MOST_READERS: u32 = 16;

/// Random bytes that a parser gets at once at most.
const MOST_RANDOM_BYTES: u64 = 1 << 20;

/// The state of one store.
pub(super) struct State {
    context: InstanceContext,
    bounds: Bounds,
    table: ResourceTable,
    wasi: WasiCtx,
    time: VirtualTime,
    memory: MemoryUsage,
    call: CallUsage,
    readers: u32,
    log: Arc<PluginLog>,
}

impl State {
    pub(super) fn new(log: &Arc<PluginLog>, bounds: &Bounds, context: InstanceContext) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_RESOURCES);
        let stream =
            |label| StandardStream::new(Arc::clone(log), Arc::clone(&context.secrets), label);
        let random = || ChaCha8Rng::seed_from_u64(context.seed);
        // No folder, no variable, no argument, no socket.
        let wasi = WasiCtx::builder()
            .stdout(stream("standard output"))
            .stderr(stream("standard error"))
            .secure_random(random())
            .insecure_random(random())
            .insecure_random_seed(context.seed.into())
            .max_random_size(MOST_RANDOM_BYTES)
            .build();
        Self {
            context,
            bounds: *bounds,
            table,
            wasi,
            time: VirtualTime::default(),
            memory: MemoryUsage::new(bounds),
            call: CallUsage::begin(),
            readers: 0,
            log: Arc::clone(log),
        }
    }

    pub(super) fn limiter(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.memory
    }

    /// What must not be shown or kept of what the instance says.
    pub(super) fn secrets(&self) -> &Secrets {
        &self.context.secrets
    }

    /// Begins to count what a new call uses.
    pub(super) fn begin_call(&mut self) {
        self.call = CallUsage::begin();
    }

    /// What the call under way has used.
    pub(super) fn call(&self) -> &CallUsage {
        &self.call
    }

    /// Notes data of a result.
    pub(super) fn add_moved(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.call.add_moved(bytes, &self.bounds)
    }

    /// What is to be done when the deadline of the call has come.
    pub(super) fn at_deadline(&mut self) -> wasmtime::Result<UpdateDeadline> {
        Ok(self.call.at_deadline(&self.bounds)?)
    }

    /// The clocks of WASI.
    pub(super) fn clock(&mut self) -> VirtualClock<'_> {
        VirtualClock {
            time: &mut self.time,
            table: &mut self.table,
        }
    }

    /// Notes that a reader is opened.
    fn add_reader(&mut self) -> Result<(), Exceeded> {
        self.call.add_opened()?;
        if self.readers >= MOST_READERS {
            return Err(Exceeded::Readers(MOST_READERS));
        }
        self.readers += 1;
        Ok(())
    }

    fn dataset(&self) -> Result<&Arc<dyn DatasetAccess>, String> {
        self.context
            .dataset
            .as_ref()
            .ok_or_else(|| "there is no data set in this run (--dataset)".to_owned())
    }

    /// A function of the host: its time is not the parser's, and `moved` bytes came from the parser.
    fn host<R>(
        &mut self,
        moved: usize,
        work: impl FnOnce(&mut Self) -> wasmtime::Result<R>,
    ) -> wasmtime::Result<R> {
        let since = HostCall::begin();
        self.call.add_moved(moved, &self.bounds)?;
        let result = work(self);
        self.call.add_host_time(since, &self.bounds)?;
        result
    }
}

/// What stands behind the imports of the contract.
impl State {
    pub(super) fn open_lines(&mut self) -> wasmtime::Result<Result<Resource<LineReader>, String>> {
        self.host(0, |state| {
            state.add_reader()?;
            match state.dataset().and_then(|dataset| dataset.lines()) {
                Ok(reader) => Ok(Ok(state.table.push(LineReader(reader))?)),
                Err(message) => {
                    state.readers -= 1;
                    Ok(Err(message))
                }
            }
        })
    }

    pub(super) fn open_items(&mut self) -> wasmtime::Result<Result<Resource<ItemReader>, String>> {
        self.host(0, |state| {
            state.add_reader()?;
            match state.dataset().and_then(|dataset| dataset.items()) {
                Ok(reader) => Ok(Ok(state.table.push(ItemReader(reader))?)),
                Err(message) => {
                    state.readers -= 1;
                    Ok(Err(message))
                }
            }
        })
    }

    pub(super) fn next_lines(
        &mut self,
        reader: Resource<LineReader>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<String>, String>> {
        self.host(0, |state| {
            Ok(state.table.get_mut(&reader)?.0.next(max.min(MOST_ENTRIES)))
        })
    }

    pub(super) fn next_items(
        &mut self,
        reader: Resource<ItemReader>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<String>, String>> {
        self.host(0, |state| {
            Ok(state.table.get_mut(&reader)?.0.next(max.min(MOST_ENTRIES)))
        })
    }

    pub(super) fn let_go<R: 'static>(&mut self, reader: Resource<R>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        self.readers -= 1;
        Ok(())
    }

    pub(super) fn has_tokenizer(&self) -> bool {
        self.context.tokenizer.is_some()
    }

    pub(super) fn count_tokens(&mut self, text: &str) -> wasmtime::Result<Result<u64, String>> {
        self.host(text.len(), |state| {
            let Some(tokenizer) = &state.context.tokenizer else {
                return Ok(Err(
                    "there is no tokenizer in this run (--tokenizer-path)".to_owned()
                ));
            };
            if text.len() > MOST_TOKENIZED_BYTES {
                return Ok(Err(format!(
                    "the tokenizer counts in {} MiB of text at most",
                    MOST_TOKENIZED_BYTES >> 20
                )));
            }
            let needed = tokenizer.memory_bytes(text);
            if let Some(refusal) = too_much_for_one(needed, text.len(), &state.context.budget) {
                return Ok(Err(refusal));
            }
            let mut charge = Charge::of(&state.context.budget);
            if let Err(error) = charge.grow_within(needed, PATIENCE) {
                return Ok(Err(format!(
                    "the tokenizer needs {} MiB for a text of {} bytes: {error}",
                    needed >> 20,
                    text.len()
                )));
            }
            Ok(tokenizer.count(text))
        })
    }

    /// Shows a message. `label`: its level; that of messages which only --debug shows is `None`.
    pub(super) fn say(&mut self, label: Option<&str>, message: &str) -> wasmtime::Result<()> {
        let label = match label {
            None if !self.context.debug => return Ok(()),
            None => "debug",
            Some(label) => label,
        };
        self.host(message.len(), |state| {
            let secrets = &state.context.secrets;
            state.log.say(label, &secrets.blank_text(message));
            Ok(())
        })
    }
}

/// Why a count that takes `needed` bytes of memory is refused: one alone would take more than a quarter of the budget, as
/// no single body may.
fn too_much_for_one(needed: usize, text_bytes: usize, budget: &Budget) -> Option<String> {
    let most = budget.most_for_one();
    (needed > most).then(|| {
        format!(
            "the tokenizer needs {} MiB for a text of {text_bytes} bytes that it cannot read in parts, and one count may take {} MiB, a quarter of --memory-limit",
            needed >> 20,
            most >> 20
        )
    })
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_count_may_take_a_quarter_of_the_memory() {
        let budget = Budget::new(2 << 30);
        assert_eq!(too_much_for_one(512 << 20, 4 << 20, &budget), None);
        let refusal = too_much_for_one((512 << 20) + 1, 4 << 20, &budget).unwrap();
        assert_eq!(
            refusal,
            "the tokenizer needs 512 MiB for a text of 4194304 bytes that it cannot read in parts, and one count may take 512 MiB, a quarter of --memory-limit"
        );
        assert_eq!(
            too_much_for_one(usize::MAX / 4, 1, &Budget::default()),
            None
        );
    }
}
