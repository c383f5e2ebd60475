//! Doubts about the work: whether it was what was asked for, and whether the server could answer from its cache.

use super::FEW;
use crate::circumstances::Circumstances;
use crate::running::RunStatistics;
use crate::verdict::Doubt;

/// The share of the predicted hits of a prefix cache that may miss.
const CACHE_MISSES: f64 = 0.1;
/// Prompts shorter than this are not worth a cache.
const LEAST_CACHED_TOKENS: f64 = 64.0;
/// The same in characters, where nobody counted tokens.
const LEAST_CACHED_CHARS: u64 = 256;
/// The share of the tokens of prompts of a data set that may come from a cache, where no entry is sent twice: entries have
/// beginnings in common.
const CACHED_OF_DATASET: f64 = 0.5;
/// Outputs may be shorter than asked by this share on average.
const SHORTER: f64 = 0.01;

pub(super) fn dataset_reused(
    statistics: &RunStatistics,
    circumstances: &Circumstances,
) -> Option<Doubt> {
    let passes = circumstances.dataset.as_ref()?.passes;
    let cached = statistics.cached_share();
    (is_repeated(passes) && may_be_cached(cached))
        .then_some(Doubt::DatasetReused { passes, cached })
}

/// Of prompts that were made of lengths, and of the entries of a trace, another doubt knows how many hits are to be expected.
pub(super) fn dataset_cached(
    statistics: &RunStatistics,
    circumstances: &Circumstances,
) -> Option<Doubt> {
    let dataset = circumstances.dataset.as_ref()?;
    let is_expected = is_repeated(dataset.passes)
        || circumstances.replay.is_some()
        || circumstances.lengths_asked.is_some();
    let share = statistics.cached_share_of_first_turns()?;
    (!is_expected && share > CACHED_OF_DATASET).then_some(Doubt::DatasetCached {
        share,
        of_first_turns: statistics.sessions().has_any(),
    })
}

/// Whether entries of a data set were sent again. The passes of parts of a load add up to one but for rounding.
fn is_repeated(passes: f64) -> bool {
    passes > 1.0 + 1e-9
}

/// Whether the server took tokens of prompts from a cache, or may have: where it says that there were none,
/// prompts that are sent again do no harm.
fn may_be_cached(share: Option<f64>) -> bool {
    share.is_none_or(|share| share > FEW)
}

pub(super) fn prompt_repeated(
    statistics: &RunStatistics,
    circumstances: &Circumstances,
) -> Option<Doubt> {
    let chars = circumstances.one_prompt?;
    let counts = statistics.counts();
    let long = match counts.prompt.mean() {
        Some(tokens) => tokens >= LEAST_CACHED_TOKENS,
        None => chars >= LEAST_CACHED_CHARS,
    };
    let cached = statistics.cached_share();
    (long && counts.succeeded > 1 && may_be_cached(cached)).then_some(Doubt::PromptRepeated {
        requests: counts.over(),
        cached,
    })
}

pub(super) fn shorter_than_asked(
    statistics: &RunStatistics,
    circumstances: &Circumstances,
) -> Option<Doubt> {
    let asked = circumstances.asked_output?;
    let mean = statistics.counts().completion.mean()?;
    let (shortest, _) = statistics.lengths().output.extremes()?;
    (mean < asked as f64 * (1.0 - SHORTER)).then_some(Doubt::ShorterThanAsked {
        mean,
        shortest,
        asked,
        short: statistics.short_outputs(),
    })
}

pub(super) fn other_prompt_lengths(circumstances: &Circumstances) -> Option<Doubt> {
    let lengths = circumstances.lengths_asked.as_ref()?.to_document().input;
    (lengths.different as f64 > lengths.requests as f64 * FEW)
        .then_some(Doubt::OtherPromptLengths(lengths))
}

pub(super) fn other_turn_lengths(circumstances: &Circumstances) -> Option<Doubt> {
    let lengths = circumstances.lengths_asked.as_ref()?.to_document();
    let later = lengths.later_input;
    (later.different as f64 > later.requests as f64 * FEW).then_some(Doubt::OtherTurnLengths(later))
}

pub(super) fn other_cache_hits(circumstances: &Circumstances) -> Option<Doubt> {
    let cached = circumstances.lengths_asked.as_ref()?.to_document().cached?;
    let reported = cached.mean_reported_tokens;
    let tolerance_of = |expected: f64| cached.tolerance_tokens.max(expected * CACHE_MISSES);
    let [least, most] = [cached.mean_predicted_tokens, cached.mean_possible_tokens];
    let is_expected =
        reported >= least - tolerance_of(least) && reported <= most + tolerance_of(most);
    (!is_expected).then_some(Doubt::OtherCacheHits(cached))
}

pub(super) fn other_output_lengths(circumstances: &Circumstances) -> Option<Doubt> {
    let lengths = circumstances.lengths_asked.as_ref()?.to_document().output;
    (lengths.different as f64 > lengths.requests as f64 * FEW)
        .then_some(Doubt::OtherOutputLengths(lengths))
}
