//! Made-up prompts as a source of requests.

use super::prompts::PromptMaker;
use crate::conversation::Conversation;
use crate::entries::EntrySource;
use crate::session_draws::SessionDraws;
use llmuses_core::cost::CallCost;
use llmuses_core::item::Turn;
use llmuses_core::turn::TurnPlace;
use llmuses_plugin_host::CallError;

/// One session after another, without end.
#[derive(Debug)]
pub struct GeneratedEntries {
    maker: PromptMaker,
    draws: SessionDraws,
    /// The next session.
    session: u64,
    /// The number of its first request.
    number: u64,
}

impl GeneratedEntries {
    /// Prompts of this maker, from the first on.
    pub fn new(maker: PromptMaker, draws: SessionDraws) -> Self {
        Self {
            maker,
            draws,
            session: 0,
            number: 0,
        }
    }

    /// The next session, whose turns have numbers one after another.
    fn session(&mut self) -> Result<Conversation, String> {
        let turns = self.draws.turns(self.session);
        let first = TurnPlace::first(self.session, turns);
        let asked: Vec<_> = (self.number..)
            .zip(0..turns)
            .map(|(number, turn)| {
                let place = TurnPlace { turn, ..first };
                let prompt = self.maker.make(number, place)?;
                Ok(Turn {
                    prompt: prompt.token_ids.is_empty().then_some(prompt.text),
                    prompt_token_ids: prompt.token_ids,
                    output_tokens: prompt.asked.output.map(u64::from),
                    ..Turn::default()
                })
            })
            .collect::<Result<_, String>>()?;
        self.session += 1;
        self.number += u64::from(turns);
        Ok(Conversation::of_lengths(asked))
    }
}

impl EntrySource for GeneratedEntries {
    fn begin(&mut self) -> Result<(), CallError> {
        Ok(())
    }

    fn next(&mut self, max: u32) -> Result<Vec<Conversation>, CallError> {
        (0..max)
            .map(|_| self.session().map_err(CallError::Refused))
            .collect()
    }

    fn skipped(&mut self) -> Result<Vec<(String, u64)>, CallError> {
        Ok(Vec::new())
    }

    fn end(&mut self) -> Result<(), CallError> {
        Ok(())
    }

    fn is_filtered(&self) -> bool {
        false
    }

    fn cost(&self) -> CallCost {
        CallCost::default()
    }
}
