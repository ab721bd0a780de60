//! `[gate]`: what the apps behind a proxy are told, and who may pass to which of them.

use figment::value::{Dict, Value};
use http::Method;

use crate::config::access::{domain, email};
use crate::config::groups::{self, Groups};
use crate::config::problem::{Wrong, quoted};
use crate::config::reader::{Reader, kind};

/// `[gate]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// What `Remote-User` holds.
    pub user: RemoteUser,
    /// Who may pass where, in order: the first rule that speaks of a request decides. Empty: everyone who is signed in
    /// passes everywhere.
    pub rules: Vec<Rule>,
    /// Whether proxies that were set up for oauth2-proxy are answered too.
    pub oauth2_proxy: bool,
}

/// What an app takes for the name of a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteUser {
    /// The email address, which people recognise.
    #[default]
    Email,
    /// The key of the row in `users`, which never changes.
    Id,
}

/// One of `[[gate.rules]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which hosts it speaks of.
    pub host: HostPattern,
    /// Which paths.
    pub path: PathPattern,
    /// Which methods, in capitals; empty: all of them. GET stands for HEAD too.
    pub methods: Vec<String>,
    /// Who passes.
    pub who: Who,
    /// Whether an API token may stand for a person.
    pub tokens: bool,
}

/// Hosts of a rule, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This name, on this port or, where none is said, on any.
    Exactly(String, Option<u16>),
    /// Every name below this one, not the name itself: `*.example.com`.
    Below(String),
}

/// Paths of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// All of them.
    Everything,
    /// This one and all below it; ends without a slash: `/admin/*` is `/admin`.
    Below(String),
    /// This one alone, with a slash at its end or without; kept without.
    Exactly(String),
}

/// Who passes a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everyone, signed in or not.
    Everyone,
    /// Whoever is signed in.
    SignedIn,
    /// Nobody.
    Nobody,
    /// Whoever is signed in and stands in one of the lists.
    Listed(Lists),
}

/// The lists of a rule; one match in any is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Google Workspace domains, by the signed `hd` claim; lower case.
    pub hosted_domains: Vec<String>,
    /// Domains of addresses, whole and exact; lower case.
    pub email_domains: Vec<String>,
    /// Single addresses; lower case.
    pub emails: Vec<String>,
    /// Names of `[groups]`.
    pub groups: Vec<String>,
}

impl Gate {
    /// Takes the section from what was said. `groups` are those that rules may name.
    pub fn read(reader: &mut Reader, groups: &Groups) -> Self {
        let words = [("email", RemoteUser::Email), ("id", RemoteUser::Id)];
        Self {
            user: reader.word("gate.user", &words).unwrap_or_default(),
            oauth2_proxy: reader.flag("gate.oauth2_proxy").unwrap_or_default(),
            rules: reader.tables("gate.rules", |table| rule(table, groups)).unwrap_or_default(),
        }
    }

    /// The hosts that rules name one by one, with the port where one is said: the apps behind the gate.
    pub fn hosts(&self) -> impl Iterator<Item = String> {
        self.rules.iter().filter_map(|rule| match &rule.host {
            HostPattern::Exactly(name, None) => Some(name.clone()),
            HostPattern::Exactly(name, Some(port)) => Some(format!("{name}:{port}")),
            HostPattern::Below(_) => None,
        })
    }
}

const KEYS: [&str; 9] =
    ["host", "path", "methods", "allow", "hosted_domains", "email_domains", "emails", "groups", "tokens"];

/// A rule, or everything that is wrong with it.
fn rule(table: &Dict, groups: &Groups) -> Result<Rule, Vec<Wrong>> {
    let mut fields = Fields { table, wrongs: Vec::new() };
    for key in table.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let what = format!("holds {}, which no rule has", quoted(key));
        let meant = KEYS.into_iter().find(|known| strsim::damerau_levenshtein(known, key) <= 2);
        let remedy = meant.map(|meant| format!("did you mean {meant}?"));
        fields.wrongs.push(Wrong::new(what, remedy.unwrap_or_else(|| format!("a rule has {}", KEYS.join(", ")))));
    }
    let host = fields.text("host", host);
    if !table.contains_key("host") && !fields.wrongs.iter().any(|wrong| wrong.remedy == "did you mean host?") {
        fields.wrongs.push(Wrong::new("names no host", "add host = \"app.example.com\""));
    }
    let path = fields.text("path", path).unwrap_or(PathPattern::Everything);
    let methods = fields.list("methods", method);
    let lists = Lists {
        hosted_domains: fields.list("hosted_domains", domain),
        email_domains: fields.list("email_domains", domain),
        emails: fields.list("emails", email),
        groups: fields.list("groups", |name| groups::known(name, groups)),
    };
    let who = fields.text("allow", allow);
    let who = match (who, lists == Lists::default()) {
        (Some(who), true) => who,
        (None, false) => Who::Listed(lists),
        (Some(_), false) => {
            let what = "says allow beside a list of who may pass";
            fields.wrongs.push(Wrong::new(what, "keep allow, or keep the lists"));
            Who::Nobody
        }
        (None, true) if fields.wrongs.is_empty() => {
            let remedy = "add allow = \"signed_in\", \"everyone\" or \"nobody\", or a list such as emails";
            fields.wrongs.push(Wrong::new("says of nobody that they may pass", remedy));
            Who::Nobody
        }
        (None, true) => Who::Nobody,
    };
    let tokens = fields.flag("tokens").unwrap_or(true);
    match (host, fields.wrongs.is_empty()) {
        (Some(host), true) => Ok(Rule { host, path, methods, who, tokens }),
        _ => Err(fields.wrongs),
    }
}

/// The fields of one rule, and what is wrong with them.
struct Fields<'a> {
    table: &'a Dict,
    wrongs: Vec<Wrong>,
}

impl Fields<'_> {
    fn text<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<T> {
        let taken = match self.table.get(key)? {
            Value::String(_, text) => parse(text),
            other => Err(Wrong::new(format!("is {}, not text", kind(other)), format!("write {key} = \"…\""))),
        };
        taken.map_err(|wrong| self.wrongs.push(of(key, wrong))).ok()
    }

    fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Vec<T> {
        let Some(value) = self.table.get(key) else { return Vec::new() };
        let remedy = format!("write {key} = [\"…\", \"…\"]");
        let Value::Array(_, entries) = value else {
            self.wrongs.push(of(key, Wrong::new(format!("is {}, not a list", kind(value)), remedy)));
            return Vec::new();
        };
        if entries.is_empty() {
            self.wrongs.push(of(key, Wrong::new("is an empty list", "fill it, or take it out")));
        }
        let mut taken = Vec::new();
        for entry in entries {
            let text = entry.as_str().ok_or_else(|| Wrong::new(format!("holds {}, not text", kind(entry)), &*remedy));
            match text.and_then(&parse) {
                Ok(entry) => taken.push(entry),
                Err(wrong) => self.wrongs.push(of(key, wrong)),
            }
        }
        taken
    }

    fn flag(&mut self, key: &str) -> Option<bool> {
        match self.table.get(key)? {
            Value::Bool(_, flag) => Some(*flag),
            other => {
                let what = format!("is {}, neither true nor false", kind(other));
                self.wrongs.push(of(key, Wrong::new(what, format!("write {key} = true or {key} = false"))));
                None
            }
        }
    }
}

/// The same, said of the field `key`.
fn of(key: &str, Wrong { what, remedy }: Wrong) -> Wrong {
    Wrong::new(format!("has a wrong {key}: {what}"), remedy)
}

fn host(text: &str) -> Result<HostPattern, Wrong> {
    let remedy = "write app.example.com, app.example.com:8443, or *.example.com for all names below example.com";
    let wrong = || Wrong::new(format!("{} is no host", quoted(text)), remedy);
    if let Some(below) = text.strip_prefix("*.") {
        return domain(below).map(HostPattern::Below).map_err(|_| wrong());
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().map_err(|_| wrong())?)),
        None => (text, None),
    };
    domain(name).map(|name| HostPattern::Exactly(name, port)).map_err(|_| wrong())
}

fn path(text: &str) -> Result<PathPattern, Wrong> {
    let remedy = "write /public/* for everything below it, /status for one address, /* for all";
    let wrong = |why: &str| Wrong::new(format!("{} {why}", quoted(text)), remedy);
    if text == "/*" {
        return Ok(PathPattern::Everything);
    }
    if !text.starts_with('/') {
        return Err(wrong("does not begin with a slash"));
    }
    let (stem, is_below) = text.strip_suffix("/*").map_or((text, false), |stem| (stem, true));
    let is_plain = |segment: &str| !segment.is_empty() && !matches!(segment, "." | "..");
    let stem = stem.trim_end_matches('/');
    if !stem.is_empty() && !stem[1..].split('/').all(is_plain) {
        return Err(wrong("has empty segments or dots in it"));
    }
    if stem.contains(['*', '?', '#', '%', '\\', ';']) || stem.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong("holds more than letters as they are: no query, no patterns, nothing encoded"));
    }
    Ok(if is_below { PathPattern::Below(stem.to_owned()) } else { PathPattern::Exactly(stem.to_owned()) })
}

/// A method, in capitals.
pub fn method(text: &str) -> Result<String, Wrong> {
    let is_method = !text.is_empty() && Method::from_bytes(text.as_bytes()).is_ok();
    if is_method && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(format!("{} is no method", quoted(text)), "write GET, POST and the like, in capitals"))
}

fn allow(text: &str) -> Result<Who, Wrong> {
    match text {
        "everyone" => Ok(Who::Everyone),
        "signed_in" => Ok(Who::SignedIn),
        "nobody" => Ok(Who::Nobody),
        _ => {
            let remedy = "write \"everyone\", \"signed_in\" or \"nobody\", or lists in its place";
            Err(Wrong::new(format!("{} is not one of its words", quoted(text)), remedy))
        }
    }
}
