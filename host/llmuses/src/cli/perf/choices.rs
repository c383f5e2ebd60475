//! Flags of `perf` that take one of a few words.

use crate::run::Save;
use clap::ValueEnum;
use llmuses_core::plan::{TransportChoice, UrlPolicy};

/// The value of `--url-policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum UrlPolicyArgument {
    /// One after another.
    RoundRobin,
    /// To the one with the fewest requests under way.
    LeastInFlight,
    /// One session after another, all turns of a session to the same one.
    Session,
}

impl UrlPolicyArgument {
    /// How several URLs share the requests.
    pub(super) fn policy(self) -> UrlPolicy {
        match self {
            Self::RoundRobin => UrlPolicy::RoundRobin,
            Self::LeastInFlight => UrlPolicy::LeastInFlight,
            Self::Session => UrlPolicy::Session,
        }
    }
}

/// The value of `--save`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SaveArgument {
    /// There is no database.
    None,
    /// The run and its totals.
    Summary,
    /// The run, its totals, and a row for each request.
    Full,
}

impl SaveArgument {
    /// What the database keeps.
    pub(super) fn save(self) -> Save {
        match self {
            Self::None => Save::Nothing,
            Self::Summary => Save::Summary,
            Self::Full => Save::Full,
        }
    }
}

/// The value of `--transport`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Transport {
    /// What measures best for the URL: `socket`, for http and https alike.
    Auto,
    /// HTTP/1.1; arrivals by the kernel's clock, and so right however busy this machine is.
    Socket,
    /// HTTP/1.1, and HTTP/2 where a TLS server offers it; arrivals as reads return.
    Reqwest,
}

impl Transport {
    /// What will carry requests.
    pub(in crate::cli) fn choice(self) -> TransportChoice {
        match self {
            Self::Auto | Self::Socket => TransportChoice::Socket,
            Self::Reqwest => TransportChoice::Reqwest,
        }
    }
}
