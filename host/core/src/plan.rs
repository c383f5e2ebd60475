//! A validated run. `cli` makes it from arguments; nothing after it reads an argument, an environment variable or a
//! clock for a default of its own.
//!
//! The plan has groups, and whoever needs one group takes that group and not the plan. Where results go is no part of
//! it: the same plan gives the same load whatever is kept of it.

mod arrivals;
mod cancellation;
mod generated;
mod limits;
mod load;
mod models;
mod objectives;
mod rate_table;
mod replay;
mod sessions;
mod shard;
mod share;
mod stages;
mod sweep;
mod target;
mod transport;
mod work;

pub use arrivals::{Arrivals, Gaps};
pub use cancellation::{Cancellation, CancellationError};
pub use generated::{Generated, Prefixes, Share};
pub use limits::Limits;
pub use load::{Load, Warmup};
pub use models::WeightedModel;
pub use objectives::Objectives;
pub use rate_table::RateTableError;
pub use replay::Replay;
pub use sessions::Sessions;
pub use shard::{Shard, Split};
pub use share::{ShareBound, ShareOf, StopRule};
pub use stages::{Staged, Stages, StagesError};
pub use sweep::{RunPlace, Sweep};
pub use target::{Route, Target, UrlPolicy};
pub use transport::{Timeouts, TransportChoice, TransportSettings};
pub use work::{LengthFilter, ParserChoice, PromptSource, Work};

use crate::document::PlanRecord;
use crate::lengths::NumberDistribution;
use url::Url;

/// What one run does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where requests go.
    pub target: Target,
    /// What is sent.
    pub work: Work,
    /// When it is sent.
    pub load: Load,
    /// How it is sent.
    pub transport: TransportSettings,
    /// What may be used of this machine for it.
    pub limits: Limits,
    /// Which run of its sweep it is.
    pub place: RunPlace,
}

impl Plan {
    /// A plan for `model` at `url` with every default: one request at a time, by the default parser, of
    /// an empty prompt.
    pub fn new(model: String, url: Url) -> Self {
        Self {
            target: Target::new(model, url),
            work: Work::default(),
            load: Load::default(),
            transport: TransportSettings::default(),
            limits: Limits::default(),
            place: RunPlace::default(),
        }
    }

    /// How many requests there will be. `None`: as many as the data set gives, as sessions have turns, or as the time
    /// allows.
    pub fn expected_requests(&self) -> Option<u64> {
        if self.load.requests.is_some() || self.load.duration.is_some() {
            return self.load.requests;
        }
        let turns = match (&self.work.prompts, self.work.sessions.turns) {
            (PromptSource::Dataset(_), _) => return None,
            (_, None) => 1,
            (_, Some(NumberDistribution::Fixed(turns))) => u64::from(turns),
            (_, Some(_)) => return None,
        };
        Some(self.load.sessions.unwrap_or(1).saturating_mul(turns))
    }

    /// The plan as it stands in a document, as yet without the digest of the data set, which has not been read, and
    /// without what is known of the outputs.
    pub fn to_record(&self) -> PlanRecord {
        PlanRecord {
            target: self.target.to_record(),
            work: self.work.to_record(),
            dataset: self.work.dataset_record(),
            load: self.load.to_record(),
            transport: self.transport.to_record(&self.load),
            limits: self.limits.to_record(),
            ..PlanRecord::default()
        }
    }
}
