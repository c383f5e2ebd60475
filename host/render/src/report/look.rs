//! How a report is to look.

/// The columns of a report that no terminal shows.
const USUAL_COLUMNS: usize = 100;

/// Fewer columns than this are not cared for.
const FEWEST_COLUMNS: usize = 40;

/// Lines of words are not longer, however wide the terminal is.
const MOST_FOR_WORDS: usize = 100;

/// How a report is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    columns: usize,
    /// Whether everything is said that is known.
    pub details: bool,
}

impl Look {
    /// For a terminal of so many columns, or for none.
    pub fn of(columns: Option<usize>, details: bool) -> Self {
        Self {
            columns: columns.unwrap_or(USUAL_COLUMNS).max(FEWEST_COLUMNS),
            details,
        }
    }

    /// The columns that there are.
    pub(crate) fn columns(self) -> usize {
        self.columns
    }

    /// The columns that a line of words may take.
    pub(crate) fn words(self) -> usize {
        self.columns.min(MOST_FOR_WORDS)
    }
}
