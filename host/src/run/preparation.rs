//! What is done before the first request: everything that can go wrong by then, goes wrong here.

use super::RunError;
use crate::client::capacity;
use crate::client::capacity::CapacityError;
use crate::clock::Clock;
use crate::exchange::StampQuality;
use crate::plan::{Arrivals, ParserChoice, Plan, PromptSource, TransportChoice};
use crate::plugin::{
    Bounds, BuildOptions, CONTRACT_VERSION, CompileCache, Compiler, InstanceContext, LoadError,
    Loading, Parser, PluginEngine, TokenCounter, WASMTIME_VERSION, builtin,
};
use crate::redact::Secrets;
use crate::sink::RunRecord;
use crate::stats::Origin;
use crate::terminal;
use crate::workload::{Dataset, HostTokenizer, RequestSource, SourceSettings};
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;

/// Bodies that are made ahead of the clients.
pub(super) const PREPARED_AHEAD: usize = 256;

/// Everything that can go wrong before the first request, done.
pub(super) struct Preparation {
    pub(super) parser: Parser,
    pub(super) context: InstanceContext,
    pub(super) parameters: Arc<str>,
    pub(super) headers: HeaderMap,
    pub(super) secrets: Arc<Secrets>,
}

impl Preparation {
    pub(super) fn of(plan: &Plan) -> Result<(Self, RequestSource), RunError> {
        ensure_capacity(plan)?;
        let parser = load_parser(&plan.parser, &plan.bounds, plan.compile_cache)?;
        let dataset = match &plan.prompts {
            PromptSource::Dataset(path) => Some(Arc::new(Dataset::open(path)?)),
            PromptSource::Prompt(_) => None,
        };
        let tokenizer = match &plan.tokenizer {
            Some(path) => Some(Arc::new(HostTokenizer::load(path)?) as Arc<dyn TokenCounter>),
            None => None,
        };
        let context = InstanceContext {
            dataset: dataset.clone().map(|dataset| dataset as _),
            tokenizer,
            debug: plan.debug,
            seed: plan.seed,
        };
        let parameters: Arc<str> = serde_json::Value::Object(plan.parameters.clone())
            .to_string()
            .into();
        let mut source = RequestSource::new(
            parser.info().name.clone(),
            parser.instantiate(context.clone())?,
            dataset,
            SourceSettings {
                options: build_options(plan, &parameters),
                requests: match &plan.prompts {
                    // Time ends such a run, however many requests that takes.
                    _ if plan.duration.is_some() => plan.requests.or(Some(u64::MAX)),
                    PromptSource::Prompt(_) => plan.requests.or(Some(1)),
                    PromptSource::Dataset(_) => plan.requests,
                },
                skip_bad_lines: plan.skip_bad_lines,
            },
        );
        source.prepare(PREPARED_AHEAD)?;
        let prepared = Self {
            headers: headers(plan, &parser),
            secrets: Arc::new(Secrets::of(plan)),
            parser,
            context,
            parameters,
        };
        Ok((prepared, source))
    }

    pub(super) fn record(&self, plan: &Plan, clock: Clock, origin: Origin) -> RunRecord {
        let info = self.parser.info();
        RunRecord {
            id: plan.run,
            clock,
            origin,
            started: clock.now(),
            plan: plan.to_record(),
            schedule_seed: plan.seed,
            llmuses_version: env!("CARGO_PKG_VERSION").to_owned(),
            contract_version: CONTRACT_VERSION.to_owned(),
            wasmtime_version: WASMTIME_VERSION.to_owned(),
            plugin_name: info.name.clone(),
            plugin_version: info.version.clone(),
            plugin_sha256: info.sha256.clone(),
            plugin_source: info.source.to_string(),
            transport: plan.transport.as_str().to_owned(),
            stamps: match plan.transport {
                TransportChoice::Socket => StampQuality::Kernel,
                TransportChoice::Reqwest => StampQuality::Read,
            },
        }
    }
}

pub(super) fn ensure_capacity(plan: &Plan) -> Result<(), CapacityError> {
    let at_once = match plan.arrivals {
        Arrivals::Closed { parallel } => slots(plan, parallel) as u64,
        Arrivals::AllAtOnce => match (&plan.prompts, plan.requests) {
            (_, Some(requests)) => requests,
            (PromptSource::Prompt(_), None) => 1,
            // As many as the data set has; nobody knows before it was read.
            (PromptSource::Dataset(_), None) => 0,
        },
        // Depends on the server.
        Arrivals::Poisson { .. } => 0,
    };
    capacity::ensure(at_once)
}

/// The slots of a closed loop that can ever be busy.
pub(super) fn slots(plan: &Plan, parallel: usize) -> usize {
    match plan.requests {
        Some(requests) => parallel.min(usize::try_from(requests).unwrap_or(usize::MAX)),
        None => parallel,
    }
}

/// Loads a parser under its bounds; what goes wrong with the cache of compiled ones is only told.
///
/// # Errors
/// Where the parser cannot be loaded, or no parser can.
pub fn load_parser(
    choice: &ParserChoice,
    bounds: &Bounds,
    compile_cache: bool,
) -> Result<Parser, RunError> {
    let engine = PluginEngine::new().map_err(|error| RunError::Engine(format!("{error:#}")))?;
    let trouble = |error| {
        terminal::say(format!(
            "warning: compiled parsers are not kept for the next run: {error}"
        ));
    };
    let cache = if compile_cache {
        CompileCache::open().map_err(trouble).ok()
    } else {
        None
    };
    let loading = Loading {
        engine: &engine,
        bounds: *bounds,
        compiler: Compiler::child()?,
        cache: cache.as_ref(),
        cache_trouble: &trouble,
    };
    Ok(match choice {
        ParserChoice::File(path) => Parser::from_file(&loading, path)?,
        ParserChoice::Builtin(name) => {
            let component = builtin(name)
                .ok_or_else(|| LoadError::Host(format!("no built-in parser `{name}`")))?;
            Parser::from_builtin(&loading, component)?
        }
    })
}

pub(super) fn build_options(plan: &Plan, parameters: &str) -> BuildOptions {
    let (prompt, has_dataset) = match &plan.prompts {
        PromptSource::Prompt(text) => (Some(text.clone()), false),
        PromptSource::Dataset(_) => (None, true),
    };
    BuildOptions {
        model: plan.model.clone(),
        prompt,
        has_dataset,
        min_length: plan.lengths.min,
        max_length: plan.lengths.max,
        parameters: parameters.to_owned(),
    }
}

/// The headers of every request: ours, over them the parser's, over them the user's.
pub(super) fn headers(plan: &Plan, parser: &Parser) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("llmuses/", env!("CARGO_PKG_VERSION"))),
    );
    for more in [&parser.info().headers, &plan.headers] {
        for (name, value) in more {
            headers.insert(name, value.clone());
        }
    }
    headers
}
