//! `doorward demo` as a person starts it: the whole thing with its pretend provider.

use std::path::Path;

use crate::site::binary;
use crate::site::browser::Browser;
use crate::site::program::Program;

/// A running `doorward demo`.
pub struct Demo {
    /// Where the site is, without a slash at the end.
    pub address: String,
    /// The process.
    pub program: Program,
}

impl Demo {
    /// With the usual place for temporary files.
    pub fn start() -> Self {
        Self::start_in(&std::env::temp_dir())
    }

    /// With `folder` as the place for temporary files.
    pub fn start_in(folder: &Path) -> Self {
        let mut command = binary::command(folder);
        let program = Program::start(command.env("TMPDIR", folder).args(["demo", "--listen", "localhost:0"]));
        let address = program.wait_for("address", |line| {
            let (_, rest) = line.split_once("http://localhost:")?;
            let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
            (port.len() > 1).then(|| format!("http://localhost:{port}"))
        });
        Self { address, program }
    }

    /// Signs a browser in that stands before the login card.
    pub async fn sign_in(&self, browser: &Browser, person: &str) {
        browser.visit(&self.address).await;
        browser.sees("Login to continue").await;
        browser.click("Sign in with Google").await;
        browser.sees("Choose who to be").await;
        browser.click(person).await;
        browser.sees("Log out").await;
    }
}
