//! How requests go: the transports that carry them, the reading of their responses, the kinds of
//! failure, and the threads on which all of this runs.
//!
//! Only what must be near a socket is done here. A finished [`Exchange`](llmuses_core::exchange::Exchange)
//! leaves this room as a value, and other threads make sense of it.

pub mod attempt;
pub mod capacity;
mod connection_notes;
#[cfg(any(test, feature = "fuzzed"))]
mod cut_input;
mod endpoints;
mod failure;
#[cfg(any(test, feature = "fuzzed"))]
pub mod fuzzed;
mod json_stream;
mod lanes;
mod polled_on_wake;
pub mod question;
pub mod reader;
mod reading;
mod reqwest_transport;
mod sending;
pub mod socket;
pub mod sse;
pub mod transport;
pub mod worker;

pub use connection_notes::ConnectionNotes;
pub use endpoints::Endpoints;
pub use reading::BodySettings;
pub use reqwest_transport::{ClientBuildError, ReqwestTransport, check_files};
pub use sending::SendingRules;

/// Has TLS use ring for its cryptography. Must have been called before an HTTP client is made; calling
/// it again changes nothing.
pub fn provide_cryptography() {
    // An error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
