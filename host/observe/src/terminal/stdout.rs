//! Standard output, for text that a command prints. A reader that had enough, such as `head`, or a disk
//! that is full, ends the printing and nothing else.

use llmuses_core::clean::printable_lines;
use llmuses_kernel_io::standard_output::standard_output;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// Why nothing more is printed; the first error stays.
static ENDED: Mutex<Option<ErrorKind>> = Mutex::new(None);

/// Prints text without anything that a terminal acts on. Once that has failed, nothing more is printed; [`print_failure`] tells.
pub fn print(text: impl AsRef<str>) {
    print_clean(&printable_lines(text.as_ref()));
}

/// Prints pieces of text as [`print()`] does, each in a colour: the sequence that switches it on. Without colour where none
/// is wanted, or where standard output is no terminal.
pub fn print_in_colour<'a>(pieces: impl IntoIterator<Item = (Option<&'static str>, &'a str)>) {
    let colour = std::io::stdout().is_terminal() && super::has_colour();
    let mut text = String::new();
    for (sequence, piece) in pieces {
        let piece = printable_lines(piece);
        match sequence.filter(|_| colour) {
            Some(sequence) => {
                // Line by line, so that none is left in colour where the reader stops.
                for line in piece.split_inclusive('\n') {
                    let words = line.trim_end_matches('\n');
                    text.push_str(&format!("{sequence}{words}\x1b[0m{}", &line[words.len()..]));
                }
            }
            None => text.push_str(&piece),
        }
    }
    print_clean(&text);
}

/// The columns of the terminal that standard output is. `None`: it is none.
pub fn stdout_columns() -> Option<usize> {
    columns_of(io::stdout())
}

/// The columns of the terminal that standard error is. `None`: it is none.
pub fn stderr_columns() -> Option<usize> {
    columns_of(io::stderr())
}

#[cfg(unix)]
fn columns_of(stream: impl std::os::fd::AsFd) -> Option<usize> {
    let (columns, _) = terminal_size::terminal_size_of(stream)?;
    Some(columns.0.into()).filter(|columns| *columns > 0)
}

#[cfg(not(unix))]
fn columns_of<T>(_: T) -> Option<usize> {
    terminal_size::terminal_size().map(|(columns, _)| columns.0.into())
}

fn print_clean(text: &str) {
    let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    if ended.is_some() {
        return;
    }
    // Both may be the same terminal or file.
    super::settle();
    if let Err((written, error)) = write_all(standard_output(), text) {
        *ended = Some(error.kind());
        drop(ended);
        if error.kind() != ErrorKind::BrokenPipe {
            super::say(format!(
                "error: standard output cannot be written ({error}): {} of {} bytes of a text were not, and nothing more is \
                 printed there",
                text.len() - written,
                text.len()
            ));
        }
    }
}

/// Writes all of a text. An error comes with how many bytes were written.
fn write_all(mut out: impl Write, text: &str) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < text.len() {
        match out.write(&text.as_bytes()[written..]) {
            Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    out.flush().map_err(|error| (written, error))
}

/// Whether text was lost that somebody may miss: a reader that closed its end had what it wanted.
pub fn print_failure() -> bool {
    let ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    ended.is_some_and(|kind| kind != ErrorKind::BrokenPipe)
}
