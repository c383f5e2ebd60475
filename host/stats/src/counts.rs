//! What the totals of a run are made of: counts, tokens, spreads of times and lengths, failures by kind.

use super::tokens::TokenSpread;
use llmuses_core::exchange::{FailureKind, TokenCount, TokenSource};

/// What is counted. All of it is exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that are over, well or badly; not those that the client cancelled.
    pub completed: u64,
    /// Requests that the client cancelled: neither succeeded nor failed.
    pub disconnected: u64,
    /// Requests whose response arrived whole.
    pub succeeded: u64,
    /// Requests that failed, cancelled ones among them.
    pub failed: u64,
    /// Requests that were sent, failed ones too.
    pub sent: u64,
    /// Requests of the warm-up that are over: no other figure has them.
    pub warmup: u64,
    /// How many of those failed.
    pub warmup_failed: u64,
    /// Succeeded requests that met all objectives.
    pub met_objectives: u64,
    /// Tokens of prompts, of succeeded requests.
    pub prompt: TokenTotals,
    /// Tokens of completions, of succeeded requests.
    pub completion: TokenTotals,
    /// Tokens of the prompts of first turns of which the server says how many it took from its cache.
    pub first_turn_tokens: u64,
    /// Those of them that it took from its cache.
    pub first_turn_cached_tokens: u64,
    /// Packages of succeeded requests.
    pub packages: u64,
    /// The sum of `chunk[n−2] − chunk[0]` over succeeded requests, in nanoseconds.
    pub package_span_nanos: u128,
    /// The sum of n − 2 over the same requests.
    pub package_gaps: u64,
    /// Requests that knew their tokens and had two chunks of output or more.
    pub chunked: u64,
    /// Their chunks of output.
    pub chunked_outputs: u64,
    /// Their output tokens.
    pub chunked_tokens: u64,
    /// Succeeded requests of which somebody counted that they have no output token at all.
    pub without_tokens: u64,
    /// Requests that had to wait for their body.
    pub waited_for_body: u64,
    /// Gaps between output events of succeeded requests.
    pub output_gaps: u64,
    /// How many of these gaps are zero.
    pub coalesced_gaps: u64,
    /// Output chunks that brought tokens, of streams that tell their tokens so far with every chunk; without the first
    /// chunk of each stream.
    pub token_chunks: u64,
    /// Those of them that brought two tokens or more.
    pub chunks_of_several_tokens: u64,
    /// Succeeded requests that opened a connection of their own.
    pub own_connections: u64,
    /// Connections that were opened before the run began.
    pub warm_connections: u64,
    /// Succeeded requests whose response was one body, not a stream.
    pub plain: u64,
    /// Those of them whose request asked for a stream.
    pub plain_though_asked: u64,
    /// Succeeded requests whose response was a stream that did not say that it is over: it has no finish reason, no usage and
    /// no `[DONE]`.
    pub without_end: u64,
    /// Succeeded requests to which the model answered nothing, as the server says.
    pub empty_answers: u64,
    /// Succeeded requests with tokens that the server counted and did not send.
    pub with_hidden_tokens: u64,
    /// Those tokens.
    pub hidden_tokens: u64,
    /// Succeeded requests that count more output tokens than their responses had bytes, tokens that were not sent left out.
    pub more_tokens_than_bytes: u64,
    /// The most tokens that one of them counts, and the bytes of its response.
    pub most_tokens_and_bytes: (u64, u64),
    /// Responses, whole or not, whose arrivals were stamped by the kernel.
    pub kernel_stamped: u64,
    /// Responses, whole or not, that were stamped when a read returned.
    pub read_stamped: u64,
    /// Bytes of the data of all events, of succeeded and failed requests; framing and headers are not in
    /// it.
    pub bytes_received: u64,
}

impl Counts {
    /// Requests that are over, those that the client cancelled among them; without the warm-up.
    pub fn over(&self) -> u64 {
        self.completed + self.disconnected
    }
}

/// Tokens of one side of the exchanges, and who counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenTotals {
    /// Tokens of the requests that knew theirs.
    pub tokens: u64,
    /// Requests whose tokens the server counted.
    pub by_server: u64,
    /// Requests whose tokens the tokenizer counted.
    pub by_tokenizer: u64,
    /// Requests whose tokens the parser counted.
    pub by_parser: u64,
}

impl TokenTotals {
    /// Requests that knew their tokens.
    pub fn requests(&self) -> u64 {
        self.by_server + self.by_tokenizer + self.by_parser
    }

    /// Who counted for how many requests, without those who counted for none.
    pub fn sources(&self) -> Vec<(TokenSource, u64)> {
        [
            (TokenSource::Server, self.by_server),
            (TokenSource::Tokenizer, self.by_tokenizer),
            (TokenSource::Parser, self.by_parser),
        ]
        .into_iter()
        .filter(|(_, requests)| *requests > 0)
        .collect()
    }

    /// Tokens per request, over the requests that knew theirs. `None` where no request did.
    pub fn mean(&self) -> Option<f64> {
        (self.requests() > 0).then(|| self.tokens as f64 / self.requests() as f64)
    }

    pub(super) fn record(&mut self, count: Option<TokenCount>) {
        let Some(TokenCount { tokens, source }) = count else {
            return;
        };
        self.tokens = self.tokens.saturating_add(tokens);
        match source {
            TokenSource::Server => self.by_server += 1,
            TokenSource::Tokenizer => self.by_tokenizer += 1,
            TokenSource::Parser => self.by_parser += 1,
        }
    }
}

/// How the lengths of succeeded requests are spread, as far as they are known.
#[derive(Debug, Clone, Default)]
pub struct TokenSpreads {
    /// Prompts.
    pub input: TokenSpread,
    /// Completions.
    pub output: TokenSpread,
}

/// One kind of failure, or one status of the kind that a refusal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureCount {
    /// The kind.
    pub kind: FailureKind,
    /// The HTTP status, of requests that were refused by it. `None` for all other kinds, and for a kind as a whole.
    pub status: Option<u16>,
    /// How many requests failed that way.
    pub count: u64,
    /// The message of the first of them, cut after 300 characters.
    pub example: String,
}
