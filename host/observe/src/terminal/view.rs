//! The live view: a thread that draws what hangs on the board.

use super::LiveView;
use super::outlet::Weight;
use super::screen::{Screen, Size};
use super::{ON, erasing, is_on, put, tell_panics};
use crate::live::{Board, Phase, Snapshot};
use crate::live_text::{LiveText, live_text};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use llmuses_kernel_io::priority;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(250);

/// On a terminal of fewer columns nothing is drawn.
const NARROWEST: u16 = 8;

/// The whole of the bar.
const WHOLE: u64 = 10_000;

/// A view of the run, for as long as this is there.
#[derive(Debug)]
pub struct View {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl View {
    /// Shows on standard error what hangs on the board.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(board: Board, look: LiveView) -> io::Result<Self> {
        tell_panics();
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("live-view".to_owned())
            .spawn(move || {
                priority::step_back();
                draw_along(&board, look, &stopped);
            })?;
        ON.store(true, Ordering::Relaxed);
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A view that panicked has said so by its panic.
            let _ = thread.join();
        }
        put(Weight::Message, erasing());
        ON.store(false, Ordering::Relaxed);
    }
}

/// Draws until it is told to stop.
///
/// Each drawing is of the size that the terminal has then, so that nothing has to be done about a change of
/// size but to wait for the next one.
fn draw_along(board: &Board, look: LiveView, stopped: &Receiver<()>) {
    let screen = Screen::new(Drawings, Size::of_stderr());
    let painter = Painter::new(&screen, look);
    while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        // The last snapshot of a run may hang there while the next one begins.
        let Some(snapshot) = board
            .latest()
            .filter(|snapshot| snapshot.phase != Phase::Over)
        else {
            continue;
        };
        let size = Size::of_stderr();
        screen.resize(size);
        if is_on() {
            painter.draw(&snapshot, size);
        }
    }
}

/// Takes drawings to standard error.
struct Drawings;

impl Write for Drawings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        put(Weight::Drawing, String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Brings the text of the view onto a screen.
struct Painter {
    bar: ProgressBar,
    with_bar: ProgressStyle,
    without_bar: ProgressStyle,
    shown: Arc<Mutex<Shown>>,
    colour: bool,
}

/// The parts of the view beside the bar itself.
#[derive(Default)]
struct Shown {
    beside: String,
    lines: String,
}

impl Painter {
    fn new(screen: &Screen, look: LiveView) -> Self {
        let shown = Arc::<Mutex<Shown>>::default();
        let (blue, plain) = if look.colour {
            ("\x1b[36m", "\x1b[0m")
        } else {
            ("", "")
        };
        let style = |template: &str| {
            let of = |part: fn(&Shown) -> &str| {
                let shown = Arc::clone(&shown);
                move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                    // The text is collected in memory.
                    let _ = out.write_str(part(&shown));
                }
            };
            // Only a template with a brace that is not closed is refused.
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ")
                .with_key("beside", of(|shown| &shown.beside))
                .with_key("lines", of(|shown| &shown.lines))
        };
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        Self {
            bar: ProgressBar::with_draw_target(Some(WHOLE), target),
            with_bar: style(&format!(
                " [{blue}{{wide_bar}}{plain}] {{beside}}\n{{lines}}"
            )),
            without_bar: style(" {beside}\n{lines}"),
            shown,
            colour: look.colour,
        }
    }

    fn draw(&self, snapshot: &Snapshot, size: Size) {
        if size.columns < NARROWEST {
            return;
        }
        let text = live_text(snapshot, size.columns.into());
        let style = match text.share {
            Some(_) => &self.with_bar,
            None => &self.without_bar,
        };
        let position = text.share.unwrap_or(0.0) * WHOLE as f64;
        self.show(text, size);
        self.bar.set_style(style.clone());
        self.bar.update(|state| state.set_pos(position as u64));
    }

    fn show(&self, text: LiveText, size: Size) {
        // A row is left for what is said above.
        let room = usize::from(size.rows).saturating_sub(2);
        let mut lines = String::new();
        for line in text.lines.iter().take(room) {
            if !lines.is_empty() {
                lines.push('\n');
            }
            if line.warns && self.colour {
                // Writing to a string does not fail.
                let _ = write!(lines, "\x1b[31m{}\x1b[0m", line.text);
            } else {
                lines.push_str(&line.text);
            }
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = Shown {
            beside: text.beside,
            lines,
        };
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        // A bar that panicked while it was drawn would do so again. One that was not is drawn for a
        // last time when it is dropped, and that is to be nothing.
        if !std::thread::panicking() {
            self.bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests;
