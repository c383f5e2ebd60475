//! One prompt after another: its length is drawn, its text made, its tokens counted.

use super::text::RealText;
use super::vocabulary::Vocabulary;
use crate::draw;
use crate::draw::random_of;
use crate::tokenizer::HostTokenizer;
use llmuses_core::plan::{Generated, Prefixes, Share};
use llmuses_core::turn::TurnPlace;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Zipf};
use std::sync::Arc;

/// What texts are made of.
#[derive(Debug, Clone)]
pub struct Words {
    /// The words.
    pub vocabulary: Arc<Vocabulary>,
    /// What counts them.
    pub counting: Counting,
    /// Text of which prompts are pieces, in place of words at random.
    pub text: Option<Arc<RealText>>,
    /// Tokens that the chat template puts around a prompt.
    pub overhead: u32,
    /// Tokens that it adds for a later turn of a session, around the reply before and the message.
    pub later_overhead: u32,
}

/// How the tokens of a text are known.
#[derive(Debug, Clone)]
pub enum Counting {
    /// The tokenizer of the model counts them.
    Tokenizer(Arc<HostTokenizer>),
    /// The server counted those of a few texts: so many tokens a word.
    Learned {
        /// Tokens of a word, on average.
        per_word: f64,
    },
}

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Its text.
    pub text: String,
    /// What was asked for.
    pub asked: AskedPrompt,
    /// The tokens that it was counted to have, the chat template included. Equal to what was asked for, except for a tokenizer with which no text of so
    /// many could be found, and for lengths that were learned from the server, which are to the next whole word.
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
        Ok(Prompt {
            text,
            asked,
            counted: self.words.tokens(counted) + self.words.overhead_of(place),
        })
    }

    fn seed_of(&self, place: TurnPlace) -> u64 {
        match place.session < self.warmup {
            true => self.seed ^ WARMUP,
            false => self.seed,
        }
    }

    fn draw(&self, place: TurnPlace, random: &mut ChaCha8Rng) -> AskedPrompt {
        let part = draw::part(&self.generated.input, random);
        let input = draw::length(&part.input, random);
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
mod tests {
    use super::*;
    use llmuses_plugin_host::TokenCounter;
    use std::path::Path;

    const TOKENIZER: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../datasets/tokenizer/tokenizer.json"
    );

    fn generated(input: &str) -> Generated {
        Generated {
            input: input.parse().unwrap(),
            output: None,
            prefixes: None,
            text: None,
        }
    }

    fn words(overhead: u32, text: Option<&str>) -> Words {
        let tokenizer = Arc::new(HostTokenizer::load(Path::new(TOKENIZER)).unwrap());
        let text = text.map(|text| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("text");
            std::fs::write(&file, text).unwrap();
            Arc::new(RealText::load(&file, Some(&tokenizer)).unwrap())
        });
        Words {
            vocabulary: Arc::new(Vocabulary::of(&tokenizer).unwrap()),
            counting: Counting::Tokenizer(tokenizer),
            text,
            overhead,
            later_overhead: overhead,
        }
    }

    /// Lengths that were learned: 3 tokens for two words, and 5 around a prompt.
    fn learned_words(text: Option<&str>) -> Words {
        Words {
            vocabulary: Arc::new(Vocabulary::common()),
            counting: Counting::Learned { per_word: 1.5 },
            text: text.map(|text| Arc::new(RealText::in_words(text).unwrap())),
            overhead: 5,
            later_overhead: 5,
        }
    }

    fn count(words: &Words, text: &str) -> u64 {
        match &words.counting {
            Counting::Tokenizer(tokenizer) => tokenizer.count(text).unwrap(),
            Counting::Learned { .. } => text.split_whitespace().count() as u64,
        }
    }

    #[test]
    fn learned_lengths_are_met_to_the_next_word() {
        let text = "one two, three\nfour five.";
        for words in [learned_words(None), learned_words(Some(text))] {
            let mut wanted = generated("uniform:20..500");
            wanted.prefixes = Some(Prefixes {
                share: Share::Tokens(3),
                number: 1,
                exponent: 0.0,
            });
            let maker = PromptMaker::new(wanted, 42, 0, words);
            for number in 0..50 {
                let prompt = maker.make(number, TurnPlace::alone(number)).unwrap();
                let counted = prompt.text.split_whitespace().count() as f64 * 1.5 + 5.0;
                let difference = counted - f64::from(prompt.asked.input);
                assert!(difference.abs() <= 1.0, "{difference}: {}", prompt.text);
                assert!(prompt.counted.abs_diff(prompt.asked.input) <= 1);
                assert_eq!(prompt.asked.prefix, Some((0, 3)));
            }
        }
    }

    fn maker(input: &str, words: Words) -> PromptMaker {
        PromptMaker::new(generated(input), 42, 0, words)
    }

    #[test]
    fn every_prompt_has_the_tokens_asked_for() {
        let words = words(7, None);
        let maker = maker("uniform:8..500", words.clone());
        for number in 0..200 {
            let prompt = maker.make(number, TurnPlace::alone(number)).unwrap();
            let tokens = count(&words, &prompt.text) + 7;
            assert_eq!(tokens, u64::from(prompt.asked.input), "{}", prompt.text);
            assert_eq!(prompt.counted, prompt.asked.input);
            assert_eq!(maker.asked(number, TurnPlace::alone(number)), prompt.asked);
        }
    }

    #[test]
    fn pieces_of_text_have_the_tokens_asked_for() {
        let text = "An astronomer's telescope, bought second-hand; \"unbelievable\" (1,024 times) — naïve? ".repeat(9);
        let words = words(0, Some(&text));
        let maker = maker("uniform:1..300", words.clone());
        for number in 0..200 {
            let prompt = maker.make(number, TurnPlace::alone(number)).unwrap();
            let tokens = count(&words, &prompt.text);
            assert_eq!(tokens, u64::from(prompt.asked.input), "{}", prompt.text);
        }
    }

    #[test]
    fn a_prompt_depends_on_seed_and_number_alone() {
        let words = words(0, None);
        let (one, again) = (maker("100", words.clone()), maker("100", words.clone()));
        assert_eq!(
            one.make(17, TurnPlace::alone(17)).unwrap(),
            again.make(17, TurnPlace::alone(17)).unwrap()
        );
        assert_ne!(
            one.make(17, TurnPlace::alone(17)).unwrap().text,
            one.make(18, TurnPlace::alone(18)).unwrap().text
        );
        let other = PromptMaker::new(generated("100"), 43, 0, words);
        assert_ne!(
            one.make(17, TurnPlace::alone(17)).unwrap().text,
            other.make(17, TurnPlace::alone(17)).unwrap().text
        );
    }

    #[test]
    fn prompts_share_the_prefixes_asked_for() {
        let words = words(3, None);
        let mut wanted = generated("200");
        wanted.prefixes = Some(Prefixes {
            share: Share::Tokens(64),
            number: 4,
            exponent: 0.0,
        });
        let maker = PromptMaker::new(wanted.clone(), 42, 0, words.clone());
        let prompts: Vec<Prompt> = (0..100)
            .map(|number| maker.make(number, TurnPlace::alone(number)).unwrap())
            .collect();
        let beginning = |prompt: &Prompt| -> Vec<String> {
            let words = prompt.text.split(' ').take(64);
            words.map(ToOwned::to_owned).collect()
        };
        let mut beginnings = std::collections::HashMap::new();
        for prompt in &prompts {
            let (which, length) = prompt.asked.prefix.unwrap();
            assert_eq!(length, 64);
            let begin = beginning(prompt);
            assert_eq!(count(&words, &begin.join(" ")), 64);
            assert_eq!(*beginnings.entry(which).or_insert(begin.clone()), begin);
        }
        assert_eq!(beginnings.len(), 4);
        // The prompts of a warm-up have others.
        let maker = PromptMaker::new(wanted, 42, 50, words);
        let warm = beginning(&maker.make(0, TurnPlace::alone(0)).unwrap());
        assert!(beginnings.values().all(|known| *known != warm));
        assert_eq!(maker.make(60, TurnPlace::alone(60)).unwrap(), prompts[60]);
    }

    #[test]
    fn a_part_of_each_prompt_is_its_prefix() {
        let mut wanted = generated("uniform:100..1000");
        wanted.prefixes = Some(Prefixes {
            share: Share::Part(0.6),
            number: 1,
            exponent: 0.0,
        });
        let maker = PromptMaker::new(wanted, 42, 0, words(0, None));
        let prompts: Vec<Prompt> = (0..50)
            .map(|number| maker.make(number, TurnPlace::alone(number)).unwrap())
            .collect();
        for pair in prompts.windows(2) {
            let common = pair[0]
                .text
                .split(' ')
                .zip(pair[1].text.split(' '))
                .take_while(|(one, other)| one == other)
                .count() as f64;
            let shorter = pair[0].asked.input.min(pair[1].asked.input);
            assert!(common >= f64::from(shorter) * 0.6 - 1.0);
        }
    }

    #[test]
    fn prefixes_chosen_by_zipf_come_more_often_the_earlier_they_are() {
        let mut wanted = generated("50");
        wanted.prefixes = Some(Prefixes {
            share: Share::Tokens(10),
            number: 5,
            exponent: 2.0,
        });
        let maker = PromptMaker::new(wanted, 42, 0, words(0, None));
        let mut chosen = [0; 5];
        for number in 0..400 {
            let (which, _) = maker
                .make(number, TurnPlace::alone(number))
                .unwrap()
                .asked
                .prefix
                .unwrap();
            chosen[which as usize] += 1;
        }
        assert!(
            chosen[0] > 2 * chosen[1] && chosen[1] > chosen[4],
            "{chosen:?}"
        );
    }

    #[test]
    fn a_mix_says_how_long_outputs_are() {
        let maker = maker("70%:20/5,30%:80/30", words(0, None));
        for number in 0..50 {
            let prompt = maker.make(number, TurnPlace::alone(number)).unwrap();
            assert!(matches!(
                (prompt.asked.input, prompt.asked.output),
                (20, Some(5)) | (80, Some(30))
            ));
        }
    }
}
