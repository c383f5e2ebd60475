//! Prompts of a length asked for, made of a seed: request k of a run has the same prompt whatever the load, the number
//! of threads or of machines.

mod blocks;
mod entries;
mod line;
mod prompts;
mod room;
mod template;
mod text;
mod vocabulary;
mod words;

pub use blocks::LengthTexts;
pub use entries::GeneratedEntries;
pub use line::{Line, LineError};
pub use prompts::{AskedPrompt, Prompt, PromptMaker};
pub use room::NoRoom;
pub use template::{ChatTemplate, TemplateError};
pub use text::{RealText, TextError};
pub use vocabulary::{Vocabulary, VocabularyError};
pub use words::{Counting, Words};
