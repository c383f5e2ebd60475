//! Standard error while a run goes on: the live view at the bottom of a terminal, and whatever else is
//! said meanwhile above it.
//!
//! All that is shown during a run goes through one thread ([`say`], [`detail`]), so that no line is drawn over and no
//! reader is waited for. Between two
//! drawings the cursor stands at the first column of the view's first line. Erasing the view is therefore
//! the same few bytes whatever was drawn and however the terminal broke it when it was made narrower,
//! and a program that is killed leaves the prompt where the view was. Neither the cursor nor a mode of the
//! terminal is ever changed, so that there is nothing to restore.

mod outlet;
mod screen;
mod stdout;
mod view;

pub use stdout::{print, print_failure, print_in_colour, stderr_columns, stdout_columns};
pub use view::View;

use llmuses_core::clean::printable_lines;
use llmuses_core::messages::Messages;
use outlet::{Outlet, Weight};
use screen::Size;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Erases the line of the cursor and those below it, on a screen of so many rows, and leaves the cursor at the start of
/// its line. Line by line: what erases a whole screen at once ("erase in display" from its first row) puts that screen
/// into the history of tmux. Moving down does not scroll, and the cursor is put back where it was.
fn erase(rows: u16) -> String {
    let further = "\x1b[B\x1b[K".repeat(usize::from(rows).saturating_sub(1));
    format!("\r\x1b7\x1b[K{further}\x1b8")
}

/// For how long the last text of an end at once may be written.
const LAST_MOMENT: Duration = Duration::from_millis(200);

/// Whether a view is on.
static ON: AtomicBool = AtomicBool::new(false);

/// Whether the program is about to be stopped, so that nothing is drawn.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Whether there is a view to be drawn and erased now.
fn is_on() -> bool {
    ON.load(Ordering::Relaxed) && !STOPPING.load(Ordering::Relaxed) && is_in_foreground()
}

/// Where standard error is written. `None`: the system gave no thread for it.
fn outlet() -> Option<&'static Outlet> {
    static OUTLET: OnceLock<Option<Outlet>> = OnceLock::new();
    OUTLET
        .get_or_init(|| Outlet::start(std::io::stderr()).ok())
        .as_ref()
}

fn put(weight: Weight, text: String) {
    match outlet() {
        Some(outlet) => outlet.put(weight, text),
        None => {
            // Standard error is where one would complain.
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
    }
}

/// Shows a message on standard error, above the view where there is one. A line end is added where the text has none,
/// and what a terminal would act on is left out.
/// It is not waited for, and it is shown as long as somebody reads.
pub fn say(text: impl AsRef<str>) {
    put(Weight::Message, above_view(text.as_ref()));
}

/// Shows one of very many texts as [`say`] does. Where they are not read as fast as they come it is dropped, and
/// [`finish`] says how many lines were.
pub fn detail(text: impl AsRef<str>) {
    put(Weight::Detail, above_view(text.as_ref()));
}

/// Takes messages of other crates to standard error.
pub fn messages() -> Messages {
    Messages::new(|text| say(text))
}

fn above_view(text: &str) -> String {
    let mut out = erasing();
    out.push_str(&printable_lines(text));
    if !text.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// Waits until all that was said so far is shown, so that what is printed next comes behind it. A reader that takes
/// nothing is waited for once, for a second.
fn settle() {
    if let Some(outlet) = outlet() {
        outlet.settle(Duration::from_secs(1));
    }
}

/// Shows what was said and is not shown yet, at the end of the program. A reader that takes nothing is not waited for.
pub fn finish() {
    if let Some(outlet) = outlet() {
        outlet.finish();
    }
}

/// Takes the view away for good, and says something in its place: for an end that unwinds nothing. It waits for no
/// other thread.
pub fn leave(text: &str) {
    let text = above_view(text);
    ON.store(false, Ordering::Relaxed);
    if let Some(outlet) = outlet() {
        outlet.last_words(text, LAST_MOMENT);
    }
}

/// Panics that are told one by one; of others it is told that there were more.
const TOLD_PANICS: u32 = 10;

/// Has a panic of any thread tell its reason as messages are told, but for those that become errors. The view is drawn
/// anew below it, or taken away where the panic ends the run.
pub fn tell_panics() {
    static PANICS: AtomicU32 = AtomicU32::new(0);
    std::panic::set_hook(Box::new(|panic| {
        if llmuses_core::caught::is_catching() {
            return;
        }
        let before = PANICS.fetch_add(1, Ordering::Relaxed);
        if before >= TOLD_PANICS {
            if before == TOLD_PANICS {
                say("further panics are not shown");
            }
            return;
        }
        let thread = std::thread::current();
        let mut text = format!("thread '{}' {panic}", thread.name().unwrap_or("unnamed"));
        // Taken where RUST_BACKTRACE asks for it.
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            text.push_str(&format!("\n{backtrace}"));
        }
        say(text);
    }));
}

/// What erases the view, where there is one.
fn erasing() -> String {
    if is_on() {
        erase(Size::of_stderr().rows)
    } else {
        String::new()
    }
}

/// Takes the view away, has the program stopped (as Ctrl-Z asks), and lets the view be drawn again when it goes on.
pub fn while_stopped(stop: impl FnOnce()) {
    put(Weight::Message, erasing());
    STOPPING.store(true, Ordering::Relaxed);
    if let Some(outlet) = outlet() {
        outlet.settle(LAST_MOMENT);
    }
    stop();
    STOPPING.store(false, Ordering::Relaxed);
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
    let able = cfg!(unix) && is_capable();
    (able && std::io::stderr().is_terminal()).then(|| LiveView {
        colour: has_colour(),
    })
}

fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether the terminal acts on more than line ends.
fn is_capable() -> bool {
    variable("TERM").is_some_and(|term| term != "dumb")
}

/// Whether a terminal may be written to in colour (<https://no-color.org>).
fn has_colour() -> bool {
    is_capable() && variable("NO_COLOR").is_none()
}
