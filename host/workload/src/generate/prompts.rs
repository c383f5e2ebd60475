//! One prompt after another: its length is drawn, its text made, its tokens counted.

use super::room::Room;
use super::words::{Counting, Words};
use crate::draw;
use crate::draw::random_of;
use llmuses_core::plan::{Generated, Prefixes, Share};
use llmuses_core::turn::TurnPlace;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Zipf};

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Its text.
    pub text: String,
    /// The ids of its tokens, special ones included, where they are to be sent in place of the text. Else empty.
    pub token_ids: Vec<u32>,
    /// What was asked for.
    pub asked: AskedPrompt,
    /// The tokens that it was counted to have, the chat template included. Equal to what was asked for, except for a
    /// tokenizer with which no text of so many could be found, and for lengths that were learned from the server, which
    /// are to the next whole word.
    pub counted: u32,
}

/// What is asked of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedPrompt {
    /// Tokens of the prompt, the chat template included.
    pub input: u32,
    /// Tokens of the output.
    pub output: Option<u32>,
    /// With which prefix the prompt begins, and how many tokens that has, without the chat template.
    pub prefix: Option<(u32, u32)>,
}

/// Makes the prompts of a run.
#[derive(Debug, Clone)]
pub struct PromptMaker {
    generated: Generated,
    seed: u64,
    /// How many of the first sessions are the warm-up: they come of another seed, and have other prefixes, so that they
    /// do not fill a cache for the others.
    warmup: u64,
    words: Words,
}

/// Makes the prompts of a warm-up, and its prefixes, differ from those of the measured requests.
const WARMUP: u64 = 0x77_61_72_6d_2d_75_70;

/// Makes the texts of prefixes differ from those of prompts.
const PREFIX: u64 = 0x70_72_65_66_69_78;

impl PromptMaker {
    /// A maker of such prompts, of which those of the first `warmup` sessions are not measured.
    pub fn new(generated: Generated, seed: u64, warmup: u64, words: Words) -> Self {
        Self {
            generated,
            seed,
            warmup,
            words,
        }
    }

    /// What is asked of the request with this number.
    pub fn asked(&self, number: u64, place: TurnPlace) -> AskedPrompt {
        self.draw(place, &mut random_of(self.seed_of(place), number))
    }

    /// Tokens that the chat template puts around a prompt.
    pub fn overhead(&self) -> u32 {
        self.words.overhead
    }

    /// The prompt of the request with this number: the same one each time. That of a later turn has no prefix: it stands
    /// behind all that was said before.
    ///
    /// # Errors
    /// What the tokenizer says where it fails.
    pub fn make(&self, number: u64, place: TurnPlace) -> Result<Prompt, String> {
        let seed = self.seed_of(place);
        let mut random = random_of(seed, number);
        let asked = self.draw(place, &mut random);
        let own = self.own_units(asked.input, place);
        let mut text = String::new();
        let mut counted = 0;
        if let Some((which, length)) = asked.prefix {
            let mut random = random_of(seed ^ PREFIX, u64::from(which));
            let length = self.words.units(length).min(own - 1);
            counted = self.append(&mut text, 0, length, &mut random)?;
        }
        counted = self.append(&mut text, counted, own - counted.min(own), &mut random)?;
        let token_ids = self.token_ids(&text)?;
        Ok(Prompt {
            text,
            token_ids,
            asked,
            counted: self.words.tokens(counted) + self.words.overhead_of(place),
        })
    }

    /// The ids of a text that is to be sent as such.
    fn token_ids(&self, text: &str) -> Result<Vec<u32>, String> {
        match &self.words.counting {
            _ if !self.generated.as_token_ids => Ok(Vec::new()),
            Counting::Tokenizer(tokenizer) => tokenizer.ids(text),
            Counting::Learned { .. } => Err("ids of tokens need a tokenizer".to_owned()),
        }
    }

    fn seed_of(&self, place: TurnPlace) -> u64 {
        match place.session < self.warmup {
            true => self.seed ^ WARMUP,
            false => self.seed,
        }
    }

    fn draw(&self, place: TurnPlace, random: &mut ChaCha8Rng) -> AskedPrompt {
        let part = draw::part(&self.generated.input, random);
        let room = Room::of(&self.generated, &self.words, place.turn == 0);
        let input = draw::length_from(room.least(), &part.input, random);
        let output = part.output.as_ref().or(self.generated.output.as_ref());
        let output = output.map(|output| draw::length(output, random));
        let prefixes = self.generated.prefixes.filter(|_| place.turn == 0);
        let prefix = prefixes.map(|prefixes| {
            let length = prefix_length(prefixes.share, input, self.words.overhead);
            let length = self
                .words
                .units(length)
                .min(self.own_units(input, place) - 1);
            (choose(prefixes, random), self.words.tokens(length))
        });
        AskedPrompt {
            input,
            output,
            prefix,
        }
    }

    /// What the text of a prompt of so many tokens has, without those of the chat template.
    fn own_units(&self, input: u32, place: TurnPlace) -> u32 {
        let own = input.saturating_sub(self.words.overhead_of(place));
        self.words.units(own).max(1)
    }

    /// Appends `length` tokens, or words where lengths were learned, to a text that has `before`. Returns those of the
    /// whole.
    fn append(
        &self,
        text: &mut String,
        before: u32,
        length: u32,
        random: &mut ChaCha8Rng,
    ) -> Result<u32, String> {
        let Words {
            vocabulary,
            counting,
            text: real,
            ..
        } = &self.words;
        let (keep, wanted) = (text.len(), before + length);
        match real {
            Some(real) => real.extend(text, random.random_range(0..real.words()), length),
            None => vocabulary.extend(text, length, random),
        }
        match counting {
            Counting::Learned { .. } => Ok(wanted),
            Counting::Tokenizer(_) if real.is_none() && vocabulary.additive() => Ok(wanted),
            Counting::Tokenizer(tokenizer) => {
                vocabulary.correct(text, keep, wanted, tokenizer, random)
            }
        }
    }
}

impl Words {
    /// Tokens of the chat template in a turn.
    fn overhead_of(&self, place: TurnPlace) -> u32 {
        match place.turn {
            0 => self.overhead,
            _ => self.later_overhead,
        }
    }

    /// So many tokens in what texts are counted by: tokens, or words where lengths were learned.
    pub(super) fn units(&self, tokens: u32) -> u32 {
        match self.counting {
            Counting::Tokenizer(_) => tokens,
            Counting::Learned { per_word } => (f64::from(tokens) / per_word).round() as u32,
        }
    }

    /// The reverse of [`Words::units`].
    fn tokens(&self, units: u32) -> u32 {
        match self.counting {
            Counting::Tokenizer(_) => units,
            Counting::Learned { per_word } => (f64::from(units) * per_word).round() as u32,
        }
    }
}

fn choose(prefixes: Prefixes, random: &mut ChaCha8Rng) -> u32 {
    if prefixes.exponent == 0.0 {
        return random.random_range(0..prefixes.number);
    }
    match Zipf::new(f64::from(prefixes.number), prefixes.exponent) {
        Ok(zipf) => zipf.sample(random) as u32 - 1,
        // Checked when the flag was read.
        Err(_) => 0,
    }
}

/// How many tokens of its own a prefix has, without those of the chat template before it.
fn prefix_length(share: Share, asked: u32, overhead: u32) -> u32 {
    match share {
        Share::Tokens(tokens) => tokens,
        Share::Part(part) => ((f64::from(asked) * part).round() as u32).saturating_sub(overhead),
    }
}

#[cfg(test)]
mod tests;
