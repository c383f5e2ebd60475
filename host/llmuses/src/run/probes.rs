//! Lengths of prompts learned from the server, where there is no tokenizer: a few short requests before the run.

use super::RunError;
use super::collect::collect;
use super::loaded::Loaded;
use super::made_up::{self, MadeUpError};
use super::outputs::Outputs;
use super::pipeline::Pipeline;
use super::preparation::Preparation;
use super::role::Gate;
use super::running::Running;
use super::sinks::Sinks;
use super::watch::StopRules;
use llmuses_core::backlog::PipelineStage;
use llmuses_core::clock::Clock;
use llmuses_core::document::Task;
use llmuses_core::exchange::TokenSource;
use llmuses_core::lengths::{LengthError, Lengths, NumberDistribution};
use llmuses_core::plan::{Arrivals, Generated, LengthFilter, Load, Plan, PromptSource, Sessions};
use llmuses_observe::terminal;
use llmuses_stats::{RunSoFar, Sample, Sink};
use llmuses_workload::generate::Line;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Requests from which lengths are learned.
const PROBES: u64 = 8;

/// Words of their prompts: enough for the tokens of a word to be known to a per cent, and few enough for any model.
const WORDS: &str = "uniform:16..400";

/// Makes their prompts differ from those of the run.
const SEED: u64 = 0x70_72_6f_62_65_73;

impl Loaded {
    /// Learns from the server how many tokens made-up prompts have, where no tokenizer counts them, and says so.
    pub(super) fn learn(
        &mut self,
        plan: &Plan,
        outputs: &Outputs,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<(), RunError> {
        let generated = match &plan.work.prompts {
            PromptSource::Generated(generated) => Some(generated),
            _ => None,
        };
        let text = generated.and_then(|generated| generated.text.clone());
        let line = learn(plan, text, outputs, self, interrupted)?;
        let has_later_turns = plan.work.sessions.turns.is_some();
        let words = self.words.take();
        self.words = words
            .map(|words| made_up::with_line(generated, has_later_turns, words, &line))
            .transpose()?;
        if !outputs.quiet {
            terminal::say(format!(
                "Lengths of prompts learned from the server by {} short requests: {:.1} tokens around a prompt and {:.4} \
                 for each word, at worst off by {:.1} tokens (--tokenizer-path counts exactly)",
                line.probes, line.around, line.per_word, line.worst
            ));
        }
        self.learned = Some(line);
        // Texts have other lengths now.
        if plan.work.lengths != LengthFilter::default() {
            self.schedule = self.read_schedule(plan)?;
        }
        Ok(())
    }
}

/// The line by which the server counts the tokens of the prompts of this plan. `text`: of which they are pieces.
///
/// # Errors
/// Where the requests cannot be sent, or do not tell.
fn learn(
    plan: &Plan,
    text: Option<PathBuf>,
    outputs: &Outputs,
    loaded: &Loaded,
    interrupted: &Arc<AtomicBool>,
) -> Result<Line, RunError> {
    let given = plan_of(plan, text, loaded.parser.info().task)?;
    let probe = loaded.addressed(&given)?;
    let quiet = Outputs {
        quiet: true,
        ..outputs.clone()
    };
    let (prepared, source) = Preparation::of(&probe, &given, &quiet, loaded)?;
    let (pipeline, start) =
        Pipeline::assemble(&probe, &prepared, Clock::start(), None, interrupted)?;
    let gate = Gate::At(None);
    let running = Running::begin(
        pipeline,
        start,
        source,
        &probe,
        &prepared,
        &gate,
        interrupted,
    )?;
    let mut counts = Vec::new();
    let mut first_failure = None;
    let mut sinks = Sinks::new(Arc::clone(running.pipeline.gauge.backlog()));
    sinks.add(Counts {
        prepared: &prepared,
        counts: &mut counts,
        first_failure: &mut first_failure,
    });
    collect(
        Box::new(running),
        &probe,
        &quiet,
        &prepared,
        sinks,
        &mut StopRules::of(&probe.load),
        interrupted,
    );
    if interrupted.load(Ordering::Relaxed) {
        return Err(RunError::Interrupted);
    }
    Line::through(&counts, PROBES).map_err(|error| {
        let reason = match first_failure {
            Some(failure) => format!("{error} ({failure})"),
            None => error.to_string(),
        };
        MadeUpError::NotLearned(reason).into()
    })
}

/// The plan of the probes: one after another, with the shortest outputs where the API has any, to the same target.
fn plan_of(plan: &Plan, text: Option<PathBuf>, task: Task) -> Result<Plan, MadeUpError> {
    let not_learned = |error: LengthError| MadeUpError::NotLearned(error.to_string());
    let mut probe = plan.clone();
    probe.load = Load {
        arrivals: Arrivals::Closed { parallel: 1 },
        requests: Some(PROBES),
        seed: plan.load.seed ^ SEED,
        ..Load::default()
    };
    probe.target.models.clear();
    // They read no data set.
    probe.work.dataset_parser = None;
    probe.work.field = None;
    probe.work.lengths = LengthFilter::default();
    probe.work.sessions = Sessions::default();
    probe.work.prompts = PromptSource::Generated(Generated {
        input: WORDS.parse::<Lengths>().map_err(not_learned)?,
        output: task
            .has_output_tokens()
            .then_some(NumberDistribution::Fixed(1)),
        prefixes: None,
        text,
        as_token_ids: false,
    });
    Ok(probe)
}

/// Takes down how many words each probe has, and how many tokens the server counted.
struct Counts<'a> {
    prepared: &'a Preparation,
    counts: &'a mut Vec<(u64, u64)>,
    first_failure: &'a mut Option<String>,
}

impl Sink for Counts<'_> {
    fn stage(&self) -> PipelineStage {
        PipelineStage::Totals
    }

    fn offer(&mut self, sample: &Sample, _run: &RunSoFar<'_>) {
        let outcome = &sample.outcome;
        if let Some(failure) = &outcome.exchange.failure {
            self.first_failure
                .get_or_insert_with(|| format!("{}: {}", failure.kind, failure.message));
        }
        let reading = outcome.reading.as_ref().filter(|_| outcome.succeeded());
        let prompt = reading.and_then(|reading| reading.prompt.as_ref());
        if let Some(maker) = &self.prepared.prompts
            && let Some(count) = prompt.filter(|count| count.source == TokenSource::Server)
        {
            let exchange = &outcome.exchange;
            let words = maker.asked(exchange.number, exchange.place).input;
            self.counts.push((u64::from(words), count.tokens));
        }
    }
}
