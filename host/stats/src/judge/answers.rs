//! Doubts about answers: their form, and their tokens.

use super::FEW;
use crate::circumstances::Circumstances;
use crate::counts::TokenTotals;
use crate::running::RunStatistics;
use crate::verdict::{Doubt, TokenSide};

/// Chunks of output carry one token each, within this.
const TOKENS_PER_CHUNK: std::ops::RangeInclusive<f64> = 0.9..=1.1;

pub(super) fn not_streamed(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    (counts.plain_though_asked > 0).then_some(Doubt::NotStreamed {
        plain: counts.plain_though_asked,
        succeeded: counts.succeeded,
    })
}

pub(super) fn hidden_reasoning(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    (counts.hidden_tokens > 0).then_some(Doubt::HiddenReasoning {
        requests: counts.with_hidden_tokens,
        tokens: counts.hidden_tokens,
    })
}

pub(super) fn more_tokens_than_bytes(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    let (tokens, bytes) = counts.most_tokens_and_bytes;
    (counts.more_tokens_than_bytes > 0).then_some(Doubt::MoreTokensThanBytes {
        requests: counts.more_tokens_than_bytes,
        succeeded: counts.succeeded,
        tokens,
        bytes,
    })
}

pub(super) fn without_tokens(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    (counts.without_tokens as f64 > counts.succeeded as f64 * FEW).then_some(Doubt::WithoutTokens {
        requests: counts.without_tokens,
        succeeded: counts.succeeded,
    })
}

pub(super) fn chunks_are_not_tokens(statistics: &RunStatistics) -> Option<Doubt> {
    let counts = statistics.counts();
    let tokens_per_chunk = statistics.tokens_per_chunk()?;
    // A token that ends the text is counted, and has no chunk.
    let without_end =
        counts.chunked_tokens.saturating_sub(counts.chunked) as f64 / counts.chunked_outputs as f64;
    let near =
        tokens_per_chunk >= *TOKENS_PER_CHUNK.start() && without_end <= *TOKENS_PER_CHUNK.end();
    (!near).then_some(Doubt::ChunksAreNotTokens { tokens_per_chunk })
}

pub(super) fn tokens_unknown(
    statistics: &RunStatistics,
    circumstances: &Circumstances,
) -> Option<Doubt> {
    let counts = statistics.counts();
    let nobody = counts.completion.requests() == 0;
    // A server that ranks documents need not count tokens.
    let wanted = circumstances.task.has_output_tokens();
    (counts.succeeded > 0 && nobody && wanted).then_some(Doubt::TokensUnknown {
        succeeded: counts.succeeded,
        only_output: counts.prompt.requests() > 0,
    })
}

pub(super) fn without_end(
    statistics: &RunStatistics,
    circumstances: &Circumstances,
) -> Option<Doubt> {
    let counts = statistics.counts();
    let has_an_end = circumstances.task.has_output_tokens();
    (counts.without_end > 0 && has_an_end).then_some(Doubt::WithoutEnd {
        streams: counts.without_end,
        succeeded: counts.succeeded,
    })
}

pub(super) fn tokens_mixed(side: TokenSide, totals: &TokenTotals) -> Option<Doubt> {
    let sources = totals.sources();
    (sources.len() > 1).then_some(Doubt::TokensMixed { side, sources })
}

pub(super) fn tokens_partly_known(
    side: TokenSide,
    totals: &TokenTotals,
    succeeded: u64,
) -> Option<Doubt> {
    let known = totals.requests();
    (known > 0 && known < succeeded).then_some(Doubt::TokensPartlyKnown {
        side,
        known,
        succeeded,
    })
}
