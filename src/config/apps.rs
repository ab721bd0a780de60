//! `[apps]`: the site's own programs.

use url::Url;

use crate::config::problem::{Wrong, quoted};
use crate::config::public_url::{NotPublicUrl, PublicUrl};
use crate::config::reader::Reader;

/// `[apps]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apps {
    /// Where a sign-in without `rd` ends: a path of this site, or an address in one of `origins`.
    pub home: String,
    /// Where a log-out ends, likewise.
    pub after_logout: String,
    /// Origins that may be returned to: `http://localhost:8000`.
    pub origins: Vec<Url>,
}

impl Default for Apps {
    fn default() -> Self {
        Self { home: "/".to_owned(), after_logout: "/".to_owned(), origins: Vec::new() }
    }
}

impl Apps {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader, public_url: &PublicUrl) -> Self {
        let mut apps = Self::default();
        let said_origins = reader.list("apps.origins", origin);
        let is_whole = said_origins.is_some() || !reader.is_said("apps.origins");
        apps.origins = said_origins.unwrap_or_default();
        let mut known: Vec<_> = apps.origins.iter().map(|origin| origin.origin().ascii_serialization()).collect();
        known.push(public_url.origin());
        // Where the list itself is wrong an address in it cannot be judged.
        let place = |text: &str| if is_whole { place(text, &known) } else { Ok(text.to_owned()) };
        apps.home = reader.parse("apps.home", place).unwrap_or(apps.home);
        apps.after_logout = reader.parse("apps.after_logout", place).unwrap_or(apps.after_logout);
        apps
    }
}

/// Scheme, host and port of a program that the session may be shown to.
fn origin(text: &str) -> Result<Url, Wrong> {
    let remedy = "write scheme, host and port, such as http://localhost:8000, and nothing more";
    let not_origin = || Wrong::new(format!("{} is not an origin", quoted(text)), remedy);
    let url = PublicUrl::parse(text).map_err(|error| match error {
        NotPublicUrl::PlainHttp => Wrong::new(format!("{} {error}", quoted(text)), error.remedy()),
        _ => not_origin(),
    })?;
    if url.path().is_empty() { Ok(url.as_url().clone()) } else { Err(not_origin()) }
}

/// A path of this site, or an address in one of the known origins.
fn place(text: &str, known: &[String]) -> Result<String, Wrong> {
    // Browsers take `//host` and `/\host` for another site.
    let is_path = text.starts_with('/') && !text[1..].starts_with(['/', '\\']);
    let is_clean = !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\');
    let is_known = || Url::parse(text).is_ok_and(|url| known.contains(&url.origin().ascii_serialization()));
    if is_clean && (is_path || is_known()) {
        return Ok(text.to_owned());
    }
    let remedy = "write a path of this site, such as /, or an address whose origin stands in apps.origins";
    Err(Wrong::new(format!("{} is no place we send people to", quoted(text)), remedy))
}
