//! What is done with each sample of a run beside the totals.

use super::running::RunStatistics;
use super::sample::Sample;
use llmuses_core::backlog::PipelineStage;

/// A run that goes on.
#[derive(Debug, Clone, Copy)]
pub struct RunSoFar<'a> {
    /// The totals, with the sample that is offered.
    pub statistics: &'a RunStatistics,
    /// Requests begun.
    pub begun: u64,
    /// Requests in flight.
    pub in_flight: u64,
    /// Whether no more requests are issued.
    pub is_draining: bool,
}

/// Takes the samples of one run, one after another, all on one thread. What may take long belongs on a thread behind a
/// bounded queue; where even that is full, or the work cannot be put off, requests wait, and the verdict names the
/// stage.
pub trait Sink {
    /// What holds up the run while this sink is at work.
    fn stage(&self) -> PipelineStage;

    /// Looks at a sample.
    fn offer(&mut self, _sample: &Sample, _run: &RunSoFar<'_>) {}

    /// Takes a sample that nobody else needs any more.
    fn take(&mut self, sample: Sample, run: &RunSoFar<'_>) {
        self.offer(&sample, run);
    }

    /// Is called several times a second, whether there are samples or not.
    fn tick(&mut self, _run: &RunSoFar<'_>) {}

    /// Is called once, when there are no more samples.
    fn end(&mut self, _run: &RunSoFar<'_>) {}
}
