//! Questions to the person at the terminal, one line each. Leaves nothing behind.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::cli::failure::Failure;
use crate::cli::output::talk;

/// The way on without anybody who answers.
const UNASKED: &str = "begin again, or say all with options: `doorward init --help` names them, and --yes asks nothing";

/// Somebody who may be asked, or nobody.
pub struct Questions {
    somebody: bool,
}

impl Questions {
    /// Asks the person at the terminal, unless there is none or `yes` forbids it.
    pub fn new(yes: bool) -> Self {
        Self { somebody: !yes && io::stdin().is_terminal() }
    }

    /// Whether somebody is there.
    pub const fn are_possible(&self) -> bool {
        self.somebody
    }

    /// Asks until there is an answer; an empty one is the default, where there is one.
    pub fn ask(&mut self, question: &str, default: Option<&str>) -> Result<String, Failure> {
        let offered = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        loop {
            let mut stderr = io::stderr().lock();
            // A terminal that cannot be written to will not be read from either.
            let _ = write!(stderr, "{question}{offered}: ").and_then(|()| stderr.flush());
            drop(stderr);
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line);
            let read =
                read.map_err(|error| Failure::not_so(format!("no answer can be read: {error}")).hint(UNASKED))?;
            match (line.trim(), default) {
                _ if read == 0 => {
                    return Err(Failure::not_so("no answer came, and nothing was written").hint(UNASKED));
                }
                ("", Some(default)) => return Ok(default.to_owned()),
                ("", None) => {}
                (answer, _) => return Ok(answer.to_owned()),
            }
        }
    }

    /// Asks for something that nobody who looks on should see: what is typed is not shown.
    pub fn ask_secret(&mut self, question: &str) -> Result<String, Failure> {
        let unseen = Unseen::begin();
        let answer = self.ask(question, None);
        drop(unseen);
        // The end of the line was not shown either.
        talk("");
        answer
    }

    /// Lets somebody choose one of `choices`, counted from 1. `default` where nobody is there.
    pub fn choose(&mut self, question: &str, choices: &[&str], default: usize) -> Result<usize, Failure> {
        if !self.somebody {
            return Ok(default);
        }
        for (index, choice) in choices.iter().enumerate() {
            talk(&format!("  {}  {choice}", index + 1));
        }
        loop {
            let answer = self.ask(question, Some(&default.to_string()))?;
            match answer.parse() {
                Ok(chosen) if (1..=choices.len()).contains(&chosen) => return Ok(chosen),
                _ => talk(&format!("answer with a number from 1 to {}", choices.len())),
            }
        }
    }
}

/// A terminal that does not show what is typed, until this is dropped.
#[cfg(unix)]
struct Unseen(Option<rustix::termios::Termios>);

#[cfg(unix)]
impl Unseen {
    /// From now on. A terminal that cannot be told shows it, as it would have without us.
    fn begin() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin()).ok();
        if let Some(mut modes) = before.clone() {
            modes.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &modes);
        }
        Self(before)
    }
}

#[cfg(unix)]
impl Drop for Unseen {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Elsewhere it is shown.
#[cfg(not(unix))]
struct Unseen;

#[cfg(not(unix))]
impl Unseen {
    fn begin() -> Self {
        Self
    }
}
