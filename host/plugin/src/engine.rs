//! The engine: one for the program, set up so that a parser can do no more than the contract needs,
//! and the ticker that lets it be interrupted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wasmtime::{Config, Engine, Strategy};

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
        let engine = engine()?;
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

/// The engine alone, for compiling.
///
/// # Errors
/// Where this machine cannot run compiled WebAssembly.
pub(super) fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .wasm_component_model(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        // A trap is told to the user with its reason; frames of somebody's binary say nothing to them.
        .wasm_backtrace_max_frames(None)
        // An image of a memory would be a file to the system, under the limit of file sizes (`ulimit -f`).
        .memory_init_cow(false)
        // What the contract does not use is not there to be attacked. (Garbage collection, exceptions and
        // threads of core WebAssembly are not even compiled in. They and what else is off by default is
        // named all the same, so that no later default brings it back.)
        .concurrency_support(false)
        .gc_support(false)
        .shared_memory(false)
        .wasm_shared_everything_threads(false)
        .wasm_stack_switching(false)
        .wasm_memory64(false)
        .wasm_component_model_memory64(false)
        .wasm_component_model_gc(false)
        .wasm_component_model_error_context(false)
        .wasm_tail_call(true)
        .wasm_relaxed_simd(false);
    Engine::new(&config)
}

/// The number of ticks after which a call that has `limit` left is looked at again: at least `limit`, at most one tick
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
