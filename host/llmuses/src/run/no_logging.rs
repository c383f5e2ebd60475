//! Stands in for `logging` in a program without Weights & Biases: no run is ever logged.

use super::outputs::Outputs;
use llmuses_core::backlog::PipelineStage;
use llmuses_core::document::Totals;
use llmuses_core::plan::Plan;
use llmuses_stats::Sink;
use llmuses_store::sink::RunRecord;
use std::cell::Cell;
use std::convert::Infallible;
use std::marker::PhantomData;

/// There is none.
pub(super) struct Logging<'a>(Infallible, PhantomData<&'a ()>);

impl<'a> Logging<'a> {
    pub(super) fn begin(_: &Plan, _: &Outputs, _: &RunRecord, _: &'a Cell<bool>) -> Option<Self> {
        None
    }

    pub(super) fn finish(self, _: Option<&Totals>, _: bool) {
        match self.0 {}
    }
}

impl Sink for &mut Logging<'_> {
    fn stage(&self) -> PipelineStage {
        match self.0 {}
    }
}
