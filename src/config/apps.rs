//! `[apps]`: the site's own programs.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::config::problem::{Wrong, quoted};
use crate::config::public_url::{NotPublicUrl, PublicUrl};
use crate::config::reader::Reader;

/// How long an address that people are sent to may be, in bytes.
pub const MAX_LENGTH: usize = 2048;

/// Doors of ours that nothing may end at: a sign-in would start again, end at once, or show JSON.
const DOORS: [&str; 4] = ["login", "logout", "api", "gate"];

/// `[apps]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apps {
    /// Where a sign-in without `rd` ends: a path of this site, or an address in one of `origins`.
    pub home: String,
    /// Where a log-out ends, likewise.
    pub after_logout: String,
    /// Origins that may be returned to, and whose pages may ask `/api` with the cookie: `http://localhost:8000`.
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
        // Where the list itself is wrong an address in it cannot be judged.
        let listed = if is_whole { Some(&apps.origins) } else { None };
        let place = |text: &str| place(text, public_url, listed.map(Vec::as_slice));
        let (home, after_logout) = (reader.parse("apps.home", place), reader.parse("apps.after_logout", place));
        apps.home = home.unwrap_or(apps.home);
        apps.after_logout = after_logout.unwrap_or(apps.after_logout);
        apps
    }
}

/// Scheme, host and port of a program that the session may be shown to.
pub fn origin(text: &str) -> Result<Url, Wrong> {
    let remedy = "write scheme, host and port, such as http://localhost:8000, and nothing more";
    let not_origin = || Wrong::new(format!("{} is not an origin", quoted(text)), remedy);
    let url = PublicUrl::parse(text).map_err(|error| match error {
        NotPublicUrl::PlainHttp => Wrong::new(format!("{} {error}", quoted(text)), error.remedy()),
        _ => not_origin(),
    })?;
    if url.path().is_empty() { Ok(url.as_url().clone()) } else { Err(not_origin()) }
}

/// A page of this site, or an address in one of the origins in `listed`; `None`: in any origin.
fn place(text: &str, public_url: &PublicUrl, listed: Option<&[Url]>) -> Result<String, Wrong> {
    let wrong = |remedy: &str| Err(Wrong::new(format!("{} is no place we send people to", quoted(text)), remedy));
    // Browsers take `//host` and `/\host` for another site.
    let is_path = text.starts_with('/') && !text[1..].starts_with(['/', '\\']);
    let is_clean = !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') && text.len() <= MAX_LENGTH;
    let url = if is_path { public_url.as_url().join(text) } else { Url::parse(text) };
    let is_whole = is_clean && (is_path || text.contains("://"));
    let Some(url) = url.ok().filter(|url| is_whole && url.username().is_empty() && url.password().is_none()) else {
        return wrong("write a path of this site, such as /, or an address whose origin stands in apps.origins");
    };
    if url.origin() == public_url.as_url().origin() {
        let is_page = page_of_ours(&url, public_url.path()).is_some();
        let remedy = "nothing can end at a door of Doorward's own: write / or a page of your own program";
        return if is_page { Ok(text.to_owned()) } else { wrong(remedy) };
    }
    if listed.is_none_or(|listed| listed.iter().any(|origin| origin.origin() == url.origin())) {
        return Ok(text.to_owned());
    }
    let origin = url.origin().ascii_serialization();
    wrong(&format!("write origins = [{origin:?}] under [apps] as well, or a path of this site, such as /"))
}

/// Path, query and fragment of `url`, if they lead to a page of this site and still do after a careless proxy or
/// program has decoded them once.
pub fn page_of_ours(url: &Url, base: &str) -> Option<String> {
    let decoded = percent_decode_str(url.path()).decode_utf8_lossy();
    if decoded.chars().any(|character| character == '\\' || character.is_control()) {
        return None;
    }
    let mut once_decoded = url.clone();
    once_decoded.set_path(&decoded);
    let paths = [url.path(), &*decoded, once_decoded.path()];
    if paths.iter().any(|path| path.starts_with("//") || is_door(path, base)) {
        return None;
    }
    let mut address = url.path().to_owned();
    if let Some(query) = url.query() {
        address = address + "?" + query;
    }
    if let Some(fragment) = url.fragment() {
        address = address + "#" + fragment;
    }
    Some(address)
}

/// Whether `path` is one of [`DOORS`] or lies behind it.
fn is_door(path: &str, base: &str) -> bool {
    let door = path.strip_prefix(base).and_then(|path| path.strip_prefix('/')).unwrap_or_default();
    let door = door.split(['/', ';']).next().unwrap_or_default();
    DOORS.iter().any(|ours| door.eq_ignore_ascii_case(ours))
}
