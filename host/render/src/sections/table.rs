//! Tables: rows of cells, the first of which names its row.

use super::number::Number;

/// A table with its heads and notes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    /// What the table holds.
    pub(crate) label: String,
    /// The heads of the columns; none for a table of names and values.
    pub(crate) columns: Vec<Column>,
    /// The rows.
    pub(crate) rows: Vec<Vec<Cell>>,
    /// What is to be known about it.
    pub(crate) notes: Vec<Note>,
}

/// A column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Its head.
    pub(crate) head: String,
    /// Its head where there is little room, beside the column before it.
    pub(crate) narrow: Option<String>,
    /// Whether only a page has room for it.
    pub(crate) of_a_page: bool,
    /// Where a terminal has too little room, the column with the highest is left out first; one with 0 never is.
    pub(crate) rank: u8,
}

impl Column {
    /// A column that every form has.
    pub(crate) fn new(head: impl Into<String>) -> Self {
        Self {
            head: head.into(),
            narrow: None,
            of_a_page: false,
            rank: 0,
        }
    }

    /// The same, to be left out before all columns of a lower rank.
    pub(crate) fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }

    /// The same with another head where there is little room.
    pub(crate) fn narrow(self, head: String) -> Self {
        Self {
            narrow: Some(head),
            ..self
        }
    }

    /// The same on a page only.
    pub(crate) fn of_a_page(self) -> Self {
        Self {
            of_a_page: true,
            ..self
        }
    }

    /// The head in text and Markdown.
    pub(crate) fn short_head(&self) -> &str {
        self.narrow.as_ref().unwrap_or(&self.head)
    }
}

/// What stands under a table.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    /// What of it the note is about.
    pub(crate) mark: Mark,
    /// The note: a sentence where it is about the whole table, else a part of one.
    pub(crate) text: String,
}

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The whole table.
    Whole,
    /// The numbers with a mark.
    Marked,
    /// Something that is not as it should be.
    Warning,
}

/// A cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    /// What stands in it.
    pub(crate) pieces: Vec<Piece>,
    /// What stands under it, smaller, on a page.
    pub(crate) below: Vec<Piece>,
    /// How it looks on a page: a class of its style sheet.
    pub(crate) class: &'static str,
}

/// A piece of what stands in a cell.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// Words, possibly from outside.
    Text(String),
    /// A number of the document.
    Number(Number),
    /// Words that lead to a place of the same page: the anchor, and the words.
    Link(String, String),
    /// Markup of a page, of which nothing comes from outside; in no other form.
    Markup(String),
}

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

impl From<Number> for Piece {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl Cell {
    /// The name of a row, or a few words.
    pub(crate) fn name(text: impl Into<String>) -> Self {
        Self {
            pieces: vec![Piece::Text(text.into())],
            ..Self::default()
        }
    }

    /// The name of a row that is a part of the row before it.
    pub(crate) fn part(text: impl Into<String>) -> Self {
        Self::name(text).class(PART)
    }

    /// A number.
    pub(crate) fn number(number: impl Into<Piece>) -> Self {
        Self {
            pieces: vec![number.into()],
            class: "number",
            ..Self::default()
        }
    }

    /// Text of any length, which is broken where it must be.
    pub(crate) fn long(text: impl Into<String>) -> Self {
        Self::name(text).class("long")
    }

    /// Words and numbers one after the other.
    pub(crate) fn of(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self {
            pieces: pieces.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The same with a class of the style sheet.
    pub(crate) fn class(self, class: &'static str) -> Self {
        Self { class, ..self }
    }

    /// Whether it names a part of the row before its own.
    pub(crate) fn is_part(&self) -> bool {
        self.class == PART
    }

    /// What is read in it.
    pub(crate) fn text(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) | Piece::Link(_, text) => text.as_str(),
                Piece::Number(number) => number.text.as_str(),
                Piece::Markup(_) => "",
            })
            .collect()
    }

    /// Whether a number in it has a mark.
    pub(crate) fn is_marked(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Number(number) if number.marked))
    }
}

/// The class of the name of a part.
const PART: &str = "part";

impl Table {
    /// A table with heads.
    pub(crate) fn new(label: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|head| Column::new(*head));
        Self::of_columns(label, columns)
    }

    /// A table with columns.
    pub(crate) fn of_columns(
        label: impl Into<String>,
        columns: impl IntoIterator<Item = Column>,
    ) -> Self {
        Self {
            label: label.into(),
            columns: columns.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Whether a number has a mark.
    pub(crate) fn has_marks(&self) -> bool {
        self.rows.iter().flatten().any(Cell::is_marked)
    }

    /// Adds a row of a name and a value.
    pub(crate) fn pair(&mut self, name: &str, value: Cell) {
        self.rows.push(vec![Cell::name(name), value]);
    }

    /// Adds a sentence about the whole.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.mark(Mark::Whole, text);
    }

    /// Adds a note.
    pub(crate) fn mark(&mut self, mark: Mark, text: impl Into<String>) {
        let text = text.into();
        self.notes.push(Note { mark, text });
    }

    /// The same with the columns of these heads behind the first one, where a narrow screen shows them.
    pub(crate) fn with_first(mut self, heads: &[&str]) -> Self {
        for (place, head) in (1..).zip(heads) {
            let found = self.columns.iter().position(|column| column.head == *head);
            if let Some(found) = found.filter(|found| *found > place) {
                self.columns[place..=found].rotate_right(1);
                for row in &mut self.rows {
                    row[place..=found].rotate_right(1);
                }
            }
        }
        self
    }

    /// The same with its last column in the second place, where a narrow screen shows it too.
    pub(crate) fn with_last_column_second(mut self) -> Self {
        if self.columns.len() > 2 {
            self.columns[1..].rotate_right(1);
            for row in &mut self.rows {
                row[1..].rotate_right(1);
            }
        }
        self
    }
}
