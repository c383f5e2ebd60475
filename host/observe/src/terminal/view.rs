//! The live view: a thread that draws what hangs on the board.

use super::LiveView;
use super::screen::{Screen, Size};
use super::{erasing, is_in_foreground, lock, lock_soon};
use crate::live::{Board, Phase, Snapshot};
use crate::live_text::{LiveText, live_text};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use llmuses_kernel_io::priority;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
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
        keep_panics_whole();
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("live-view".to_owned())
            .spawn(move || {
                priority::step_back();
                draw_along(&board, look, &stopped);
            })?;
        *lock() = true;
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
        if let Some(mut on) = lock_soon() {
            let _ = io::stderr().write_all(erasing(*on).as_bytes());
            *on = false;
        }
    }
}

/// Draws until it is told to stop.
///
/// Each drawing is of the size that the terminal has then, so that nothing has to be done about a change of
/// size but to wait for the next one.
fn draw_along(board: &Board, look: LiveView, stopped: &Receiver<()>) {
    let screen = Screen::new(io::stderr(), Size::of_stderr());
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
        let on = lock();
        if *on && is_in_foreground() {
            painter.draw(&snapshot, size);
        }
    }
}

/// Has a panic of any thread tell its reason above the view. The view is drawn anew below it, or taken
/// away where the panic ends the run.
fn keep_panics_whole() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let on = lock_soon();
            let shown = on.as_deref() == Some(&true);
            let _ = io::stderr().write_all(erasing(shown).as_bytes());
            tell(panic);
        }));
    });
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
            let _on = lock();
            self.bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests;
