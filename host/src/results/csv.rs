//! The table of requests as CSV: a header, and a row for each request in the order in which they ended.
//! Bodies and responses are not in it; the database has them.

use super::error::ResultsError;
use super::file::NewFile;
use crate::clock::Clock;
use crate::exchange::Outcome;
use crate::metric::{CONNECT, FIRST_PACKAGE, LATENCY, TPOT, TTFT};
use crate::sink::{added_columns, unix_seconds};
use crate::stats::{Measurement, Origin};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::thread::JoinHandle;

/// Rows that wait for the disk at most.
const QUEUE: usize = 4096;

/// One request. Times of day are Unix seconds, spans of time are seconds; what a request does not have is
/// empty.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CsvRow {
    /// The run, from 1: a sweep has several.
    pub run: u32,
    /// The place in the order of issue, from 0.
    pub number: u64,
    /// Whether it is of the warm-up, and so in no figure.
    pub warmup: bool,
    /// Whether it succeeded.
    pub success: bool,
    /// When the schedule wanted it sent.
    pub intended_unix_seconds: f64,
    /// Just before the last bytes of the request were written.
    pub sent_unix_seconds: Option<f64>,
    /// The end of the response, or of the attempt.
    pub completed_unix_seconds: f64,
    /// End − origin.
    pub latency_seconds: f64,
    /// First event with output − origin.
    pub time_to_first_token_seconds: Option<f64>,
    /// First event − origin.
    pub time_to_first_package_seconds: Option<f64>,
    /// (Last output − first output) / (completion tokens − 1).
    pub time_per_output_token_seconds: Option<f64>,
    /// (Event n − 2 − event 0) / (n − 2).
    pub package_latency_seconds: Option<f64>,
    /// Events of the response.
    pub packages: u64,
    /// Opening of the connection; empty on a kept one.
    pub connect_seconds: Option<f64>,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the completion.
    pub output_tokens: Option<u64>,
    /// HTTP status.
    pub status: Option<u16>,
    /// The kind of the failure.
    pub error_kind: Option<String>,
    /// Its message.
    pub error: Option<String>,
    /// The times that were added to the table of metrics later, in its order.
    pub added: Vec<Option<f64>>,
}

impl CsvRow {
    /// The row of an outcome.
    pub fn of(outcome: &Outcome, clock: &Clock, origin: Origin, run: u32, warmup: bool) -> Self {
        let exchange = &outcome.exchange;
        let measured = Measurement::of(outcome, origin);
        let unix = |moment| unix_seconds(clock, moment);
        let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
        let failure = exchange.failure.as_ref();
        Self {
            run,
            number: exchange.number,
            warmup,
            success: outcome.succeeded(),
            intended_unix_seconds: unix(exchange.intended),
            sent_unix_seconds: exchange.sent.map(unix),
            completed_unix_seconds: unix(exchange.end),
            latency_seconds: seconds(measured.times[LATENCY]).unwrap_or_default(),
            time_to_first_token_seconds: seconds(measured.times[TTFT]),
            time_to_first_package_seconds: seconds(measured.times[FIRST_PACKAGE]),
            time_per_output_token_seconds: seconds(measured.times[TPOT]),
            package_latency_seconds: measured.package_latency_seconds(),
            packages: measured.packages,
            connect_seconds: seconds(measured.times[CONNECT]),
            input_tokens: measured.prompt_tokens.map(|count| count.tokens),
            output_tokens: measured.completion_tokens.map(|count| count.tokens),
            status: exchange.head.as_ref().map(|head| head.status),
            error_kind: failure.map(|failure| failure.kind.as_str().to_owned()),
            error: failure.map(|failure| failure.message.clone()),
            added: added_columns()
                .map(|(time, _)| seconds(measured.times[time]))
                .collect(),
        }
    }
}

/// A CSV file in the making, with a thread that writes it: no disk holds up the run.
#[derive(Debug)]
pub struct CsvFile {
    path: Option<PathBuf>,
    queue: Option<flume::Sender<CsvRow>>,
    writer: Option<JoinHandle<Result<u64, ResultsError>>>,
}

impl CsvFile {
    /// Starts writing to a new file, or to standard output.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(file: NewFile) -> std::io::Result<Self> {
        let flag = file.flag();
        let (queue, rows) = flume::bounded(QUEUE);
        let path = file.path().map(ToOwned::to_owned);
        let writer = std::thread::Builder::new()
            .name("csv-writer".to_owned())
            .spawn(move || match file.into_file() {
                Some((path, file)) => write_file(flag, path, file, &rows),
                None => write_rows(std::io::stdout().lock(), &rows)
                    .map_err(ResultsError::StandardOutput),
            })?;
        Ok(Self {
            path,
            queue: Some(queue),
            writer: Some(writer),
        })
    }

    /// Adds a row; waits while 4,096 others are before it. After an error of the disk it is dropped, which
    /// [`Self::finish`] tells.
    pub fn send(&self, row: CsvRow) {
        if let Some(queue) = &self.queue {
            // Fails only when the writer has ended with an error.
            let _ = queue.send(row);
        }
    }

    /// Takes the file away again, for runs that never began.
    pub fn discard(mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            // It has written a header at most.
            let _ = writer.join();
        }
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Waits for the rows, and gives back how many there are.
    ///
    /// # Errors
    /// Why the file is not complete.
    pub fn finish(mut self) -> Result<u64, ResultsError> {
        drop(self.queue.take());
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(written)) => written,
            _ => Err(ResultsError::StandardOutput(std::io::Error::other(
                "the thread that writes CSV broke off",
            ))),
        }
    }
}

fn write_file(
    flag: &'static str,
    path: PathBuf,
    file: File,
    rows: &flume::Receiver<CsvRow>,
) -> Result<u64, ResultsError> {
    write_rows(BufWriter::new(file), rows).map_err(|reason| ResultsError::Write {
        flag,
        path,
        reason,
    })
}

fn write_rows(out: impl Write, rows: &flume::Receiver<CsvRow>) -> std::io::Result<u64> {
    let mut table = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(out);
    let added: Vec<String> = added_columns()
        .map(|(time, _)| time.seconds_key())
        .collect();
    table.write_record(COLUMNS.into_iter().chain(added.iter().map(String::as_str)))?;
    let mut count = 0;
    for row in rows {
        table.serialize(row)?;
        count += 1;
    }
    table.flush()?;
    Ok(count)
}

/// The header but for the added times: the names of the fields of [`CsvRow`]. Written by itself, so that a run without a request
/// has it too.
const COLUMNS: [&str; 19] = [
    "run",
    "number",
    "warmup",
    "success",
    "intended_unix_seconds",
    "sent_unix_seconds",
    "completed_unix_seconds",
    "latency_seconds",
    "time_to_first_token_seconds",
    "time_to_first_package_seconds",
    "time_per_output_token_seconds",
    "package_latency_seconds",
    "packages",
    "connect_seconds",
    "input_tokens",
    "output_tokens",
    "status",
    "error_kind",
    "error",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{FailureKind, TokenSource};
    use crate::results::{NewFiles, Targets};
    use crate::stats::samples::Sample;

    #[test]
    fn a_row_stands_under_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        let targets = Targets::of(path.to_str(), []).unwrap();
        let file = NewFiles::make(&targets).unwrap().csv.unwrap();
        let csv = CsvFile::start(file).unwrap();
        let clock = Clock::start();
        let success = Sample::at(0)
            .sent(0)
            .events(&[10, 20, 30])
            .end(40)
            .outputs(&[0, 1, 2])
            .tokens(4, 3, TokenSource::Server)
            .build();
        csv.send(CsvRow::of(&success, &clock, Origin::Sent, 1, false));
        let failure = Sample::at(5)
            .number(1)
            .end(6)
            .fails(FailureKind::Connect, "refused, \"twice\"")
            .build();
        csv.send(CsvRow::of(&failure, &clock, Origin::Sent, 1, true));
        assert_eq!(csv.finish().unwrap(), 2);
        let mut table = csv::Reader::from_path(&path).unwrap();
        let header = table.headers().unwrap().clone();
        let serialized =
            serde_json::to_value(CsvRow::of(&success, &clock, Origin::Sent, 1, false)).unwrap();
        let fields = serialized.as_object().unwrap().keys();
        let names: Vec<&str> = fields
            .map(String::as_str)
            .filter(|name| *name != "added")
            .chain(["time_to_response_head_seconds"])
            .collect();
        assert_eq!(header.iter().collect::<Vec<_>>(), names);
        let rows: Vec<csv::StringRecord> = table.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(&rows[0][7], "0.04");
        assert_eq!(&rows[0][8], "0.01");
        assert_eq!(
            (&rows[1][2], &rows[1][3], &rows[1][5]),
            ("true", "false", "")
        );
        assert_eq!((&rows[0][19], &rows[1][19]), ("0.01", ""));
        assert_eq!(&rows[1][18], "refused, \"twice\"");
    }
}
