//! Tables of text, whose first row has the names of the columns.

use crate::prompts::conversation_in;
use crate::record::{Members, PROMPTS};
use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use llmuses_plugin::{Conversations, Entries, Format, Head, Source, Value, dataset_lines};
use std::io::{self, Read};

/// Columns between commas.
pub(crate) struct Csv;

/// Columns between tabs.
pub(crate) struct Tsv;

impl Format for Csv {
    const NAME: &'static str = "csv";
    const DESCRIPTION: &'static str = "CSV with a first row of names, and a prompt in a column of one of the names that json_lines knows";
    const SOURCE: Source = Source::Lines;
    const TAKES_FIELD: bool = true;

    fn recognises(head: &Head<'_>) -> bool {
        has_prompts(head, b',', ".csv")
    }

    fn open(head: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        prompts(head, b',')
    }
}

impl Format for Tsv {
    const NAME: &'static str = "tsv";
    const DESCRIPTION: &'static str = "the same with tabs between the columns";
    const SOURCE: Source = Source::Lines;
    const TAKES_FIELD: bool = true;

    fn recognises(head: &Head<'_>) -> bool {
        has_prompts(head, b'\t', ".tsv")
    }

    fn open(head: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        prompts(head, b'\t')
    }
}

/// The names in the first row, in lower case. `None`: they are no names.
pub(crate) fn names_of(head: &Head<'_>, delimiter: u8) -> Option<Vec<String>> {
    let (line, is_whole) = head.first_line();
    if !is_whole {
        return None;
    }
    let mut reader = reader(line, delimiter);
    let names = reader.headers().ok()?;
    let is_name = |name: &str| !name.is_empty() && name.len() <= 64 && name.trim() == name;
    names
        .iter()
        .all(is_name)
        .then(|| names.iter().map(str::to_ascii_lowercase).collect())
}

fn has_prompts(head: &Head<'_>, delimiter: u8, ending: &str) -> bool {
    let Some(names) = names_of(head, delimiter) else {
        return false;
    };
    let has = |name: &str| names.iter().any(|known| known == name);
    let is_table = names.len() > 1 || head.file_name.to_ascii_lowercase().ends_with(ending);
    is_table
        && match head.field {
            Some(field) => has(&field.to_ascii_lowercase()),
            None => PROMPTS.iter().any(|name| has(name)),
        }
}

fn prompts(head: &Head<'_>, delimiter: u8) -> Result<Box<dyn Conversations>, String> {
    let field = head.field.map(str::to_ascii_lowercase);
    Ok(Box::new(rows(dataset_lines()?, delimiter).map(
        move |row| {
            let mut row = row?;
            conversation_in(&mut row.members, field.as_deref()).map_err(|reason| row.error(reason))
        },
    )))
}

/// A row of a table.
pub(crate) struct Row {
    /// Its cells that are not empty, by the names of their columns in lower case.
    pub(crate) members: Members,
    line: u64,
}

impl Row {
    /// A reason with the line of the row.
    pub(crate) fn error(&self, reason: impl std::fmt::Display) -> String {
        format!("line {}: {reason}", self.line)
    }
}

/// The rows of a table, behind its first.
pub(crate) fn rows(
    entries: Entries,
    delimiter: u8,
) -> impl Iterator<Item = Result<Row, String>> + 'static {
    let mut reader = reader(Lines::of(entries), delimiter);
    let mut record = StringRecord::new();
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        // The first row is read once and kept.
        let names = match reader.headers() {
            Ok(names) => names.clone(),
            Err(error) => {
                is_over = true;
                return Some(Err(said(&error)));
            }
        };
        match reader.read_record(&mut record) {
            Ok(false) => None,
            Ok(true) => {
                let cells = names
                    .iter()
                    .zip(&record)
                    .filter(|(_, cell)| !cell.is_empty());
                let member = |(name, cell): (&str, &str)| {
                    (name.trim().to_ascii_lowercase(), Value::from(cell))
                };
                Some(Ok(Row {
                    members: cells.map(member).collect(),
                    line: record.position().map_or(0, csv::Position::line),
                }))
            }
            Err(error) => {
                // Behind a row of another length the next one can be read.
                is_over = !matches!(error.kind(), ErrorKind::UnequalLengths { .. });
                Some(Err(said(&error)))
            }
        }
    })
}

fn reader<R: Read>(input: R, delimiter: u8) -> Reader<R> {
    ReaderBuilder::new().delimiter(delimiter).from_reader(input)
}

fn said(error: &csv::Error) -> String {
    match error.kind() {
        ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => format!(
            "line {}: a row of {len} columns, where the first row has {expected_len}",
            pos.as_ref().map_or(0, csv::Position::line)
        ),
        ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    }
}

/// Lines as a stream of bytes: a cell may have several lines.
struct Lines {
    entries: Entries,
    line: Vec<u8>,
    read: usize,
}

impl Lines {
    fn of(entries: Entries) -> Self {
        Self {
            entries,
            line: Vec::new(),
            read: 0,
        }
    }
}

impl Read for Lines {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.read == self.line.len() {
            let Some(entry) = self.entries.next() else {
                return Ok(0);
            };
            self.line = entry.map_err(io::Error::other)?.into_text().into_bytes();
            self.line.push(b'\n');
            self.read = 0;
        }
        let size = room.len().min(self.line.len() - self.read);
        room[..size].copy_from_slice(&self.line[self.read..][..size]);
        self.read += size;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::head;
    use llmuses_plugin::json;

    fn all(lines: &[&str], delimiter: u8) -> Vec<Result<Value, String>> {
        rows(Entries::from_lines(lines.iter().copied()), delimiter)
            .map(|row| row.map(|row| Value::Object(row.members)))
            .collect()
    }

    #[test]
    fn cells_may_have_quotes_delimiters_and_lines() {
        let lines = ["Prompt,Id", "\"a, \"\"b\"\"", "c\",1", "", "d,"];
        let expected = [
            json!({"prompt": "a, \"b\"\nc", "id": "1"}),
            json!({"prompt": "d"}),
        ];
        assert_eq!(all(&lines, b','), expected.map(Ok));
        assert_eq!(
            all(&["prompt\tid", "a,b\t1"], b'\t'),
            [Ok(json!({"prompt": "a,b", "id": "1"}))]
        );
    }

    #[test]
    fn a_row_of_another_length_is_named_and_the_next_is_read() {
        let rows = all(&["prompt,id", "a", "b,2"], b',');
        assert_eq!(
            rows[0],
            Err("line 2: a row of 1 columns, where the first row has 2".to_owned())
        );
        assert_eq!(rows[1], Ok(json!({"prompt": "b", "id": "2"})));
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn a_table_has_a_first_row_of_names() {
        for (text, is_table) in [
            ("id,prompt\n1,a\n", true),
            ("Question,Answer\r\na,b\r\n", true),
            ("prompt\na\n", false),
            ("Text, please\n", false),
            ("id,name\n1,2\n", false),
            ("{\"prompt\": 1, \"text\": 2}\n", false),
        ] {
            assert_eq!(Csv::recognises(&head(text)), is_table, "{text}");
        }
        let one_column = Head {
            file_name: "x.CSV",
            ..head("prompt\na\n")
        };
        assert!(Csv::recognises(&one_column));
        assert!(Tsv::recognises(&head("id\tprompt\n1\ta\n")));
        let named = Head {
            field: Some("Riddle"),
            ..head("id,Riddle\n")
        };
        assert!(Csv::recognises(&named));
    }
}
