//! Standard output, for text that a command prints. A reader that had enough, such as `head`, or a disk
//! that is full, ends the printing and nothing else.

use llmuses_core::clean::printable_lines;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

/// Why nothing more is printed; the first error stays.
static ENDED: Mutex<Option<ErrorKind>> = Mutex::new(None);

/// Prints text without anything that a terminal acts on. Once that has failed, nothing more is printed; [`print_failure`] tells.
pub fn print(text: impl AsRef<str>) {
    let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    if ended.is_some() {
        return;
    }
    // Both may be the same terminal or file.
    super::settle();
    if let Err(error) = write_all(io::stdout().lock(), &printable_lines(text.as_ref())) {
        *ended = Some(error.kind());
        drop(ended);
        if error.kind() != ErrorKind::BrokenPipe {
            super::say(format!(
                "error: standard output cannot be written ({error}): nothing more is printed there"
            ));
        }
    }
}

fn write_all(mut out: impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Whether text was lost that somebody may miss: a reader that closed its end had what it wanted.
pub fn print_failure() -> bool {
    let ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    ended.is_some_and(|kind| kind != ErrorKind::BrokenPipe)
}
