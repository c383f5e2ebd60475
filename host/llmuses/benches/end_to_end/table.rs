//! The table: a row for each figure, with the raw client's beside ours and the target.

use std::fmt;

/// Several readings of one figure.
#[derive(Debug, Clone, Default)]
pub struct Readings(Vec<f64>);

impl Readings {
    /// Adds one.
    pub fn add(&mut self, reading: f64) {
        self.0.push(reading);
        self.0.sort_by(f64::total_cmp);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The median; the upper one of an even number.
    pub fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The median, and behind it the smallest and the largest where there are several.
    fn text(&self, digits: usize) -> String {
        let median = self.median();
        match self.0.as_slice() {
            [first, .., last] => format!("{median:.digits$} ({first:.digits$} to {last:.digits$})"),
            _ => format!("{median:.digits$}"),
        }
    }
}

/// What a figure is compared with.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// No target.
    None,
    /// Ours is at most so many times the raw client's.
    Ratio(f64),
    /// Ours is at most this.
    AtMost(f64),
}

/// One figure.
#[derive(Debug, Clone)]
pub struct Row {
    /// What it is, with its unit.
    pub name: String,
    /// Digits behind the point.
    pub digits: usize,
    /// Of the raw client; empty where it does not have the figure.
    pub raw: Readings,
    /// Of the program.
    pub ours: Readings,
    /// The program's over the raw client's of each pair that was taken one right after the other: a machine
    /// that is shared may be half as fast again a minute later.
    pub ratios: Readings,
    /// What it is compared with.
    pub target: Target,
}

impl Row {
    /// Adds what the raw client and the program took one after the other.
    pub fn add_pair(&mut self, raw: f64, ours: f64) {
        self.raw.add(raw);
        self.ours.add(ours);
        if raw > 0.0 {
            self.ratios.add(ours / raw);
        }
    }

    fn cells(&self) -> [String; 6] {
        let none = || "-".to_owned();
        let ratio = (!self.ratios.is_empty()).then(|| self.ratios.median());
        let (target, met) = match self.target {
            Target::None => (none(), None),
            Target::Ratio(most) => (format!("≤ {most} × raw"), ratio.map(|ratio| ratio <= most)),
            Target::AtMost(most) => (format!("≤ {most}"), Some(self.ours.median() <= most)),
        };
        [
            self.name.clone(),
            if self.raw.is_empty() {
                none()
            } else {
                self.raw.text(self.digits)
            },
            self.ours.text(self.digits),
            ratio.map_or_else(none, |_| self.ratios.text(2)),
            target,
            met.map_or_else(none, |met| if met { "yes" } else { "no" }.to_owned()),
        ]
    }
}

/// All figures, and what is to be said about them.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The figures.
    pub rows: Vec<Row>,
    /// Sentences below the table.
    pub notes: Vec<String>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["figure", "raw client", "llmuses", "ratio", "target", "met"];
        let mut lines = vec![head.map(str::to_owned)];
        lines.extend(self.rows.iter().map(Row::cells));
        let widths: [usize; 6] = std::array::from_fn(|column| {
            let width = |cells: &[String; 6]| cells[column].chars().count();
            lines.iter().map(width).max().unwrap_or_default()
        });
        for (index, cells) in lines.iter().enumerate() {
            write!(f, "|")?;
            for (cell, width) in cells.iter().zip(widths) {
                write!(f, " {cell:<width$} |")?;
            }
            writeln!(f)?;
            if index == 0 {
                write!(f, "|")?;
                for width in widths {
                    write!(f, "{}|", "-".repeat(width + 2))?;
                }
                writeln!(f)?;
            }
        }
        for note in &self.notes {
            writeln!(f, "\n{note}")?;
        }
        Ok(())
    }
}
