//! Texts for requests of which only the lengths are known, as traces have them. Prompts share as long a beginning as
//! their lists of blocks do.

use super::template::ChatTemplate;
use super::vocabulary::Vocabulary;
use super::words::{Counting, Words};
use crate::conversation::LengthText;
use crate::draw::random_of;
use crate::tokenizer::HostTokenizer;
use llmuses_core::item::Turn;
use llmuses_core::lengths::MOST_TOKENS;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Makes the texts of blocks differ from those that only one prompt has.
const BLOCK: u64 = 0x62_6c_6f_63_6b;

/// Makes texts of the lengths that turns tell.
#[derive(Debug)]
pub struct LengthTexts {
    source: Source,
    seed: u64,
    /// Loaded when the first text is made: most data sets have texts of their own.
    loaded: OnceLock<Result<Words, String>>,
}

/// Where the words come from.
#[derive(Debug)]
enum Source {
    /// A tokenizer, and the file beside which there may be a chat template. `None`: servers of the API put special tokens
    /// around a prompt in its place.
    Tokenizer(Option<PathBuf>, Arc<HostTokenizer>),
    /// They are there already.
    Words(Words),
}

impl LengthTexts {
    /// Texts that this tokenizer counts. `beside`: the file beside which there may be a chat template. `None`: servers of
    /// the API have none, and special tokens in its place.
    pub fn new(beside: Option<&Path>, tokenizer: Arc<HostTokenizer>, seed: u64) -> Self {
        Self {
            source: Source::Tokenizer(beside.map(Path::to_owned), tokenizer),
            seed,
            loaded: OnceLock::new(),
        }
    }

    /// Texts of these words, whose tokens are known.
    pub fn of_words(words: Words, seed: u64) -> Self {
        Self {
            source: Source::Words(words),
            seed,
            loaded: OnceLock::new(),
        }
    }

    fn load(&self) -> Result<Words, String> {
        let (beside, tokenizer) = match &self.source {
            Source::Tokenizer(beside, tokenizer) => (beside, tokenizer),
            Source::Words(words) => return Ok(words.clone()),
        };
        let vocabulary = Vocabulary::of(tokenizer).map_err(|error| error.to_string())?;
        let of_template = |beside: &PathBuf| match ChatTemplate::beside(beside)? {
            Some(template) => template.overhead(tokenizer, &vocabulary.samples()),
            None => Ok(0),
        };
        let overhead = match beside {
            Some(beside) => of_template(beside).map_err(|error| error.to_string())?,
            None => tokenizer.special_tokens(),
        };
        Ok(Words {
            vocabulary: Arc::new(vocabulary),
            counting: Counting::Tokenizer(Arc::clone(tokenizer)),
            text: None,
            overhead,
            later_overhead: overhead,
        })
    }
}

impl LengthText for LengthTexts {
    /// A text of `turn.input_tokens` tokens, those of the chat template among them. A block has the same text in all
    /// prompts, and what is behind the last block is of the request with this number alone.
    fn make(&self, number: u64, turn: &Turn) -> Result<String, String> {
        let words = self.loaded.get_or_init(|| self.load());
        let words = words.as_ref().map_err(String::clone)?;
        let wanted = turn.input_tokens.unwrap_or(0);
        let total = u32::try_from(wanted)
            .ok()
            .filter(|total| *total <= MOST_TOKENS)
            .ok_or_else(|| {
                format!("a prompt of {wanted} tokens; {MOST_TOKENS} are the most that are made")
            })?;
        let around = words.overhead;
        if total <= around {
            return Err(format!(
                "a prompt of {total} tokens has no room for a text, since the chat template or special tokens take \
                 {around} tokens"
            ));
        }
        let block = turn
            .block_tokens
            .and_then(|block| u32::try_from(block).ok());
        let block = block.unwrap_or(total).max(1);
        let mut text = String::new();
        // A server sees the template before the text, so that its tokens are part of the first blocks. A block begins and
        // ends at the same words in each prompt, by its place.
        let place = |tokens: u32| words.units(tokens.saturating_sub(around));
        let mut end = around;
        for (id, blocks) in turn.hash_ids.iter().zip(1_u32..) {
            let upto = blocks.saturating_mul(block).min(total).max(end);
            let mut random = random_of(self.seed ^ BLOCK, *id);
            let length = place(upto) - place(end);
            words.vocabulary.extend(&mut text, length, &mut random);
            end = upto;
        }
        let mut random = random_of(self.seed, number);
        let mut length = place(total) - place(end);
        // Fewer tokens than half a word are no word, and a prompt has to have a text.
        if length == 0 && text.is_empty() {
            length = 1;
        }
        words.vocabulary.extend(&mut text, length, &mut random);
        if let Counting::Tokenizer(tokenizer) = &words.counting
            && !words.vocabulary.additive()
        {
            let own = total - around;
            let counted = words
                .vocabulary
                .correct(&mut text, 0, own, tokenizer, &mut random)?;
            if counted != own {
                return Err(format!(
                    "no text of {total} tokens was found with this tokenizer"
                ));
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Conversation, Filling};
    use llmuses_plugin_host::TokenCounter;

    const TOKENIZER: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../datasets/tokenizer/tokenizer.json"
    );

    fn tokenizer() -> Arc<HostTokenizer> {
        Arc::new(HostTokenizer::load(Path::new(TOKENIZER)).unwrap())
    }

    fn turn(tokens: u64, ids: &[u64], block: u64) -> Turn {
        Turn {
            input_tokens: Some(tokens),
            hash_ids: ids.to_vec(),
            block_tokens: Some(block),
            ..Turn::default()
        }
    }

    fn common(one: &str, other: &str) -> usize {
        let pairs = one.split(' ').zip(other.split(' '));
        pairs.take_while(|(one, other)| one == other).count()
    }

    #[test]
    fn prompts_have_their_lengths_and_share_their_blocks() {
        let tokenizer = tokenizer();
        let texts = LengthTexts::new(Some(Path::new(TOKENIZER)), Arc::clone(&tokenizer), 42);
        let make = |number, turn: &Turn| texts.make(number, turn).unwrap();
        let first = make(0, &turn(1300, &[1, 2, 3], 512));
        let second = make(1, &turn(1100, &[1, 2, 9], 512));
        let alone = make(2, &turn(1300, &[], 512));
        for (text, tokens) in [(&first, 1300), (&second, 1100), (&alone, 1300)] {
            assert_eq!(tokenizer.count(text), Ok(tokens));
        }
        assert_eq!(common(&first, &second), 1024);
        assert!(common(&first, &alone) < 5);
        assert_eq!(make(7, &turn(1300, &[1, 2, 3], 512)), first);
        // What is behind the last full block is of this prompt alone.
        let (one, other) = (make(3, &turn(40, &[5], 16)), make(4, &turn(40, &[5], 16)));
        assert_eq!(common(&one, &other), 16);
        assert_eq!(tokenizer.count(&one), Ok(40));
    }

    fn learned(per_word: f64) -> LengthTexts {
        let words = Words {
            vocabulary: Arc::new(Vocabulary::common()),
            counting: Counting::Learned { per_word },
            text: None,
            overhead: 5,
            later_overhead: 5,
        };
        LengthTexts::of_words(words, 42)
    }

    #[test]
    fn a_prompt_shorter_than_a_word_has_one_word() {
        let texts = learned(3.0);
        for ids in [&[][..], &[1]] {
            let text = texts.make(0, &turn(6, ids, 16)).unwrap();
            assert_eq!(text.split_whitespace().count(), 1, "{ids:?}");
        }
    }

    #[test]
    fn learned_lengths_are_met_to_the_next_word() {
        let texts = learned(1.5);
        let make = |number, turn: &Turn| texts.make(number, turn).unwrap();
        let tokens = |text: &str| text.split_whitespace().count() as f64 * 1.5 + 5.0;
        let first = make(0, &turn(1300, &[1, 2, 3], 512));
        let second = make(1, &turn(1100, &[1, 2, 9], 512));
        for (text, wanted) in [(&first, 1300.0), (&second, 1100.0)] {
            assert!((tokens(text) - wanted).abs() <= 1.0, "{}", tokens(text));
        }
        // 1,024 tokens with the five around them.
        assert_eq!(common(&first, &second), 679);
        assert_eq!(make(0, &turn(6, &[], 16)).split_whitespace().count(), 1);
    }

    #[test]
    fn the_chat_template_is_part_of_the_length_and_of_the_first_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::copy(TOKENIZER, &path).unwrap();
        std::fs::write(
            folder.path().join("chat_template.jinja"),
            "user of the moon\n{{ messages[0].content }}\n",
        )
        .unwrap();
        let tokenizer = tokenizer();
        let texts = LengthTexts::new(Some(&path), Arc::clone(&tokenizer), 42);
        let one = texts.make(0, &turn(64, &[1, 2, 3, 4], 16)).unwrap();
        let other = texts.make(1, &turn(64, &[1, 2, 3, 5], 16)).unwrap();
        let around = 64 - tokenizer.count(&one).unwrap();
        assert!((2..16).contains(&around), "{around}");
        assert_eq!(common(&one, &other) as u64, 48 - around);
        let error = texts.make(0, &turn(2, &[], 16)).unwrap_err();
        assert!(error.contains("no room for a text"), "{error}");
        let error = texts.make(0, &turn(1 << 40, &[], 16)).unwrap_err();
        assert!(error.contains("are the most"), "{error}");
    }

    #[test]
    fn the_answer_of_a_made_up_prompt_is_to_be_as_long_as_told() {
        let texts = LengthTexts::new(Some(Path::new(TOKENIZER)), tokenizer(), 1);
        let filling = Arc::new(Filling {
            lengths: Some(Box::new(texts)),
            media: None,
        });
        let entry = r#"{"turns": [{"input_tokens": 9, "output_tokens": 3}]}"#;
        let entry = serde_json::from_str(entry).unwrap();
        let item = Conversation::filled(entry, 7, &filling)
            .next()
            .unwrap()
            .unwrap();
        assert!(item.prompt.is_some());
        let output = item.output.unwrap();
        assert_eq!((output.max, output.exact), (Some(3), true));
    }
}
