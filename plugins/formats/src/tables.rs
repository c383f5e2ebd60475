//! Tables of text, whose first row has the names of the columns.

use crate::prompts::conversation_in;
use crate::record::{Members, PROMPTS};
use crate::traces::Requests;
use csv::{Reader, ReaderBuilder, StringRecord};
use llmuses_plugin::{
    Conversations, Entries, Entry, Format, Head, Skipped, Source, Value, dataset_lines,
};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

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
        has_prompts(head, b',')
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
        has_prompts(head, b'\t')
    }

    fn open(head: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        prompts(head, b'\t')
    }
}

/// Whether the name of the file says that it is such a table.
fn is_named_so(head: &Head<'_>, delimiter: u8) -> bool {
    let ending = if delimiter == b',' { ".csv" } else { ".tsv" };
    head.file_name.to_ascii_lowercase().ends_with(ending)
}

/// Whether a file is a table of several columns by its name and its first row.
pub(crate) fn is_one(head: &Head<'_>) -> bool {
    [b',', b'\t'].into_iter().any(|delimiter| {
        is_named_so(head, delimiter)
            && names_of(head, delimiter).is_some_and(|names| names.len() > 1)
    })
}

/// The names in the first row, in lower case. `None`: they are no names. A table that is named as one may have a column
/// without a name, as pandas writes it, and blanks around names; elsewhere that is a sentence.
pub(crate) fn names_of(head: &Head<'_>, delimiter: u8) -> Option<Vec<String>> {
    let (line, is_whole) = head.first_line();
    if !is_whole {
        return None;
    }
    let mut reader = reader(line, delimiter);
    let names = reader.headers().ok()?;
    let is_strict = !is_named_so(head, delimiter);
    let is_name =
        |name: &str| name.len() <= 64 && !(is_strict && (name.is_empty() || name.trim() != name));
    names.iter().all(is_name).then(|| {
        let names = names.iter();
        names.map(|name| name.trim().to_ascii_lowercase()).collect()
    })
}

fn has_prompts(head: &Head<'_>, delimiter: u8) -> bool {
    let Some(names) = names_of(head, delimiter) else {
        return false;
    };
    let has = |name: &str| names.iter().any(|known| known == name);
    let is_table = names.len() > 1 || is_named_so(head, delimiter);
    is_table
        && match head.field {
            Some(field) => has(&field.to_ascii_lowercase()),
            None => PROMPTS.iter().any(|name| has(name)),
        }
}

fn prompts(head: &Head<'_>, delimiter: u8) -> Result<Box<dyn Conversations>, String> {
    // The first row decides, and not what else a row has whose prompt is empty.
    let usual = || {
        let names = names_of(head, delimiter)?;
        PROMPTS
            .into_iter()
            .find(|usual| names.iter().any(|name| name == usual))
    };
    let field = head.field.map(str::to_ascii_lowercase);
    let field = field.or_else(|| usual().map(str::to_owned));
    Ok(Box::new(Requests {
        entries: rows(dataset_lines()?, delimiter),
        skipped: Skipped::default(),
        read: move |mut row: Row| {
            if let Some(field) = &field
                && row.has_empty(field)
            {
                return Ok(Err("blank"));
            }
            let conversation = conversation_in(&mut row.members, field.as_deref());
            conversation.map(Ok).map_err(|reason| row.error(reason))
        },
    }))
}

/// A row of a table.
pub(crate) struct Row {
    /// Its cells that are not empty, by the names of their columns in lower case.
    pub(crate) members: Members,
    /// The columns whose cells are empty.
    empty: Vec<String>,
    line: u64,
}

impl Row {
    /// Whether there is a column of this name, and its cell is empty.
    fn has_empty(&self, name: &str) -> bool {
        self.empty.iter().any(|empty| empty == name)
    }

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
    rows_of(entries.map(|entry| entry.map(Entry::into_text)), delimiter)
}

fn rows_of(
    lines: impl Iterator<Item = Result<String, String>> + 'static,
    delimiter: u8,
) -> impl Iterator<Item = Result<Row, String>> + 'static {
    let unreadable = Unreadable::default();
    let lines = Lines {
        lines,
        unreadable: unreadable.clone(),
        line: Vec::new(),
        read: 0,
    };
    let mut reader = reader(lines, delimiter);
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
                return Some(Err(error.to_string()));
            }
        };
        if let Some(error) = unreadable.within(&names) {
            is_over = true;
            return Some(Err(error));
        }
        match reader.read_record(&mut record) {
            Ok(false) => None,
            Ok(true) => Some(match unreadable.within(&record) {
                Some(error) => Err(error),
                None => row(&names, &record),
            }),
            Err(error) => {
                is_over = true;
                Some(Err(error.to_string()))
            }
        }
    })
}

fn row(names: &StringRecord, record: &StringRecord) -> Result<Row, String> {
    let line = record.position().map_or(0, csv::Position::line);
    if record.len() != names.len() {
        return Err(format!(
            "line {line}: a row of {} columns, where the first row has {}",
            record.len(),
            names.len()
        ));
    }
    let (mut members, mut empty) = (Members::new(), Vec::new());
    for (name, cell) in names.iter().zip(record) {
        let name = name.trim().to_ascii_lowercase();
        match cell {
            "" => empty.push(name),
            cell => {
                members.insert(name, Value::from(cell));
            }
        }
    }
    Ok(Row {
        members,
        empty,
        line,
    })
}

fn reader<R: Read>(input: R, delimiter: u8) -> Reader<R> {
    ReaderBuilder::new()
        .delimiter(delimiter)
        // Behind a row of another length the next one can be read.
        .flexible(true)
        .from_reader(input)
}

/// Why lines could not be read that are read already and stand in no row yet: the reader of rows reads ahead.
#[derive(Clone, Default)]
struct Unreadable(Rc<RefCell<VecDeque<String>>>);

impl Unreadable {
    /// Stands in a row for a line that could not be read: no character, and in no text.
    const MARK: &'static str = "\u{fdd0}";

    fn note(&self, error: String) {
        self.0.borrow_mut().push_back(error);
    }

    /// The error of the first line of a row that could not be read.
    fn within(&self, record: &StringRecord) -> Option<String> {
        let marks = record.iter().map(|cell| cell.matches(Self::MARK).count());
        let lines = marks.sum::<usize>();
        let mut errors = self.0.borrow_mut();
        let lines = lines.min(errors.len());
        errors.drain(..lines).next()
    }
}

/// Lines as a stream of bytes: a cell may have several lines.
struct Lines<I> {
    lines: I,
    unreadable: Unreadable,
    line: Vec<u8>,
    read: usize,
}

impl<I: Iterator<Item = Result<String, String>>> Read for Lines<I> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.read == self.line.len() {
            let Some(line) = self.lines.next() else {
                return Ok(0);
            };
            self.line = match line {
                Ok(line) => line.into_bytes(),
                Err(error) => {
                    self.unreadable.note(error);
                    Unreadable::MARK.into()
                }
            };
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
    fn a_line_that_cannot_be_read_costs_its_row_and_no_other() {
        let lines = ["id,prompt", "1,a", "!", "3,\"b", "!", "c\"", "4,d"];
        let lines = lines.into_iter().map(|line| match line {
            "!" => Err("it is not UTF-8".to_owned()),
            line => Ok(line.to_owned()),
        });
        let prompts: Vec<Result<Value, String>> = rows_of(lines, b',')
            .map(|row| row.map(|mut row| row.members.remove("prompt").unwrap()))
            .collect();
        let unreadable = || Err("it is not UTF-8".to_owned());
        assert_eq!(
            prompts,
            [Ok("a".into()), unreadable(), unreadable(), Ok("d".into())]
        );
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
        for (text, is_table) in [
            (",prompt,answer\n0,a,b\n", true),
            ("id, prompt\n1, a\n", true),
            ("id,name\n", false),
        ] {
            let named = Head {
                file_name: "x.csv",
                ..head(text)
            };
            assert_eq!(Csv::recognises(&named), is_table, "{text}");
        }
        assert!(Tsv::recognises(&head("id\tprompt\n1\ta\n")));
        let named = Head {
            field: Some("Riddle"),
            ..head("id,Riddle\n")
        };
        assert!(Csv::recognises(&named));
    }
}
