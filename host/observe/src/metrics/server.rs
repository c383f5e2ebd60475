//! HTTP: accepting, answering, and the bounds on both.

use super::figures::{About, exposition};
use super::text::CONTENT_TYPE;
use crate::live::Board;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE as CONTENT_TYPE_HEADER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use llmuses_kernel_io::priority;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{sleep, timeout};

/// Connections at once; a further one takes the place of the oldest.
const CONNECTIONS: usize = 16;

/// How long a connection may take as a whole: it is for one request.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before accepting again when the system has no descriptor to spare.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of a request's head that are read at most.
const HEAD_BYTES: usize = 16 << 10;

/// What the root says.
const ROOT: &str = "llmuses, a load test under way. Figures for Prometheus are at /metrics.\n";

/// Starts the server on a thread of its own.
pub(super) fn spawn(
    listener: TcpListener,
    about: About,
    board: Board,
    stopped: oneshot::Receiver<()>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    std::thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || {
            priority::step_back();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, Arc::new((about, board))) => {}
                    // An error means that the sender is gone, which is what it does in any case.
                    _ = stopped => {}
                }
            });
        })
}

async fn accept(listener: tokio::net::TcpListener, shown: Arc<(About, Board)>) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                open.retain(|connection| !connection.is_finished());
                // Those that send nothing do not keep out one that asks.
                if open.len() >= CONNECTIONS
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                let shown = Arc::clone(&shown);
                let conversation = tokio::spawn(async move { converse(stream, &shown).await });
                open.push_back(conversation.abort_handle());
                // One that asked at once has its answer before further ones take its place.
                yield_now().await;
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Answers one request.
async fn converse(stream: TcpStream, shown: &(About, Board)) {
    let (about, board) = shown;
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(answer(&request, || exposition(about, &board.all())))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A scraper that goes away is its own business.
    let _ = timeout(PATIENCE, connection).await;
}

fn answer<B>(request: &Request<B>, figures: impl FnOnce() -> String) -> Response<Full<Bytes>> {
    const PLAIN: &str = "text/plain; charset=utf-8";
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, kind, text) = match request.uri().path() {
        "/metrics" | "/" if !reads => (
            StatusCode::METHOD_NOT_ALLOWED,
            PLAIN,
            "only GET and HEAD\n".to_owned(),
        ),
        "/metrics" => (StatusCode::OK, CONTENT_TYPE, figures()),
        "/" => (StatusCode::OK, PLAIN, ROOT.to_owned()),
        _ => (
            StatusCode::NOT_FOUND,
            PLAIN,
            "nothing here; figures for Prometheus are at /metrics\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE_HEADER, HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn answered(method: Method, path: &str) -> Response<Full<Bytes>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(())
            .unwrap();
        answer(&request, || "figures".to_owned())
    }

    #[test]
    fn connections_that_send_nothing_do_not_push_out_one_that_asks() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || std::net::TcpStream::connect(address).unwrap();
        let mut asks = connect();
        asks.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .unwrap();
        let silent: Vec<_> = (0..3 * CONNECTIONS).map(|_| connect()).collect();
        let url = url::Url::parse("http://127.0.0.1/").unwrap();
        let target = llmuses_core::plan::Target::new("m".to_owned(), url);
        let parser = llmuses_core::plan::ParserChoice::Builtin("openai_prompt");
        let about = About::of(&target, &parser);
        let (stop, stopped) = oneshot::channel();
        let server = spawn(listener, about, Board::default(), stopped).unwrap();
        let mut answer = String::new();
        asks.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with(ROOT), "{answer}");
        drop((stop, silent));
        server.join().unwrap();
    }

    #[test]
    fn paths_and_methods() {
        let ok = answered(Method::GET, "/metrics?a=b");
        assert_eq!(ok.status(), 200);
        assert_eq!(
            ok.headers()[CONTENT_TYPE_HEADER],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        assert_eq!(answered(Method::HEAD, "/metrics").status(), 200);
        assert_eq!(answered(Method::GET, "/").status(), 200);
        assert_eq!(answered(Method::GET, "/metrics/").status(), 404);
        assert_eq!(answered(Method::POST, "/other").status(), 404);
        let refused = answered(Method::POST, "/metrics");
        assert_eq!(refused.status(), 405);
        assert_eq!(refused.headers()[ALLOW], "GET, HEAD");
    }
}
