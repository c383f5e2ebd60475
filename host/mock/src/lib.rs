//! A server with known timing: what a load tester measures of it can be compared with what happened.
//!
//! It speaks as services for large language models do, answers with tokens at the pace it is told, and remembers when it
//! really wrote each of them. `GET /truth` tells that, and not merely what was asked for.
//!
//! # Endpoints
//!
//! | endpoint | answers |
//! |---|---|
//! | `POST` to a path of an API | with tokens, streamed or plain (see the `api` module for the list) |
//! | `GET /v1/models` | the one model |
//! | `GET /truth` | what happened since the last call (see the `report` module) |
//! | `GET /metrics` | what happened since the start, in vLLM's names (see the `metrics` module) |
//! | `GET /last`, `GET /bodies?limit=N` | the last request; the last bodies (see the `received` module) |
//! | `GET /health` | that it runs |
//!
//! # What enters this folder
//!
//! Only [`llmuses_kernel_io`] from the rest of the workspace: the server must not share the client's idea
//! of the protocol, or the two would agree on the same mistake. `server` listens and accepts, `service`
//! leads a request to what it is for, `generate` answers it, `api` knows how each API is spoken, `prompt` reads prompts and `tokens` counts them,
//! `cache` remembers prefixes, `slots` says who waits, `pace` knows when tokens are due, `stream` sends them,
//! `connection` ties them to the writes that carry them, `exchange` follows a request to its end, `truth`, `received` and `log` remember, and `report` and
//! `metrics` sum up.

mod api;
mod cache;
mod config;
mod connection;
mod exchange;
mod generate;
mod log;
mod metrics;
mod pace;
mod prompt;
mod received;
mod report;
mod server;
mod service;
mod slots;
mod stream;
mod tls;
mod tokens;
mod truth;
mod words;
mod work;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

pub use config::{
    MAX_CACHE_BLOCKS, MAX_SLOTS, MAX_SLOWDOWN, MAX_TEMPLATE_TOKENS, MAX_TIME, MAX_TOKENS,
    MockConfig, MockError, UsageMode,
};

/// Runs the server on this thread until the process is told to end (an interrupt or a termination signal).
///
/// `on_listening` is called once with the address, as soon as connections are accepted.
///
/// # Errors
///
/// When the configuration makes no sense, the address is taken, or the system refuses what the server needs.
pub fn serve(config: MockConfig, on_listening: impl FnOnce(SocketAddr)) -> Result<(), MockError> {
    config.check()?;
    let listener = server::listen(config.listen)?;
    let told_to_end = server::end_signal()?;
    server::run(listener, config, on_listening, told_to_end)
}

/// Starts the server on a thread of its own and returns when it accepts connections.
///
/// # Errors
///
/// As for [`serve`].
pub fn spawn(config: MockConfig) -> Result<RunningMock, MockError> {
    config.check()?;
    let listener = server::listen(config.listen)?;
    let (stop, stopped) = oneshot::channel();
    let (tell, told) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("mock-server".to_owned())
        .spawn(move || {
            let on_listening = |address| _ = tell.send(address);
            server::run(listener, config, on_listening, async {
                // An error means that the sender is gone, which is a reason to stop as well.
                stopped.await.ok();
            })
        })
        .map_err(MockError::Start)?;
    match told.recv() {
        Ok(address) => Ok(RunningMock {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }),
        // It ended without having listened: why is in what its thread returned.
        Err(_) => Err(match thread.join() {
            Ok(Err(error)) => error,
            _ => MockError::Start(io::ErrorKind::Other.into()),
        }),
    }
}

/// A server on a thread of its own. It stops when this is dropped.
#[derive(Debug)]
pub struct RunningMock {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), MockError>>>,
}

impl RunningMock {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of one of its endpoints, for a `path` that starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for RunningMock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What went wrong in a server that is no longer wanted concerns nobody.
            thread.join().ok();
        }
    }
}
