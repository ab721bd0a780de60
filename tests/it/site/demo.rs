//! `doorward demo` as a person starts it: the whole thing with its pretend provider; and that provider alone.

use std::path::Path;
use std::sync::Arc;

use doorward::clock::SystemClock;
use doorward::demo;
use doorward::random::OsRandom;

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

/// A provider for the site on `port`, and the configuration that names it.
pub fn provider(port: u16) -> (demo::Provider, String) {
    let (id, secret) = ("client", "a:b%c+d/é=");
    let redirect_uri = format!("http://localhost:{port}/login/callback");
    let provider = demo::Provider::start(Arc::new(SystemClock), Arc::new(OsRandom), &redirect_uri, id, secret);
    let provider = provider.expect("the provider starts");
    let config = format!(
        "[providers.test]\nissuer = {:?}\nclient_id = {id:?}\nclient_secret = {secret:?}\nalgorithms = [\"ES256\"]\n",
        provider.issuer()
    );
    (provider, config)
}
