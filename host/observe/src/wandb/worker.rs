//! The thread behind [`super::Wandb`]: takes rows from the queue and brings them to service or folder.

use super::config::Config;
use super::offline::Folder;
use super::online::Service;
use super::protocol::Complete;
use super::row::{Row, Started, Summary};
use super::trouble::Trouble;
use flume::{Receiver, RecvTimeoutError};
use llmuses_core::wandb::{WandbSettings, WandbTarget};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Rows are sent so often, as the Python client does it.
const INTERVAL: Duration = Duration::from_secs(15);

/// The first rows go sooner: whoever opens the page should see that something comes.
const FIRST_INTERVAL: Duration = Duration::from_secs(2);

/// A request has so long.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

/// After so many failures in a row, nothing more is sent.
const MOST_FAILURES: u32 = 5;

/// The wait after the first failure; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Rows that wait for the next request. More than that, and they stay in the queue, which is bounded.
const MOST_PENDING: usize = 1024;

/// What comes through the queue.
#[derive(Debug)]
pub(super) enum Message {
    /// A row of the history.
    Row(Row),
    /// The end; nothing comes after it.
    Finish(Ending),
}

/// The end of a run.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) summary: Map<String, Value>,
    pub(super) exit_code: i32,
    /// Nobody waits any longer than this.
    pub(super) deadline: Instant,
}

/// What the thread tells while it works.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Where the run can be seen.
    pub(super) url: OnceLock<String>,
    /// The folder of an offline run.
    pub(super) folder: OnceLock<PathBuf>,
    /// Why logging ended early, in one line.
    pub(super) trouble: OnceLock<String>,
    /// Rows that the service has, or the file.
    pub(super) logged: AtomicU64,
    /// Requests that failed and were sent again.
    pub(super) repeated: AtomicU64,
}

/// What the thread needs to begin.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) settings: WandbSettings,
    pub(super) config: Config,
    pub(super) run_id: String,
    pub(super) started: Started,
}

/// Works until the end of the run, or until its sender is gone.
pub(super) fn work(
    beginning: Beginning,
    place: &str,
    queue: &Receiver<Message>,
    progress: &Progress,
) {
    let started = beginning.started;
    let result = match beginning.settings.target.clone() {
        WandbTarget::Offline { folder } => Folder::create(
            &folder,
            &beginning.settings,
            &beginning.run_id,
            &beginning.config,
            started,
        )
        .and_then(|folder| write(folder, started, queue, progress)),
        WandbTarget::Online { base_url, api_key } => Service::new(
            base_url,
            api_key,
            beginning.settings,
            beginning.run_id,
            beginning.config,
        )
        .and_then(|service| Sending::new(service, started, progress).run(queue)),
    };
    if let Err(trouble) = result {
        // Fails where the end was not waited for, which has been said then.
        let _ = progress.trouble.set(trouble.line(place));
        // Rows that are still to come must not pile up.
        while let Ok(Message::Row(_)) = queue.recv() {}
    }
}

fn write(
    mut folder: Folder,
    started: Started,
    queue: &Receiver<Message>,
    progress: &Progress,
) -> Result<(), Trouble> {
    let _ = progress.folder.set(folder.path().to_owned());
    let mut step = 0;
    while let Ok(message) = queue.recv() {
        match message {
            Message::Row(row) => {
                folder.row(step, &row.at_step(step))?;
                step += 1;
                progress.logged.store(step, Ordering::Relaxed);
            }
            Message::Finish(ending) => {
                return folder.finish(&ending.summary, ending.exit_code, started.elapsed());
            }
        }
    }
    Ok(())
}

/// The rows on their way to the service.
struct Sending<'a> {
    service: Service,
    started: Started,
    progress: &'a Progress,
    pending: Vec<String>,
    steps: u64,
    summary: Summary,
    failures: u32,
    /// When the next request goes.
    next: Instant,
}

impl<'a> Sending<'a> {
    fn new(service: Service, started: Started, progress: &'a Progress) -> Self {
        Self {
            service,
            started,
            progress,
            pending: Vec::new(),
            steps: 0,
            summary: Summary::default(),
            failures: 0,
            next: Instant::now(),
        }
    }

    fn run(mut self, queue: &Receiver<Message>) -> Result<(), Trouble> {
        loop {
            let is_full = self.pending.len() >= MOST_PENDING;
            if Instant::now() >= self.next || (is_full && self.failures == 0) {
                // What failed is tried again when `next` has come.
                self.request(None, REQUEST_TIMEOUT)?;
            } else if is_full {
                std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
            } else {
                match queue.recv_deadline(self.next) {
                    Ok(Message::Row(row)) => self.take(row),
                    Ok(Message::Finish(ending)) => return self.finish(&ending),
                    Err(RecvTimeoutError::Timeout) => {}
                    // The run failed. That nothing comes any more, the service finds out by itself.
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
        }
    }

    fn take(&mut self, row: Row) {
        let row = row.at_step(self.steps);
        self.steps += 1;
        self.summary.update(&row);
        self.pending.push(Value::Object(row).to_string());
    }

    /// Sends what is left, and that it is all.
    fn finish(&mut self, ending: &Ending) -> Result<(), Trouble> {
        self.summary.update(&ending.summary);
        let complete = Complete {
            exit_code: ending.exit_code,
        };
        loop {
            let is_last = self.service.is_open();
            let left = ending.deadline.saturating_duration_since(Instant::now());
            match self.request(Some(complete), left.min(REQUEST_TIMEOUT))? {
                None if is_last => return Ok(()),
                // There is a run now; what belongs into it is next.
                None => {}
                Some(trouble) if self.next >= ending.deadline => return Err(trouble),
                Some(_) => {
                    std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
                }
            }
        }
    }

    /// Sends what is due. Gives back an error that may pass and has not come too often; the same is
    /// due again then.
    fn request(
        &mut self,
        complete: Option<Complete>,
        timeout: Duration,
    ) -> Result<Option<Trouble>, Trouble> {
        if self.failures > 0 {
            self.progress.repeated.fetch_add(1, Ordering::Relaxed);
        }
        match self.attempt(complete, timeout) {
            Ok(pause) => {
                self.failures = 0;
                self.next = Instant::now() + pause;
                Ok(None)
            }
            Err(trouble) => {
                self.next = Instant::now() + FIRST_PAUSE * 2_u32.pow(self.failures);
                self.failures += 1;
                if trouble.may_pass() && self.failures < MOST_FAILURES {
                    Ok(Some(trouble))
                } else {
                    Err(trouble)
                }
            }
        }
    }

    /// Makes the run where there is none, or else sends rows. Gives back for how long nothing is due.
    fn attempt(
        &mut self,
        complete: Option<Complete>,
        timeout: Duration,
    ) -> Result<Duration, Trouble> {
        if !self.service.is_open() {
            let url = self.service.open(timeout)?;
            // Set once only: a run is made once.
            let _ = self.progress.url.set(url);
            return Ok(FIRST_INTERVAL);
        }
        self.summary.set_runtime(self.started.elapsed());
        let summary = self.summary.to_text();
        self.service
            .send(&self.pending, &summary, complete, timeout)?;
        self.pending.clear();
        self.progress.logged.store(self.steps, Ordering::Relaxed);
        Ok(INTERVAL)
    }
}
