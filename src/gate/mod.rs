//! May this request pass? The rules of the apps behind a proxy. Pure: no store, no clock, nothing to wait for.
//!
//! | step | who | result |
//! |---|---|---|
//! | read | [`target`] | what is asked for, in the one form that rules know |
//! | decide | [`Gate::decide`] | pass, sign in first, or no |
//!
//! Who may come in at all was judged before, by [`crate::access`].

pub mod target;

use crate::config::gate::{Gate as Config, HostPattern, Lists, PathPattern, Rule, Who};
use crate::config::groups::{Groups, Member};
use crate::gate::target::{Path, Target};
use crate::model::User;

/// Who stands before the gate.
#[derive(Clone, Copy, Debug)]
pub enum Person<'a> {
    /// Nobody that we know.
    Nobody,
    /// A user by their session.
    BySession(&'a User),
    /// A user by one of their API tokens.
    ByToken(&'a User),
}

/// The answer, with the reason in words for log, explanation and test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request may pass.
    Pass(Reason),
    /// It may pass once somebody is signed in.
    SignInFirst(Reason),
    /// It may not.
    Deny(Reason),
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// There are no rules: everyone who is signed in passes.
    #[error("there are no rules, so everyone who is signed in passes")]
    NoRules,
    /// This rule, counted from 1, decides.
    #[error("rule {0} decides")]
    Rule(usize),
    /// This rule lets nobody pass by a token.
    #[error("rule {0} takes no tokens: a person comes with a browser there")]
    NoTokens(usize),
    /// No rule names the host.
    #[error("no rule names this host: add one under [[gate.rules]]")]
    UnknownHost,
    /// Rules name the host, and none of them this path and method.
    #[error("no rule of this host speaks of this path and method: add one, or widen one, under [[gate.rules]]")]
    NoRule,
    /// This rule looks at the path or the method, and it cannot be told for certain what the app will see.
    #[error("rule {0} looks at path or method, and what the app would see of them is uncertain")]
    Uncertain(usize),
    /// There are rules, and nobody whom we believe told what is asked for.
    #[error(
        "no trusted proxy told what is asked for: `doorward proxy-config` prints what it sends, and server.trusted_proxies must hold its address"
    )]
    NoTarget,
}

impl Reason {
    /// A stable word for logs, metrics and tests.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NoRules => "no_rules",
            Self::Rule(_) => "rule",
            Self::NoTokens(_) => "no_tokens",
            Self::UnknownHost => "unknown_host",
            Self::NoRule => "no_rule",
            Self::Uncertain(_) => "uncertain",
            Self::NoTarget => "no_target",
        }
    }
}

/// The rules, read once.
#[derive(Clone, Debug)]
pub struct Gate {
    rules: Vec<Rule>,
    groups: Groups,
}

impl Gate {
    /// Judges by the rules of `config`, whose groups are `groups`.
    pub fn new(config: &Config, groups: &Groups) -> Self {
        Self { rules: config.rules.clone(), groups: groups.clone() }
    }

    /// Whether `person` may ask for `target`; `None`: what is asked for is not known.
    ///
    /// The first rule that speaks of host, path and method decides. Where there are rules and none speaks, nobody passes.
    pub fn decide(&self, target: Option<&Target>, person: Person<'_>) -> Verdict {
        if self.rules.is_empty() {
            return match person {
                Person::Nobody => Verdict::SignInFirst(Reason::NoRules),
                _ => Verdict::Pass(Reason::NoRules),
            };
        }
        let Some(target) = target else { return Verdict::Deny(Reason::NoTarget) };
        let mut is_known_host = false;
        for (number, rule) in (1..).zip(&self.rules) {
            if !speaks_of_host(&rule.host, target) {
                continue;
            }
            is_known_host = true;
            match speaks_of(rule, target) {
                Some(true) => return self.judge(rule, number, person),
                Some(false) => {}
                None => return Verdict::Deny(Reason::Uncertain(number)),
            }
        }
        Verdict::Deny(if is_known_host { Reason::NoRule } else { Reason::UnknownHost })
    }

    fn judge(&self, rule: &Rule, number: usize, person: Person<'_>) -> Verdict {
        let reason = Reason::Rule(number);
        let (user, is_token) = match (&rule.who, person) {
            (Who::Everyone, _) => return Verdict::Pass(reason),
            (Who::Nobody, _) => return Verdict::Deny(reason),
            (_, Person::Nobody) => return Verdict::SignInFirst(reason),
            (_, Person::BySession(user)) => (user, false),
            (_, Person::ByToken(user)) => (user, true),
        };
        if is_token && !rule.tokens {
            return Verdict::Deny(Reason::NoTokens(number));
        }
        let is_meant = match &rule.who {
            Who::Listed(lists) => self.is_listed(user, lists),
            _ => true,
        };
        if is_meant { Verdict::Pass(reason) } else { Verdict::Deny(reason) }
    }

    fn is_listed(&self, user: &User, lists: &Lists) -> bool {
        let identity = &user.identity;
        let email = identity.email.to_ascii_lowercase();
        let email_domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
        let hosted_domain = identity.hosted_domain.as_deref().unwrap_or_default().to_ascii_lowercase();
        // An address that nobody vouches for decides nothing in a person's favour.
        let is_by_email = identity.email_verified
            && (lists.emails.contains(&email) || lists.email_domains.iter().any(|domain| domain == email_domain));
        is_by_email
            || (!hosted_domain.is_empty() && lists.hosted_domains.contains(&hosted_domain))
            || self.groups_of(user).any(|group| lists.groups.iter().any(|listed| listed == group))
    }

    /// The groups that `user` belongs to, in alphabetical order.
    pub fn groups_of<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a str> {
        let identity = &user.identity;
        let is_member = move |member: &Member| match member {
            Member::Email(email) => identity.email_verified && identity.email.eq_ignore_ascii_case(email),
            Member::HostedDomain(domain) => {
                identity.hosted_domain.as_deref().is_some_and(|hosted| hosted.eq_ignore_ascii_case(domain))
            }
            Member::Id(id) => user.id.as_str() == id,
        };
        let groups = self.groups.0.iter();
        groups.filter(move |(_, members)| members.iter().any(is_member)).map(|(name, _)| name.as_str())
    }
}

fn speaks_of_host(pattern: &HostPattern, target: &Target) -> bool {
    match pattern {
        HostPattern::Exactly(name, None) => *name == target.host,
        HostPattern::Exactly(name, Some(port)) => *name == target.host && Some(*port) == target.port_or_own(),
        HostPattern::Below(name) => {
            target.host.strip_suffix(name.as_str()).is_some_and(|below| below.len() > 1 && below.ends_with('.'))
        }
    }
}

/// Whether the rule speaks of path and method; `None` where that depends on who reads them.
fn speaks_of(rule: &Rule, target: &Target) -> Option<bool> {
    let is_method = match target.method.as_deref() {
        _ if rule.methods.is_empty() => true,
        // Where the proxy does not tell the method, a rule about methods cannot be judged.
        None => return None,
        Some(method) => {
            let lists = |method: &str| rule.methods.iter().any(|listed| listed == method);
            let is_it = lists(method) || (method == "HEAD" && lists("GET"));
            // Methods are case-sensitive (RFC 9110, section 9.1), and some apps do not know that.
            if !is_it && rule.methods.iter().any(|listed| listed.eq_ignore_ascii_case(method)) {
                return None;
            }
            is_it
        }
    };
    if !is_method {
        return Some(false);
    }
    let (stem, is_below) = match &rule.path {
        PathPattern::Everything => return Some(true),
        PathPattern::Below(stem) => (stem, true),
        PathPattern::Exactly(stem) => (stem, false),
    };
    let Path::Canonical(path) = &target.path else { return None };
    let is_match = |path: &str, stem: &str| match path.strip_prefix(stem) {
        Some(rest) => rest.is_empty() || (is_below && rest.starts_with('/')),
        None => false,
    };
    let is_it = is_match(path, stem);
    // An app that does not tell capitals apart would see what the rule does not.
    if !is_it && is_match(&path.to_lowercase(), &stem.to_lowercase()) { None } else { Some(is_it) }
}
