//! Logging as the rest of the program sees it: started, fed, finished.

use super::config::Config;
use super::row::{Row, Started};
use super::trouble::Trouble;
use super::worker::{self, Beginning, Ending, Message, Progress};
use flume::{Receiver, RecvTimeoutError, Sender};
use llmuses_core::wandb::{WandbSettings, WandbTarget};
use llmuses_kernel_io::priority::step_back;
use serde_json::{Map, Value};
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Rows that wait for the thread at most. At one each second, a service may be silent for a while.
const QUEUE: usize = 1024;

/// How long the end of a run waits for the service.
const PATIENCE: Duration = Duration::from_secs(10);

/// The thread keeps to the same deadline; it has so much longer to say how it went.
const GRACE: Duration = Duration::from_millis(250);

/// A run that is being logged, by a thread of its own. Nothing here waits for that thread but
/// [`Self::finish`], and nothing fails: what goes wrong is said in [`Self::trouble`].
#[derive(Debug)]
pub struct Wandb {
    queue: Option<Sender<Message>>,
    /// One message when the thread has ended in order.
    ended: Receiver<()>,
    progress: Arc<Progress>,
    started: Started,
    /// What names the target in messages.
    place: String,
    offered: AtomicU64,
}

/// How the logging of a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WandbReport {
    /// Where it can be seen.
    pub url: Option<String>,
    /// The folder of an offline run.
    pub folder: Option<PathBuf>,
    /// Rows that were taken.
    pub logged: u64,
    /// Rows that were not.
    pub dropped: u64,
    /// Requests that were repeated after a failure.
    pub repeated: u64,
    /// Why logging ended early, in one line.
    pub trouble: Option<String>,
}

impl Wandb {
    /// Begins to log a run with this configuration. Comes back at once, before it is known whether that works.
    pub fn start(settings: WandbSettings, config: Value) -> Self {
        let place = match &settings.target {
            WandbTarget::Online { base_url, .. } => place(base_url),
            WandbTarget::Offline { folder } => folder.display().to_string(),
        };
        let started = Started::now();
        let beginning = Beginning {
            settings,
            config: Config::new(config),
            run_id: run_id(),
            started,
        };
        let (queue, messages) = flume::bounded(QUEUE);
        let (end, ended) = flume::bounded(1);
        let progress = Arc::new(Progress::default());
        let spawned = std::thread::Builder::new().name("wandb".to_owned()).spawn({
            let (progress, place) = (Arc::clone(&progress), place.clone());
            move || {
                step_back();
                worker::work(beginning, &place, &messages, &progress);
                // Fails where nobody waits any more.
                let _ = end.send(());
            }
        });
        let wandb = Self {
            queue: spawned.is_ok().then_some(queue),
            ended,
            progress,
            started,
            place,
            offered: AtomicU64::new(0),
        };
        if let Err(error) = spawned {
            wandb.note(&Trouble::Thread(error));
        }
        wandb
    }

    /// Logs figures as they are now, as a row of the history. A row for which the queue has no place is
    /// counted and dropped.
    pub fn log(&self, metrics: Map<String, Value>) {
        self.offered.fetch_add(1, Ordering::Relaxed);
        if let Some(queue) = &self.queue {
            // What does not come through is counted at the end: offered, but not logged.
            let _ = queue.try_send(Message::Row(Row::new(metrics, self.started)));
        }
    }

    /// Where the run can be seen, as soon as that is known.
    pub fn url(&self) -> Option<&str> {
        self.progress.url.get().map(String::as_str)
    }

    /// Why logging has ended early, in one line: to be said once, since rows are being lost.
    pub fn trouble(&self) -> Option<&str> {
        self.progress.trouble.get().map(String::as_str)
    }

    /// Adds `summary` to the last value of every figure, says with which code the run ended, and waits
    /// until all is taken, but no longer than some seconds.
    pub fn finish(mut self, summary: Map<String, Value>, exit_code: i32) -> WandbReport {
        let deadline = Instant::now() + PATIENCE;
        if let Some(queue) = self.queue.take() {
            let ending = Ending {
                summary,
                exit_code,
                deadline,
            };
            // Fails where the queue stays full; then the end of the queue is the end.
            let _ = queue.send_deadline(Message::Finish(ending), deadline);
            drop(queue);
            match self.ended.recv_deadline(deadline + GRACE) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => self.note(&Trouble::Late(PATIENCE)),
                Err(RecvTimeoutError::Disconnected) => self.note(&Trouble::BrokeOff),
            }
        }
        let offered = self.offered.load(Ordering::Relaxed);
        let logged = self.progress.logged.load(Ordering::Relaxed);
        WandbReport {
            url: self.url().map(str::to_owned),
            folder: self.progress.folder.get().cloned(),
            logged,
            dropped: offered.saturating_sub(logged),
            repeated: self.progress.repeated.load(Ordering::Relaxed),
            trouble: self.trouble().map(str::to_owned),
        }
    }

    /// Keeps the first trouble.
    fn note(&self, trouble: &Trouble) {
        let _ = self.progress.trouble.set(trouble.line(&self.place));
    }
}

/// Host and port: all of a base URL that a message needs.
fn place(base_url: &url::Url) -> String {
    let host = base_url.host_str().unwrap_or_default();
    match base_url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// A name for the run within its project: eight digits and letters, as of the Python client.
fn run_id() -> String {
    const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    // The standard library draws the keys of its hash tables from the system's random numbers; a hash
    // under such a key is as good as one of them, and it takes no further dependency.
    let mut random = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    (0..8)
        .map(|_| {
            let letter = LETTERS[(random % 36) as usize];
            random /= 36;
            char::from(letter)
        })
        .collect()
}
