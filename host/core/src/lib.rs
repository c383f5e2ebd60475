//! What the other crates share: the clock, the facts of a request and its response, and the plan of a run.
//! Nothing here reads or writes, and nothing knows a flag.

pub mod backlog;
pub mod bounds;
pub mod clock;
pub mod cost;
pub mod exchange;
pub mod messages;
pub mod plan;
pub mod redact;
pub mod wandb;
pub mod words;
