//! Reads what we use of Markdown: paragraphs, lists of points, `code`. The rest is shown as it was written.

use serde::Serialize;

/// A paragraph, or the points of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Block {
    /// Whether the points are those of a list; a paragraph has one.
    pub is_list: bool,
    /// What is said.
    pub points: Vec<Vec<Span>>,
}

/// Text, or code within text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Whether it stood between backticks.
    pub is_code: bool,
    /// The words, without backticks.
    pub text: String,
}

/// The paragraphs and lists of `markdown`.
pub fn blocks(markdown: &str) -> Vec<Block> {
    let chunks = markdown.split("\n\n").map(str::trim).filter(|chunk| !chunk.is_empty());
    chunks.map(block).collect()
}

/// The pieces of one line.
pub fn spans(line: &str) -> Vec<Span> {
    let pieces = line.split('`').enumerate();
    let spans = pieces.map(|(index, piece)| Span { is_code: index % 2 == 1, text: piece.to_owned() });
    spans.filter(|span| !span.text.is_empty()).collect()
}

fn block(chunk: &str) -> Block {
    let is_list = point(chunk).is_some();
    let mut points: Vec<String> = Vec::new();
    for line in chunk.lines() {
        match (point(line).filter(|_| is_list), points.last_mut()) {
            (Some(start), _) => points.push(start.to_owned()),
            (None, Some(last)) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            (None, None) => points.push(line.trim().to_owned()),
        }
    }
    Block { is_list, points: points.iter().map(|point| spans(point)).collect() }
}

/// What a line says that begins a point.
fn point(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("- ").or_else(|| line.strip_prefix("* "))
}
