//! `--wait-ready`: a server that still loads its model is waited for.

use super::PerfArguments;
use super::planning::{endpoints, headers};
use http::header::{ACCEPT, HeaderValue};
use llmuses_core::credential::public_url;
use llmuses_core::wording::one_line;
use llmuses_observe::terminal;
use llmuses_transport::question;
use std::time::{Duration, Instant};
use url::Url;

/// How long an answer may take: a connection may be held by who has no server behind it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Time between two questions.
const PAUSE: Duration = Duration::from_millis(500);

/// How long the last question waits for an answer.
const LAST_LOOK: Duration = Duration::from_millis(100);

/// Time after which it is said again what the server answers.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// The server was not ready in time.
#[derive(Debug, thiserror::Error)]
#[error("{url} was not ready within {} s (--wait-ready): {last}", .limit.as_secs_f64())]
pub struct NotReady {
    url: String,
    limit: Duration,
    last: String,
}

/// What a question was answered.
enum Answer {
    /// It serves.
    Ready,
    /// It does not know the path.
    NoSuchPath,
    /// It does not serve yet, for this reason.
    NotYet(String),
}

impl PerfArguments {
    /// Waits until each server answers `/health`, or `/v1/models` where it has no such path, with something else than an
    /// error of its own.
    ///
    /// # Errors
    /// Where the arguments do not say where the server is, or it is not ready in time.
    pub(in crate::cli) fn wait_until_ready(&self) -> anyhow::Result<()> {
        let Some(limit) = self.wait_ready else {
            return Ok(());
        };
        let begun = Instant::now();
        for url in endpoints(&self.url)? {
            self.wait_for(&url, limit, begun)?;
        }
        Ok(())
    }

    fn wait_for(&self, url: &Url, limit: Duration, begun: Instant) -> anyhow::Result<()> {
        let shown = public_url(url);
        let mut said: Option<(Instant, String)> = None;
        loop {
            // It is asked a last time when the time is up.
            let left = limit.saturating_sub(begun.elapsed()).max(LAST_LOOK);
            let mut last = match self.ask(url, "/health", left)? {
                Answer::Ready => break,
                Answer::NotYet(reason) => reason,
                Answer::NoSuchPath => match self.ask(url, "/v1/models", left)? {
                    // It answers, and has other paths than these.
                    Answer::Ready | Answer::NoSuchPath => break,
                    Answer::NotYet(reason) => reason,
                },
            };
            last = one_line(&last, 200);
            if begun.elapsed() >= limit {
                return Err(NotReady {
                    url: shown,
                    limit,
                    last,
                }
                .into());
            }
            let is_news = said
                .as_ref()
                .is_none_or(|(at, text)| *text != last || at.elapsed() >= SAY_AGAIN);
            if is_news {
                terminal::say(format!("Waiting for {shown}: {last}"));
                said = Some((Instant::now(), last));
            }
            std::thread::sleep(PAUSE.min(limit.saturating_sub(begun.elapsed())));
        }
        if said.is_some() {
            let seconds = begun.elapsed().as_secs_f64();
            terminal::say(format!("{shown} is ready after {seconds:.1} s"));
        }
        Ok(())
    }

    fn ask(&self, url: &Url, path: &str, left: Duration) -> anyhow::Result<Answer> {
        let mut asked = url.clone();
        asked.set_path(path);
        let mut all = headers(self.headers.iter().chain(&self.header))?;
        all.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let left = left.max(PAUSE).min(self.read_timeout.min(ANSWER_TIMEOUT));
        let connect = self.connect_timeout.min(left);
        Ok(
            match question::get(&asked, all, connect, left, &self.route.route()?) {
                Ok((404 | 405, _)) => Answer::NoSuchPath,
                Ok((status, _)) if status < 500 && status != 429 => Answer::Ready,
                Ok((status, _)) => Answer::NotYet(format!("status {status} of {path}")),
                Err(failure) => Answer::NotYet(format!("{}: {}", failure.kind, failure.message)),
            },
        )
    }
}
