//! The words that made-up prompts consist of, such that the number of tokens of a text is known from its words.

use crate::tokenizer::HostTokenizer;
use llmuses_plugin_host::TokenCounter;
use rand::{Rng, RngExt};
use std::collections::HashSet;

/// Words that a vocabulary has at most: more would not make prompts more different.
const MOST_WORDS: usize = 20_000;

/// Words without which prompts would repeat themselves.
const FEWEST_WORDS: usize = 50;

/// Rounds of correction, each with a count of the whole text, before a prompt is given up as it is.
const MOST_ROUNDS: usize = 20;

/// Everyday words, none twice.
const COMMON: &str = "the of and to in is that for it was on are as with his they at be this from have or by one had not but what \
    all were when we there can an your which their said if do will each about how up out them then she many some \
    so these would other into has more her two like him see time could no make than first been its who now \
    people my made over did down only way find use may water long little very after words called just where most \
    know get through back much before go good new write our used me man too any day same right look think also \
    around another came come work three word must because does part even place well such here take why things \
    help put years different away again off went old number great tell men say small every found still between \
    name should home big give air line set own under read last never us left end along while might next sound \
    below saw something thought both few those always looked show large often together asked house world going \
    want school important until form food keep children feet land side without boy once animals life enough took \
    sometimes four head above kind began almost live page got earth need far hand high year mother light parts \
    country father let night following picture being study second eyes soon times story boys since white days \
    ever paper hard near sentence better best across during today others however sure means knew try told young \
    miles sun ways thing whole hear example heard several change answer room sea against top turned learn point \
    city play toward five using himself usually money seen car morning given ship idea body dark cold river warm \
    table book voice power town fine drive stood";

/// Words of one token each.
#[derive(Debug)]
pub struct Vocabulary {
    /// Words that begin with a space and are one token after any other of them.
    words: Vec<Box<str>>,
    /// Words that are one token at the beginning of a text, without a space.
    first: Vec<Box<str>>,
    /// Whether the tokenizer splits a text at each of these words before anything else, so that a text of n words
    /// has n tokens whatever the words are.
    additive: bool,
}

/// No prompts can be made with this tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no prompts of a given length can be made with this tokenizer: only {found} of its tokens are words of letters \
     that stand for themselves{}; use --dataset, or leave out --tokenizer-path to learn the lengths from the server",
    .failure.as_ref().map(|failure| format!(" ({failure})")).unwrap_or_default()
)]
pub struct VocabularyError {
    found: usize,
    /// What the tokenizer said where it failed on a word.
    failure: Option<String>,
}

impl Vocabulary {
    /// The words of `tokenizer`.
    ///
    /// # Errors
    /// Where it has too few tokens that are words.
    pub fn of(tokenizer: &HostTokenizer) -> Result<Self, VocabularyError> {
        let mut words: Vec<Box<str>> = Vec::new();
        let mut first: Vec<Box<str>> = Vec::new();
        // With and without its space a word may be two tokens.
        let mut tried = HashSet::new();
        // "a" stands for any word before: what counts is the number of tokens that the next one adds.
        let mut failure = None;
        let mut count = |text: &str| match tokenizer.count(text) {
            Ok(tokens) => tokens,
            Err(error) => {
                failure.get_or_insert(error);
                0
            }
        };
        let alone = count("a");
        for word in tokenizer.words() {
            if words.len() == MOST_WORDS {
                break;
            }
            if !tried.insert(word.clone()) {
                continue;
            }
            let behind_a_space = format!(" {word}");
            let follows = count(&format!("a{behind_a_space}")) == alone + 1;
            if !follows {
                continue;
            }
            if count(&word) == 1 {
                first.push(word.into());
            }
            words.push(behind_a_space.into());
        }
        if words.len() < FEWEST_WORDS || first.is_empty() {
            return Err(VocabularyError {
                found: words.len(),
                failure,
            });
        }
        let mut vocabulary = Self {
            words,
            first,
            additive: false,
        };
        vocabulary.additive = vocabulary.is_additive(tokenizer);
        Ok(vocabulary)
    }

    /// Words of everyday English, for servers whose tokenizer is not known: nearly every tokenizer of today has a token
    /// for each of them.
    pub fn common() -> Self {
        let words = COMMON.split_whitespace();
        Self {
            words: words
                .clone()
                .map(|word| format!(" {word}").into())
                .collect(),
            first: words.map(Into::into).collect(),
            additive: false,
        }
    }

    /// Whether the number of tokens follows from the number of words.
    pub fn additive(&self) -> bool {
        self.additive
    }

    /// Texts by which the tokens around a text are counted: of one word and of several.
    pub fn samples(&self) -> Vec<String> {
        let long = [&*self.first[0], &*self.words[0], &*self.words[1]].concat();
        vec![self.first[0].to_string(), long]
    }

    /// Appends `tokens` tokens of text to `text`. A text that is empty begins without a space.
    pub fn extend(&self, text: &mut String, tokens: u32, random: &mut impl Rng) {
        for _ in 0..tokens {
            let words = if text.is_empty() {
                &self.first
            } else {
                &self.words
            };
            text.push_str(&words[random.random_range(0..words.len())]);
        }
    }

    /// Makes `text` have exactly `tokens` tokens by words added or taken away at its end, but not before byte `keep`.
    /// Returns how many it has in the end: another number where some rounds of this did not help.
    pub fn correct(
        &self,
        text: &mut String,
        keep: usize,
        tokens: u32,
        tokenizer: &HostTokenizer,
        random: &mut impl Rng,
    ) -> Result<u32, String> {
        let mut counted = 0;
        for _ in 0..MOST_ROUNDS {
            counted = u32::try_from(tokenizer.count(text)?).unwrap_or(u32::MAX);
            if counted < tokens {
                self.extend(text, tokens - counted, random);
            } else if counted > tokens {
                for _ in tokens..counted {
                    match text[keep..].rfind(' ') {
                        Some(space) => text.truncate(keep + space),
                        // A single word of more tokens than are wanted.
                        None => text.truncate(keep),
                    }
                }
            } else {
                break;
            }
        }
        Ok(counted)
    }

    fn is_additive(&self, tokenizer: &HostTokenizer) -> bool {
        let mut text = self.first[0].to_string();
        text.extend(self.words.iter().map(|word| &**word));
        tokenizer.has_a_token_for_each_word(&text, self.words.len() + 1)
    }
}
