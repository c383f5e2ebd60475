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
        "the lengths of prompts could not be learned from the server: {0}; give the folder of the \
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

/// Loads what prompts consist of. Without a tokenizer a token is a word, until more was learned.
///
/// # Errors
/// Where no prompts of these lengths can be made of it.
pub(super) fn words(
    generated: &Generated,
    tokenizer: Option<(&Path, &Arc<HostTokenizer>)>,
) -> Result<Words, MadeUpError> {
    let (vocabulary, counting, overhead) = match tokenizer {
        Some((path, tokenizer)) => {
            let vocabulary = Vocabulary::of(tokenizer)?;
            let overhead = match ChatTemplate::beside(path)? {
                Some(template) => template.overhead(tokenizer, &vocabulary.samples())?,
                None => 0,
            };
            ensure_room(generated, overhead)?;
            let counting = Counting::Tokenizer(Arc::clone(tokenizer));
            (vocabulary, counting, overhead)
        }
        None => (Vocabulary::common(), Counting::Learned { per_word: 1.0 }, 0),
    };
    let text = generated.text.as_deref();
    let text = text
        .map(|path| RealText::load(path, tokenizer.map(|(_, tokenizer)| &**tokenizer)))
        .transpose()?;
    Ok(Words {
        vocabulary: Arc::new(vocabulary),
        counting,
        text: text.map(Arc::new),
        overhead,
    })
}

/// The same words, of which is known now how many tokens they have.
///
/// # Errors
/// Where the shortest prompt asked for has no room for a word.
pub(super) fn with_line(
    generated: &Generated,
    words: Words,
    line: &Line,
) -> Result<Words, MadeUpError> {
    let overhead = line.overhead();
    ensure_room(generated, overhead)?;
    Ok(Words {
        counting: Counting::Learned {
            per_word: line.per_word,
        },
        overhead,
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

/// Everyday words of which it is not known yet how many tokens they have.
pub(super) fn common_words() -> Words {
    Words {
        vocabulary: Arc::new(Vocabulary::common()),
        counting: Counting::Learned { per_word: 1.0 },
        text: None,
        overhead: 0,
    }
}

/// What counts the tokens of texts that are made of the lengths in a data set.
pub(super) enum LengthCounter {
    /// The tokenizer of the model.
    Tokenizer(Arc<HostTokenizer>),
    /// What the server said of a few texts.
    Line(Line),
    /// Nothing: the data set has texts of its own.
    Nothing,
}

/// What is put into the turns of a data set in one load. The texts of each load of a sweep are others.
pub(super) fn filling(work: &Work, counter: &LengthCounter, seed: u64, run: u32) -> Filling {
    let PromptSource::Dataset(file) = &work.prompts else {
        return Filling::default();
    };
    let seed = of_run(seed, run);
    let texts = match (counter, work.tokenizer.as_deref()) {
        (LengthCounter::Tokenizer(tokenizer), Some(path)) => {
            Some(LengthTexts::new(path, Arc::clone(tokenizer), seed))
        }
        (LengthCounter::Line(line), _) => Some(LengthTexts::learned(*line, seed)),
        _ => None,
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
