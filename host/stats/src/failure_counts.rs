//! How often requests failed, by kind and status.

use super::counts::FailureCount;
use llmuses_core::exchange::{Failure, FailureKind};

/// The longest example message that is kept of a kind of failure, in characters.
const MAX_EXAMPLE_CHARS: usize = 300;

/// Failures by kind and status, in the order in which each first came.
#[derive(Debug, Clone, Default)]
pub(super) struct FailureCounts(Vec<FailureCount>);

impl FailureCounts {
    /// Counts a failure. `status`: that of the response, which tells failures apart that are about it.
    pub(super) fn record(&mut self, failure: &Failure, status: Option<u16>) {
        let status = status.filter(|_| failure.kind == FailureKind::HttpStatus);
        let is_same =
            |known: &&mut FailureCount| known.kind == failure.kind && known.status == status;
        match self.0.iter_mut().find(is_same) {
            Some(known) => known.count += 1,
            None => self.0.push(FailureCount {
                kind: failure.kind,
                status,
                count: 1,
                example: failure.message.chars().take(MAX_EXAMPLE_CHARS).collect(),
            }),
        }
    }

    /// By kind and status, the most frequent first.
    pub(super) fn by_status(&self) -> Vec<FailureCount> {
        sorted(self.0.clone())
    }

    /// By kind, the most frequent first. The message is the first one of the kind.
    pub(super) fn by_kind(&self) -> Vec<FailureCount> {
        let mut kinds: Vec<FailureCount> = Vec::new();
        for failure in &self.0 {
            match kinds.iter_mut().find(|known| known.kind == failure.kind) {
                Some(known) => known.count += failure.count,
                None => kinds.push(FailureCount {
                    status: None,
                    ..failure.clone()
                }),
            }
        }
        sorted(kinds)
    }
}

fn sorted(mut failures: Vec<FailureCount>) -> Vec<FailureCount> {
    failures.sort_by(|a, b| {
        let order = (a.kind, a.status).cmp(&(b.kind, b.status));
        b.count.cmp(&a.count).then(order)
    });
    failures
}
