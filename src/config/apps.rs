//! `[apps]`: the site's own programs.

use url::Url;

/// `[apps]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apps {
    /// Where a sign-in without `rd` ends: a path of this site, or an address in one of `origins`.
    pub home: String,
    /// Where a log-out ends, likewise.
    pub after_logout: String,
    /// Origins that may be returned to and may ask `/api` with the cookie: `http://localhost:8000`.
    pub origins: Vec<Url>,
}

impl Default for Apps {
    fn default() -> Self {
        Self { home: "/".to_owned(), after_logout: "/".to_owned(), origins: Vec::new() }
    }
}
