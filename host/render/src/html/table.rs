//! Tables of a page: rows of cells, the first of which names its row.

use super::figure::Figure;
use askama::Template;

/// A table in a box that scrolls by itself where the screen is narrow.
#[derive(Debug, Clone, Default, Template)]
#[template(path = "table.html")]
pub(super) struct Table {
    /// What the table holds, for those who do not see it.
    pub(super) label: String,
    /// The heads of the columns; none for a table of names and values.
    pub(super) columns: Vec<String>,
    /// The rows.
    pub(super) rows: Vec<Vec<Cell>>,
    /// What is to be known about it.
    pub(super) notes: Vec<String>,
}

impl askama::filters::HtmlSafe for Table {}

/// A cell.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    /// What stands in it.
    pub(super) pieces: Vec<Piece>,
    /// What stands under it, smaller.
    pub(super) below: Vec<Piece>,
    /// How it looks.
    pub(super) class: &'static str,
}

/// A piece of what stands in a cell.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// Words, possibly from outside.
    Text(String),
    /// A number of the document.
    Figure(Figure),
    /// Markup of this room's own.
    Markup(Markup),
}

/// Markup that this room has made, of which nothing comes from outside.
#[derive(Debug, Clone)]
pub(super) struct Markup(pub(super) String);

impl std::fmt::Display for Markup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Markup {}

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Piece {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Figure> for Piece {
    fn from(figure: Figure) -> Self {
        Self::Figure(figure)
    }
}

impl Cell {
    /// The name of a row, or a few words.
    pub(super) fn name(text: impl Into<String>) -> Self {
        Self {
            pieces: vec![Piece::Text(text.into())],
            ..Self::default()
        }
    }

    /// A number.
    pub(super) fn number(figure: impl Into<Piece>) -> Self {
        Self {
            pieces: vec![figure.into()],
            class: "number",
            ..Self::default()
        }
    }

    /// Text of any length, which is broken where it must be.
    pub(super) fn long(text: impl Into<String>) -> Self {
        Self {
            class: "long",
            ..Self::name(text)
        }
    }

    /// Words and numbers one after the other.
    pub(super) fn of(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self {
            pieces: pieces.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The same with a class of the style sheet.
    pub(super) fn class(self, class: &'static str) -> Self {
        Self { class, ..self }
    }
}

impl Table {
    /// A table with heads.
    pub(super) fn new(label: impl Into<String>, columns: &[&str]) -> Self {
        Self {
            label: label.into(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// Whether the column holds numbers, which stand to the right as their head does.
    fn is_number(&self, column: &usize) -> bool {
        let cell = self.rows.first().and_then(|row| row.get(*column));
        cell.is_some_and(|cell| cell.class == "number")
    }

    /// Whether a number has a mark.
    pub(super) fn has_marks(&self) -> bool {
        self.rows
            .iter()
            .flatten()
            .flat_map(|cell| &cell.pieces)
            .any(|piece| matches!(piece, Piece::Figure(figure) if figure.is_marked()))
    }

    /// Adds a row of a name and a value.
    pub(super) fn pair(&mut self, name: &str, value: Cell) {
        self.rows.push(vec![Cell::name(name), value]);
    }
}
