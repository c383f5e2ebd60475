//! Where indicatif draws: a terminal on which the view is redrawn in place, also after its width has changed.

use super::erase;
use indicatif::TermLike;
use std::fmt::{self, Debug, Formatter, Write as _};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Columns and rows of a terminal that does not tell.
const USUAL_SIZE: Size = Size {
    columns: 80,
    rows: 24,
};

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: u16,
    pub(super) rows: u16,
}

impl Size {
    /// The size that the terminal on standard error has now.
    pub(super) fn of_stderr() -> Self {
        match terminal_size::terminal_size_of(io::stderr()) {
            Some((columns, rows)) if columns.0 > 0 && rows.0 > 0 => Self {
                columns: columns.0,
                rows: rows.0,
            },
            _ => USUAL_SIZE,
        }
    }
}

/// A screen. Copies are the same screen.
///
/// indicatif moves the cursor over what it drew before, line by line, which goes wrong once the terminal
/// has broken these lines anew. So its movements are left out, and its lines are drawn from where the
/// cursor was left: at the start of the first line.
#[derive(Clone)]
pub(super) struct Screen(Arc<Mutex<Canvas>>);

struct Canvas {
    out: Box<dyn Write + Send>,
    size: Size,
    /// Lines to be drawn.
    lines: Vec<String>,
    /// The line that is being written.
    line: String,
}

impl Screen {
    /// A screen that shows on `out`.
    pub(super) fn new(out: impl Write + Send + 'static, size: Size) -> Self {
        Self(Arc::new(Mutex::new(Canvas {
            out: Box::new(out),
            size,
            lines: Vec::new(),
            line: String::new(),
        })))
    }

    /// Sets the size, from the next drawing on.
    pub(super) fn resize(&self, size: Size) {
        self.canvas().size = size;
    }

    fn canvas(&self) -> MutexGuard<'_, Canvas> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Canvas {
    fn end_line(&mut self) {
        self.lines.push(std::mem::take(&mut self.line));
    }

    /// Everything in one write, so that no half-drawn view is seen.
    fn draw(&mut self) -> io::Result<()> {
        let mut text = String::from("\r");
        for (index, line) in self.lines.iter().enumerate() {
            // Before the line: behind one that fills its row it would erase the last character.
            text.push_str(if index == 0 { "\x1b[K" } else { "\r\n\x1b[K" });
            text.push_str(line);
        }
        let up = self.lines.len().saturating_sub(1);
        let below = usize::from(self.size.rows).saturating_sub(self.lines.len());
        if self.lines.is_empty() {
            text = erase(self.size.rows);
        } else if below > 0 {
            // What a taller view, or the lines of a wider terminal, left there.
            text.push_str(&format!("\x1b7{}\x1b8", "\x1b[B\r\x1b[K".repeat(below)));
        }
        if up > 0 {
            // Writing to a string does not fail.
            let _ = write!(text, "\x1b[{up}A");
        }
        text.push('\r');
        self.lines.clear();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl Debug for Screen {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Screen").field(&self.canvas().size).finish()
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.canvas().size.columns
    }

    fn height(&self) -> u16 {
        self.canvas().size.rows
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.canvas().end_line();
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut canvas = self.canvas();
        // Each line is followed by the spaces that fill its row. Spaces there would be broken off with
        // the line when the terminal is made narrower.
        if text.trim_matches(' ').is_empty() {
            canvas.end_line();
        } else {
            canvas.line.push_str(text);
        }
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.canvas().draw()
    }
}
