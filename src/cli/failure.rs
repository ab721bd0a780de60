//! How a command fails: a sentence, a way on, and the exit code that scripts and systemd read.

use std::fmt;

use crate::config::problem::{Problems, in_words};

/// The command failed, or the thing it checked is not right.
pub const NOT_SO: u8 = 1;
/// The command line cannot be understood (clap's own code).
pub const USAGE: u8 = 2;
/// Something the command depends on is away (sysexits.h, `EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;
/// The configuration is wrong (sysexits.h, `EX_CONFIG`): starting again will not help.
pub const CONFIGURATION: u8 = 78;

/// Why a command ended badly. Holds no secret; it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What is so.
    pub message: String,
    /// What to do, where that is known.
    pub hint: Option<String>,
}

impl Failure {
    /// The command failed, or what it checked is not right.
    pub fn not_so(message: impl Into<String>) -> Self {
        Self::new(NOT_SO, message)
    }

    /// The command line asks for what cannot be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// Something the command depends on is away.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(UNAVAILABLE, message)
    }

    /// The configuration is wrong.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(CONFIGURATION, message)
    }

    /// The same with what to do about it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: in_words(&message.into()), hint: None }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::configuration(problems.to_string())
    }
}

/// `error: …`, and `hint: …` on a line of its own.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\nhint: {hint}"))
    }
}
