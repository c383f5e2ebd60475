//! What coordinator and worker say to each other: one JSON value a line.

use crate::row::Row;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io::{BufRead, Read};
use std::time::Duration;

/// The version of these lines. Both sides must have the same.
pub const PROTOCOL: u32 = 2;

/// A ping goes so often to every worker.
pub(crate) const BEAT: Duration = Duration::from_secs(1);

/// Who says nothing for so long is lost.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);

/// What is said of whom nothing came for so long.
pub(crate) fn silent_for(limit: Duration) -> String {
    format!("nothing came from it for {} s", limit.as_secs())
}

/// The longest line. A row of the largest response that is taken is shorter.
const LONGEST_LINE: u64 = 96 << 20;

/// What a worker is. Its first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the lines.
    pub protocol: u32,
    /// The version of the program.
    pub version: String,
    /// SHA-256 of its executable, in hexadecimal digits. `None`: it cannot be read.
    #[serde(default)]
    pub program_sha256: Option<String>,
    /// What it was built for, such as `x86_64-linux`.
    pub build: String,
    /// The name of its machine.
    pub host: Option<String>,
    /// What tells one boot of one kernel from all others. `None`: the system does not tell.
    pub boot: Option<String>,
    /// Processors that it may use.
    pub processors: Option<u64>,
    /// Memory that it may use, in bytes.
    pub memory: Option<u64>,
    /// The most files that it may have open.
    pub open_files: Option<u64>,
    /// Its wall clock at moment zero of its monotonic clock, in nanoseconds since 1970.
    pub unix_nanos: u64,
}

/// What a worker is to do. Holds credentials, and so goes over standard input and is never shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct WorkPlan {
    /// The arguments of the run, without the name of the program.
    pub arguments: Vec<String>,
    /// The prompt of every request, where the run has one.
    pub prompt: Option<String>,
    /// The folder in which the coordinator runs: relative paths are from there, where the worker has it too.
    pub folder: Option<String>,
    /// The wall clock of the coordinator at moment zero of the worker's monotonic clock, in nanoseconds since 1970.
    pub unix_nanos: u64,
    /// What tells this run from all others.
    #[serde(default)]
    pub run_id: String,
}

impl std::fmt::Debug for WorkPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkPlan").finish_non_exhaustive()
    }
}

/// How long the opening of a connection took, in nanoseconds: all of it, name resolution, TLS.
pub type Opening = (u64, Option<u64>, Option<u64>);

/// A worker has everything in place for a load. What its requests are made from must be as with the coordinator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The load, from 1.
    pub load: u32,
    /// What requests are made from, such as the parser and the data set, each with its SHA-256.
    pub made_from: Vec<(String, String)>,
    /// Connections that were opened.
    #[serde(default)]
    pub connections: Vec<Opening>,
}

/// How a worker is to end a load before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Halt {
    /// Requests in flight have as long as at the end of its time.
    Drain,
    /// As at an interrupt, for another reason.
    Now,
    /// The run was interrupted.
    Interrupt,
}

/// A line to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ToWorker {
    Plan(WorkPlan),
    /// To be answered at once.
    Ping(u64),
    /// The load begins at this moment of the worker's clock, in nanoseconds.
    Go {
        load: u32,
        start: u64,
    },
    /// Only this load; one that is over already is not touched.
    Halt {
        load: u32,
        how: Halt,
    },
    /// There is no further load.
    End,
}

/// A line of a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ToCoordinator {
    Hello(Hello),
    Ready(Ready),
    Pong(Pong),
    Row(Box<Row>),
    Done(Done),
    /// It cannot go on.
    Failed(Failed),
}

/// The answer to a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pong {
    /// Of the ping.
    pub(crate) ping: u64,
    /// When the ping had come, by the worker's clock, in nanoseconds.
    pub(crate) at: u64,
    /// Requests begun.
    pub(crate) begun: u64,
    /// Requests in flight.
    pub(crate) in_flight: u64,
}

/// A load is over, and all its rows have gone.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) load: u32,
    /// How many rows.
    pub(crate) rows: u64,
    /// SHA-256 of all of them, each with its line end.
    pub(crate) sha256: String,
    /// Totals of the worker: what rows do not hold.
    pub(crate) totals: Box<RawValue>,
}

/// Why a worker cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) message: String,
}

/// The beginning of a line that is a row.
pub(crate) const ROW: &[u8] = b"{\"row\":";

/// The beginning of a first line.
pub(crate) const HELLO: &[u8] = b"{\"hello\":";

/// A line as it is sent, with its end.
pub(crate) fn line(message: &impl Serialize) -> Vec<u8> {
    // Maps have texts as keys and numbers are finite, so that there is always a JSON text.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// What stands in a line. `Err`: the beginning of one that is none of these.
pub(crate) fn message<T: for<'a> Deserialize<'a>>(line: &[u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|_| shown(line))
}

/// The beginning of a line, for a message.
pub(crate) fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(200)]);
    llmuses_core::wording::one_line(&text, 80)
}

/// Reads the next whole line into `line`, with its end. `false`: there is none; what stands there of a line that was cut
/// off is left in `line`.
pub(crate) fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    input.take(LONGEST_LINE).read_until(b'\n', line)?;
    if line.len() as u64 >= LONGEST_LINE && !line.ends_with(b"\n") {
        return Err(std::io::Error::other("a line without an end"));
    }
    Ok(line.ends_with(b"\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let hello = Hello {
            protocol: PROTOCOL,
            version: "1".to_owned(),
            program_sha256: None,
            build: "x".to_owned(),
            host: None,
            boot: Some("b".to_owned()),
            processors: Some(2),
            memory: None,
            open_files: Some(9),
            unix_nanos: 1_700_000_000_000_000_123,
        };
        let sent = line(&ToCoordinator::Hello(hello.clone()));
        assert!(sent.starts_with(HELLO) && sent.ends_with(b"}}\n"));
        let mut read = Vec::new();
        assert!(next_line(&mut &sent[..], &mut read).unwrap());
        let ToCoordinator::Hello(found) = message(&read).unwrap() else {
            panic!("another line");
        };
        assert_eq!(found, hello);
    }

    #[test]
    fn a_line_that_is_cut_or_of_something_else_is_no_message() {
        let sent = line(&ToWorker::Go { load: 1, start: 5 });
        for cut in 1..sent.len() {
            let mut read = Vec::new();
            assert!(!next_line(&mut &sent[..cut.min(sent.len() - 1)], &mut read).unwrap());
        }
        for wrong in [
            &b"Welcome to n1\n"[..],
            b"{}\n",
            b"{\"go\":{\"load\":1}}\n",
            b"{\"row\":[1,\n",
            b"\xff\xfe\n",
        ] {
            assert!(message::<ToWorker>(wrong).is_err());
            assert!(message::<ToCoordinator>(wrong).is_err());
        }
        let shown = message::<ToWorker>(b"Welcome \x1b[1m\n").unwrap_err();
        assert!(
            shown.starts_with("Welcome") && !shown.contains('\x1b'),
            "{shown}"
        );
    }

    #[test]
    fn a_plan_is_not_shown() {
        let plan = WorkPlan {
            arguments: vec!["--header=Authorization: verysecret".to_owned()],
            prompt: None,
            folder: None,
            unix_nanos: 0,
            run_id: String::new(),
        };
        assert!(!format!("{:?}", ToWorker::Plan(plan)).contains("verysecret"));
    }
}
