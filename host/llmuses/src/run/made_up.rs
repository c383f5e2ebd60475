//! Prompts that are made: what they consist of, loaded before the first request.

use llmuses_core::plan::{Generated, PromptSource, Warmup, Work};
use llmuses_workload::generate::{
    ChatTemplate, Counting, LengthTexts, Line, PromptMaker, RealText, TemplateError, TextError,
    Vocabulary, VocabularyError, Words,
};
use llmuses_workload::{Filling, HostTokenizer, Images};
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
    /// A prompt may be shorter than what the chat template adds to it.
    #[error(
        "--input-tokens: a prompt of {shortest} tokens has no room for a text, since the chat template has \
         {overhead} tokens of its own"
    )]
    TooShort {
        /// The shortest prompt that may be drawn.
        shortest: u32,
        /// The tokens of the template.
        overhead: u32,
    },
}

/// In which turns a chat template is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TemplateIn {
    /// In none: servers of the API put none around a prompt.
    NoTurn,
    /// In the first ones, where sessions have no others.
    FirstTurns,
    /// In all.
    AllTurns,
}

impl TemplateIn {
    /// Of an API that puts a template around prompts or does not, in sessions that have later turns or have none.
    pub(super) fn of(has_template: bool, has_turns: bool) -> Self {
        match (has_template, has_turns) {
            (false, _) => Self::NoTurn,
            (true, false) => Self::FirstTurns,
            (true, true) => Self::AllTurns,
        }
    }
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

/// Loads what prompts consist of. Without a tokenizer a token is a word, until more was learned. `template`: in
/// which turns the chat template beside the tokenizer is counted.
///
/// # Errors
/// Where no prompts of these lengths can be made of it.
pub(super) fn words(
    generated: &Generated,
    tokenizer: Option<(&Path, &Arc<HostTokenizer>)>,
    template: TemplateIn,
) -> Result<Words, MadeUpError> {
    let (vocabulary, counting, overheads) = match tokenizer {
        Some((path, tokenizer)) => {
            let vocabulary = Vocabulary::of(tokenizer)?;
            let beside = match template {
                TemplateIn::NoTurn => None,
                TemplateIn::FirstTurns | TemplateIn::AllTurns => ChatTemplate::beside(path)?,
            };
            let overheads = match beside {
                Some(beside) => {
                    let samples = vocabulary.samples();
                    let later = match template {
                        TemplateIn::AllTurns => beside.later_overhead(tokenizer, &samples)?,
                        TemplateIn::NoTurn | TemplateIn::FirstTurns => 0,
                    };
                    [beside.overhead(tokenizer, &samples)?, later]
                }
                None => [0; 2],
            };
            for overhead in overheads {
                ensure_room(generated, overhead)?;
            }
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
    Ok(Words {
        vocabulary: Arc::new(vocabulary),
        counting,
        text: text.map(Arc::new),
        overhead: overheads[0],
        later_overhead: overheads[1],
    })
}

/// The same words, of which is known now how many tokens they have.
///
/// # Errors
/// Where the shortest prompt asked for has no room for a word.
pub(super) fn with_line(
    generated: Option<&Generated>,
    words: Words,
    line: &Line,
) -> Result<Words, MadeUpError> {
    let overhead = line.overhead();
    if let Some(generated) = generated {
        ensure_room(generated, overhead)?;
    }
    Ok(Words {
        counting: Counting::Learned {
            per_word: line.per_word,
        },
        overhead,
        // What the server has around a later message was not learned.
        later_overhead: overhead,
        ..words
    })
}

fn ensure_room(generated: &Generated, overhead: u32) -> Result<(), MadeUpError> {
    let shortest = generated.input.shortest();
    if shortest <= overhead {
        return Err(MadeUpError::TooShort { shortest, overhead });
    }
    Ok(())
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
        images: Some(match &work.image_folder {
            Some(folder) => Images::of(folder),
            None => Images::beside(file),
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
