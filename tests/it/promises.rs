//! What a document says is shown by a test is shown by one that is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The text of a page of the documentation.
pub fn document(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).expect("a document")
}

/// The cells of every row of a table whose first cell is a number, be it `7`, `7.2` or `V7.2.1`.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.map(|line| line.trim_end_matches(" |").split(" | ").collect::<Vec<_>>());
    cells.filter(|cells| cells[0].trim_start_matches('V').split('.').all(|part| part.parse::<u32>().is_ok())).collect()
}

/// Every `file::test` between backquotes.
fn tests_named(text: &str) -> BTreeSet<(String, String)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let named = quoted.filter_map(|words| words.split_once("::"));
    // What lies in a room within the file is in the file all the same.
    let test = |test: &str| test.rsplit("::").next().unwrap_or(test).to_owned();
    named.map(|(file, named)| (file.to_owned(), test(named))).collect()
}

#[test]
fn every_test_that_a_page_names_is_there() {
    for (page, least) in [("reliability.md", 40), ("security.md", 100)] {
        let named = tests_named(&document(page));
        assert!(named.len() >= least, "{page}: {} tests only", named.len());
        for (file, test) in named {
            let code = fs::read_to_string(root().join(format!("tests/it/{file}.rs"))).unwrap_or_default();
            assert!(code.contains(&format!("fn {test}(")), "{page}: there is no {file}::{test}");
        }
    }
}

#[test]
fn every_row_of_the_matrix_has_a_result() {
    let text = document("reliability.md");
    let rows = rows(&text);
    let numbers: Vec<u32> = rows.iter().filter_map(|cells| cells[0].parse().ok()).collect();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
    for row in rows {
        assert_eq!(row.len(), 4, "{row:?}");
        let is_shown = !tests_named(row[3]).is_empty();
        let is_open = row[3].contains("**not tried**") || row[3].contains("does not apply");
        assert!(is_shown || is_open, "{row:?} names neither a test nor that there is none");
    }
}

#[test]
fn every_row_of_the_standards_has_a_verdict() {
    let text = document("security.md");
    let rows = rows(&text);
    assert!(rows.len() >= 150, "{} rows only", rows.len());
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        let is_shown = !tests_named(row[3]).is_empty();
        let words = ["**not met**", "**not tested**", "does not apply"];
        let is_open = words.iter().any(|word| row[3].contains(word));
        assert!(is_shown || is_open, "{row:?} names neither a test nor that there is none");
        assert!(row.iter().all(|cell| !cell.trim().is_empty()), "{row:?} says nothing somewhere");
    }
    let mut numbers: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), rows.len(), "a number stands there twice");
}

/// What the page of what people see quotes of ours is what we say; the rest is Google's or a browser's.
#[test]
fn what_troubleshooting_quotes_of_doorward_stands_in_its_sources() {
    const THEIRS: [&str; 3] = ["Access blocked", "org_internal", "Open in browser"];
    let text = fs::read_to_string(root().join("docs/troubleshooting.md")).expect("a document");
    let (_, text) = text.split_once("## What people see").expect("a heading");
    let text = text.replace('\n', " ");
    let sources = sources(&root().join("src")) + sources(&root().join("assets/pages")).as_str();
    let quoted: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
    let ours: Vec<&str> = quoted.iter().copied().filter(|words| !THEIRS.contains(words)).collect();
    assert!(ours.len() >= 5, "{quoted:#?}");
    for words in ours {
        assert!(sources.contains(words), "Doorward does not say {words:?}");
    }
    let checks = fs::read_to_string(root().join("src/cli/check/mod.rs")).expect("the checks");
    let mut named = 0;
    for words in text.split('`').skip(1).step_by(2) {
        let Some((outcome, check)) = words.split_once("  ") else { continue };
        assert!(["ok", "warning", "failure", "skipped"].contains(&outcome), "{words:?}");
        assert!(checks.contains(&format!("name: \"{check}\"")), "doctor has no check {check:?}");
        named += 1;
    }
    assert!(named >= 10, "{named} checks only");
}

/// The text of every file below `folder` that is text.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    let text =
        |path: PathBuf| if path.is_dir() { sources(&path) } else { fs::read_to_string(path).unwrap_or_default() };
    entries.map(text).collect()
}
