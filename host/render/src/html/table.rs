//! Tables as they stand on a page.

use crate::digits::{grouped, sentence};
use crate::sections::{Mark, Note, Number, Piece, Table};
use askama::Template;

/// A table in a box that scrolls by itself where the screen is narrow.
#[derive(Debug, Clone, Template)]
#[template(path = "table.html")]
pub(super) struct TableView {
    table: Table,
}

impl askama::filters::HtmlSafe for TableView {}

impl From<Table> for TableView {
    fn from(table: Table) -> Self {
        Self { table }
    }
}

impl TableView {
    /// Whether the column holds numbers, which stand to the right as their head does.
    fn is_number(&self, column: &usize) -> bool {
        let cell = self.table.rows.first().and_then(|row| row.get(*column));
        cell.is_some_and(|cell| cell.class == "number")
    }

    fn pieces<'a>(&self, pieces: &'a [Piece]) -> Pieces<'a> {
        Pieces { pieces }
    }

    fn note(&self, note: &Note) -> String {
        match note.mark {
            Mark::Whole => note.text.clone(),
            Mark::Marked => format!("* {}.", note.text),
            Mark::Warning => sentence(&note.text),
        }
    }
}

/// Words and numbers one after the other.
#[derive(Debug, Template)]
#[template(path = "pieces.html")]
pub(super) struct Pieces<'a> {
    pub(super) pieces: &'a [Piece],
}

impl askama::filters::HtmlSafe for Pieces<'_> {}

impl Pieces<'_> {
    /// A number with its thousands apart.
    fn grouped(&self, number: &Number) -> String {
        grouped(&number.text)
    }
}
