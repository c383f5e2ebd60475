//! Tables for a comment on a pull request.

use super::{FormSource, Renderer};
use crate::digits::sentence;
use crate::sections::{self, Mark, Part, Table, at, load_of};
use llmuses_core::document::{Document, Run};
use llmuses_core::wording::one_line;

/// Characters of a text from outside.
const LONGEST: usize = 300;

pub(super) struct Markdown;

impl Renderer for Markdown {
    fn flag(&self) -> &'static str {
        "--markdown"
    }

    fn help(&self) -> &'static str {
        "Write the results as Markdown, for a comment on a pull request, to a new file; - for standard output"
    }

    fn source(&self) -> FormSource {
        FormSource::Document(render)
    }
}

fn render(document: &Document) -> String {
    let mut out = String::new();
    if let Some(run) = document.runs.first() {
        let target = &run.plan.target;
        out.push_str(&format!(
            "### Load test of {} at {}\n\n",
            plain(&target.model_text()),
            plain(&target.url_text())
        ));
    }
    let runs = Part::new("/runs", &document.runs).items();
    if let Some(search) = &document.search {
        for line in sections::search_lines(search) {
            out.push_str(&format!("{}\n\n", plain(&line)));
        }
    }
    if let Some(table) = sections::probes(&runs) {
        push_table(&mut out, &table);
        out.push('\n');
    }
    push_table(&mut out, &sections::sweep(&runs).with_last_column_second());
    let repeats = Part::new("/repeats", &document.repeats).items();
    for table in sections::repeats(&repeats, &document.runs) {
        out.push_str(&format!("\n{}:\n\n", plain(&table.label)));
        push_table(&mut out, &table);
    }
    for run in &runs {
        doubts(&mut out, run.value());
        if let Some(totals) = at!(run, totals).known() {
            if let Some(table) = sections::objectives(&totals) {
                out.push_str(&format!("\nObjectives of {}:\n\n", load_of(run.value())));
                push_table(&mut out, &table);
            }
            for table in sections::groups(&totals) {
                out.push_str(&format!(
                    "\n{} of {}:\n\n",
                    table.label,
                    plain(&load_of(run.value()))
                ));
                push_table(&mut out, &table);
            }
            let load = load_of(run.value());
            out.push_str(&format!(
                "\n<details><summary>Times of {load}</summary>\n\n"
            ));
            push_table(&mut out, &sections::times(&totals));
            if let Some(table) = sections::turns(&totals) {
                out.push('\n');
                push_table(&mut out, &table);
            }
            if let Some(table) = sections::workers(&totals) {
                out.push('\n');
                push_table(&mut out, &table);
            }
            for (label, text) in sections::lines(run.value(), totals.value()) {
                out.push_str(&format!("\n{label}: {}  ", plain(&text)));
            }
            out.push_str("\n\n</details>\n");
        }
    }
    out
}

/// Text that Markdown leaves as it is, in a line of its own.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for character in one_line(text, LONGEST).chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '!' | '~' | '@' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out
}

/// Appends a table and its notes.
fn push_table(out: &mut String, table: &Table) {
    let shown = |place: &usize| !table.columns[*place].of_a_page;
    let shown: Vec<usize> = (0..table.columns.len()).filter(shown).collect();
    let mut row = |cells: Vec<String>| out.push_str(&format!("| {} |\n", cells.join(" | ")));
    let heads = shown.iter().map(|place| table.columns[*place].short_head());
    row(heads.map(plain).collect());
    let others = vec!["--:".to_owned(); shown.len().saturating_sub(1)];
    row([":--".to_owned()].into_iter().chain(others).collect());
    for cells in &table.rows {
        let cells = shown.iter().filter_map(|place| cells.get(*place));
        row(cells
            .map(|cell| {
                let indent = if cell.is_part() { "&emsp;" } else { "" };
                let mark = if cell.is_marked() { "\\*" } else { "" };
                format!("{indent}{}{mark}", plain(&cell.text()))
            })
            .collect());
    }
    for note in &table.notes {
        let mark = if note.mark == Mark::Marked {
            "\\* "
        } else {
            ""
        };
        out.push_str(&format!("\n{mark}{}\n", plain(&note.text)));
    }
}

fn doubts(out: &mut String, run: &Run) {
    let Some(verdict) = run.verdict.as_ref().filter(|verdict| !verdict.trusted) else {
        return;
    };
    out.push_str(&format!(
        "\n**{}** is to be read with care:\n\n",
        load_of(run)
    ));
    for doubt in &verdict.doubts {
        out.push_str(&format!(
            "- {} Likely cause: {}. What to do: {}.\n",
            plain(&sentence(&doubt.figure)),
            plain(&doubt.likely_cause),
            plain(&doubt.what_to_do)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sections::Cell;

    #[test]
    fn a_text_from_outside_is_no_markup() {
        assert_eq!(plain("a|b <img>\n@all"), "a\\|b &lt;img> \\@all");
    }

    #[test]
    fn a_part_is_set_in() {
        let mut table = Table::new("", &["Milliseconds", "p50"]);
        let number = || Cell::number("1".to_owned());
        table.rows.push(vec![Cell::name("Send delay"), number()]);
        table
            .rows
            .push(vec![Cell::part("without connecting"), number()]);
        let mut out = String::new();
        push_table(&mut out, &table);
        let rows = "| Send delay | 1 |\n| &emsp;without connecting | 1 |\n";
        assert!(out.ends_with(rows), "{out}");
    }
}
