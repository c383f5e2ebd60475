//! What a model said, out of the parts in which it came.

use super::{Kind, Message};
use crate::usage::Count;

/// The text that a model produced, put together out of chunks, separately for each choice: to be counted,
/// and only built where that is needed.
pub(crate) struct Transcript {
    /// Whether each chunk repeats the text before it.
    cumulative: bool,
    choices: Vec<(u64, Parts)>,
}

#[derive(Default)]
struct Parts {
    reasoning: String,
    text: String,
    arguments: String,
}

impl Transcript {
    pub(crate) fn new(cumulative: bool) -> Self {
        Self {
            cumulative,
            choices: Vec::new(),
        }
    }

    /// Adds what a chunk brought for a choice.
    pub(crate) fn add(&mut self, choice: u64, message: &Message<'_>, text: &str) {
        let cumulative = self.cumulative;
        let add = |whole: &mut String, pieces: &[&str]| {
            if cumulative && pieces.iter().any(|piece| !piece.is_empty()) {
                whole.clear();
            }
            whole.extend(pieces.iter().copied());
        };
        let arguments: Vec<&str> = message.calls().map(|[_, arguments]| arguments).collect();
        let parts = self.parts(choice);
        add(&mut parts.reasoning, &message.reasoning_pieces());
        add(
            &mut parts.text,
            &[
                message.content.text.as_str(),
                message.refusal.as_str(),
                text,
            ],
        );
        add(&mut parts.arguments, &arguments);
    }

    /// Adds the one text that a chunk brought, which is not empty.
    pub(crate) fn add_text(&mut self, choice: u64, kind: Kind, text: &str) {
        let cumulative = self.cumulative;
        let parts = self.parts(choice);
        let whole = match kind {
            Kind::Text => &mut parts.text,
            Kind::Reasoning => &mut parts.reasoning,
        };
        if cumulative {
            whole.clear();
        }
        whole.push_str(text);
    }

    fn parts(&mut self, choice: u64) -> &mut Parts {
        let place = self
            .choices
            .iter()
            .position(|(known, _)| *known == choice)
            .unwrap_or_else(|| {
                self.choices.push((choice, Parts::default()));
                self.choices.len() - 1
            });
        &mut self.choices[place].1
    }

    /// Whether this says for each of its choices what `other` says for it. It may leave out the reasoning.
    pub(crate) fn says_again(&self, other: &Self) -> bool {
        self.choices.iter().all(|(choice, parts)| {
            let said = other.choices.iter().find(|(known, _)| known == choice);
            said.is_some_and(|(_, said)| {
                parts.text.trim() == said.text.trim()
                    && parts.arguments == said.arguments
                    && (parts.reasoning.is_empty()
                        || parts.reasoning.trim() == said.reasoning.trim())
            })
        })
    }

    /// Whether what the model says begins with its reasoning, between tags.
    pub(crate) fn has_tagged_reasoning(&self) -> bool {
        self.choices
            .iter()
            .any(|(_, parts)| parts.text.contains("<think") || parts.text.contains("</think"))
    }

    /// What the first choice says beside its reasoning.
    pub(crate) fn answer(&self) -> String {
        let first = self.choices.first();
        first.map_or_else(String::new, |(_, parts)| parts.text.clone())
    }

    /// One text for each choice, or a single empty one where the model produced nothing.
    pub(crate) fn into_texts(self) -> Vec<String> {
        if self.choices.is_empty() {
            return vec![String::new()];
        }
        self.choices
            .into_iter()
            .map(|(_, parts)| parts.reasoning + &parts.text + &parts.arguments)
            .collect()
    }
}

/// The number under which a choice is collected: the server's, or else its place in the list.
pub(crate) fn choice_number(index: Count, place: usize) -> u64 {
    index.0.unwrap_or(place as u64)
}
