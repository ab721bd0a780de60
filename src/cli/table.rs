//! Listings: a table for people, JSON for programs. What strangers chose, names above all, is shown so that it cannot
//! move the cursor or colour the terminal of whoever looks at it.

use serde_json::Value;

/// Rows under headings, written as wide as their widest cell.
pub struct Table {
    headings: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings and no rows.
    pub const fn new(headings: &'static [&'static str]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    /// Adds a row: one cell for each heading.
    pub fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<_> = cells.into_iter().map(|cell| harmless(&cell)).collect();
        debug_assert_eq!(cells.len(), self.headings.len(), "one cell for each heading");
        self.rows.push(cells);
    }

    /// The whole table, each line ended; only the headings where there are no rows.
    pub fn render(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([self.headings[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.headings.len()).map(width).collect();
        let headings = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        let mut text = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// The objects as one JSON array, an object a line.
pub fn json(rows: &[Value]) -> String {
    let lines: Vec<_> = rows.iter().map(|row| format!("  {row}")).collect();
    if lines.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", lines.join(",\n")) }
}

/// `text` without what a terminal would obey: control characters, escape sequences, changes of direction.
pub fn harmless(text: &str) -> String {
    const TURNS: &[char] = &[
        '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}',
        '\u{2068}', '\u{2069}', '\u{061c}', '\u{2028}', '\u{2029}',
    ];
    text.chars().map(|c| if c.is_control() || TURNS.contains(&c) { '\u{fffd}' } else { c }).collect()
}

/// How many to list, or the number that a listing goes on from: from 1 to `most`.
pub fn number(text: &str, most: u64) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| match most {
        u64::MAX => "not a number; write it as the listing printed it".to_owned(),
        most => format!("not a number from 1 to {most}"),
    })
}

/// How many to list at once, where all of them are asked for in one go.
pub fn limit(text: &str) -> Result<u32, String> {
    const MOST: u32 = 100_000;
    number(text, MOST.into()).map(|number| u32::try_from(number).unwrap_or(MOST))
}
