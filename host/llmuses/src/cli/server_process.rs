//! A mock server in a process of its own, for the demo and for calibration: what it does must not share
//! a thread, a lock or an allocator with what measures it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use url::Url;

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No process.
    #[error("the mock server could not be started")]
    Start(#[source] std::io::Error),
    /// It ended, or said something else than its address.
    #[error("the mock server did not say where it listens; it said {0:?}")]
    Address(String),
    /// It did not tell what it did.
    #[error("the mock server did not tell what it did: {0}")]
    Truth(String),
}

/// A running server; ended with this value.
#[derive(Debug)]
pub(super) struct ServerProcess {
    child: Child,
    address: Url,
}

impl ServerProcess {
    /// Starts `llmuses mock-server` on a free port with these arguments.
    ///
    /// # Errors
    /// Where there is no process, or it does not serve.
    pub(super) fn start(arguments: &[&str]) -> Result<Self, ServerError> {
        let program = std::env::current_exe().map_err(ServerError::Start)?;
        let mut child = Command::new(program)
            .args(["mock-server", "--until-stdin-closes"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the client: the server answers what is in flight, and ends with its standard input.
            .process_group(0)
            .spawn()
            .map_err(ServerError::Start)?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .map_err(ServerError::Start)?;
        }
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .and_then(|address| Url::parse(address).ok());
        match address {
            Some(address) => Ok(Self { child, address }),
            None => {
                // It is of no use, and may be gone already.
                let _ = child.kill();
                let _ = child.wait();
                Err(ServerError::Address(line))
            }
        }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &Url {
        &self.address
    }

    /// The URL of a path of it.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.address.clone();
        url.set_path(path);
        url
    }

    /// What it did since it was last asked.
    ///
    /// # Errors
    /// Where it does not tell.
    pub(super) fn truth(&self) -> Result<crate::ground_truth::GroundTruth, ServerError> {
        let mut url = self.at("/truth");
        // A list of every arrival is nothing for a comparison.
        url.set_query(Some("times=false"));
        crate::ground_truth::GroundTruth::fetch(&url).map_err(ServerError::Truth)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Both fail only where it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
