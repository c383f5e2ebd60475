//! What is done before the first request: everything that can go wrong by then, goes wrong here.

use super::bodies::{Asked, DataFormat, bodies};
use super::error::RunError;
use super::loaded::{Loaded, given_url};
use super::made_up;
use super::outputs::Outputs;
use super::schedule::TraceSchedule;
use super::slots::own_in_flight;
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use llmuses_core::budget::Budget;
use llmuses_core::clock::Clock;
use llmuses_core::document::LearnedLengths;
use llmuses_core::document::Task;
use llmuses_core::exchange::StampQuality;
use llmuses_core::plan::{
    Arrivals, Plan, PromptSource, Target, TransportChoice, TransportSettings,
};
use llmuses_core::redact::Secrets;
use llmuses_observe::terminal;
use llmuses_plugin_host::{
    InstanceContext, Offers, Parser, ParserSource, TokenCounter, WASMTIME_VERSION,
};
use llmuses_store::sink::RunRecord;
use llmuses_transport::capacity;
use llmuses_workload::generate::PromptMaker;
use llmuses_workload::{
    ApiSettings, AskedTurns, CancelDraws, ModelDraws, RequestSource, SessionDraws, SessionSettings,
    SourceSettings,
};
use std::sync::Arc;
use std::time::Duration;

/// Bodies that are made ahead of the clients.
pub(super) const PREPARED_AHEAD: usize = 256;

/// Everything that can go wrong before the first request, done.
pub(super) struct Preparation {
    pub(super) parser: Parser,
    pub(super) context: InstanceContext,
    pub(super) parameters: Arc<str>,
    pub(super) headers: HeaderMap,
    pub(super) secrets: Arc<Secrets>,
    pub(super) budget: Arc<Budget>,
    /// The most requests that may be in flight in an open loop.
    pub(super) max_in_flight: Option<u64>,
    /// What makes the prompts, where they are made up.
    pub(super) prompts: Option<PromptMaker>,
    /// How sessions go. `None`: no request has a later turn.
    pub(super) sessions: Option<SessionSettings>,
    /// What requests ask whose texts are made of the lengths of a trace.
    pub(super) asked: AskedTurns,
    /// How the lengths of made-up prompts are known, where no tokenizer counts them.
    pub(super) learned: Option<LearnedLengths>,
    /// Tokens around a prompt whose length was learned.
    pub(super) tokens_around: u32,
    /// Of a trace: its requests, and when the last one is due.
    pub(super) schedule: Option<(u64, Duration)>,
    /// By what content two runs have the same data set.
    pub(super) dataset_sha256: Option<String>,
    /// The name of the format that reads the data set for the parser.
    format: Option<String>,
}

impl Preparation {
    /// Of one load. `given`: the plan before [`Loaded::addressed`].
    pub(super) fn of(
        plan: &Plan,
        given: &Plan,
        outputs: &Outputs,
        loaded: &Loaded,
    ) -> Result<(Self, RequestSource), RunError> {
        let Plan { work, load, .. } = plan;
        let draws = SessionDraws::new(
            work.sessions.clone(),
            made_up::of_run(load.seed, plan.place.run),
        );
        let seed = made_up::of_run(load.seed, plan.place.run);
        let cancel = CancelDraws::new(load.cancel.clone(), seed);
        let max_in_flight = if load.arrivals.is_open() {
            Some(own_in_flight(load).map_or_else(capacity::most, Ok)?)
        } else {
            None
        };
        let budget = Arc::new(Budget::new(
            usize::try_from(plan.limits.memory).unwrap_or(usize::MAX),
        ));
        let secrets = Arc::new(Secrets::of(&plan.target, &work.parameters));
        let parser = loaded.parser.for_another_run();
        let dataset = loaded
            .dataset
            .as_ref()
            .map(|dataset| dataset.for_another_run(&budget))
            .map(Arc::new);
        let context = InstanceContext {
            dataset: dataset.clone().map(|dataset| dataset as _),
            tokenizer: loaded
                .tokenizer
                .clone()
                .map(|tokenizer| tokenizer as Arc<dyn TokenCounter>),
            debug: outputs.debug,
            budget: Arc::clone(&budget),
            secrets: Arc::clone(&secrets),
            seed: load.seed,
        };
        let parameters: Arc<str> = serde_json::Value::Object(work.parameters.clone())
            .to_string()
            .into();
        let prompts = match &work.prompts {
            PromptSource::Generated(generated) => loaded.words.clone().map(|words| {
                let run = plan.place.run;
                made_up::maker(generated, words, load.seed, run, load.warmup)
            }),
            _ => None,
        };
        let asked = Asked {
            prompts: prompts.clone(),
            draws: draws.clone(),
            filling: Arc::new(made_up::filling(
                work,
                loaded.tokenizer.as_ref(),
                loaded.words.as_ref(),
                parser.info().has_template,
                load.seed,
                plan.place.run,
            )),
            replay: match load.arrivals {
                Arrivals::Trace(replay) => Some(replay),
                _ => None,
            },
            prompt: match &work.prompts {
                PromptSource::Prompt(text) => Some(text.clone()),
                PromptSource::Dataset(_) | PromptSource::Generated(_) => None,
            },
            api: ApiSettings {
                model: plan.target.model.clone(),
                models: ModelDraws::new(
                    &plan.target.models,
                    made_up::of_run(load.seed, plan.place.run),
                ),
                parameters: parameters.to_string(),
                url: given_url(&given.target),
                path: parser.info().path.clone(),
                has_content_type: plan.target.headers.contains_key(CONTENT_TYPE),
                lengths: work.lengths,
            },
        };
        let has_sessions = parser.info().offers != Offers::OwnRequests
            && (work.sessions.turns.is_some() || matches!(work.prompts, PromptSource::Dataset(_)));
        let sessions = has_sessions.then(|| SessionSettings {
            parser: parser.info().name.clone(),
            api: asked.api.clone(),
            draws,
            cancel: cancel.clone(),
            has_replies: parser.info().task == Task::Generate,
            has_users: !load.arrivals.is_open(),
            skip_refused: work.skip_bad_lines,
            budget: Arc::clone(&budget),
            messages: terminal::messages(),
        });
        let format = loaded.format.as_ref().map(DataFormat::for_another_run);
        let has_own_format =
            work.dataset_parser.is_none() && parser.info().offers == Offers::ApiAndFormat;
        let bodies = bodies(
            &parser,
            format.as_ref(),
            dataset.as_deref(),
            &context,
            asked,
            &terminal::messages(),
        )?;
        let mut source = RequestSource::new(
            parser.info().name.clone(),
            bodies,
            dataset,
            SourceSettings {
                lengths: work.lengths,
                // Time ends such a run, however many requests that takes.
                requests: plan.expected_requests().or(load.duration.map(|_| u64::MAX)),
                split: load.split(),
                cancel,
                sessions: sessions_of(plan),
                skip_bad_lines: work.skip_bad_lines,
                messages: terminal::messages(),
                budget: Arc::clone(&budget),
                passes_are_alike: plan.target.models.is_empty()
                    && matches!(
                        (&work.prompts, &parser.info().source, work.sessions.turns),
                        (PromptSource::Prompt(_), ParserSource::Builtin, None)
                    ),
            },
        );
        source.prepare(PREPARED_AHEAD)?;
        let prepared = Self {
            headers: headers(&plan.target, &plan.transport, &parser),
            secrets,
            budget,
            parser,
            context,
            parameters,
            max_in_flight,
            prompts,
            sessions,
            asked: source.asked(),
            tokens_around: loaded.learned.map_or(0, |line| line.overhead()),
            schedule: loaded.schedule.as_ref().map(TraceSchedule::extent),
            learned: loaded.learned.map(|line| LearnedLengths {
                probes: line.probes,
                tokens_around: line.around,
                tokens_per_word: line.per_word,
                worst_difference_tokens: line.worst,
            }),
            dataset_sha256: loaded.dataset_sha256.clone(),
            format: format
                .filter(|_| !has_own_format)
                .map(|format| format.info().0),
        };
        Ok((prepared, source))
    }

    pub(super) fn record(&self, plan: &Plan, outputs: &Outputs, clock: Clock) -> RunRecord {
        let info = self.parser.info();
        let mut record = plan.to_record();
        record.dataset.sha256 = self.dataset_sha256.clone();
        record.dataset.parser = self.format.clone();
        record.outputs = outputs.to_record();
        // With what is known of credentials by now: also those within the parameters.
        let outputs = &mut record.outputs;
        for text in [&mut outputs.command, &mut outputs.settings]
            .into_iter()
            .flatten()
        {
            *text = self.secrets.blank_text(text).into_owned();
        }
        RunRecord {
            id: plan.place.run,
            clock,
            started: clock.now(),
            plan: record,
            schedule_seed: plan.load.seed,
            llmuses_version: env!("CARGO_PKG_VERSION").to_owned(),
            contract_version: format!("llmuses:perf@{}", info.contract_version),
            wasmtime_version: WASMTIME_VERSION.to_owned(),
            plugin_name: info.name.clone(),
            plugin_version: info.version.clone(),
            plugin_sha256: info.sha256.clone(),
            plugin_source: info.source.to_string(),
            task: info.task,
            transport: plan.transport.choice.as_str().to_owned(),
            stamps: match plan.transport.choice {
                TransportChoice::Socket => StampQuality::Kernel,
                TransportChoice::Reqwest => StampQuality::Read,
            },
        }
    }
}

/// How many sessions to begin. Prompts that are not read have no end, and one session is what there is of them where
/// nobody says more.
fn sessions_of(plan: &Plan) -> Option<u64> {
    let Plan { work, load, .. } = plan;
    let is_endless = !matches!(work.prompts, PromptSource::Dataset(_));
    let is_bounded = load.requests.is_some() || load.duration.is_some();
    load.sessions.or((is_endless && !is_bounded).then_some(1))
}

/// The headers of every request: ours, over them the parser's, over them the user's.
pub(super) fn headers(
    target: &Target,
    transport: &TransportSettings,
    parser: &Parser,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("llmuses/", env!("CARGO_PKG_VERSION"))),
    );
    for more in [&parser.info().headers, &target.headers] {
        for name in more.keys() {
            headers.remove(name);
        }
        for (name, value) in more {
            headers.append(name, value.clone());
        }
    }
    // Each request has a value of its own.
    for name in [&target.session_header, &target.request_id_header]
        .into_iter()
        .flatten()
    {
        headers.remove(name);
    }
    if !transport.keep_alive {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    headers
}
