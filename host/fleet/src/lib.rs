//! One run over many workers. The coordinator starts each worker through a command of the user, such as `ssh {}`, and
//! both talk in lines over the worker's standard input and output. Nothing listens, and nothing else is needed.
//!
//! The crate knows lines, clocks and who is lost. What a plan is, how requests are sent and what is printed is for whoever
//! uses it; neither flags nor the terminal are known here.

mod bounds;
mod coordinator;
mod error;
#[cfg(any(test, feature = "fuzzed"))]
pub mod fuzzed;
mod launch;
mod lines;
mod link;
mod row;
mod session;

pub use bounds::{ClockOffset, OffsetBounds};
pub use coordinator::{Fleet, FleetEvent, WorkerReport};
pub use error::{FleetError, SessionError};
pub use launch::{FleetSettings, Launcher, OwnProgram};
pub use lines::{Halt, Hello, Opening, PROTOCOL, Ready, WorkPlan};
pub use row::{AskedOfRow, Row, RowContent};
pub use session::{RowSender, Session};
