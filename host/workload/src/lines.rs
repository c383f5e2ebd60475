//! A file as lines of text.

use llmuses_plugin_host::EntryReader;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest line that is taken, in bytes: one prompt. A file without line ends must not fill the
/// memory.
const LINE_LIMIT_BYTES: u64 = 64 << 20;

/// The most bytes that are handed over at once, so that a batch of long lines stays small. A single
/// line may be longer.
const BATCH_BYTES: usize = 1 << 20;

/// Reads lines, and counts them.
#[derive(Debug)]
pub(super) struct LineReader<R> {
    input: BufReader<R>,
    number: u64,
    entries: Arc<AtomicU64>,
    /// An unreadable line behind good ones that were handed over first.
    pending: Option<String>,
    /// The last line was too long, and its rest is still to be read.
    in_long_line: bool,
    /// The file cannot be read any further.
    ended: bool,
}

impl<R: Read> LineReader<R> {
    pub(super) fn new(input: R, entries: Arc<AtomicU64>) -> Self {
        Self {
            input: BufReader::with_capacity(64 << 10, input),
            number: 0,
            entries,
            pending: None,
            in_long_line: false,
            ended: false,
        }
    }

    /// Reads on behind a line that was too long.
    fn pass_long_line(&mut self) -> std::io::Result<()> {
        if self.in_long_line {
            self.input.skip_until(b'\n')?;
            self.in_long_line = false;
        }
        Ok(())
    }

    /// The next line without its end; `None` behind the last one.
    fn line(&mut self) -> Option<Result<String, String>> {
        if self.ended {
            return None;
        }
        let mut line = Vec::new();
        let result = self.pass_long_line().and_then(|()| {
            (&mut self.input)
                .take(LINE_LIMIT_BYTES)
                .read_until(b'\n', &mut line)
        });
        if line.is_empty()
            && let Ok(0) = result
        {
            return None;
        }
        self.number += 1;
        self.entries.fetch_add(1, Ordering::Relaxed);
        let number = self.number;
        if let Err(error) = result {
            self.ended = true;
            return Some(Err(format!("line {number}: {error}")));
        }
        if line.len() as u64 == LINE_LIMIT_BYTES && line.last() != Some(&b'\n') {
            self.in_long_line = true;
            return Some(Err(format!(
                "line {number} is longer than {} MiB",
                LINE_LIMIT_BYTES >> 20
            )));
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        if number == 1 && line.starts_with(b"\xEF\xBB\xBF") {
            line.drain(..3);
        }
        Some(String::from_utf8(line).map_err(|error| {
            let column = error.utf8_error().valid_up_to() + 1;
            format!("line {number}, byte {column}: not valid UTF-8")
        }))
    }
}

impl<R: Read + Send> EntryReader for LineReader<R> {
    fn next(&mut self, max: u32) -> Result<Vec<String>, String> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        let mut lines = Vec::new();
        let mut bytes = 0;
        while lines.len() < max as usize && bytes < BATCH_BYTES {
            match self.line() {
                None => break,
                Some(Ok(line)) => {
                    bytes += line.len();
                    lines.push(line);
                }
                Some(Err(error)) if lines.is_empty() => return Err(error),
                Some(Err(error)) => {
                    self.pending = Some(error);
                    break;
                }
            }
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(text: &'static [u8]) -> (LineReader<&'static [u8]>, Arc<AtomicU64>) {
        let entries = Arc::new(AtomicU64::new(0));
        (LineReader::new(text, Arc::clone(&entries)), entries)
    }

    #[test]
    fn lines_come_without_their_ends_until_an_empty_list() {
        let (mut lines, entries) = reader(b"\xEF\xBB\xBFa\r\nb\n\nc");
        assert_eq!(lines.next(2).unwrap(), ["a", "b"]);
        assert_eq!(lines.next(9).unwrap(), ["", "c"]);
        assert!(lines.next(9).unwrap().is_empty());
        assert_eq!(entries.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn behind_a_line_that_is_too_long_reading_goes_on() {
        let long = std::io::repeat(b'x').take(LINE_LIMIT_BYTES + 9);
        let text = b"a\n".chain(long).chain(&b"\nb\n"[..]);
        let mut lines = LineReader::new(text, Arc::default());
        assert_eq!(lines.next(9).unwrap(), ["a"]);
        assert_eq!(lines.next(9).unwrap_err(), "line 2 is longer than 64 MiB");
        assert_eq!(lines.next(9).unwrap(), ["b"]);
        assert!(lines.next(9).unwrap().is_empty());
    }

    #[test]
    fn a_bad_line_comes_in_its_place_and_reading_goes_on() {
        let (mut lines, _) = reader(b"a\nb\xff\nc\n");
        assert_eq!(lines.next(9).unwrap(), ["a"]);
        assert_eq!(
            lines.next(9).unwrap_err(),
            "line 2, byte 2: not valid UTF-8"
        );
        assert_eq!(lines.next(9).unwrap(), ["c"]);
    }
}
