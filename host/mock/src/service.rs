//! From a request to its reply: which endpoint it is for, and what that answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use llmuses_kernel_io::{Stamp, StampHandle, StampQuality};

use super::api::{self, Call};
use super::config::MockConfig;
use super::connection::Outbox;
use super::exchange::Pending;
use super::generate::{Generator, Turn, unix_now};
use super::log::{Entry, Log};
use super::metrics::Page;
use super::received::Seen;
use super::report::Report;
use super::stream::{Reply, whole};
use super::tokens::hash;
use super::truth::Truth;

/// The longest body that is read.
const MAX_BODY: usize = 64 << 20;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Server {
    generator: Generator,
    pub(super) truth: Arc<Truth>,
    seen: Seen,
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

impl Server {
    pub(super) fn new(config: MockConfig, log: Option<Log>) -> Self {
        Self {
            generator: Generator::new(config),
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
        let pending = Pending::arrived(&self.truth, arrival, || Entry {
            number,
            path: call.path.to_owned(),
            body_bytes: body.len(),
            body_fnv1a: format!("{:016x}", hash(&body)),
            ..Entry::default()
        });
        let turn = Turn::new(api, call, pending, outbox, self.generator.dice(number));
        Ok(self.generator.respond(turn).await)
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
                    model: self.generator.model(),
                    running: self.generator.slots.busy().load(Ordering::Relaxed),
                    waiting: self.generator.slots.waiting(),
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
            Endpoint::Models => Some(api::models(self.generator.model(), unix_now()).into()),
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

/// Says that something else than an API could not be had.
fn error(status: StatusCode, message: &str) -> Response<Reply> {
    json(status, api::error(status, "invalid_request_error", message))
}
