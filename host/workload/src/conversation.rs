//! From a conversation to what its requests ask.

use crate::asked::AskedTurn;
use crate::images::Images;
use llmuses_core::item::{Entry, Item, OutputLength, Turn};
use serde_json::{Value, json};
use std::sync::Arc;

/// Makes texts where only lengths are known.
pub trait LengthText: std::fmt::Debug + Send + Sync {
    /// A text for a turn of the entry with this number.
    ///
    /// # Errors
    /// Why there is none.
    fn make(&self, number: u64, turn: &Turn) -> Result<String, String>;
}

/// What the host puts into the turns of a data set.
#[derive(Debug, Default)]
pub struct Filling {
    /// Makes texts where only lengths are known. `None`: there is no tokenizer.
    pub lengths: Option<Box<dyn LengthText>>,
    /// Reads images. `None`: there is no data set.
    pub images: Option<Images>,
}

impl Filling {
    fn text(&self, number: u64, turn: &Turn) -> Result<String, String> {
        match &self.lengths {
            Some(_) if turn.input_tokens.is_none() => Err("it asks nothing".to_owned()),
            Some(lengths) => lengths.make(number, turn),
            None => Err(
                "it tells only the length of a prompt: with --tokenizer-path a text of that length is made".to_owned(),
            ),
        }
    }
}

/// The turns of an entry as they are asked, one after another: that of a later turn has the messages of those before
/// it, with the answers that are recorded among them. They are made one by one, since each repeats all before it.
#[derive(Debug)]
pub struct Conversation {
    turns: std::vec::IntoIter<Turn>,
    /// The number of its entry.
    number: u64,
    filling: Arc<Filling>,
    /// Whether it is one prompt and nothing else.
    is_alone: bool,
    /// Whether answers are to be as long as they may be.
    is_exact: bool,
    history: Vec<Value>,
    /// What all turns share.
    common: Item,
    /// What the turn asks that was given last.
    asked: Option<Arc<AskedTurn>>,
}

impl Conversation {
    /// The conversation of an entry, by which number the texts that are made for it differ.
    pub fn filled(entry: Entry, number: u64, filling: &Arc<Filling>) -> Self {
        Self {
            number,
            filling: Arc::clone(filling),
            ..Self::new(entry)
        }
    }

    /// The conversation of an entry that has all texts.
    pub fn new(entry: Entry) -> Self {
        let system = entry
            .system
            .map(|text| json!({"role": "system", "content": text}));
        Self {
            is_alone: entry.turns.len() == 1 && system.is_none(),
            is_exact: false,
            number: 0,
            filling: Arc::default(),
            turns: entry.turns.into_iter(),
            history: system.into_iter().collect(),
            common: Item {
                tools: entry.tools,
                model: entry.model,
                parameters: entry.parameters,
                ..Item::default()
            },
            asked: None,
        }
    }

    /// What the turn asks that was given last, where its text was made of lengths and is all that the server reads.
    pub fn asked(&self) -> Option<Arc<AskedTurn>> {
        self.asked.clone()
    }

    /// A conversation of one prompt, whose answer is to have exactly this many tokens.
    pub fn of_length(text: String, output: Option<u32>) -> Self {
        let turn = Turn {
            prompt: Some(text),
            output_tokens: output.map(u64::from),
            ..Turn::default()
        };
        Self {
            is_exact: true,
            ..Self::new(Entry {
                turns: vec![turn],
                ..Entry::default()
            })
        }
    }

    /// A conversation of one prompt.
    pub fn of_prompt(text: String) -> Self {
        Self::new(Entry {
            turns: vec![Turn {
                prompt: Some(text),
                ..Turn::default()
            }],
            ..Entry::default()
        })
    }
}

impl Iterator for Conversation {
    /// An item, or why there is none of a turn.
    type Item = Result<Item, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut turn = self.turns.next()?;
        let mut is_exact = self.is_exact;
        self.asked = None;
        if turn.asks_nothing() {
            match self.filling.text(self.number, &turn) {
                Ok(text) => turn.prompt = Some(text),
                Err(reason) => return Some(Err(reason)),
            }
            is_exact = true;
            if self.is_alone && self.common.tools.is_empty() {
                self.asked = AskedTurn::of(&turn, self.number).map(Arc::new);
            }
        }
        if let Some(images) = &self.filling.images
            && let Err(reason) = images.embed(&mut turn.messages)
        {
            return Some(Err(reason));
        }
        let mut item = Item {
            prompt_token_ids: turn.prompt_token_ids,
            texts: turn.texts,
            query: turn.query,
            documents: turn.documents,
            body: turn.body,
            output: turn.output_tokens.map(|tokens| OutputLength {
                max: Some(tokens),
                exact: is_exact,
                ..OutputLength::default()
            }),
            ..self.common.clone()
        };
        match turn.prompt {
            // An API without messages takes it as it is.
            Some(prompt) if self.is_alone => item.prompt = Some(prompt),
            Some(prompt) => self
                .history
                .push(json!({"role": "user", "content": prompt})),
            None => self.history.extend(turn.messages),
        }
        if item.prompt.is_none() && item.has_no_content() {
            item.messages.clone_from(&self.history);
        }
        Some(Ok(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(entry: Value) -> Value {
        let entry = serde_json::from_value(entry).unwrap();
        let items: Vec<Item> = Conversation::new(entry).map(Result::unwrap).collect();
        serde_json::to_value(items).unwrap()
    }

    #[test]
    fn a_prompt_alone_stays_a_prompt() {
        assert_eq!(
            items(json!({"turns": [{"prompt": "a", "output_tokens": 7}], "model": "m"})),
            json!([{"prompt": "a", "output": {"max": 7}, "model": "m"}])
        );
    }

    #[test]
    fn a_later_turn_has_what_was_said_before_it() {
        let [system, user, answer, more] = [
            json!({"role": "system", "content": "s"}),
            json!({"role": "user", "content": "a"}),
            json!({"role": "assistant", "content": "b"}),
            json!({"role": "user", "content": "c"}),
        ];
        let entry = json!({
            "system": "s",
            "turns": [{"prompt": "a"}, {"messages": [answer, more]}],
            "tools": [{"type": "function"}],
            "parameters": {"top_k": 1},
        });
        let all = |messages: &[&Value]| {
            json!({
                "messages": messages,
                "tools": [{"type": "function"}],
                "parameters": {"top_k": 1},
            })
        };
        assert_eq!(
            items(entry),
            json!([
                all(&[&system, &user]),
                all(&[&system, &user, &answer, &more])
            ])
        );
    }

    #[test]
    fn texts_and_documents_are_no_messages() {
        for turn in [
            json!({"texts": ["a", "b"]}),
            json!({"query": "q", "documents": ["a", {"text": "b"}]}),
            json!({"prompt_token_ids": [1, 2]}),
            json!({"body": {"model": "x"}}),
        ] {
            assert_eq!(items(json!({"turns": [turn]})), json!([turn]));
        }
    }

    #[test]
    fn a_turn_of_which_only_the_length_is_known_needs_a_tokenizer() {
        let entry = json!({"turns": [{"input_tokens": 9, "output_tokens": 3}]});
        let mut turns = Conversation::new(serde_json::from_value(entry).unwrap());
        let error = turns.next().unwrap().unwrap_err();
        assert!(error.contains("--tokenizer-path"), "{error}");
        assert_eq!(turns.next(), None);
    }
}
