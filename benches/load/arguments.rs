//! What is to be measured, and how often.

use std::path::PathBuf;

/// The command line.
#[derive(Clone, Debug)]
pub struct Arguments {
    rows: Option<Vec<String>>,
    /// How often each subject is measured.
    pub rounds: usize,
    /// How long each time.
    pub seconds: u64,
    /// How many connections ask at once, one measure for each.
    pub connections: Vec<usize>,
    /// How many sessions there are.
    pub sessions: u64,
    /// Further lines for Doorward's configuration.
    pub config: String,
    /// The binaries that are measured.
    pub binaries: Vec<PathBuf>,
}

impl Arguments {
    /// Reads the command line; what Cargo adds by itself is passed over.
    pub fn read(given: &[String]) -> Self {
        let value = |name: &str| {
            let place = given.iter().position(|argument| argument == name)?;
            Some(given.get(place + 1).unwrap_or_else(|| panic!("{name} needs a value")).clone())
        };
        let number = |name: &str, default: u64| match value(name) {
            Some(text) => text.parse().unwrap_or_else(|_| panic!("{name} {text} is not a number")),
            None => default,
        };
        let list = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let connections = list(value("--connections").unwrap_or_else(|| "1,32,256".to_owned()));
        Self {
            rows: value("--rows").map(list),
            rounds: usize::try_from(number("--rounds", 3)).expect("a number of rounds"),
            seconds: number("--seconds", 5),
            connections: connections.iter().map(|one| one.parse().expect("a number of connections")).collect(),
            sessions: number("--sessions", 10_000),
            config: value("--config").unwrap_or_default(),
            binaries: binaries(),
        }
    }

    /// Whether the row is asked for.
    pub fn wants(&self, row: &str, is_long: bool) -> bool {
        self.rows.as_ref().map_or(!is_long, |rows| rows.iter().any(|wanted| wanted == row))
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever measures says what")]
fn binaries() -> Vec<PathBuf> {
    match std::env::var("DOORWARD_BENCH_BINARY") {
        Ok(paths) if !paths.is_empty() => paths.split(',').map(PathBuf::from).collect(),
        _ => vec![PathBuf::from(env!("CARGO_BIN_EXE_doorward"))],
    }
}
