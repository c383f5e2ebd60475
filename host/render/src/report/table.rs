//! A table with aligned columns: names to the left, numbers to the right.

/// A table in the making.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// A cell: its text, and a mark behind it that does not move the digits.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    text: String,
    marked: bool,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            marked: false,
        }
    }

    pub(super) fn marked(text: impl Into<String>, marked: bool) -> Self {
        Self {
            text: text.into(),
            marked,
        }
    }
}

impl Table {
    /// Adds a row. The first cell is its name.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Whether there is a row beside the header.
    pub(super) fn has_rows(&self) -> bool {
        self.rows.len() > 1
    }

    /// Whether a cell has a mark.
    pub(super) fn has_marks(&self) -> bool {
        self.rows.iter().flatten().any(|cell| cell.marked)
    }

    /// Appends the table, each line with a line end.
    pub(super) fn push_to(&self, out: &mut String) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.text.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let Cell { text, marked } = cell;
                if column == 0 {
                    line.push_str(&format!(" {text:<width$}"));
                } else {
                    let mark = if *marked { '*' } else { ' ' };
                    line.push_str(&format!("  {text:>width$}{mark}"));
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
}
