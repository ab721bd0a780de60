//! The habits of the house, read from the sources: who may import whom, where time, entropy and SQL live, how long a
//! file may grow. Leaves nothing behind; a failure names file and line.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may import: the table of `src/lib.rs` as data. A room may always import itself.
const ARROWS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("random", &[]),
    ("metrics", &[]),
    ("names", &[]),
    ("credential", &["random"]),
    ("model", &["credential", "clock"]),
    ("config", &["model"]),
    ("logging", &["config"]),
    ("store", &["model", "credential", "config", "clock", "random", "names", "metrics"]),
    ("access", &["model", "config"]),
    ("gate", &["model", "config"]),
    ("assertion", &["store", "model", "credential", "clock", "random"]),
    ("audit", &["store", "model", "clock", "config"]),
    ("sessions", OPERATION),
    ("users", OPERATION),
    ("tokens", OPERATION),
    ("devices", &["store", "tokens", "model", "credential", "clock", "random"]),
    ("countersign", &["store", "clock", "random"]),
    (
        "login",
        &[
            "clock",
            "random",
            "names",
            "metrics",
            "credential",
            "model",
            "config",
            "store",
            "access",
            "audit",
            "sessions",
            "users",
            "tokens",
        ],
    ),
    ("pages", &["clock", "model", "config"]),
    (
        "web",
        &[
            "clock",
            "random",
            "names",
            "metrics",
            "credential",
            "model",
            "config",
            "store",
            "access",
            "audit",
            "sessions",
            "users",
            "tokens",
            "devices",
            "gate",
            "assertion",
            "countersign",
            "login",
            "pages",
        ],
    ),
    ("server", &["web", "config", "store", "clock", "names", "metrics", "sessions", "tokens", "audit"]),
    ("demo", &["clock", "random"]),
];

const OPERATION: &[&str] = &["store", "access", "audit", "model", "credential", "clock", "random", "config", "metrics"];

/// Only this room may import everything, and nobody imports it.
const TOP: &str = "cli";

/// A word that belongs to few places: the word, the beginnings of the paths it may stand in, why.
const CONFINED: &[(&str, &[&str], &str)] = &[
    ("SystemTime::now", &["src/clock.rs"], "time comes from a Clock"),
    ("Utc::now", &["src/clock.rs"], "time comes from a Clock"),
    ("Local::now", &["src/clock.rs"], "time comes from a Clock"),
    ("getrandom::", &["src/random.rs"], "entropy comes from a Random"),
    ("thread_rng", &["src/random.rs"], "entropy comes from a Random"),
    ("OsRng", &["src/random.rs"], "entropy comes from a Random"),
    // An ECDSA signature of ring takes no other source; the demo's signatures protect nobody.
    ("SystemRandom", &["src/random.rs", "src/demo/"], "entropy comes from a Random"),
    ("env::var", &["src/config/", "src/cli/", "src/main.rs"], "only the operator's rooms read the environment"),
    ("process::exit", &["src/main.rs"], "only main ends the process"),
    ("println!(", &["src/cli/", "src/main.rs"], "only the command line prints"),
    ("print!(", &["src/cli/", "src/main.rs"], "only the command line prints"),
];

const FORBIDDEN_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "misc", "types", "core", "manager", "service", "services"];

const TOP_LEVEL: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "assets",
    "benches",
    "config.toml.example",
    "docs",
    "fuzz",
    "src",
    "target",
    "tests",
];

const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 120;
const DEEPEST: usize = 3;

struct Source {
    /// From the repository's top, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// The room under `src` that the file belongs to.
    fn room(&self) -> &str {
        let inside = self.path.trim_start_matches("src/");
        inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
    }

    /// The lines that are code, numbered from 1: what stands in comments breaks no rule.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//") && !line.trim_start().starts_with("--"))
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str, extension: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![top().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a folder that can be listed").path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(Source { path: from_top(&path), text: fs::read_to_string(&path).expect("UTF-8") });
            }
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(!found.is_empty(), "{folder} holds no .{extension} file: this rule would prove nothing");
    found
}

fn from_top(path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(top()).expect("below the top").to_owned();
    path.to_string_lossy().replace('\\', "/")
}

/// Fails with every line of `broken` under the sentence `rule`.
fn hold(rule: &str, broken: &[String]) {
    let mut list = String::new();
    for line in broken {
        let _ = write!(list, "\n  {line}");
    }
    assert!(broken.is_empty(), "{rule}:{list}");
}

/// The rooms named after `crate::` in a line of code.
fn rooms_named_in(line: &str) -> Vec<&str> {
    let after = line.split("crate::").skip(1);
    after.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()).collect()
}

#[test]
fn imports_follow_the_one_way_street() {
    let mut broken = Vec::new();
    for source in sources("src", "rs") {
        let room = source.room();
        if matches!(room, "lib" | "main") || room == TOP {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room) else {
            broken.push(format!("{}: the room {room} is not in the table", source.path));
            continue;
        };
        for (line, text) in source.code() {
            for named in rooms_named_in(text) {
                if named != room && !allowed.contains(&named) {
                    broken.push(format!("{}:{line}: {room} may not import {named:?}", source.path));
                }
            }
        }
    }
    hold("an arrow points up (see the table in src/lib.rs)", &broken);
}

#[test]
fn every_room_stands_in_the_map() {
    let map = fs::read_to_string(top().join("src/lib.rs")).expect("src/lib.rs");
    let rooms = sources("src", "rs");
    let missing = |source: &&Source| {
        let room = source.room();
        !matches!(room, "lib" | "main") && !map.contains(&format!("[`{room}`]"))
    };
    let broken: Vec<_> = rooms.iter().filter(missing).map(|source| source.path.clone()).collect();
    hold("rooms without a line in the table of src/lib.rs", &broken);
}

#[test]
fn the_table_has_no_arrow_back() {
    let mut broken = Vec::new();
    for (index, (room, allowed)) in ARROWS.iter().enumerate() {
        for target in *allowed {
            let place = ARROWS.iter().position(|(name, _)| name == target);
            if place.is_none_or(|place| place >= index) {
                broken.push(format!("{room} -> {target}"));
            }
        }
    }
    hold("rooms stand below what they import", &broken);
}

#[test]
fn web_and_server_know_of_the_store_only_how_it_fails() {
    let mut broken = Vec::new();
    for source in sources("src", "rs") {
        // The composition holds the store to hand it on and to ask whether it is ready.
        if !matches!(source.room(), "web" | "server") || source.path == "src/web/app.rs" {
            continue;
        }
        for (line, text) in source.code().filter(|(_, text)| text.contains("crate::store::")) {
            let named = text.split("crate::store::").nth(1).unwrap_or_default();
            let named = named.trim_matches(|c: char| "{};, ".contains(c)).split(", ");
            if named.clone().any(|name| !matches!(name, "StoreError" | "Refusal" | "Deleted" | "self")) {
                broken.push(format!("{}:{line}: {}", source.path, text.trim()));
            }
        }
    }
    hold("a handler talks to an operation, never to the store", &broken);
}

#[test]
fn time_entropy_environment_and_printing_stay_in_their_rooms() {
    let mut broken = Vec::new();
    for source in sources("src", "rs") {
        for (word, places, why) in CONFINED {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for (line, text) in source.code().filter(|(_, text)| contains_word(text, word)) {
                broken.push(format!("{}:{line}: {word}: {why}: {}", source.path, text.trim()));
            }
        }
    }
    hold("words outside their rooms", &broken);
}

/// Whether `text` holds `word` not as the end of a longer one, as `print!(` is of `eprint!(`.
fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn sql_lives_in_the_store_alone() {
    const STATEMENTS: &[&str] =
        &["select ", "insert into ", "update ", "delete from ", "create table ", "alter table ", "replace into "];
    let mut broken = Vec::new();
    for source in sources("src", "rs").into_iter().filter(|source| source.room() != "store") {
        for (line, text) in source.code() {
            let literal = text.split('"').skip(1).step_by(2);
            let mut statements = literal.filter(|literal| {
                let literal = literal.trim_start().to_ascii_lowercase();
                STATEMENTS.iter().any(|statement| literal.starts_with(statement)) && is_sql(&literal)
            });
            if statements.next().is_some() {
                broken.push(format!("{}:{line}: {}", source.path, text.trim()));
            }
        }
    }
    hold("SQL outside src/store", &broken);
}

/// Tells a statement from a sentence that happens to begin with the same verb.
fn is_sql(literal: &str) -> bool {
    const FURTHER: &[&str] = &[" from ", " set ", " values", "(", "insert into ", "delete from ", "replace into "];
    FURTHER.iter().any(|word| literal.contains(word))
}

#[test]
fn mysql_statements_run_on_the_oldest_servers_we_promise() {
    // MariaDB 10.4 and MySQL 8.0 share none of these; `replace` deletes rows; `get_lock` is per node in a cluster.
    const ABSENT: &[&str] = &[" returning ", "skip locked", " as new", "replace into", "get_lock("];
    let mut broken = Vec::new();
    let all = sources("src/store", "rs").into_iter().chain(sources("src/store", "sql"));
    for source in all.filter(|source| source.path.contains("mysql")) {
        for (line, text) in source.code() {
            let text = text.to_ascii_lowercase();
            if let Some(word) = ABSENT.iter().find(|word| text.contains(**word)) {
                broken.push(format!("{}:{line}: {word:?}", source.path));
            }
        }
    }
    hold("words that MySQL 8.0, MariaDB 10.4 or a cluster does not bear", &broken);
}

#[test]
fn files_are_named_for_what_happens_in_them() {
    let mut broken = Vec::new();
    for source in sources("src", "rs") {
        let parts: Vec<_> = source.path.trim_end_matches(".rs").split('/').skip(1).collect();
        if parts.len() > DEEPEST {
            broken.push(format!("{}: more than {DEEPEST} levels deep", source.path));
        }
        if let Some(name) = parts.iter().find(|part| FORBIDDEN_NAMES.contains(part)) {
            broken.push(format!("{}: {name} says nothing", source.path));
        }
    }
    hold("names", &broken);
}

#[test]
fn the_top_level_holds_what_was_agreed() {
    let entries = fs::read_dir(top()).expect("the top");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let ignored = fs::read_to_string(top().join(".gitignore")).unwrap_or_default();
    let is_ours = |name: &String| !ignored.lines().any(|line| line.trim_matches('/') == name);
    let strangers: Vec<_> =
        names.filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str())).filter(is_ours).collect();
    hold("further names at the top", &strangers);
}

#[test]
fn no_file_and_no_function_outgrows_its_budget() {
    let mut broken = Vec::new();
    for source in sources("src", "rs") {
        let length = source.text.lines().count();
        if length > LONGEST_FILE {
            broken.push(format!("{}: {length} lines, {LONGEST_FILE} at the most", source.path));
        }
        for (name, line, length) in functions(&source.text) {
            if length > LONGEST_FUNCTION {
                broken.push(format!("{}:{line}: {name}: {length} lines, {LONGEST_FUNCTION} at the most", source.path));
            }
        }
    }
    hold("budgets", &broken);
}

/// Every function as its name, its line and its length, by the indentation that rustfmt gives.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let Some((before, after)) = line.split_once("fn ") else { continue };
        let is_signature = before.split_whitespace().all(|word| {
            word.starts_with("pub") || matches!(word, "const" | "async" | "in" | "crate)" | "super)" | "unsafe")
        });
        if !is_signature || line.trim_end().ends_with(';') {
            continue;
        }
        let name = after.split(['(', '<']).next().unwrap_or_default().to_owned();
        let end = lines[start..].iter().position(|line| line.trim_end() == format!("{indent}}}"));
        found.push((name, start + 1, end.map_or(1, |end| end + 1)));
    }
    found
}

#[test]
fn every_file_says_first_what_happens_in_it() {
    let all = sources("src", "rs").into_iter().chain(sources("tests/it", "rs"));
    let silent = all.filter(|source| !source.text.starts_with("//! ")).map(|source| source.path);
    hold("files that do not begin with `//! `", &silent.collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_for_later() {
    const LATER: &[&str] = &["todo!(", "unimplemented!(", "TODO", "FIXME", "XXX", "#[ignore"];
    let mut broken = Vec::new();
    let all = sources("src", "rs").into_iter().chain(sources("tests/it", "rs"));
    for source in all.filter(|source| source.path != "tests/it/house_rules.rs") {
        for (index, text) in source.text.lines().enumerate() {
            if let Some(word) = LATER.iter().find(|word| text.contains(**word)) {
                broken.push(format!("{}:{}: {word}", source.path, index + 1));
            }
        }
    }
    hold("left for later", &broken);
}

#[test]
fn no_template_weakens_the_policy_of_the_pages() {
    let mut broken = Vec::new();
    for source in sources("assets", "html") {
        for (index, text) in source.text.lines().enumerate() {
            let tight: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            let lower = text.to_ascii_lowercase();
            let handler = lower.split_whitespace().any(|word| word.starts_with("on") && word.contains("=\""));
            let unsafe_filter = tight.contains("|safe") || tight.contains("autoescapefalse");
            if unsafe_filter
                || lower.contains("style=")
                || lower.contains("<script")
                || lower.contains("<style")
                || handler
            {
                broken.push(format!("{}:{}: {}", source.path, index + 1, text.trim()));
            }
        }
    }
    hold("templates escape everything and carry neither style nor script of their own", &broken);
}

#[test]
fn the_rules_notice_what_they_forbid() {
    assert_eq!(rooms_named_in("use crate::web::paths; crate::store::open()"), ["web", "store"]);
    assert!(contains_word("    print!(\"x\")", "print!(") && !contains_word("eprint!(\"x\")", "print!("));
    assert!(is_sql("select id from users") && !is_sql("update the configuration"));
    let text = "impl A {\n    pub async fn long(&self) {\n        1;\n        2;\n    }\n    fn short() {}\n}\n";
    assert_eq!(functions(text)[0], ("long".to_owned(), 2, 4));
}
