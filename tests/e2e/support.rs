//! What the end-to-end tests share: running the program, the mock server as a process of its own, and
//! reading the database.

use rusqlite::Connection;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// No test run of the program takes longer than this.
const LONGEST_RUN: Duration = Duration::from_secs(120);

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate lies two folders deep in the repository")
        .to_owned()
}

/// A sample of `datasets/`.
pub fn sample(name: &str) -> PathBuf {
    repository().join("datasets").join(name)
}

/// The program, with a cache of compiled parsers that the tests share and nobody else uses.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llmuses"));
    command
        .env("XDG_CACHE_HOME", cache_home())
        // What somebody calibrated must change no output, and tests must not calibrate for them.
        .env("XDG_STATE_HOME", cache_home().with_file_name("state"))
        .env_remove("RUST_BACKTRACE")
        // A key of whoever runs the tests must not log them.
        .env_remove("WANDB_API_KEY")
        .env_remove("WANDB_MODE")
        .env_remove("WANDB_DIR")
        .env_remove("WANDB_ENTITY")
        .stdin(Stdio::null());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // A shell has what it starts in the background ignore Ctrl-C, and `nohup` what it starts ignore that the terminal
        // is closed, tests and their children among it.
        let heed = || {
            for signal in [libc::SIGINT, libc::SIGHUP] {
                // SAFETY: the call sets a flag of the kernel and takes no memory of ours.
                unsafe { libc::signal(signal, libc::SIG_DFL) };
            }
            Ok(())
        };
        // SAFETY: between fork and exec, only a call is made that is safe there (signal-safety(7)).
        unsafe { command.pre_exec(heed) };
    }
    command
}

fn cache_home() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a command to its end. Fails the test if that takes too long.
pub fn run(command: &mut Command) -> Ended {
    wait(start(command))
}

/// Runs a command to its end, and tells the most memory that it had at once, in bytes.
pub fn run_measured(command: &mut Command) -> (Ended, u64) {
    let mut peak = 0;
    let ended = wait_and(start(command), |process| {
        peak = peak.max(peak_memory(process))
    });
    (ended, peak)
}

/// The most memory that a process has had so far, in bytes.
pub fn peak_memory(process: u32) -> u64 {
    std::fs::read_to_string(format!("/proc/{process}/status"))
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(0, |kibibytes| kibibytes << 10)
}

/// Starts a command with its outputs in pipes, for [`wait`].
pub fn start(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// Sends a signal to a child that nobody has waited for.
pub fn signal(child: &Child, signal: i32) {
    let process = i32::try_from(child.id()).expect("a process id");
    // SAFETY: the call takes two numbers, and the child has not been waited for, so its id is its own.
    assert_eq!(unsafe { libc::kill(process, signal) }, 0);
}

/// Waits for a child whose standard output and error are pipes.
pub fn wait(child: Child) -> Ended {
    wait_and(child, |_| ())
}

fn wait_and(mut child: Child, mut look: impl FnMut(u32)) -> Ended {
    let deadline = Instant::now() + LONGEST_RUN;
    let output = reader(child.stdout.take());
    let error = reader(child.stderr.take());
    let status = loop {
        look(child.id());
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().ok();
            panic!("the program did not end within {LONGEST_RUN:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Ended {
        code: status.code(),
        stdout: output.join().expect("standard output was read"),
        stderr: error.join().expect("standard error was read"),
    }
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).ok();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A folder for one test, removed at its end, and runs of `perf` in it.
pub struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// An empty folder.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder for temporary files"),
        }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("the file can be written");
        path
    }

    /// `llmuses perf --model m --name run ARGUMENTS`, in the folder; results go to `run.db`.
    pub fn perf(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command
            .current_dir(self.folder.path())
            .args(["perf", "--model", "m", "--name", "run"])
            .args(arguments);
        command
    }

    /// The database of the run.
    pub fn database(&self) -> Connection {
        Connection::open(self.path("run.db")).expect("the run left a database")
    }

    /// The rows of a query on the database, each as a JSON array.
    pub fn rows(&self, query: &str) -> Vec<Vec<Value>> {
        let database = self.database();
        let mut statement = database.prepare(query).expect("the query is right");
        let columns = statement.column_count();
        statement
            .query_map([], |row| {
                (0..columns)
                    .map(|column| {
                        Ok(match row.get_ref(column)? {
                            rusqlite::types::ValueRef::Null => Value::Null,
                            rusqlite::types::ValueRef::Integer(value) => value.into(),
                            rusqlite::types::ValueRef::Real(value) => value.into(),
                            rusqlite::types::ValueRef::Text(text) => {
                                String::from_utf8_lossy(text).into_owned().into()
                            }
                            // The only column of that kind holds text as a Zstandard frame.
                            rusqlite::types::ValueRef::Blob(frame) => {
                                let text = zstd::decode_all(frame).expect("a Zstandard frame");
                                String::from_utf8(text).expect("text").into()
                            }
                        })
                    })
                    .collect()
            })
            .expect("the query runs")
            .collect::<Result<_, _>>()
            .expect("the rows can be read")
    }

    /// The first value of a query on the database.
    pub fn value(&self, query: &str) -> Value {
        self.rows(query)
            .first()
            .and_then(|row| row.first())
            .cloned()
            .unwrap_or(Value::Null)
    }
}

/// `llmuses mock-server` in a process of its own.
pub struct Mock {
    child: Child,
    scheme: String,
    address: String,
}

impl Mock {
    /// Starts it on a free port with these arguments.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = program()
            .args(["mock-server", "--until-stdin-closes"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the mock server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it has an output"))
            .read_line(&mut line)
            .expect("it says something");
        let (scheme, address) = line
            .trim()
            .strip_prefix("listening on ")
            .and_then(|url| url.split_once("://"))
            .expect("it says where it listens");
        Self {
            child,
            scheme: scheme.to_owned(),
            address: address.to_owned(),
        }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// The URL of the chat endpoint.
    pub fn chat(&self) -> String {
        self.url("/v1/chat/completions")
    }

    /// What it did since it was last asked.
    pub fn truth(&self) -> Value {
        self.get("/truth")
    }

    /// The JSON that a path answers with.
    pub fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).expect("the mock server listens");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n\r\n"
        )
        .expect("it takes the request");
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("it answers");
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length is a number");
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the whole body comes");
        serde_json::from_slice(&body).expect("it answers with JSON")
    }

    /// The bodies of the requests that it saw, as JSON, in order of arrival.
    pub fn bodies(&self) -> Vec<Value> {
        self.get("/bodies?limit=1000")["bodies"]
            .as_array()
            .expect("a list of bodies")
            .iter()
            .map(|seen| seen["body"].clone())
            .collect()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
