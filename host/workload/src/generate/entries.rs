//! Made-up prompts as a source of requests.

use super::prompts::PromptMaker;
use crate::conversation::Conversation;
use crate::entries::Entries;
use llmuses_core::cost::CallCost;
use llmuses_plugin_host::CallError;

/// One prompt after another, without end.
#[derive(Debug)]
pub struct GeneratedEntries {
    maker: PromptMaker,
    next: u64,
}

impl GeneratedEntries {
    /// Prompts of this maker, from the first on.
    pub fn new(maker: PromptMaker) -> Self {
        Self { maker, next: 0 }
    }
}

impl Entries for GeneratedEntries {
    fn begin(&mut self) -> Result<(), CallError> {
        Ok(())
    }

    fn next(&mut self, max: u32) -> Result<Vec<Conversation>, CallError> {
        let numbers = self.next..self.next + u64::from(max);
        self.next = numbers.end;
        numbers
            .map(|number| {
                let prompt = self.maker.make(number).map_err(CallError::Refused)?;
                Ok(Conversation::of_length(prompt.text, prompt.asked.output))
            })
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
