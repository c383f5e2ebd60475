//! The engine: one for the program, set up so that a parser can do no more than the contract needs,
//! and the ticker that lets it be interrupted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wasmtime::{Config, Engine, Strategy};

/// The memory that one instance may have, in bytes: all its memories and tables together.
pub const MEMORY_LIMIT_BYTES: usize = 256 << 20;

/// How long one call into a parser may take.
pub const CALL_LIMIT: Duration = Duration::from_secs(5);

/// The data that one call may move between parser and host, in bytes.
pub const TRANSFER_LIMIT_BYTES: usize = 512 << 20;

/// The stack of a parser in bytes. Deep enough for the recursion of an interpreter such as CPython's.
const STACK_BYTES: usize = 1 << 20;

/// How often the ticker looks up. The grain of the call limit.
const TICK: Duration = Duration::from_millis(20);

/// An engine and the ticker beside it. Clones share both.
#[derive(Debug, Clone)]
pub struct PluginEngine {
    engine: Engine,
    // Held for its `drop`, which ends the ticker.
    _ticker: Arc<Ticker>,
}

impl PluginEngine {
    /// Sets the engine up.
    ///
    /// # Errors
    /// Where this machine cannot run compiled WebAssembly, or gives no thread for the ticker.
    pub fn new() -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config
            .strategy(Strategy::Cranelift)
            .wasm_component_model(true)
            .epoch_interruption(true)
            .max_wasm_stack(STACK_BYTES)
            // A trap is told to the user with its reason; frames of somebody's binary say nothing to
            // them.
            .wasm_backtrace_max_frames(None)
            // What the contract does not use is not there to be attacked.
            .concurrency_support(false)
            .wasm_memory64(false)
            .wasm_tail_call(true)
            .wasm_relaxed_simd(false);
        let engine = Engine::new(&config)?;
        let ticker = Ticker::start(engine.clone())?;
        Ok(Self {
            engine,
            _ticker: Arc::new(ticker),
        })
    }

    /// The engine itself.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// The number of ticks after which a call of `limit` is interrupted: at least `limit`, at most one tick
/// more.
pub(super) fn ticks(limit: Duration) -> u64 {
    u64::try_from(limit.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX) + 1
}

#[derive(Debug)]
struct Ticker {
    stop: Arc<AtomicBool>,
}

impl Ticker {
    fn start(engine: Engine) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("plugin-ticker".to_owned())
            .spawn(move || {
                while !told.load(Ordering::Relaxed) {
                    std::thread::sleep(TICK);
                    engine.increment_epoch();
                }
            })?;
        Ok(Self { stop })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
