//! Standard error while a run goes on: the live view at the bottom of a terminal, and whatever else is
//! said meanwhile above it.
//!
//! Whatever speaks during a run does it through [`say`], so that no line is drawn over. Between two
//! drawings the cursor stands at the first column of the view's first line. Erasing the view is therefore
//! the same few bytes whatever was drawn and however the terminal broke it when it was made narrower,
//! and a program that is killed leaves the prompt where the view was. Neither the cursor nor a mode of the
//! terminal is ever changed, so that there is nothing to restore.

mod screen;
mod stdout;
mod view;

pub use stdout::{print, print_failure};
pub use view::View;

use llmuses_core::messages::Messages;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// To the start of the line; erase from there to the end of the screen.
const ERASE: &str = "\r\x1b[J";

/// Whether a view is on. Whoever holds it has standard error to itself.
static ON: Mutex<bool> = Mutex::new(false);

fn lock() -> MutexGuard<'static, bool> {
    ON.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lock, or `None` where somebody does not let go of it: this thread itself, when it panics while it
/// draws, or one that waits for a terminal that was stopped.
fn lock_soon() -> Option<MutexGuard<'static, bool>> {
    for _ in 0..40 {
        match ON.try_lock() {
            Ok(on) => return Some(on),
            Err(TryLockError::Poisoned(on)) => return Some(on.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    None
}

/// Writes lines to standard error, above the view where there is one. A line end is added where the text
/// has none.
pub fn say(text: impl AsRef<str>) {
    write(*lock(), text.as_ref());
}

/// Takes messages of other crates to standard error.
pub fn messages() -> Messages {
    Messages::new(|text| say(text))
}

fn write(on: bool, text: &str) {
    let mut out = erasing(on).to_owned();
    out.push_str(text);
    if !text.ends_with('\n') {
        out.push('\n');
    }
    // Standard error is where one would complain.
    let _ = std::io::stderr().write_all(out.as_bytes());
}

/// Takes the view away for good, and says something in its place: for an end that unwinds nothing.
pub fn leave(text: &str) {
    let on = lock_soon();
    write(on.as_deref() == Some(&true), text);
    if let Some(mut on) = on {
        *on = false;
    }
}

/// What erases the view, where there is one.
fn erasing(on: bool) -> &'static str {
    if on && is_in_foreground() { ERASE } else { "" }
}

/// Whether the terminal is ours: a program that was sent to the background must not erase what is typed
/// there.
fn is_in_foreground() -> bool {
    #[cfg(unix)]
    {
        // SAFETY: both calls take plain numbers and touch no memory of ours. Where standard error is no
        // terminal that controls this process, the first one gives -1.
        let (foreground, ours) = unsafe { (libc::tcgetpgrp(libc::STDERR_FILENO), libc::getpgrp()) };
        foreground == ours || foreground == -1
    }
    #[cfg(not(unix))]
    true
}

/// How a run shows on a terminal while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveView {
    /// Whether in colour.
    pub colour: bool,
}

/// The view that suits the terminal on standard error. `None` where nobody watches, or where the terminal
/// cannot erase a line.
pub fn live_view() -> Option<LiveView> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let able = cfg!(unix) && variable("TERM").is_some_and(|term| term != "dumb");
    (able && std::io::stderr().is_terminal()).then(|| LiveView {
        colour: variable("NO_COLOR").is_none(),
    })
}
