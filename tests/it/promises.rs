//! What a document says is shown by a test is shown by one that is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn document() -> String {
    fs::read_to_string(root().join("docs/reliability.md")).expect("a document")
}

/// Every `file::test` between backquotes.
fn tests_named(text: &str) -> BTreeSet<(String, String)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let named = quoted.filter_map(|words| words.split_once("::"));
    named.map(|(file, test)| (file.to_owned(), test.to_owned())).collect()
}

#[test]
fn every_test_that_the_matrix_names_is_there() {
    let named = tests_named(&document());
    assert!(named.len() >= 40, "{} tests only", named.len());
    for (file, test) in named {
        let code = fs::read_to_string(root().join(format!("tests/it/{file}.rs"))).unwrap_or_default();
        assert!(code.contains(&format!("fn {test}(")), "there is no {file}::{test}");
    }
}

#[test]
fn every_row_of_the_matrix_has_a_result() {
    let text = document();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .map(|line| line.trim_end_matches(" |").split(" | ").collect::<Vec<_>>())
        .filter(|cells| cells[0].parse::<u32>().is_ok())
        .collect();
    let numbers: Vec<u32> = rows.iter().filter_map(|cells| cells[0].parse().ok()).collect();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
    for row in rows {
        assert_eq!(row.len(), 4, "{row:?}");
        let is_shown = !tests_named(row[3]).is_empty();
        let is_open = row[3].contains("**not tried**") || row[3].contains("does not apply");
        assert!(is_shown || is_open, "{row:?} names neither a test nor that there is none");
    }
}
