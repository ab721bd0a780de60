//! An issuer that we did not write: npm's certified `oidc-provider`, run by Node on a free loopback port.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::site::program::Program;
use crate::site::tiers::Tier;

/// The running issuer.
pub struct Issuer {
    /// Its name, as discovery has it.
    pub url: String,
    program: Program,
    _folder: TempDir,
}

/// Where the profile's claims stand.
#[derive(Clone, Copy, Debug)]
pub enum Claims {
    /// In the ID token, as with Google.
    InIdToken,
    /// At the userinfo endpoint only, as OpenID Connect Core 1.0, section 5.4, prefers.
    AtUserinfo,
}

/// Our name there.
pub const CLIENT_ID: &str = "doorward-client";
/// Our secret there; RFC 6749, section 2.3.1, has it form-encoded before it is put into the header.
pub const CLIENT_SECRET: &str = "a:b%c+d/e=&?";

impl Issuer {
    /// Starts an issuer with us as its client. `None`: the tier is missing.
    #[expect(clippy::disallowed_methods, reason = "tests/run says in the environment which Node to use")]
    pub fn start(redirect_uri: &str, claims: Claims) -> Option<Self> {
        let modules = Tier::IndependentIssuer.here()?;
        // Node looks for modules beside the script, which must therefore lie beside them.
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = folder.path().join("issuer.mjs");
        fs::write(&script, include_str!("oidc-provider/issuer.mjs")).expect("the script");
        symlink(modules, folder.path().join("node_modules")).expect("the modules");
        let client = json!({
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uris": [redirect_uri],
            "token_endpoint_auth_method": "client_secret_basic",
        });
        let node = std::env::var("DOORWARD_TEST_NODE").unwrap_or_else(|_| "node".to_owned());
        let mut command = Command::new(node);
        command.arg(script).env("ISSUER_CLIENT", client.to_string());
        command.env("ISSUER_CLAIMS", if matches!(claims, Claims::InIdToken) { "id_token" } else { "userinfo" });
        let program = Program::start(&mut command);
        let url = program.wait_for("issuer", |line| Some(line.strip_prefix("issuer ")?.to_owned()));
        Some(Self { url, program, _folder: folder })
    }

    /// What it complained of in our requests.
    pub fn complaints(&self) -> Vec<String> {
        let said = self.program.said();
        let about_us = |line: &&str| !line.starts_with("issuer ") && !line.starts_with("oidc-provider WARNING");
        said.lines().filter(about_us).map(str::to_owned).collect()
    }
}
