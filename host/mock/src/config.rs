//! How the server behaves, and why it cannot run.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The most tokens that one answer can have.
pub const MAX_TOKENS: u64 = 1_000_000;

/// The longest that a time of the configuration may be.
pub const MAX_TIME: Duration = Duration::from_secs(86_400);

/// The most tokens that the template may add to a message.
pub const MAX_TEMPLATE_TOKENS: u64 = 100_000;

/// The most requests that can be answered at once where that is limited.
pub const MAX_SLOTS: usize = 1_000_000;

/// The most blocks that the prefix cache can hold.
pub const MAX_CACHE_BLOCKS: usize = 100_000_000;

/// By how much a stream may slow the others down, as a share of their time from token to token.
pub const MAX_SLOWDOWN: f64 = 1_000.0;

/// When the server tells how many tokens a request took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UsageMode {
    /// Never, not even where the client asks.
    Off,
    /// Plain answers always; streams in a chunk of its own at the end, where the client asks for that with
    /// `stream_options.include_usage`. APIs that have no such wish tell it as they always do.
    #[default]
    Final,
    /// As [`UsageMode::Final`], and in every chunk of every stream whose API has a place for it.
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
    /// From the moment at which a request has a slot (without a limit: its arrival) to its first token.
    pub ttft: Duration,
    /// By how much that varies.
    pub ttft_jitter: Duration,
    /// What each token of the prompt that is not in the prefix cache adds to that.
    pub prefill: Duration,
    /// From one token to the next. Tokens have fixed due times, so that a late one does not delay those after it.
    pub itl: Duration,
    /// By how much that varies.
    pub itl_jitter: Duration,
    /// By how much each further request that is being answered makes the time between tokens longer, as a share
    /// of it: with 0.1 and five requests it is 1.4 times as long.
    pub decode_slowdown: f64,
    /// How many requests are answered at once; the others wait, first come, first served. No limit without it.
    pub slots: Option<usize>,
    /// How many requests may wait for a slot; further ones are answered with status 429. No limit without it.
    pub queue_limit: Option<usize>,
    /// How many blocks of 16 tokens the prefix cache holds; no cache without it.
    pub prefix_cache: Option<usize>,
    /// Tokens that the chat template adds to each message.
    pub template_tokens: u64,
    /// The tokens of an answer, where the request does not ask for something else; at most [`MAX_TOKENS`].
    pub tokens: u64,
    /// Tokens of reasoning before those, in APIs that can tell them apart.
    pub reasoning_tokens: u64,
    /// The share of answers that end before their last token, from 0 to 1.
    pub early_stop: f64,
    /// Whether a stream sends what its API sends before the first token (a role, `message_start`) as soon as the
    /// request is there. Otherwise nothing is sent before the first token, not even the head of the response.
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
    /// A file that gets a line of JSON about each request when it has ended.
    pub log: Option<PathBuf>,
}

impl Default for MockConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ttft: Duration::from_millis(50),
            ttft_jitter: Duration::ZERO,
            prefill: Duration::ZERO,
            itl: Duration::from_millis(10),
            itl_jitter: Duration::ZERO,
            decode_slowdown: 0.0,
            slots: None,
            queue_limit: None,
            prefix_cache: None,
            template_tokens: 0,
            tokens: 100,
            reasoning_tokens: 0,
            early_stop: 0.0,
            role_chunk: false,
            usage: UsageMode::Final,
            error_rate: 0.0,
            seed: 0,
            tls: false,
            model: "mock".to_owned(),
            log: None,
        }
    }
}

impl MockConfig {
    pub(super) fn check(&self) -> Result<(), MockError> {
        let times = [
            self.ttft,
            self.ttft_jitter,
            self.prefill,
            self.itl,
            self.itl_jitter,
        ];
        if times.iter().any(|time| *time > MAX_TIME) {
            return Err(MockError::Time);
        }
        let tokens = self.tokens.saturating_add(self.reasoning_tokens);
        if tokens > MAX_TOKENS {
            return Err(MockError::Tokens(tokens));
        }
        for (what, share) in [
            ("error rate", self.error_rate),
            ("share of early ends", self.early_stop),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(MockError::Share(what, share));
            }
        }
        if !(0.0..=MAX_SLOWDOWN).contains(&self.decode_slowdown) {
            return Err(MockError::Slowdown(self.decode_slowdown));
        }
        let numbers = [
            ("slots", self.slots, 1, MAX_SLOTS),
            (
                "blocks of the prefix cache",
                self.prefix_cache,
                1,
                MAX_CACHE_BLOCKS,
            ),
            (
                "template tokens",
                Some(usize::try_from(self.template_tokens).unwrap_or(usize::MAX)),
                0,
                MAX_TEMPLATE_TOKENS as usize,
            ),
        ];
        for (what, number, least, most) in numbers {
            if number.is_some_and(|number| !(least..=most).contains(&number)) {
                return Err(MockError::Number { what, least, most });
            }
        }
        if self.queue_limit.is_some() && self.slots.is_none() {
            return Err(MockError::QueueWithoutSlots);
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
    /// Something that should be a share is none.
    #[error("the {0} must lie between 0 and 1, and {1} does not")]
    Share(&'static str, f64),
    /// The slowdown is not a number that it can be.
    #[error("the decode slowdown must lie between 0 and {MAX_SLOWDOWN}, and {0} does not")]
    Slowdown(f64),
    /// A number is too small or too large.
    #[error("the number of {what} must lie between {least} and {most}")]
    Number {
        /// What is counted.
        what: &'static str,
        /// The smallest that it can be.
        least: usize,
        /// The largest that it can be.
        most: usize,
    },
    /// There is a limit on the queue, and no request ever waits.
    #[error("a queue limit needs a number of slots: without one, no request waits")]
    QueueWithoutSlots,
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The log cannot be opened.
    #[error("cannot write the log to {}", path.display())]
    Log {
        /// The file that was asked for.
        path: PathBuf,
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

impl MockError {
    /// Whether the configuration itself is wrong.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Time
            | Self::Tokens(_)
            | Self::Share(..)
            | Self::Slowdown(_)
            | Self::Number { .. }
            | Self::QueueWithoutSlots => true,
            Self::Listen { .. } | Self::Log { .. } | Self::Certificate(_) | Self::Start(_) => false,
        }
    }
}
