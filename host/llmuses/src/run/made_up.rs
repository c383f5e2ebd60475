//! Prompts that are made: what they consist of, loaded before the first request.

use llmuses_core::plan::{Generated, PromptSource, Warmup, Work};
use llmuses_workload::generate::{
    ChatTemplate, Counting, LengthTexts, Line, NoRoom, PromptMaker, RealText, TemplateError,
    TextError, Vocabulary, VocabularyError, Words,
};
use llmuses_workload::{Filling, HostTokenizer, Media};
use std::path::Path;
use std::sync::Arc;

/// No prompts of the lengths asked for can be made.
#[derive(Debug, thiserror::Error)]
pub enum MadeUpError {
    /// There is no tokenizer to count with, and the server did not help.
    #[error(
        "the lengths of prompts (--input-tokens, or a trace) could not be learned from the server: {0}; give the folder of the \
         model's tokenizer as --tokenizer-path"
    )]
    NotLearned(String),
    /// It has no words.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// The chat template cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The text cannot be used.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Prompts are not longer than what they have beside a text.
    #[error("--input-tokens: {0}")]
    NoRoom(#[from] NoRoom),
}

/// What an API does with prompts beside their texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PromptKind {
    /// Whether servers put a chat template around them.
    pub(super) has_template: bool,
    /// Whether sessions have turns after the first.
    pub(super) has_later_turns: bool,
}

/// Words of which traces are made without a tokenizer, until more was learned.
pub(super) fn common_words() -> Words {
    Words {
        vocabulary: Arc::new(Vocabulary::common()),
        counting: Counting::Learned { per_word: 1.0 },
        text: None,
        overhead: 0,
        later_overhead: 0,
    }
}

/// Loads what prompts consist of. Without a tokenizer a token is a word, until more was learned.
///
/// # Errors
/// Where no prompts of these lengths can be made of it.
pub(super) fn words(
    generated: &Generated,
    tokenizer: Option<(&Path, &Arc<HostTokenizer>)>,
    kind: PromptKind,
) -> Result<Words, MadeUpError> {
    let (vocabulary, counting, overheads) = match tokenizer {
        Some((path, tokenizer)) => {
            let vocabulary = Vocabulary::of(tokenizer)?;
            let overheads = overheads(path, tokenizer, &vocabulary, kind)?;
            let counting = Counting::Tokenizer(Arc::clone(tokenizer));
            (vocabulary, counting, overheads)
        }
        None => (
            Vocabulary::common(),
            Counting::Learned { per_word: 1.0 },
            [0; 2],
        ),
    };
    let text = generated.text.as_deref();
    let text = text
        .map(|path| RealText::load(path, tokenizer.map(|(_, tokenizer)| &**tokenizer)))
        .transpose()?;
    let words = Words {
        vocabulary: Arc::new(vocabulary),
        counting,
        text: text.map(Arc::new),
        overhead: overheads[0],
        later_overhead: overheads[1],
    };
    words.ensure_room(generated, kind.has_later_turns)?;
    Ok(words)
}

/// The tokens that are around the text of a first turn, and of a later one.
fn overheads(
    path: &Path,
    tokenizer: &HostTokenizer,
    vocabulary: &Vocabulary,
    kind: PromptKind,
) -> Result<[u32; 2], TemplateError> {
    if !kind.has_template {
        return Ok([tokenizer.special_tokens(), 0]);
    }
    let Some(template) = ChatTemplate::beside(path)? else {
        return Ok([0; 2]);
    };
    let samples = vocabulary.samples();
    let later = match kind.has_later_turns {
        true => template.later_overhead(tokenizer, &samples)?,
        false => 0,
    };
    Ok([template.overhead(tokenizer, &samples)?, later])
}

/// The same words, of which is known now how many tokens they have.
///
/// # Errors
/// Where prompts of the lengths asked for have no room for a word.
pub(super) fn with_line(
    generated: Option<&Generated>,
    has_later_turns: bool,
    words: Words,
    line: &Line,
) -> Result<Words, MadeUpError> {
    let overhead = line.overhead();
    let words = Words {
        counting: Counting::Learned {
            per_word: line.per_word,
        },
        overhead,
        // What the server has around a later message was not learned.
        later_overhead: overhead,
        ..words
    };
    if let Some(generated) = generated {
        words.ensure_room(generated, has_later_turns)?;
    }
    Ok(words)
}

/// What is put into the turns of a data set in one load. `learned`: words whose tokens the server has told. The texts of each load of a sweep are others.
pub(super) fn filling(
    work: &Work,
    tokenizer: Option<&Arc<HostTokenizer>>,
    learned: Option<&Words>,
    has_template: bool,
    seed: u64,
    run: u32,
) -> Filling {
    let PromptSource::Dataset(file) = &work.prompts else {
        return Filling::default();
    };
    let tokenizer = work.tokenizer.as_deref().zip(tokenizer);
    let seed = of_run(seed, run);
    let texts = match (tokenizer, learned) {
        (Some((path, tokenizer)), _) => {
            let beside = has_template.then_some(path);
            Some(LengthTexts::new(beside, Arc::clone(tokenizer), seed))
        }
        (None, Some(words)) => Some(LengthTexts::of_words(words.clone(), seed)),
        (None, None) => None,
    };
    Filling {
        lengths: texts.map(|texts| Box::new(texts) as _),
        media: Some(match &work.image_folder {
            Some(folder) => Media::of(folder),
            None => Media::beside(file),
        }),
    }
}

/// The seed of one load of a sweep.
pub(super) fn of_run(seed: u64, run: u32) -> u64 {
    seed.wrapping_add(u64::from(run - 1) << 32)
}

/// What makes the prompts of one load. Each load of a sweep has others, so that none finds those of the load before in the
/// server's cache.
pub(super) fn maker(
    generated: &Generated,
    words: Words,
    seed: u64,
    run: u32,
    warmup: Warmup,
) -> PromptMaker {
    let warmup = match warmup {
        Warmup::Requests(requests) => requests,
        // Which requests these are is not known before.
        Warmup::Nothing | Warmup::Time(_) => 0,
    };
    PromptMaker::new(generated.clone(), of_run(seed, run), warmup, words)
}
