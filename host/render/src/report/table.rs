//! Tables with aligned columns: names to the left, numbers to the right.

use super::text::push_wrapped;
use crate::sections::{Cell, Mark, Table};

/// Appends the table, each line with a line end.
pub(super) fn push_table(out: &mut String, table: &Table) {
    let shown: Vec<usize> = (0..table.columns.len())
        .filter(|place| !table.columns[*place].of_a_page)
        .collect();
    let head = |place: &usize| (table.columns[*place].short_head().to_owned(), false);
    let mut rows: Vec<Vec<(String, bool)>> = vec![shown.iter().map(head).collect()];
    rows.extend(table.rows.iter().map(|row| {
        let cells = shown.iter().filter_map(|place| row.get(*place));
        cells.map(text_and_mark).collect()
    }));
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|(text, _)| text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..shown.len()).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (column, ((text, marked), width)) in row.iter().zip(&widths).enumerate() {
            if column == 0 {
                line.push_str(&format!(" {text:<width$}"));
            } else {
                // A mark does not move the digits.
                let mark = if *marked { '*' } else { ' ' };
                line.push_str(&format!("  {text:>width$}{mark}"));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn text_and_mark(cell: &Cell) -> (String, bool) {
    let indent = if cell.is_part() { "  " } else { "" };
    (format!("{indent}{}", cell.text()), cell.is_marked())
}

/// Appends the notes of the table.
pub(super) fn push_notes(out: &mut String, table: &Table) {
    for note in &table.notes {
        let first = match note.mark {
            Mark::Whole => " ",
            Mark::Marked => " * ",
            Mark::Warning => " ! ",
        };
        push_wrapped(out, first, &note.text);
    }
}
