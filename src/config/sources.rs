//! Where settings come from.

use std::path::PathBuf;

/// How our own environment variables begin.
pub const PREFIX: &str = "DOORWARD_";

/// Everything that may say something, handed in by whoever starts us.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file that was asked for. `None`: `config.toml` in `folder`, where there is one.
    pub file: Option<PathBuf>,
    /// Where to look for `config.toml`; empty is the current folder.
    pub folder: PathBuf,
    /// What the command line says.
    pub flags: Vec<Flag>,
    /// The environment, names and values. May hold secrets.
    pub environment: Vec<(String, String)>,
    /// Whether the tutorials' variables (`MYSQL_HOST` …) fill what is not said otherwise.
    pub takes_tutorial_variables: bool,
}

/// A setting on the command line.
#[derive(Clone)]
pub struct Flag {
    /// The key it sets, `server.listen`.
    pub key: String,
    /// What was typed, `--listen`.
    pub flag: String,
    /// The value. May be a secret.
    pub value: String,
}
