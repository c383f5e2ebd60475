//! A server with known timing, to hold the load tester against.
//!
//! It speaks as a service for large language models does (the OpenAI shape as vLLM serves it, and
//! DashScope's), answers with tokens at the pace it is told, and remembers when it really wrote each of
//! them. `GET /truth` tells that, so that what a client measured can be compared with what happened,
//! and not merely with what was asked for.
//!
//! # Endpoints
//!
//! | endpoint | answers |
//! |---|---|
//! | `POST /v1/chat/completions`, `POST /v1/completions` | OpenAI, streamed or plain as the body's `stream` says |
//! | `POST /api/v1/services/aigc/text-generation/generation` | DashScope, streamed where a header asks for it |
//! | `GET /v1/models` | the one model |
//! | `GET /truth` | what happened since the last call (see the `report` module) |
//! | `GET /last`, `GET /bodies?limit=N` | the last request; the last bodies (see the `seen` module) |
//! | `GET /health` | that it runs |
//!
//! # What enters this folder
//!
//! Only [`llmuses_kernel_io`] from the rest of the crate: the server must not share the client's idea
//! of the protocol, or the two would agree on the same mistake. `server` listens and accepts, `service`
//! turns a request into a reply, `openai` and `dashscope` know the shapes, `pace` knows when tokens are
//! due, `stream` sends them, `connection` ties them to the writes that carry them, `truth` and `seen` remember,
//! and `report` reckons up.

mod connection;
mod dashscope;
mod openai;
mod pace;
mod prompt;
mod received;
mod report;
mod server;
mod service;
mod stream;
mod tls;
mod truth;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

/// The most tokens that one answer can be set to.
pub const MAX_TOKENS: u64 = 1_000_000;

/// The longest that a time of the configuration may be.
pub const MAX_TIME: Duration = Duration::from_secs(86_400);

/// When the server tells how many tokens a request took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UsageMode {
    /// Never, not even where the client asks.
    Off,
    /// Plain answers always; streams in a chunk of its own at the end, where the client asks for that with
    /// `stream_options.include_usage`.
    #[default]
    Final,
    /// As [`UsageMode::Final`], and in every chunk of every stream.
    Every,
}

/// How the server behaves.
///
/// Each time is drawn anew: its base, give or take up to the jitter with every value equally likely, but never
/// below zero. The draws depend on the seed and on the number of the request (in order of arrival) only,
/// not on how the requests happen to overlap.
#[derive(Debug, Clone, PartialEq)]
pub struct MockConfig {
    /// The address to listen on. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// From the arrival of a request to its first token.
    pub ttft: Duration,
    /// By how much that varies.
    pub ttft_jitter: Duration,
    /// From one token to the next. Tokens have fixed due times, so that a late one does not delay those after it.
    pub itl: Duration,
    /// By how much that varies.
    pub itl_jitter: Duration,
    /// The tokens of an answer, where the request does not ask for fewer; at most [`MAX_TOKENS`].
    pub tokens: u64,
    /// Whether a chat stream opens with a chunk that only names the role, sent as soon as the request is there.
    /// Otherwise nothing is sent before the first token, not even the head of the response. DashScope
    /// has no such chunk.
    pub role_chunk: bool,
    /// When token counts are told.
    pub usage: UsageMode,
    /// The share of requests that are answered at once with status 500, from 0 to 1.
    pub error_rate: f64,
    /// What all draws come from.
    pub seed: u64,
    /// Whether it speaks TLS, with a certificate of its own making that nobody vouches for.
    pub tls: bool,
    /// The name of the model that `GET /v1/models` lists. Answers name the model that the request asked for.
    pub model: String,
}

impl Default for MockConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ttft: Duration::from_millis(50),
            ttft_jitter: Duration::ZERO,
            itl: Duration::from_millis(10),
            itl_jitter: Duration::ZERO,
            tokens: 100,
            role_chunk: false,
            usage: UsageMode::Final,
            error_rate: 0.0,
            seed: 0,
            tls: false,
            model: "mock".to_owned(),
        }
    }
}

impl MockConfig {
    fn check(&self) -> Result<(), MockError> {
        let times = [self.ttft, self.ttft_jitter, self.itl, self.itl_jitter];
        if times.iter().any(|time| *time > MAX_TIME) {
            return Err(MockError::Time);
        }
        if self.tokens > MAX_TOKENS {
            return Err(MockError::Tokens(self.tokens));
        }
        if !(0.0..=1.0).contains(&self.error_rate) {
            return Err(MockError::ErrorRate(self.error_rate));
        }
        Ok(())
    }
}

/// Why the server could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MockError {
    /// A time of the configuration is longer than [`MAX_TIME`].
    #[error("a time of the mock server is longer than a day")]
    Time,
    /// The configuration asks for more than [`MAX_TOKENS`].
    #[error("{0} tokens are more than the mock server sends in one answer ({MAX_TOKENS})")]
    Tokens(u64),
    /// The error rate is not a share.
    #[error("an error rate must lie between 0 and 1, and {0} does not")]
    ErrorRate(f64),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(String),
    /// The system refused a thread, an event queue or a signal handler.
    #[error("cannot start the mock server")]
    Start(#[source] io::Error),
}

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
