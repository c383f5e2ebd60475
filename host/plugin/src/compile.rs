//! Compiling. What is built in is compiled here; what comes from a file, in a child process of this very
//! program with limits of its own: a component can be made to take the compiler any time and memory.

use super::confinement::confine;
use super::engine::engine;
use super::text::shown;
use llmuses_core::bounds::Bounds;
use rlimit::Resource;
use std::error::Error;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How the child ends when the compiler refuses the component.
pub const REFUSED_EXIT_CODE: u8 = 3;

/// Threads of the compiler in the child. Each takes memory of its own; more hardly make it faster.
const THREADS: usize = 4;

/// What is kept of the child's words, in bytes.
const WORDS_BYTES: u64 = 64 << 10;

/// How a line of the child's words begins that says what its sandbox lacks.
const NOT_CONFINED: &str = "not confined: ";

/// How what the child says begins where the system gives it no threads.
const NO_THREADS: &str = "no threads: ";

/// How often the parent looks whether the child has ended.
const LOOK_UP: Duration = Duration::from_millis(3);

/// Where unknown components are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// In this process, without a limit. For components that are known, and for tests.
    InProcess,
    /// In a child process that runs `PROGRAM compile-plugin`.
    Child(PathBuf),
}

impl Compiler {
    /// In a child process of the program that is running.
    ///
    /// # Errors
    /// Where the system does not tell which program that is.
    pub fn child() -> std::io::Result<Self> {
        // This one is right even where the file has been replaced since the program was started.
        let own = Path::new("/proc/self/exe");
        if own.exists() {
            return Ok(Self::Child(own.to_owned()));
        }
        std::env::current_exe().map(Self::Child)
    }
}

/// A component was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CompileError {
    /// The compiler refused it.
    #[error("it does not compile ({0})")]
    Refused(String),
    /// It took too long.
    #[error("to compile it took longer than {} s (--plugin-compile-timeout)", .0.as_secs_f64())]
    Time(Duration),
    /// It took too much memory.
    #[error(
        "to compile it took more than {} MiB of memory (--plugin-compile-memory-mib)",
        .0 >> 20
    )]
    Memory(u64),
    /// The compiler broke.
    #[error("the compiler crashed on it ({0})")]
    Crashed(String),
    /// The system gives no threads.
    #[error(
        "the threads that compile it could not be started ({0}): raise the limit of threads (`ulimit -u`)"
    )]
    Threads(String),
    /// The child process could not be started.
    #[error("a process to compile it in could not be started: {0}")]
    Start(String),
}

/// A compiled component.
#[derive(Debug)]
pub(super) struct Compiled {
    /// What the engine reads.
    pub(super) code: Vec<u8>,
    /// What the child's sandbox lacks since the system does not have it.
    pub(super) not_confined: Vec<String>,
}

/// The compiled form of a component.
pub(super) fn compile(
    compiler: &Compiler,
    bytes: &[u8],
    bounds: &Bounds,
) -> Result<Compiled, CompileError> {
    match compiler {
        Compiler::InProcess => compile_here(bytes).map(|code| Compiled {
            code,
            not_confined: Vec::new(),
        }),
        Compiler::Child(program) => compile_in_child(program, bytes, bounds),
    }
}

fn compile_here(bytes: &[u8]) -> Result<Vec<u8>, CompileError> {
    have_threads().map_err(CompileError::Threads)?;
    engine()
        .and_then(|engine| engine.precompile_component(bytes))
        .map_err(|error| CompileError::Refused(shown(&format!("{error:#}"))))
}

/// Starts the threads that the engine compiles with, which panics where the system gives none.
fn have_threads() -> Result<(), String> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    STARTED
        .get_or_init(|| without_threads(rayon::ThreadPoolBuilder::new().build_global()))
        .clone()
}

/// Why there are no threads, where there are none. Only what the system said is the source of an error: without one,
/// somebody else has started the threads before.
fn without_threads<T>(started: Result<T, rayon::ThreadPoolBuildError>) -> Result<(), String> {
    match started {
        Err(error) if error.source().is_some() => Err(error.to_string()),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn compile_in_child(
    program: &Path,
    bytes: &[u8],
    bounds: &Bounds,
) -> Result<Compiled, CompileError> {
    let started = |error: std::io::Error| CompileError::Start(error.to_string());
    let mut child = Command::new(program)
        .arg("compile-plugin")
        .args(["--memory-bytes", &bounds.compile_memory_bytes.to_string()])
        .args(["--seconds", &processor_seconds(bounds).to_string()])
        .args(["--parent", &std::process::id().to_string()])
        // It reads what somebody else wrote, and has no use for a key.
        .env_clear()
        .env("RAYON_NUM_THREADS", THREADS.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(started)?;
    let (input, output, words) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let threads = || -> std::io::Result<_> {
            let thread = std::thread::Builder::new;
            thread().spawn_scoped(scope, move || {
                // Fails where the child ended early; its end tells why.
                let _ = input.map(|mut input| input.write_all(bytes));
            })?;
            Ok((
                thread().spawn_scoped(scope, move || {
                    read_at_most(output, bounds.compile_memory_bytes)
                })?,
                thread().spawn_scoped(scope, move || read_at_most(words, WORDS_BYTES))?,
            ))
        };
        let (code, words) = match threads() {
            Ok(threads) => threads,
            Err(error) => {
                // Those that were started end with the child. Killing fails only where it has ended.
                let _ = child.kill();
                let _ = child.wait();
                return Err(CompileError::Threads(error.to_string()));
            }
        };
        let status = wait(&mut child, bounds.compile_time);
        // Neither thread panics, and both end with the child.
        let code = code.join().unwrap_or_default();
        let words = words.join().unwrap_or_default();
        let words = String::from_utf8_lossy(&words);
        let (not_confined, words): (Vec<_>, Vec<_>) = words
            .lines()
            .partition(|line| line.starts_with(NOT_CONFINED));
        match status.map_err(started)? {
            None => Err(CompileError::Time(bounds.compile_time)),
            Some(status) if status.success() => Ok(Compiled {
                code,
                not_confined: not_confined
                    .into_iter()
                    .map(|line| shown(&line[NOT_CONFINED.len()..]))
                    .collect(),
            }),
            Some(status) => Err(why(status, &words.join("\n"), bounds)),
        }
    })
}

/// Seconds of processor time for the child, so that it ends even where this process no longer can end
/// it. All its threads count.
fn processor_seconds(bounds: &Bounds) -> u64 {
    bounds
        .compile_time
        .as_secs()
        .saturating_add(1)
        .saturating_mul(THREADS as u64)
}

fn read_at_most(pipe: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What cannot be read is missing, and the end of the child tells more than the error would.
        let _ = pipe.by_ref().take(most).read_to_end(&mut bytes);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    }
    bytes
}

/// Waits for the end of the child, and brings it about when it does not come in time.
fn wait(child: &mut Child, time: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + time;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK_UP);
    }
}

fn why(status: ExitStatus, words: &str, bounds: &Bounds) -> CompileError {
    if status.code() == Some(i32::from(REFUSED_EXIT_CODE)) && !out_of_memory(words) {
        return match words.trim().strip_prefix(NO_THREADS) {
            Some(reason) => CompileError::Threads(shown(reason)),
            None => CompileError::Refused(shown(words.trim())),
        };
    }
    if out_of_memory(words) {
        return CompileError::Memory(bounds.compile_memory_bytes);
    }
    #[cfg(unix)]
    if std::os::unix::process::ExitStatusExt::signal(&status) == Some(libc::SIGXCPU) {
        return CompileError::Time(bounds.compile_time);
    }
    let last = words.lines().rfind(|line| !line.trim().is_empty());
    CompileError::Crashed(shown(&match last {
        Some(line) => format!("{status}: {line}"),
        None => status.to_string(),
    }))
}

/// Rust's allocator says the first before it aborts, the system's calls say the second.
fn out_of_memory(words: &str) -> bool {
    words.contains("memory allocation of") || words.contains("Cannot allocate memory")
}

/// Compiles the component on standard input to standard output, within limits. What the child process
/// does; its end is the whole answer.
///
/// # Errors
/// A text for the parent, where the component is refused or a pipe breaks.
pub fn compile_as_child(parent: u32, memory_bytes: u64, seconds: u64) -> Result<(), String> {
    end_with(parent)?;
    limit(Resource::DATA, memory_bytes)?;
    limit(Resource::CPU, seconds)?;
    // A crash of the compiler should not leave a core file of a gigabyte in the user's folder.
    limit(Resource::CORE, 0)?;
    // Before there are other threads, which would not be confined.
    for lack in confine() {
        writeln!(std::io::stderr(), "{NOT_CONFINED}{lack}").map_err(|error| error.to_string())?;
    }
    have_threads().map_err(|reason| format!("{NO_THREADS}{reason}"))?;
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    let compiled = engine()
        .and_then(|engine| engine.precompile_component(&bytes))
        .map_err(|error| format!("{error:#}"))?;
    std::io::stdout()
        .lock()
        .write_all(&compiled)
        .map_err(|error| error.to_string())
}

/// Has the system end this process with the one that started it. That one waits for the compiled form in the thread
/// that started this process, so that the thread lives as long as the process does.
#[cfg(target_os = "linux")]
fn end_with(parent: u32) -> Result<(), String> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| error.to_string())?;
    // It may have ended before.
    let now = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now == Some(parent) {
        Ok(())
    } else {
        Err("the program that wanted this compiled has ended".to_owned())
    }
}

/// Elsewhere the limit of processor time ends it.
#[cfg(not(target_os = "linux"))]
fn end_with(_: u32) -> Result<(), String> {
    Ok(())
}

fn limit(resource: Resource, value: u64) -> Result<(), String> {
    let (_, hard) = resource.get().map_err(|error| error.to_string())?;
    let value = value.min(hard);
    resource
        .set(value, value)
        .map_err(|error| format!("a limit could not be set: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_are_there_are_told_from_threads_that_the_system_refuses() {
        // One of them is the second, whatever other tests have done.
        for _ in 0..2 {
            let started = rayon::ThreadPoolBuilder::new().build_global();
            assert_eq!(without_threads(started), Ok(()));
        }
        let refused = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .spawn_handler(|_| Err(std::io::Error::other("no thread for you")))
            .build();
        let said = without_threads(refused).unwrap_err();
        assert!(said.contains("no thread for you"), "{said}");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let began = Instant::now();
        let status = wait(&mut child, Duration::from_millis(50)).unwrap();
        assert!(status.is_none());
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[cfg(unix)]
    #[test]
    fn the_end_of_the_child_is_told_in_words() {
        use std::os::unix::process::ExitStatusExt;
        let bounds = Bounds::default();
        let told =
            |raw: i32, words: &str| why(ExitStatus::from_raw(raw), words, &bounds).to_string();
        assert_eq!(
            told(3 << 8, "bad magic\n"),
            "it does not compile (bad magic)"
        );
        assert!(told(3 << 8, "no threads: EAGAIN\n").contains("could not be started (EAGAIN)"));
        assert!(told(6, "memory allocation of 99 bytes failed").contains("more than 1024 MiB"));
        assert!(told(libc::SIGXCPU, "").contains("longer than 60 s"));
        assert!(told(11, "").contains("crashed on it (signal: 11"));
    }
}
