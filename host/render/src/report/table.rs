//! Tables with aligned columns: names to the left, numbers to the right.

use super::text::{columns_of, push_wrapped, to_the_left, to_the_right};
use crate::sections::{Cell, Mark, Table};

/// Appends the table, each line with a line end. Where it is wider than `width`, the columns that matter least are left
/// out, as far as that is allowed; what is still too much stands below, beside the names once more.
pub(crate) fn push_table(out: &mut String, table: &Table, width: usize) {
    let mut shown: Vec<usize> = (0..table.columns.len())
        .filter(|place| !table.columns[*place].of_a_page)
        .collect();
    while width_of(table, &shown) > width {
        let least = (1..shown.len()).max_by_key(|place| table.columns[shown[*place]].rank);
        match least {
            Some(least) if table.columns[shown[least]].rank > 0 => shown.remove(least),
            _ => break,
        };
    }
    let Some((names, mut left)) = shown.split_first() else {
        return;
    };
    while !left.is_empty() {
        let mut block = vec![*names];
        block.extend_from_slice(left);
        while block.len() > 2 && width_of(table, &block) > width {
            block.pop();
        }
        push_block(out, table, &block);
        left = &left[block.len() - 1..];
        if !left.is_empty() {
            out.push('\n');
        }
    }
}

/// The columns of a terminal that these columns take side by side.
fn width_of(table: &Table, places: &[usize]) -> usize {
    (0..places.len())
        .map(|at| column_width(table, places, at))
        .sum()
}

/// The head of one of these columns: the short one where it stands beside the column that it leans on.
fn head<'a>(table: &'a Table, places: &[usize], at: usize) -> &'a str {
    let column = &table.columns[places[at]];
    match at == 0 || places[at - 1] + 1 == places[at] {
        true => column.short_head(),
        false => &column.head,
    }
}

/// The columns of a terminal that one of these columns takes: a space before names, two before numbers and a mark behind
/// them.
fn column_width(table: &Table, places: &[usize], at: usize) -> usize {
    let cells = table.rows.iter().filter_map(|row| row.get(places[at]));
    let texts = cells.map(|cell| columns_of(&text_of(cell)));
    let widest = texts.chain([columns_of(head(table, places, at))]).max();
    widest.unwrap_or(0) + if at == 0 { 1 } else { 3 }
}

/// Appends these columns, the first of which has the names.
fn push_block(out: &mut String, table: &Table, places: &[usize]) {
    let widths: Vec<usize> = (0..places.len())
        .map(|at| column_width(table, places, at))
        .collect();
    let mut line = |name: &str, cells: &dyn Fn(usize) -> (String, bool)| {
        let mut line = format!(" {}", to_the_left(name, widths[0] - 1));
        for (at, width) in widths.iter().enumerate().skip(1) {
            let (text, marked) = cells(at);
            // A mark does not move the digits.
            let mark = if marked { '*' } else { ' ' };
            line.push_str("  ");
            line.push_str(&to_the_right(&text, width - 3));
            line.push(mark);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    };
    line(head(table, places, 0), &|at| {
        (head(table, places, at).to_owned(), false)
    });
    for row in &table.rows {
        let name = row.get(places[0]).map(text_of).unwrap_or_default();
        line(&name, &|at| {
            let cell = row.get(places[at]);
            cell.map_or_else(Default::default, |cell| (text_of(cell), cell.is_marked()))
        });
    }
}

fn text_of(cell: &Cell) -> String {
    let indent = if cell.is_part() { "  " } else { "" };
    format!("{indent}{}", cell.text())
}

/// Appends the notes of the table.
pub(super) fn push_notes(out: &mut String, table: &Table, width: usize) {
    for note in &table.notes {
        let first = match note.mark {
            Mark::Whole => " ",
            Mark::Marked => " * ",
            Mark::Warning => " ! ",
        };
        push_wrapped(out, first, &note.text, width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sections::Column;

    fn table() -> Table {
        let columns = [
            Column::new("Load"),
            Column::new("first"),
            Column::new("second").rank(2),
            Column::new("third").rank(1),
        ];
        let mut table = Table::of_columns("", columns);
        for name in ["闭环 1", "parallel 20"] {
            let numbers = ["1.5", "22.5", "333.5"].map(Cell::number);
            let row = [Cell::name(name)].into_iter().chain(numbers);
            table.rows.push(row.collect());
        }
        table
    }

    fn text(width: usize) -> String {
        let mut out = String::new();
        push_table(&mut out, &table(), width);
        out
    }

    #[test]
    fn a_table_is_as_wide_as_its_text() {
        assert_eq!(
            text(80),
            " Load         first   second   third\n \
              闭环 1         1.5     22.5   333.5\n \
              parallel 20    1.5     22.5   333.5\n"
        );
    }

    #[test]
    fn what_matters_least_is_left_out_first() {
        let heads = |width| text(width).lines().next().unwrap_or_default().to_owned();
        assert_eq!(heads(36), " Load         first   third");
        assert_eq!(heads(27), " Load         first");
    }

    #[test]
    fn a_head_is_short_only_beside_the_one_before_it() {
        let columns = [
            Column::new("Load"),
            Column::new("TTFT p50"),
            Column::new("TTFT p99").narrow("p99".to_owned()),
        ];
        let mut table = Table::of_columns("", columns);
        let numbers = ["1.5", "22.5"].map(Cell::number);
        let row = [Cell::name("parallel 1")].into_iter().chain(numbers);
        table.rows.push(row.collect());
        let heads = |width| {
            let mut out = String::new();
            push_table(&mut out, &table, width);
            let heads: Vec<&str> = out.lines().filter(|line| line.contains("Load")).collect();
            heads.join("\n")
        };
        assert_eq!(heads(80), " Load        TTFT p50    p99");
        assert_eq!(heads(25), " Load        TTFT p50\n Load        TTFT p99");
    }

    #[test]
    fn what_must_be_there_stands_below() {
        let mut table = table();
        for column in &mut table.columns {
            column.rank = 0;
        }
        let mut out = String::new();
        push_table(&mut out, &table, 30);
        assert_eq!(out.matches("parallel 20").count(), 2, "{out}");
        assert!(out.lines().all(|line| columns_of(line) <= 30), "{out}");
        for number in ["1.5", "22.5", "333.5"] {
            assert_eq!(out.matches(&format!(" {number}")).count(), 2, "{out}");
        }
    }
}
