//! What the other crates share: the clock, the facts of a request and its response, the plan of a run, the table of
//! what is measured, and the document that holds results.
//! Nothing here reads or writes, and nothing knows a flag.

pub mod backlog;
pub mod bounds;
pub mod budget;
pub mod caught;
pub mod clean;
pub mod clock;
pub mod command_line;
pub mod cost;
pub mod credential;
pub mod document;
pub mod exchange;
pub mod in_flight;
pub mod item;
pub mod last_word;
pub mod late_reads;
pub mod lengths;
pub mod messages;
pub mod metric;
pub mod plan;
pub mod redact;
pub mod request_id;
pub mod student;
pub mod think_time;
pub mod turn;
pub mod wandb;
pub mod wording;
