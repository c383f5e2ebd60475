//! What an instance has beside its own memory: the data set, the token counter and the log behind the
//! imports of the contract, an empty WASI, and the account of its memory.

use super::bindings::llmuses::perf::{datasets, logging, tokenizer, types};
use super::engine::MEMORY_LIMIT_BYTES;
use std::sync::Arc;
use wasmtime::ResourceLimiter;
use wasmtime::component::{Resource, ResourceTable};
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

/// Reads a data set entry by entry.
pub trait EntryReader: Send {
    /// At most `max` further entries; an empty list is the end.
    ///
    /// # Errors
    /// A text for the user. It stands for one entry; reading may go on behind it.
    fn next(&mut self, max: u32) -> Result<Vec<String>, String>;
}

/// Counts tokens.
pub trait TokenCounter: Send + Sync {
    /// The tokens of `text`, special tokens not added.
    ///
    /// # Errors
    /// A text for the user.
    fn count(&self, text: &str) -> Result<u64, String>;
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
}

/// A line reader that a parser holds.
pub struct LineReader(Box<dyn EntryReader>);

/// An item reader that a parser holds.
pub struct ItemReader(Box<dyn EntryReader>);

/// The most log output that is shown of one instance.
const LOG_LINES: u32 = 200;
const LOG_BYTES: usize = 64 << 10;

/// The most resources that a parser may hold at once: one reader or a few, and its WASI streams.
const MOST_RESOURCES: usize = 64;

/// The state of one store.
pub(super) struct State {
    parser: String,
    context: InstanceContext,
    table: ResourceTable,
    wasi: WasiCtx,
    memory: MemoryAccount,
    log_lines: u32,
    log_bytes: usize,
    log_cut: u64,
}

impl State {
    pub(super) fn new(parser: &str, context: InstanceContext) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_RESOURCES);
        Self {
            parser: parser.to_owned(),
            context,
            table,
            // No directory, no variable, no argument, no socket; what is written goes nowhere.
            wasi: WasiCtx::builder().build(),
            memory: MemoryAccount::default(),
            log_lines: 0,
            log_bytes: 0,
            log_cut: 0,
        }
    }

    pub(super) fn limiter(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.memory
    }

    fn dataset(&self) -> Result<&Arc<dyn DatasetAccess>, String> {
        self.context
            .dataset
            .as_ref()
            .ok_or_else(|| "there is no data set in this run (--dataset)".to_owned())
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if self.log_cut > 0 {
            eprintln!(
                "parser {}: {} further log messages were not shown (a parser may log {LOG_LINES} \
                 lines and {} KiB)",
                self.parser,
                self.log_cut,
                LOG_BYTES >> 10
            );
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Counts what all memories and tables of an instance take together.
#[derive(Default)]
struct MemoryAccount {
    bytes: usize,
}

impl MemoryAccount {
    fn grow(&mut self, current: usize, desired: usize, unit: usize) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current).saturating_mul(unit);
        let total = self.bytes.saturating_add(more);
        if total > MEMORY_LIMIT_BYTES {
            return Err(wasmtime::format_err!(
                "it wanted more than {} MiB of memory",
                MEMORY_LIMIT_BYTES >> 20
            ));
        }
        self.bytes = total;
        Ok(true)
    }
}

impl ResourceLimiter for MemoryAccount {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(current, desired, 1)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(current, desired, size_of::<usize>())
    }

    // A component of an ordinary toolchain has a handful of core instances, each with one memory and a
    // table or two.
    fn instances(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        16
    }

    fn tables(&self) -> usize {
        64
    }
}

// The types have no functions of their own.
impl types::Host for State {}

impl datasets::Host for State {
    fn line_by_line(&mut self) -> wasmtime::Result<Result<Resource<LineReader>, String>> {
        match self.dataset().and_then(|dataset| dataset.lines()) {
            Ok(reader) => Ok(Ok(self.table.push(LineReader(reader))?)),
            Err(message) => Ok(Err(message)),
        }
    }

    fn json_list(&mut self) -> wasmtime::Result<Result<Resource<ItemReader>, String>> {
        match self.dataset().and_then(|dataset| dataset.items()) {
            Ok(reader) => Ok(Ok(self.table.push(ItemReader(reader))?)),
            Err(message) => Ok(Err(message)),
        }
    }
}

impl datasets::HostLineReader for State {
    fn next(
        &mut self,
        reader: Resource<LineReader>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<String>, String>> {
        Ok(self.table.get_mut(&reader)?.0.next(max))
    }

    fn drop(&mut self, reader: Resource<LineReader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

impl datasets::HostItemReader for State {
    fn next(
        &mut self,
        reader: Resource<ItemReader>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<String>, String>> {
        Ok(self.table.get_mut(&reader)?.0.next(max))
    }

    fn drop(&mut self, reader: Resource<ItemReader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

impl tokenizer::Host for State {
    fn available(&mut self) -> wasmtime::Result<bool> {
        Ok(self.context.tokenizer.is_some())
    }

    fn count(&mut self, text: String) -> wasmtime::Result<Result<u64, String>> {
        Ok(match &self.context.tokenizer {
            Some(tokenizer) => tokenizer.count(&text),
            None => Err("there is no tokenizer in this run (--tokenizer-path)".to_owned()),
        })
    }
}

impl logging::Host for State {
    fn log(&mut self, level: logging::Level, message: String) -> wasmtime::Result<()> {
        let label = match level {
            logging::Level::Debug if !self.context.debug => return Ok(()),
            logging::Level::Debug => "debug",
            logging::Level::Info => "info",
            logging::Level::Warn => "warning",
            logging::Level::Error => "error",
        };
        let size = self.log_bytes.saturating_add(message.len());
        if self.log_lines == LOG_LINES || size > LOG_BYTES {
            self.log_cut += 1;
            return Ok(());
        }
        self.log_lines += 1;
        self.log_bytes = size;
        eprintln!("parser {} ({label}): {}", self.parser, printable(&message));
        Ok(())
    }
}

/// Text of a parser on one line, without anything that a terminal would act on.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}
