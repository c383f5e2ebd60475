//! From a request to its reply: which endpoint it is for, and what that answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use llmuses_kernel_io::{Stamp, StampHandle, StampQuality};

use super::connection::{Label, Outbox};
use super::openai::{Facts, Interface};
use super::pace::{Dice, Schedule};
use super::received::Seen;
use super::report::Report;
use super::stream::{Parts, Reply, Shape, Timer, TokenStream, Words};
use super::truth::{Kind, Pending, Truth};
use super::{MockConfig, dashscope, openai};

/// The longest body that is read.
const MAX_BODY: usize = 64 << 20;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What all connections share.
#[derive(Debug)]
pub(super) struct Server {
    config: MockConfig,
    pub(super) truth: Arc<Truth>,
    seen: Seen,
    /// How many requests for an answer there have been.
    requests: AtomicU64,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Answer(Api),
    Models,
    Truth,
    Last,
    Bodies,
    Health,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    OpenAi(Interface),
    DashScope,
}

impl Endpoint {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/chat/completions" => Self::Answer(Api::OpenAi(Interface::Chat)),
            "/v1/completions" => Self::Answer(Api::OpenAi(Interface::Text)),
            "/api/v1/services/aigc/text-generation/generation" => Self::Answer(Api::DashScope),
            "/v1/models" => Self::Models,
            "/truth" => Self::Truth,
            "/last" => Self::Last,
            "/bodies" => Self::Bodies,
            "/health" => Self::Health,
            _ => return None,
        })
    }

    fn method(self) -> Method {
        match self {
            Self::Answer(_) => Method::POST,
            _ => Method::GET,
        }
    }
}

/// A request for an answer, read in one of the shapes.
enum Asked {
    OpenAi(openai::Asked),
    DashScope {
        asked: dashscope::Asked,
        stream: bool,
    },
}

/// One request and what is known of it before its body is read as anything.
struct Turn {
    api: Api,
    pending: Pending,
    arrival: Instant,
    outbox: Arc<Outbox>,
    dice: Dice,
    id: String,
}

impl Server {
    pub(super) fn new(config: MockConfig) -> Self {
        Self {
            config,
            truth: Arc::new(Truth::new()),
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
            Err(error) => {
                let message = format!("The body could not be read: {error}");
                let error = openai::error(413, "invalid_request_error", &message);
                return Ok(json(StatusCode::PAYLOAD_TOO_LARGE, error));
            }
        };
        // The read that completed the request is the last one: a client that waits for its answer
        // has sent nothing since.
        let arrival = stamps.last_read().unwrap_or_else(|| Stamp {
            at: Instant::now(),
            quality: StampQuality::Read,
        });
        let streams = asks_for_events(&parts.headers);
        let method = parts.method.clone();
        self.seen.keep(parts, &body);
        let Some(Endpoint::Answer(api)) = endpoint else {
            return Ok(refuse(endpoint, &method));
        };
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut dice = Dice::new(self.config.seed, number);
        let turn = Turn {
            api,
            pending: self.truth.arrived(arrival),
            arrival: arrival.at,
            outbox,
            id: request_id(&mut dice),
            dice,
        };
        Ok(self.respond(turn, &body, streams).await)
    }

    async fn respond(&self, mut turn: Turn, body: &[u8], streams: bool) -> Response<Reply> {
        if turn.dice.hits(self.config.error_rate) {
            return turn.fail(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The mock server was told to fail.",
            );
        }
        let asked = match turn.api {
            Api::OpenAi(interface) => openai::Asked::parse(interface, body).map(Asked::OpenAi),
            Api::DashScope => dashscope::Asked::parse(body).map(|asked| Asked::DashScope {
                asked,
                stream: streams,
            }),
        };
        match asked {
            Ok(asked) => self.generate(turn, asked).await,
            Err(message) => turn.fail(StatusCode::BAD_REQUEST, &message),
        }
    }

    /// Answers with tokens: returns when there is something to send.
    async fn generate(&self, turn: Turn, asked: Asked) -> Response<Reply> {
        let (stream, max_tokens, words) = match &asked {
            Asked::OpenAi(asked) => (asked.stream, asked.max_tokens, asked.prompt_tokens),
            Asked::DashScope { asked, stream } => (*stream, asked.max_tokens, asked.prompt_tokens),
        };
        turn.pending.prompt(words);
        let facts = Facts {
            id: turn.id,
            created: unix_now(),
            finish: match max_tokens < self.config.tokens {
                true => "length",
                false => "stop",
            },
            tokens: max_tokens.min(self.config.tokens),
            usage: self.config.usage,
        };
        let mut dice = turn.dice;
        let text = Words::new(dice.draw());
        let mut schedule = Schedule::new(&self.config, dice, turn.arrival);
        let mut timer = Timer::new();
        if !stream {
            schedule.advance_by(facts.tokens.saturating_sub(1));
            timer.until(schedule.due()).await;
            let text = text.text(facts.tokens);
            let answer = match &asked {
                Asked::OpenAi(asked) => Ok(openai::plain(asked, &facts, &text)),
                Asked::DashScope { asked, .. } => dashscope::plain(asked, &facts, &text),
            };
            let Ok(answer) = answer else {
                return json(StatusCode::INTERNAL_SERVER_ERROR, String::new());
            };
            label(&turn.outbox, &turn.pending, answer.len());
            turn.pending.complete(facts.tokens);
            return json(StatusCode::OK, answer);
        }
        let (shape, content_type) = match &asked {
            Asked::OpenAi(asked) => (
                Shape::OpenAi(openai::Chunks::new(asked, &facts)),
                "text/event-stream; charset=utf-8",
            ),
            Asked::DashScope { asked, .. } => (
                Shape::DashScope(dashscope::Events::new(asked, &facts)),
                "text/event-stream;charset=UTF-8",
            ),
        };
        let opens_with_role =
            matches!(&asked, Asked::OpenAi(asked) if asked.interface == Interface::Chat);
        let role_chunk = self.config.role_chunk && opens_with_role;
        if !role_chunk {
            // The head of a response is sent as soon as there is one, and must not go before the token.
            timer.until(schedule.due()).await;
        }
        let stream = TokenStream::new(Parts {
            shape,
            words: text,
            tokens: facts.tokens,
            role_chunk,
            schedule,
            timer,
            outbox: turn.outbox,
            pending: turn.pending,
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
                self.report(parameter(query, "times") != Some("false"))
                    .await
            }
            Endpoint::Last => self.seen.last().ok(),
            Endpoint::Bodies => {
                let limit = parameter(query, "limit").map_or(Ok(usize::MAX), str::parse);
                let Ok(limit) = limit else {
                    let error = openai::error(400, "invalid_request_error", "limit is no number.");
                    return json(StatusCode::BAD_REQUEST, error);
                };
                self.seen.bodies(limit).ok()
            }
            Endpoint::Models => Some(openai::models(&self.config.model, unix_now()).into()),
            Endpoint::Health => Some(br#"{"status":"ok"}"#.to_vec()),
            Endpoint::Answer(_) => None,
        };
        match answer {
            Some(answer) => json(StatusCode::OK, answer),
            None => json(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        }
    }

    async fn report(&self, times: bool) -> Option<Vec<u8>> {
        let (window, in_flight) = self.truth.take();
        let start = self.truth.start_unix();
        // Millions of times take a while to reckon up, and other streams must not wait for that.
        tokio::task::spawn_blocking(move || {
            serde_json::to_vec(&Report::new(window, in_flight, start, times)).ok()
        })
        .await
        .ok()
        .flatten()
    }
}

impl Turn {
    fn fail(self, status: StatusCode, message: &str) -> Response<Reply> {
        let (kind, code) = match status.is_server_error() {
            true => ("server_error", "InternalError"),
            false => ("invalid_request_error", "InvalidParameter"),
        };
        let body = match self.api {
            Api::OpenAi(_) => openai::error(status.as_u16(), kind, message),
            Api::DashScope => dashscope::error(code, message, &self.id),
        };
        label(&self.outbox, &self.pending, body.len());
        self.pending.fail();
        json(status, body)
    }
}

/// Announces a body that is written in one piece.
fn label(outbox: &Outbox, pending: &Pending, bytes: usize) {
    outbox.push(Label {
        kind: Kind::Other,
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
    let error = openai::error(status.as_u16(), "invalid_request_error", &message);
    let mut response = json(status, error);
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
    let mut response = Response::new(Reply::Whole(Some(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Whether the headers ask DashScope for a stream.
fn asks_for_events(headers: &HeaderMap) -> bool {
    let has = |name: &str, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|value| {
                let value = value.split(';').next().unwrap_or_default();
                value.trim().eq_ignore_ascii_case(wanted)
            })
    };
    has("x-dashscope-sse", "enable") || has(ACCEPT.as_str(), "text/event-stream")
}

/// The value of a parameter of the query.
fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
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
