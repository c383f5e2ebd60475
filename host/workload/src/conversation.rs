//! From a conversation to what its requests ask.

use crate::asked::AskedTurn;
use crate::media::Media;
use crate::trace_times::TracePlace;
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
    /// Reads images and audio. `None`: there is no data set.
    pub media: Option<Media>,
}

impl Filling {
    fn text(&self, number: u64, turn: &Turn) -> Result<String, String> {
        match &self.lengths {
            Some(_) if turn.input_tokens.is_none() => Err("it asks nothing".to_owned()),
            Some(lengths) => lengths.make(number, turn),
            None => Err(
                "it tells only the length of a prompt, which the first entries of the data set do not: with --tokenizer-path a text of \
                 that length is made".to_owned(),
            ),
        }
    }
}

/// The turns of an entry as they are asked, one after another: that of a later turn has the messages of those before
/// it, with the answers that are recorded among them, or the one that was [given](Self::answered). They are made one by
/// one, since each repeats all before it.
#[derive(Debug, Clone)]
pub struct Conversation {
    turns: std::vec::IntoIter<Turn>,
    /// What the model answered to the turn before.
    answer: Option<Value>,
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
    /// Its place in a trace that is replayed.
    place: Option<TracePlace>,
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
            answer: None,
            history: system.into_iter().collect(),
            common: Item {
                tools: entry.tools,
                model: entry.model,
                parameters: entry.parameters,
                ..Item::default()
            },
            asked: None,
            place: None,
        }
    }

    /// The same one at this place of a trace.
    #[must_use]
    pub fn placed(mut self, place: TracePlace) -> Self {
        self.place = Some(place);
        self
    }

    /// Its place in a trace that is replayed.
    pub fn place(&self) -> Option<TracePlace> {
        self.place
    }

    /// What the turn asks that was given last, where its text was made of lengths and is all that the server reads.
    pub fn asked(&self) -> Option<Arc<AskedTurn>> {
        self.asked.clone()
    }

    /// A conversation of these turns, the answer to each of which is to have exactly the tokens that it tells.
    pub fn of_lengths(turns: Vec<Turn>) -> Self {
        Self {
            is_exact: true,
            ..Self::new(Entry {
                turns,
                ..Entry::default()
            })
        }
    }

    /// A conversation of so many turns with the same prompt.
    pub fn of_prompt(text: String, turns: u32) -> Self {
        let turn = Turn {
            prompt: Some(text),
            ..Turn::default()
        };
        Self::new(Entry {
            turns: vec![turn; turns as usize],
            ..Entry::default()
        })
    }

    /// How many turns are to come.
    pub fn turns_left(&self) -> u32 {
        u32::try_from(self.turns.len()).unwrap_or(u32::MAX)
    }

    /// Leaves so many turns to come at most.
    pub fn truncate(&mut self, turns: u32) {
        let mut kept = std::mem::take(&mut self.turns).collect::<Vec<_>>();
        kept.truncate(turns as usize);
        self.turns = kept.into_iter();
    }

    /// Why a turn that is to come cannot be asked, as far as that can be told before.
    pub fn cannot_go_on(&self) -> Option<String> {
        let cannot_be_asked = |turn: &&Turn| {
            let has_length = turn.input_tokens.is_some() && self.filling.lengths.is_some();
            turn.asks_nothing() && !has_length
        };
        let turn = self.turns.as_slice().iter().find(cannot_be_asked)?;
        self.filling.text(self.number, turn).err()
    }

    /// Seconds before the next turn, as the data set says.
    pub fn delay(&self) -> Option<f64> {
        self.turns.as_slice().first()?.delay
    }

    /// About how many bytes the messages have that are kept of it.
    pub fn bytes(&self) -> usize {
        let size = |message: &Value| message.to_string().len();
        let of_turn = |turn: &Turn| {
            let prompt = turn.prompt.as_ref().map_or(0, String::len);
            prompt + turn.messages.iter().map(size).sum::<usize>()
        };
        let to_come: usize = self.turns.as_slice().iter().map(of_turn).sum();
        to_come + self.history.iter().map(size).sum::<usize>()
    }

    /// The message with which the model answered the last turn, in place of the one that is recorded. A recorded one that
    /// calls tools stays where their results are recorded too: they answer the calls of that one.
    pub fn answered(&mut self, message: Value) {
        self.answer = Some(message);
    }

    /// Adds the messages of a later turn, behind the answer to the one before.
    fn add(&mut self, mut messages: Vec<Value>) {
        if let Some(answer) = self.answer.take() {
            let role = |message: &Value| message["role"].as_str().map(str::to_owned);
            let is_answer = |message: &&Value| role(message).as_deref() == Some("assistant");
            let recorded = messages.iter().take_while(is_answer).count();
            let next = messages.get(recorded).and_then(role);
            if next.as_deref() != Some("tool") {
                messages.splice(..recorded, [answer]);
            }
        }
        self.history.extend(messages);
    }
}

impl Iterator for Conversation {
    /// An item, or why there is none of a turn.
    type Item = Result<Item, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut turn = self.turns.next()?;
        let mut is_exact = self.is_exact;
        self.asked = None;
        if !turn.messages.iter().all(Value::is_object) {
            return Some(Err("a message is not a JSON object".to_owned()));
        }
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
        if let Some(media) = &self.filling.media
            && let Err(reason) = media.embed(&mut turn.messages)
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
            Some(prompt) => self.add(vec![json!({"role": "user", "content": prompt})]),
            None => self.add(turn.messages),
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
    fn the_answer_that_came_takes_the_place_of_the_recorded_one() {
        let message = |role: &str, text: &str| json!({"role": role, "content": text});
        let entry = json!({"turns": [
            {"prompt": "a"},
            {"messages": [message("assistant", "recorded"), message("user", "b")], "delay": 1.5},
            {"messages": [message("assistant", "calls"), message("tool", "result")]},
            {"prompt": "c"},
        ]});
        let mut conversation = Conversation::new(serde_json::from_value(entry).unwrap());
        conversation.next().unwrap().unwrap();
        assert_eq!(
            (conversation.turns_left(), conversation.delay()),
            (3, Some(1.5))
        );
        conversation.answered(message("assistant", "live 1"));
        conversation.next().unwrap().unwrap();
        conversation.answered(message("assistant", "live 2"));
        conversation.next().unwrap().unwrap();
        conversation.answered(message("assistant", "live 3"));
        let messages = conversation.next().unwrap().unwrap().messages;
        assert_eq!(
            messages,
            [
                message("user", "a"),
                message("assistant", "live 1"),
                message("user", "b"),
                // The result is of a call that only the recorded one has.
                message("assistant", "calls"),
                message("tool", "result"),
                message("assistant", "live 3"),
                message("user", "c"),
            ]
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
