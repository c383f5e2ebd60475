//! The table of requests as CSV: a header, and a row for each request in the order in which they ended.
//! Bodies and responses are not in it; the database has them.

use super::{FormSource, Renderer};
use crate::error::OutputError;
use crate::file::{NewFile, unless_closed};
use llmuses_core::backlog::PipelineStage;
use llmuses_core::clock::Clock;
use llmuses_core::metric::Time;
use llmuses_kernel_io::standard_output::standard_output;
use llmuses_stats::{RunSoFar, Sample, Sink};
use llmuses_store::results::{CsvRow, RowStages};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::thread::JoinHandle;

pub(super) struct Csv;

impl Renderer for Csv {
    fn flag(&self) -> &'static str {
        "--csv"
    }

    fn help(&self) -> &'static str {
        "Write a row for each request as CSV to a new file; - for standard output"
    }

    fn source(&self) -> FormSource {
        FormSource::Requests
    }
}

/// Rows that wait for the disk at most.
const QUEUE: usize = 4096;

/// A CSV file in the making, with a thread that writes it: no disk holds up the run.
#[derive(Debug)]
pub struct CsvFile {
    path: Option<PathBuf>,
    queue: Option<flume::Sender<CsvRow>>,
    writer: Option<JoinHandle<Result<u64, OutputError>>>,
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
                None => {
                    let mut count = 0;
                    let written = write_rows(standard_output(), &rows, &mut count);
                    let told = written.map_err(|error| {
                        std::io::Error::new(error.kind(), format!("{error}, after {count} rows"))
                    });
                    unless_closed(told.map(|()| count), 0)
                }
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

    /// A sink for the samples of the run with this number.
    pub fn sink(&self, clock: Clock, run: u32, stages: RowStages) -> CsvSink<'_> {
        CsvSink {
            file: self,
            clock,
            run,
            stages,
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
    pub fn finish(mut self) -> Result<u64, OutputError> {
        drop(self.queue.take());
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(written)) => written,
            _ => Err(OutputError::StandardOutput(std::io::Error::other(
                "the thread that writes CSV failed",
            ))),
        }
    }
}

/// A CSV file as one of the sinks of a run.
#[derive(Debug)]
pub struct CsvSink<'a> {
    file: &'a CsvFile,
    clock: Clock,
    run: u32,
    stages: RowStages,
}

impl Sink for CsvSink<'_> {
    fn stage(&self) -> PipelineStage {
        PipelineStage::Csv
    }

    fn offer(&mut self, sample: &Sample, _: &RunSoFar<'_>) {
        self.file
            .send(CsvRow::of(sample, &self.clock, self.run, &self.stages));
    }
}

fn write_file(
    flag: &'static str,
    path: PathBuf,
    file: File,
    rows: &flume::Receiver<CsvRow>,
) -> Result<u64, OutputError> {
    let mut count = 0;
    write_rows(BufWriter::new(file), rows, &mut count).map_err(|reason| OutputError::Write {
        flag,
        path,
        reason,
    })?;
    Ok(count)
}

/// Writes the rows, and counts them.
fn write_rows(
    out: impl Write,
    rows: &flume::Receiver<CsvRow>,
    count: &mut u64,
) -> std::io::Result<()> {
    let mut table = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(out);
    let added: Vec<String> = Time::added()
        .filter(|time| time.column.is_some())
        .map(Time::seconds_key)
        .collect();
    let columns = COLUMNS.into_iter().chain(added.iter().map(String::as_str));
    table
        .write_record(columns.chain(LAST))
        .map_err(error_of_writing)?;
    for mut row in rows {
        guard_formulas(&mut row);
        table.serialize(row).map_err(error_of_writing)?;
        *count += 1;
    }
    table.flush()
}

/// Puts an apostrophe before texts of a server that a spreadsheet would take for a formula, and run. What users name
/// stays as it is: models of some services begin with an at sign.
fn guard_formulas(row: &mut CsvRow) {
    let of_servers = [&mut row.error, &mut row.finish_reason, &mut row.label];
    for text in of_servers.into_iter().flatten() {
        // Some pass over blanks before one.
        if text
            .trim_start()
            .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
        {
            text.insert(0, '\'');
        }
    }
}

/// The error of the system with its kind. The conversion that comes with the crate makes one of no kind, and a closed
/// standard output could not be told from a full one.
fn error_of_writing(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("a row is no CSV: {other:?}")),
    }
}

/// The header but for the added times: the names of the fields of [`CsvRow`]. Written by itself, so that a run without
/// a request has it too.
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

/// The header behind the added times.
const LAST: [&str; 12] = [
    "finish_reason",
    "label",
    "url",
    "session",
    "turn",
    "turns",
    "stage",
    "model",
    "request_id",
    "cached_tokens",
    "reasoning_tokens",
    "asked_output_tokens",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewFile, OutputFiles};
    use llmuses_core::clock::Moment;
    use llmuses_core::exchange::{FailureKind, TokenSource};
    use llmuses_samples::OutcomeBuilder;
    use llmuses_stats::Origin;
    use std::io::ErrorKind;

    #[test]
    fn a_closed_output_is_told_from_a_full_one_after_many_rows() {
        struct Failing(ErrorKind);
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let clock = Clock::start();
        let stages = RowStages {
            stages: None,
            began_unix_seconds: 0.0,
        };
        let sample = Sample::of(OutcomeBuilder::at(0).build(), Origin::Sent, false);
        let (queue, rows) = flume::unbounded();
        for _ in 0..500 {
            queue.send(CsvRow::of(&sample, &clock, 1, &stages)).unwrap();
        }
        drop(queue);
        for kind in [ErrorKind::BrokenPipe, ErrorKind::StorageFull] {
            let error = write_rows(Failing(kind), &rows.clone(), &mut 0).unwrap_err();
            assert_eq!(error.kind(), kind);
        }
    }

    #[test]
    fn a_row_stands_under_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        let name = path.to_str().map(ToOwned::to_owned);
        let targets = OutputFiles::of([("--csv", name)]).unwrap();
        let file = NewFile::make_all(&targets).unwrap().remove(0);
        let csv = CsvFile::start(file).unwrap();
        let clock = Clock::start();
        let stages = RowStages {
            stages: Some("rate:1@2ms,1@1s".parse().unwrap()),
            began_unix_seconds: clock.unix_seconds(Moment::default()),
        };
        let success = OutcomeBuilder::at(0)
            .sent(0)
            .events(&[10, 20, 30])
            .end(40)
            .outputs(&[0, 1, 2])
            .tokens(4, 3, TokenSource::Server)
            .metric("cached_tokens", 2.0)
            .build();
        let success = Sample::of(success, Origin::Sent, false);
        csv.send(CsvRow::of(&success, &clock, 1, &stages));
        let failure = OutcomeBuilder::at(5)
            .number(1)
            .end(6)
            .fails(FailureKind::Connect, "refused, \"twice\"")
            .build();
        let failure = Sample::of(failure, Origin::Sent, true);
        csv.send(CsvRow::of(&failure, &clock, 1, &stages));
        let mut formulas = CsvRow::of(&failure, &clock, 1, &stages);
        formulas.error = Some("=1+1".to_owned());
        formulas.label = Some(" @SUM(1)".to_owned());
        formulas.finish_reason = Some("stop=1".to_owned());
        csv.send(formulas);
        assert_eq!(csv.finish().unwrap(), 3);
        let mut table = csv::Reader::from_path(&path).unwrap();
        let header = table.headers().unwrap().clone();
        let serialized = serde_json::to_value(CsvRow::of(&success, &clock, 1, &stages)).unwrap();
        let fields = serialized.as_object().unwrap().keys();
        let names: Vec<&str> = fields
            .map(String::as_str)
            .filter(|name| *name != "added" && !LAST.contains(name))
            .chain([
                "time_to_first_answer_token_seconds",
                "time_to_response_head_seconds",
                "held_up_seconds",
                "session_seconds",
            ])
            .chain(LAST)
            .collect();
        assert_eq!(header.iter().collect::<Vec<_>>(), names);
        let rows: Vec<csv::StringRecord> = table.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(&rows[0][7], "0.04");
        assert_eq!(&rows[0][8], "0.01");
        assert_eq!(
            (&rows[1][2], &rows[1][3], &rows[1][5]),
            ("true", "false", "")
        );
        assert_eq!((&rows[0][20], &rows[1][20]), ("0.01", ""));
        assert_eq!(&rows[1][18], "refused, \"twice\"");
        assert_eq!(&rows[2][18], "'=1+1");
        let first = names
            .iter()
            .position(|name| *name == "finish_reason")
            .unwrap();
        assert_eq!(
            (&rows[2][first], &rows[2][first + 1]),
            ("stop=1", "' @SUM(1)")
        );
        let stage = names.iter().position(|name| *name == "stage").unwrap();
        assert_eq!((&rows[0][stage], &rows[1][stage]), ("1", "2"));
        let tokens =
            |row: &csv::StringRecord| row.iter().rev().take(3).map(str::to_owned).collect();
        let [first, second]: [Vec<String>; 2] = [tokens(&rows[0]), tokens(&rows[1])];
        assert_eq!(first, ["", "", "2"]);
        assert_eq!(second, ["", "", ""]);
    }
}
