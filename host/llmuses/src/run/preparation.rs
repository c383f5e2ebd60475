//! What is done before the first request: everything that can go wrong by then, goes wrong here.

use super::RunError;
use super::bodies::{Asked, DataFormat, FormatError, bodies, format_of};
use super::made_up;
use super::made_up::TemplateIn;
use super::outputs::Outputs;
use super::probes;
use super::schedule::{self, TraceSchedule};
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use llmuses_core::budget::Budget;
use llmuses_core::clock::Clock;
use llmuses_core::credential::public_url;
use llmuses_core::document::LearnedLengths;
use llmuses_core::document::Task;
use llmuses_core::exchange::StampQuality;
use llmuses_core::plan::{
    Arrivals, LengthFilter, Limits, Load, ParserChoice, Plan, PromptSource, Target,
    TransportChoice, TransportSettings, Work,
};
use llmuses_core::redact::Secrets;
use llmuses_observe::terminal;
use llmuses_plugin_host::{
    CacheError, CallError, CompileCache, Compiler, InstanceContext, LoadError, Loading, Offers,
    Parser, ParserSource, PluginEngine, TokenCounter, WASMTIME_VERSION, any_builtin, complete,
};
use llmuses_store::sink::RunRecord;
use llmuses_transport::capacity;
use llmuses_transport::capacity::CapacityError;
use llmuses_workload::generate::{Line, PromptMaker, Words};
use llmuses_workload::{
    ApiSettings, AskedTurns, CancelDraws, Dataset, Filling, HostTokenizer, ModelDraws,
    RequestSource, SessionDraws, SessionSettings, SourceSettings,
};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use url::Url;

/// Bodies that are made ahead of the clients.
pub(super) const PREPARED_AHEAD: usize = 256;

/// What all loads of a command share, loaded once: a later load begins as the first one does.
pub(super) struct Loaded {
    parser: Parser,
    /// What reads the data set, where the parser does not do that by itself.
    format: Option<DataFormat>,
    tokenizer: Option<Arc<HostTokenizer>>,
    /// What made-up prompts are made of.
    words: Option<Words>,
    /// By what line the server counts their tokens, where no tokenizer does.
    learned: Option<Line>,
    dataset: Option<Dataset>,
    dataset_sha256: Option<String>,
    /// When the requests of a trace are due.
    pub(super) schedule: Option<TraceSchedule>,
}

impl Loaded {
    pub(super) fn of(plan: &Plan, outputs: &Outputs) -> Result<Self, RunError> {
        let work = &plan.work;
        let parser = load_parser(&work.parser, &plan.limits, outputs.debug)?;
        let tokenizer = match &work.tokenizer {
            Some(path) => Some(Arc::new(HostTokenizer::load(path)?)),
            None => None,
        };
        if work.sessions.turns.is_some() && parser.info().offers == Offers::OwnRequests {
            return Err(FormatError::OneTurnEach {
                parser: parser.info().name.clone(),
            }
            .into());
        }
        if !plan.target.models.is_empty() && parser.info().offers == Offers::OwnRequests {
            return Err(FormatError::OneModel {
                parser: parser.info().name.clone(),
            }
            .into());
        }
        if work.sessions.turns.is_some() && parser.info().task != Task::Generate {
            return Err(FormatError::NoConversation {
                parser: parser.info().name.clone(),
            }
            .into());
        }
        let words = match &work.prompts {
            PromptSource::Generated(_) if parser.info().offers == Offers::OwnRequests => {
                return Err(FormatError::MakesItsOwn {
                    parser: parser.info().name.clone(),
                }
                .into());
            }
            PromptSource::Generated(generated) => {
                let tokenizer = work.tokenizer.as_deref().zip(tokenizer.as_ref());
                let has_turns = work.sessions.turns.is_some();
                let template = TemplateIn::of(parser.info().has_template, has_turns);
                Some(made_up::words(generated, tokenizer, template)?)
            }
            _ => None,
        };
        let dataset = match &work.prompts {
            PromptSource::Dataset(path) => Some(Dataset::open(path)?),
            PromptSource::Prompt(_) | PromptSource::Generated(_) => None,
        };
        let format = format_for(plan, outputs, &parser, dataset.as_ref())?;
        let words = match (words, &format, &dataset) {
            (None, Some(format), Some(dataset)) if tokenizer.is_none() => {
                has_lengths_alone(format, dataset)?.then(made_up::common_words)
            }
            (words, ..) => words,
        };
        let mut loaded = Self {
            parser,
            format,
            tokenizer,
            words,
            learned: None,
            dataset_sha256: dataset.as_ref().and_then(digest_of),
            dataset,
            schedule: None,
        };
        loaded.schedule = loaded.read_schedule(plan)?;
        Ok(loaded)
    }

    /// The schedule of a trace, where there is one.
    fn read_schedule(&self, plan: &Plan) -> Result<Option<TraceSchedule>, RunError> {
        let Arrivals::Trace(replay) = plan.load.arrivals else {
            return Ok(None);
        };
        let Some((format, dataset)) = self.format.as_ref().zip(self.dataset.as_ref()) else {
            return Err(FormatError::NoTimes {
                parser: self.parser.info().name.clone(),
            }
            .into());
        };
        let work = &plan.work;
        let mut filling = Filling::default();
        // A text that is made of a length is never empty; how many characters it has is asked for bounds alone.
        if work.lengths != LengthFilter::default() {
            let has_template = self.parser.info().has_template;
            let (tokenizer, words) = (self.tokenizer.as_ref(), self.words.as_ref());
            let (seed, run) = (plan.load.seed, plan.place.run);
            filling.lengths =
                made_up::filling(work, tokenizer, words, has_template, seed, run).lengths;
        }
        schedule::read(work, replay, plan.load.split(), format, dataset, filling).map(Some)
    }

    /// Whether it is still to be learned how many tokens made-up prompts have, or those of a trace.
    pub(super) fn must_learn(&self) -> bool {
        self.words.is_some() && self.tokenizer.is_none() && self.learned.is_none()
    }

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
        let line = probes::learn(plan, text, outputs, self, interrupted)?;
        let words = self.words.take();
        self.words = words
            .map(|words| made_up::with_line(generated, words, &line))
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

    /// The plan with the whole URL, as the API completes it.
    ///
    /// # Errors
    /// Where several URLs have different paths or queries.
    pub(super) fn addressed(&self, plan: &Plan) -> Result<Plan, FormatError> {
        let mut addressed = plan.clone();
        if let Some(path) = &self.parser.info().path {
            let target = &mut addressed.target;
            target.url = complete(&given_url(&plan.target), path, &plan.target.model);
            for url in &mut target.more_urls {
                *url = complete(url, path, &plan.target.model);
            }
        }
        let target = &addressed.target;
        let differs =
            |other: &&Url| other.path() != target.url.path() || other.query() != target.url.query();
        match target.more_urls.iter().find(differs) {
            Some(other) => Err(FormatError::OtherPath {
                url: public_url(other),
            }),
            None => Ok(addressed),
        }
    }
}

/// The URL as the user gave it: of the default one, only host and port.
fn given_url(target: &Target) -> Url {
    let mut url = target.url.clone();
    if target.url_is_default {
        url.set_path("");
    }
    url
}

/// Entries of a data set that are looked at to see whether it is a trace of lengths alone.
const LOOKED_AT: u32 = 16;

/// Whether some of the first entries of a data set tell only lengths. Entries that cannot be read are said when they are
/// to be sent.
fn has_lengths_alone(format: &DataFormat, dataset: &Dataset) -> Result<bool, CallError> {
    let dataset = dataset.for_another_run(&Arc::default());
    let mut instance = format.component.instantiate(InstanceContext {
        dataset: Some(Arc::new(dataset)),
        ..InstanceContext::default()
    })?;
    let entries = match instance.open(&format.options) {
        Ok(entries) => instance.next_entries(entries, LOOKED_AT),
        Err(error) => Err(error),
    };
    let turns = entries.iter().flatten().flat_map(|entry| &entry.turns);
    Ok(turns
        .into_iter()
        .any(|turn| turn.asks_nothing() && turn.input_tokens.is_some()))
}

/// What reads the data set of a plan for its parser, and says so.
fn format_for(
    plan: &Plan,
    outputs: &Outputs,
    parser: &Parser,
    dataset: Option<&Dataset>,
) -> Result<Option<DataFormat>, RunError> {
    let Some(dataset) = dataset else {
        return match parser.info().offers.has_api() {
            true => Ok(None),
            false => Err(FormatError::NoApi {
                label: parser.info().name.clone(),
            }
            .into()),
        };
    };
    let choice = plan.work.dataset_parser.as_ref();
    let field = plan.work.field.as_deref();
    let format = format_of(parser, choice, field, dataset, &plan.limits, outputs.debug)?;
    // Of a parser with a format of its own there is nothing to say.
    let is_its_own = choice.is_none() && parser.info().offers == Offers::ApiAndFormat;
    if let Some(format) = format.as_ref().filter(|_| !outputs.quiet && !is_its_own) {
        let (name, description) = format.info();
        let described = match description {
            "" => String::new(),
            text => format!(" ({text})"),
        };
        terminal::say(format!(
            "Data set {} read as {name}{described}",
            dataset.path().display(),
        ));
    }
    Ok(format)
}

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

/// The digest of a data set. `None`: it cannot be read, which the run then says.
fn digest_of(dataset: &Dataset) -> Option<String> {
    let mut file = dataset.file().ok()?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece).ok()? {
            0 => break,
            read => digest.update(&piece[..read]),
        }
    }
    Some(
        digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

pub(super) fn ensure_capacity(work: &Work, load: &Load) -> Result<(), CapacityError> {
    let requests = match (&work.prompts, load.requests, load.duration) {
        (PromptSource::Prompt(_) | PromptSource::Generated(_), None, None) => Some(1),
        // As many as the data set has; nobody knows before it was read.
        (_, requests, _) => requests,
    };
    let requests = requests.map(|requests| load.split().count(requests));
    let at_once = match (load.arrivals, own_in_flight(load)) {
        (Arrivals::Closed { parallel }, _) => slots(load, parallel) as u64,
        (_, Some(most)) => most.min(requests.unwrap_or(most)),
        (Arrivals::AllAtOnce, None) => requests.unwrap_or_default(),
        // Depends on the server.
        (Arrivals::Open { .. } | Arrivals::Trace(_), None) => 0,
    };
    capacity::ensure(at_once)
}

/// The slots of a closed loop that this process has and that can ever be busy.
pub(super) fn slots(load: &Load, parallel: usize) -> usize {
    let own = load.shard.share_of(parallel as u64);
    let busy = match load.requests {
        Some(requests) => own.min(load.split().count(requests)),
        None => own,
    };
    usize::try_from(busy).unwrap_or(usize::MAX)
}

/// The most requests of an open loop that may be in flight here, where that was asked for.
fn own_in_flight(load: &Load) -> Option<u64> {
    load.max_in_flight.map(|most| load.shard.share_of(most))
}

/// Loads a parser under its bounds; what goes wrong with the cache of compiled ones is only told. With `debug`, what its
/// sandbox lacks on this system is told too.
///
/// # Errors
/// Where the parser cannot be loaded, or no parser can.
pub fn load_parser(
    choice: &ParserChoice,
    limits: &Limits,
    debug: bool,
) -> Result<Parser, RunError> {
    let engine = PluginEngine::new().map_err(|error| RunError::Engine(format!("{error:#}")))?;
    let trouble = |error| {
        terminal::say(match error {
            CacheError::Entry { .. } => format!("warning: {error}"),
            _ => format!("warning: compiled parsers are not kept for the next run: {error}"),
        });
    };
    let cache = if limits.compile_cache {
        CompileCache::open().map_err(trouble).ok()
    } else {
        None
    };
    let loading = Loading {
        engine: &engine,
        bounds: limits.parser,
        compiler: Compiler::child()?,
        cache: cache.as_ref(),
        messages: terminal::messages(),
        details: debug.then(terminal::messages),
        cache_trouble: &trouble,
    };
    Ok(match choice {
        ParserChoice::File(path) => Parser::from_file(&loading, path)?,
        ParserChoice::Builtin(name) => {
            let component = any_builtin(name)
                .ok_or_else(|| LoadError::Host(format!("no built-in plugin `{name}`")))?;
            Parser::from_builtin(&loading, component)?
        }
    })
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
