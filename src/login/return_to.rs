//! Where the browser may be sent back to.
//!
//! Whoever can choose where a sign-in ends can lend a forged page the trust of ours (RFC 9700, section 4.11). So an
//! address is read as a browser would read it, held against the origins that are allowed, and written out again from
//! what was understood: the text that came in is never passed on.

use url::{Origin, Url};

use crate::config::Config;
use crate::config::apps::{Apps, MAX_LENGTH, page_of_ours};
use crate::config::public_url::PublicUrl;

/// An address that is safe to send the browser to. Cannot be built unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

/// Which addresses are safe: read once, asked often.
#[derive(Clone, Debug)]
pub struct ReturnRules {
    public_url: PublicUrl,
    origins: Vec<Origin>,
}

impl ReturnRules {
    /// The origin of `public_url` and those that `apps` lists are safe; nothing else is.
    pub fn new(public_url: &PublicUrl, apps: &Apps) -> Self {
        let origins = apps.origins.iter().map(Url::origin).collect();
        Self { public_url: public_url.clone(), origins }
    }

    /// Everything that `config` lets a sign-in return to: the above, and the apps that rules of the gate name. A person
    /// reaches those over TLS where they reach us so.
    pub fn of(config: &Config) -> Self {
        let mut rules = Self::new(&config.public_url, &config.apps);
        let scheme = config.public_url.as_url().scheme();
        let apps = config.gate.hosts().filter_map(|host| Url::parse(&format!("{scheme}://{host}/")).ok());
        rules.origins.extend(apps.map(|app| app.origin()));
        rules
    }
}

impl ReturnTo {
    /// Reads `text`: a path of this site that begins with one slash, or an absolute address in an allowed origin.
    /// `None` for everything else, whatever is wrong with it.
    pub fn parse(text: &str, rules: &ReturnRules) -> Option<Self> {
        if text.len() > MAX_LENGTH || text.chars().any(is_treacherous) {
            return None;
        }
        let url = if text.starts_with('/') && !text.starts_with("//") {
            rules.public_url.as_url().join(text).ok()?
        } else {
            absolute(text)?
        };
        let address = if url.origin() == rules.public_url.as_url().origin() {
            page_of_ours(&url, rules.public_url.path())?
        } else if rules.origins.contains(&url.origin()) {
            url.to_string()
        } else {
            return None;
        };
        // Encoding may have made it longer; it has to fit into a cookie.
        (address.len() <= MAX_LENGTH).then_some(Self(address))
    }

    /// The address for a `Location` header or a link: a path of this site, or an absolute address in an allowed origin.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The origin that it leads to, for a log; empty where that is ours.
    pub fn origin(&self) -> String {
        Url::parse(&self.0).map(|address| address.origin().ascii_serialization()).unwrap_or_default()
    }

    /// Whether it leads to another origin than ours.
    pub fn is_elsewhere(&self) -> bool {
        !self.0.starts_with('/')
    }
}

/// What one reader skips or turns and another does not: control characters, spaces of all kinds, the backslash that
/// browsers take for a slash.
fn is_treacherous(character: char) -> bool {
    character == '\\' || character.is_control() || character.is_whitespace()
}

/// An http or https address with a host right after the two slashes and nobody's name before it.
fn absolute(text: &str) -> Option<Url> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    Url::parse(text).ok().filter(|_| is_web)
}
