//! Where requests come from: the readers of data sets, the tokenizer, and the source that asks a
//! parser for one body after another.

mod anonymous;
mod asked;
mod bodies;
mod cancel_draws;
mod conversation;
mod dataset;
mod draw;
mod entries;
pub mod generate;
mod items;
mod later_entries;
mod lines;
mod media;
mod misfit;
mod model_draws;
mod session_draws;
mod sessions;
mod source;
mod tokenizer;
mod trace_times;
mod waiting;

pub use anonymous::{BlockHashes, cuts_by_bytes, cuts_by_tokens};
pub use asked::{AskedTurn, AskedTurns};
pub use bodies::{ApiSettings, Bodies, ItemBodies, Made, OwnBodies};
pub use cancel_draws::CancelDraws;
pub use conversation::{Conversation, Filling, LengthText};
pub use dataset::{Dataset, DatasetError};
pub use entries::{EntrySource, FormatEntries, OnePrompt};
pub use later_entries::HeldBack;
pub use media::Media;
pub use misfit::Misfit;
pub use model_draws::ModelDraws;
pub use session_draws::SessionDraws;
pub use sessions::{SessionSettings, SessionsUnderWay};
pub use source::{RequestSource, SourceEnd, SourceError, SourceReport, SourceSettings};
pub use tokenizer::{HostTokenizer, TokenizerError};
pub use trace_times::{BegunConversations, TENTHS, TracePlace, TraceTimes, by_tenths};
