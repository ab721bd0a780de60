//! The tokens of a person at a terminal: one for each server, in a file of their configuration folder that nobody else
//! can read. Written whole and put in place at once, so that no crash leaves half of it.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::cli::failure::Failure;
use crate::config::public_url::PublicUrl;

const FILE: &str = "tokens.json";

/// The file.
pub struct Keychain {
    path: PathBuf,
}

impl Keychain {
    /// That of whoever has this `environment`.
    pub fn of(environment: &[(String, String)]) -> Result<Self, Failure> {
        let said = |name: &str| {
            let value = environment.iter().find(|(key, _)| key == name).map(|(_, value)| PathBuf::from(value));
            value.filter(|path| path.is_absolute())
        };
        let folder = said("XDG_CONFIG_HOME").or_else(|| said("HOME").map(|home| home.join(".config")));
        let folder = folder.or_else(|| said("APPDATA")).ok_or_else(|| {
            let message = "neither XDG_CONFIG_HOME nor HOME nor APPDATA says where your configuration lies";
            Failure::not_so(message).hint("set HOME, or use `doorward login --print` and keep the token yourself")
        })?;
        Ok(Self { path: folder.join("doorward").join(FILE) })
    }

    /// Keeps the token for `server` in place of one that it may have had. Where it lies.
    pub fn keep(&self, server: &str, token: &str) -> Result<&Path, Failure> {
        let mut tokens = self.read()?;
        tokens.insert(server.to_owned(), token.into());
        self.write(tokens)?;
        Ok(&self.path)
    }

    /// Forgets the token for `server`.
    pub fn forget(&self, server: &str) -> Result<(), Failure> {
        let mut tokens = self.read()?;
        tokens.remove(server);
        self.write(tokens)
    }

    /// The token for `server`, or the only one there is; and whose it is.
    pub fn the_token(&self, server: Option<&PublicUrl>) -> Result<(PublicUrl, String), Failure> {
        let tokens = self.read()?;
        let mut known = tokens.iter().filter(|(name, _)| server.is_none_or(|server| server.to_string() == **name));
        let not_signed_in = || match server {
            Some(server) => Failure::not_so(format!("this terminal is not signed in to {server}"))
                .hint(format!("doorward login --server {server}")),
            None => Failure::not_so("this terminal is not signed in anywhere")
                .hint("doorward login --server https://example.com"),
        };
        let (name, token) = known.next().ok_or_else(not_signed_in)?;
        if known.next().is_some() {
            let names: Vec<_> = tokens.keys().map(String::as_str).collect();
            let message = format!("this terminal is signed in to {}", names.join(" and "));
            return Err(Failure::usage(message).hint("say which one you mean: --server URL"));
        }
        match (PublicUrl::parse(name), token.as_str()) {
            (Ok(server), Some(token)) => Ok((server, token.to_owned())),
            _ => Err(self.unreadable("it was changed by somebody else")),
        }
    }

    fn read(&self) -> Result<Map<String, Value>, Failure> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Map::new()),
            Err(error) => return Err(self.unreadable(&error.to_string())),
        };
        // What is wrong with it may repeat what stands in it.
        serde_json::from_str(&text).map_err(|_| self.unreadable("it is not a JSON object"))
    }

    fn write(&self, tokens: Map<String, Value>) -> Result<(), Failure> {
        let failed = |error: std::io::Error| {
            Failure::not_so(format!("{} cannot be written: {error}", self.path.display()))
                .hint("`doorward login --print` prints the token instead")
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        make(folder).map_err(failed)?;
        // A temporary file of this kind is readable by its owner alone from its first moment.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let text = format!("{:#}\n", Value::Object(tokens));
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(&self.path).map(drop).map_err(|error| failed(error.error))
    }

    fn unreadable(&self, why: &str) -> Failure {
        let path = self.path.display();
        Failure::not_so(format!("{path} cannot be used: {why}")).hint(format!("remove {path} and log in again"))
    }
}

#[cfg(unix)]
fn make(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
}
