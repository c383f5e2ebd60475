//! From a request to its reply: which endpoint it is for, and what that answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use llmuses_kernel_io::{Stamp, StampHandle, StampQuality};

use super::api::{self, Api, Asked, Call, Facts, Failure, Fault, Finish};
use super::cache::PrefixCache;
use super::config::{MAX_TOKENS, MockConfig};
use super::connection::{Label, Outbox};
use super::log::{Entry, Log};
use super::metrics::Page;
use super::pace::{Dice, Schedule};
use super::received::Seen;
use super::report::Report;
use super::slots::Slots;
use super::stream::{Parts, Reply, Timer, TokenStream};
use super::tokens::{Chain, count_prompt, hash};
use super::truth::{Admitted, Frame, Pending, Truth};
use super::words::Words;
use super::work::{Cached, Work};

/// The longest body that is read.
const MAX_BODY: usize = 64 << 20;

/// How many characters of a prompt the log has.
const LOG_PROMPT: usize = 80;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Server {
    config: MockConfig,
    pub(super) truth: Arc<Truth>,
    seen: Seen,
    slots: Slots,
    cache: Option<Arc<PrefixCache>>,
    /// How many requests for an answer there have been.
    requests: AtomicU64,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Answer,
    Models,
    Truth,
    Metrics,
    Last,
    Bodies,
    Health,
}

impl Endpoint {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/models" => Self::Models,
            "/truth" => Self::Truth,
            "/metrics" => Self::Metrics,
            "/last" => Self::Last,
            "/bodies" => Self::Bodies,
            "/health" => Self::Health,
            _ => return api::with_path(path).map(|_| Self::Answer),
        })
    }

    fn method(self) -> Method {
        match self {
            Self::Answer => Method::POST,
            _ => Method::GET,
        }
    }
}

/// One request and what is known of it before its body is read as anything.
struct Turn<'a> {
    api: &'static dyn Api,
    call: Call<'a>,
    pending: Pending,
    arrival: Instant,
    outbox: Arc<Outbox>,
    dice: Dice,
    id: String,
}

/// The tokens of an answer.
#[derive(Debug, Clone, Copy)]
struct Tokens {
    all: u64,
    /// The first of them.
    reasoning: u64,
    finish: Finish,
}

/// The tokens of the prompts of a request.
struct Prompts {
    /// Of each its tokens, and those of them that were in the prefix cache.
    each: Vec<(u64, u64)>,
    /// Nothing where there is no cache.
    in_cache: Option<Cached>,
}

impl Server {
    pub(super) fn new(config: MockConfig, log: Option<Log>) -> Self {
        Self {
            slots: Slots::new(config.slots, config.queue_limit),
            cache: config
                .prefix_cache
                .map(|blocks| Arc::new(PrefixCache::new(blocks))),
            config,
            truth: Arc::new(Truth::new(log)),
            seen: Seen::default(),
            requests: AtomicU64::new(0),
        }
    }

    /// Answers a request that came over the connection with these stamps and this outbox.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        stamps: StampHandle,
        outbox: Arc<Outbox>,
    ) -> Result<Response<Reply>, Infallible> {
        let (parts, body) = request.into_parts();
        let endpoint = Endpoint::of(parts.uri.path());
        if parts.method != Method::POST {
            return Ok(self.tell(endpoint, &parts.method, parts.uri.query()).await);
        }
        let body = match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(cause) => {
                let message = format!("The body could not be read: {cause}");
                return Ok(error(StatusCode::PAYLOAD_TOO_LARGE, &message));
            }
        };
        // The read that completed the request is the last one: a client that waits for its answer
        // has sent nothing since.
        let arrival = stamps.last_read().unwrap_or_else(|| Stamp {
            at: Instant::now(),
            quality: StampQuality::Read,
        });
        let parts = Arc::new(parts);
        self.seen.keep(&parts, &body);
        let call = Call {
            path: parts.uri.path(),
            query: parts.uri.query(),
            headers: &parts.headers,
            body: &body,
        };
        let Some(api) = api::of(&call) else {
            return Ok(refuse(endpoint, &parts.method));
        };
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut dice = Dice::new(self.config.seed, number);
        let turn = Turn {
            api,
            call,
            pending: self.truth.arrived(arrival, || Entry {
                number,
                path: call.path.to_owned(),
                body_bytes: body.len(),
                body_fnv1a: format!("{:016x}", hash(&body)),
                ..Entry::default()
            }),
            arrival: arrival.at,
            outbox,
            id: request_id(&mut dice),
            dice,
        };
        Ok(self.respond(turn).await)
    }

    async fn respond(&self, mut turn: Turn<'_>) -> Response<Reply> {
        if turn.dice.hits(self.config.error_rate) {
            return turn.fail(Fault::Internal, "The mock server was told to fail.");
        }
        let read = turn.api.read(&turn.call);
        let read = read.and_then(|asked| {
            let tokens = self.tokens(&asked, &mut turn.dice)?;
            Ok((asked, tokens))
        });
        match read {
            Ok((asked, tokens)) => self.generate(turn, asked, tokens).await,
            Err(message) => turn.fail(Fault::Invalid, &message),
        }
    }

    /// How many tokens an answer has, and why it ends.
    fn tokens(&self, asked: &Asked<'_>, dice: &mut Dice) -> Result<Tokens, String> {
        let Some(length) = asked.length else {
            return Ok(Tokens {
                all: 0,
                reasoning: 0,
                finish: Finish::Stop,
            });
        };
        let reasoning = match asked.reasons {
            true => self.config.reasoning_tokens,
            false => 0,
        };
        let mut own = self.config.tokens + reasoning;
        // Where none end early, the draws are those of a server that knows no early ends.
        if self.config.early_stop > 0.0 && dice.hits(self.config.early_stop) && own > 1 {
            own = 1 + dice.draw() % (own - 1);
        }
        if length.least > length.most {
            return Err(format!(
                "It wants at least {} tokens and at most {}.",
                length.least, length.most
            ));
        }
        own = own.max(length.least);
        if length.ignore_end && length.most < u64::MAX {
            own = u64::MAX;
        }
        let all = own.min(length.most);
        if all > MAX_TOKENS {
            return Err(format!(
                "It wants {all} tokens, and the mock server sends at most {MAX_TOKENS} in one answer."
            ));
        }
        Ok(Tokens {
            all,
            reasoning: reasoning.min(all),
            finish: match length.most < own {
                true => Finish::Length,
                false => Finish::Stop,
            },
        })
    }

    /// Counts the tokens of the prompts, and looks them up in the prefix cache.
    fn prompts(&self, asked: &Asked<'_>) -> Prompts {
        let template = self.config.template_tokens;
        let prompts = asked.prompts.iter();
        let Some(cache) = &self.cache else {
            return Prompts {
                each: prompts
                    .map(|prompt| (count_prompt(prompt, template), 0))
                    .collect(),
                in_cache: None,
            };
        };
        let chains: Vec<_> = prompts.map(|prompt| Chain::of(prompt, template)).collect();
        Prompts {
            each: chains
                .iter()
                .map(|chain| (chain.tokens(), cache.look_up(chain)))
                .collect(),
            in_cache: Some(Cached {
                cache: Arc::clone(cache),
                chains,
                template,
            }),
        }
    }

    /// Answers with tokens: returns when there is something to send.
    async fn generate(
        &self,
        mut turn: Turn<'_>,
        asked: Asked<'_>,
        tokens: Tokens,
    ) -> Response<Reply> {
        let Some(slot) = self.slots.take().await else {
            return turn.fail(Fault::Overloaded, "Too many requests are waiting.");
        };
        // Who does not wait is worked on from the arrival on, whenever this server gets to it.
        let begin = match slot.waited {
            true => Instant::now(),
            false => turn.arrival,
        };
        let prompts = self.prompts(&asked);
        let prompt_tokens = prompts.each.iter().map(|(tokens, _)| tokens).sum();
        let cached: u64 = prompts.each.iter().map(|(_, cached)| cached).sum();
        let waited = begin - turn.arrival;
        let admitted = Admitted {
            prompt_tokens,
            cached: prompts.in_cache.as_ref().map(|_| cached),
            waited,
        };
        let head = || asked.prompts.first().map(|prompt| prompt.head(LOG_PROMPT));
        turn.pending
            .admitted(admitted, || head().unwrap_or_default());
        let words = Words::new(turn.dice.draw());
        let uncached = prompt_tokens - cached;
        let busy = self.slots.busy();
        let mut schedule = Schedule::new(&self.config, turn.dice, begin, uncached, busy);
        let facts = Facts {
            id: turn.id,
            created: unix_now(),
            model: asked.model,
            arrival: turn.arrival,
            first: schedule.due(),
            prompt_tokens,
            cached: admitted.cached,
            prompts: prompts.each,
            choices: asked.choices * asked.prompts.len() as u64,
            tokens: tokens.all,
            reasoning: tokens.reasoning,
            finish: tokens.finish,
            usage: self.config.usage,
            words,
        };
        let mut work = Work {
            pending: turn.pending,
            slot: Some(slot),
            cached: prompts.in_cache,
        };
        let mut form = asked.form;
        let mut timer = Timer::new();
        if !asked.stream {
            let further = facts.tokens.saturating_sub(1);
            if schedule.depends_on_load() {
                timer.until(schedule.due()).await;
                for _ in 0..further {
                    schedule.advance();
                    timer.until(schedule.due()).await;
                }
            } else {
                schedule.advance_by(further);
                timer.until(schedule.due()).await;
            }
            let answer = form.plain(&facts);
            label(&turn.outbox, &work.pending, answer.len());
            work.complete(&facts, false);
            return whole(StatusCode::OK, form.plain_type(), answer);
        }
        let content_type = form.content_type();
        let opens_early = self.config.role_chunk && form.opens_early();
        if !opens_early {
            // The head of a response is sent as soon as there is one, and must not go before the token.
            timer.until(schedule.due()).await;
        }
        let stream = TokenStream::new(Parts {
            form,
            facts,
            opens_early,
            schedule,
            timer,
            outbox: turn.outbox,
            work,
        });
        let mut response = Response::new(Reply::Stream(Box::new(stream)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    /// Answers whatever is not a POST.
    async fn tell(
        &self,
        endpoint: Option<Endpoint>,
        method: &Method,
        query: Option<&str>,
    ) -> Response<Reply> {
        let Some(endpoint) = endpoint.filter(|endpoint| endpoint.method() == *method) else {
            return refuse(endpoint, method);
        };
        let answer = match endpoint {
            Endpoint::Truth => {
                self.report(api::parameter(query, "times") != Some("false"))
                    .await
            }
            Endpoint::Metrics => {
                let page = Page {
                    model: &self.config.model,
                    running: self.slots.busy().load(Ordering::Relaxed),
                    waiting: self.slots.waiting(),
                };
                let text = self.truth.with_totals(|totals| page.text(totals));
                return whole(
                    StatusCode::OK,
                    "text/plain; version=0.0.4; charset=utf-8",
                    text,
                );
            }
            Endpoint::Last => self.seen.last().ok(),
            Endpoint::Bodies => {
                let limit = api::parameter(query, "limit").map_or(Ok(usize::MAX), str::parse);
                let Ok(limit) = limit else {
                    return error(StatusCode::BAD_REQUEST, "limit is no number.");
                };
                self.seen.bodies(limit).ok()
            }
            Endpoint::Models => Some(api::models(&self.config.model, unix_now()).into()),
            Endpoint::Health => Some(br#"{"status":"ok"}"#.to_vec()),
            Endpoint::Answer => None,
        };
        match answer {
            Some(answer) => json(StatusCode::OK, answer),
            None => json(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        }
    }

    async fn report(&self, times: bool) -> Option<Vec<u8>> {
        let (window, in_flight) = self.truth.take();
        let (start, lost) = (self.truth.start_unix(), self.truth.log_lines_lost());
        // Millions of times take a while to reckon up, and other streams must not wait for that.
        tokio::task::spawn_blocking(move || {
            serde_json::to_vec(&Report::new(window, in_flight, lost, start, times)).ok()
        })
        .await
        .ok()
        .flatten()
    }
}

impl Turn<'_> {
    fn fail(self, fault: Fault, message: &str) -> Response<Reply> {
        let failure = Failure {
            fault,
            message,
            id: &self.id,
        };
        let (status, body) = self.api.error(&self.call, &failure);
        label(&self.outbox, &self.pending, body.len());
        // The others never came to be worked on.
        self.pending.fail(status.as_u16(), fault == Fault::Internal);
        json(status, body)
    }
}

/// Announces a body that is written in one piece.
fn label(outbox: &Outbox, pending: &Pending, bytes: usize) {
    outbox.push(Label {
        frame: Frame::OTHER,
        bytes,
        exchange: Arc::clone(pending.exchange()),
    });
}

/// Turns down a request to a path that is not there, or with a method that the path does not know.
fn refuse(endpoint: Option<Endpoint>, method: &Method) -> Response<Reply> {
    let (status, message) = match endpoint {
        None => (StatusCode::NOT_FOUND, "There is no such path.".to_owned()),
        Some(_) => (
            StatusCode::METHOD_NOT_ALLOWED,
            format!("This path does not know the method {method}."),
        ),
    };
    let mut response = error(status, &message);
    if let Some(endpoint) = endpoint {
        let allowed = match endpoint.method() {
            Method::POST => "POST",
            _ => "GET",
        };
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(allowed));
    }
    response
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Reply> {
    whole(status, "application/json", body)
}

fn whole(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Reply> {
    let mut response = Response::new(Reply::Whole(Some(body.into())));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Says that something else than an API could not be had.
fn error(status: StatusCode, message: &str) -> Response<Reply> {
    json(status, api::error(status, "invalid_request_error", message))
}

/// A name for a request, in the form that such names often have.
fn request_id(dice: &mut Dice) -> String {
    let hex = format!("{:016x}{:016x}", dice.draw(), dice.draw());
    let cuts = [0..8, 8..12, 12..16, 16..20, 20..32];
    cuts.map(|cut| hex.get(cut).unwrap_or_default()).join("-")
}

fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
