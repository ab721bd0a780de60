//! Who may come in. Pure: no store, no clock, nothing to wait for.
//!
//! Asked at the sign-in and at every use of a session or a token, so that a rule that an instance has read holds for
//! those who are already in.

use crate::config::access::{Access as Rules, SignUp};
use crate::model::Identity;

/// The answer to "may this person come in?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They may; the word says which rule let them in.
    Allow(&'static str),
    /// They may not; the word says why, for log, metric and test.
    Deny(&'static str),
}

/// The rule that decides, with the entry that matched.
enum Verdict<'a> {
    Unverified,
    BlockedEmail,
    BlockedEmailDomain(&'a str),
    BlockedHostedDomain(&'a str),
    Open,
    Email,
    EmailDomain(&'a str),
    HostedDomain(&'a str),
    Unlisted,
}

/// The rules, read once.
#[derive(Clone, Debug)]
pub struct Access {
    rules: Rules,
}

impl Access {
    /// Judges by `rules`.
    pub const fn new(rules: Rules) -> Self {
        Self { rules }
    }

    /// Whether no list says who may come, so that everyone with a verified email may who is not blocked.
    pub fn is_open(&self) -> bool {
        let Rules { hosted_domains, email_domains, emails, .. } = &self.rules;
        hosted_domains.is_empty() && email_domains.is_empty() && emails.is_empty()
    }

    /// Whether a first sign-in makes a user.
    pub const fn sign_up(&self) -> SignUp {
        self.rules.sign_up
    }

    /// The hosted domain that the provider may be told beforehand, so that its chooser offers the right accounts: a
    /// hint to people, never a rule. `None` where accounts of others may come in too.
    pub fn hosted_domain_hint(&self) -> Option<&str> {
        if !self.rules.emails.is_empty() || !self.rules.email_domains.is_empty() {
            return None;
        }
        match self.rules.hosted_domains.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Judges what a provider vouched for.
    pub fn decide(&self, identity: &Identity) -> Decision {
        match self.verdict(identity) {
            Verdict::Unverified => Decision::Deny("email_unverified"),
            Verdict::BlockedEmail | Verdict::BlockedEmailDomain(_) | Verdict::BlockedHostedDomain(_) => {
                Decision::Deny("on_the_blocked_list")
            }
            Verdict::Open => Decision::Allow("open"),
            Verdict::Email => Decision::Allow("emails"),
            Verdict::EmailDomain(_) => Decision::Allow("email_domains"),
            Verdict::HostedDomain(_) => Decision::Allow("hosted_domains"),
            Verdict::Unlisted => Decision::Deny("not_on_the_list"),
        }
    }

    /// Why [`Self::decide`] answers as it does: a sentence for log and operator, without a full stop.
    pub fn explain(&self, identity: &Identity) -> String {
        let email = identity.email.as_str();
        match self.verdict(identity) {
            Verdict::Unverified => format!("the provider does not vouch for the address {email}"),
            Verdict::BlockedEmail => format!("{email} is listed in access.blocked"),
            Verdict::BlockedEmailDomain(domain) => {
                format!("{domain}, the domain of {email}, is listed in access.blocked")
            }
            Verdict::BlockedHostedDomain(domain) => {
                format!("{domain}, the hosted domain of {email}, is listed in access.blocked")
            }
            Verdict::Open => {
                format!("no list names who may come in, so everyone with a verified email may: {email} too")
            }
            Verdict::Email => format!("{email} is listed in access.emails"),
            Verdict::EmailDomain(domain) => {
                format!("{domain}, the domain of {email}, is listed in access.email_domains")
            }
            Verdict::HostedDomain(domain) => {
                format!("{domain}, the hosted domain of {email}, is listed in access.hosted_domains")
            }
            Verdict::Unlisted => self.unlisted(identity),
        }
    }

    /// Deny beats allow. An unverified email never decides anything in a person's favour. A hosted domain counts only as
    /// the signed `hd` claim: an address at the same domain may belong to a private account. Letters are compared
    /// without ASCII case and nothing else: what only looks like a listed letter is another one.
    fn verdict<'a>(&'a self, identity: &'a Identity) -> Verdict<'a> {
        if !identity.email_verified {
            return Verdict::Unverified;
        }
        let email = identity.email.as_str();
        let email_domain = domain_of(email);
        let hosted_domain = identity.hosted_domain.as_deref();
        for entry in &self.rules.blocked {
            if entry.contains('@') {
                if entry.eq_ignore_ascii_case(email) {
                    return Verdict::BlockedEmail;
                }
            } else if entry.eq_ignore_ascii_case(email_domain) {
                return Verdict::BlockedEmailDomain(entry);
            } else if hosted_domain.is_some_and(|hosted| entry.eq_ignore_ascii_case(hosted)) {
                return Verdict::BlockedHostedDomain(entry);
            }
        }
        if self.is_open() {
            return Verdict::Open;
        }
        if find(&self.rules.emails, email).is_some() {
            return Verdict::Email;
        }
        if let Some(domain) = find(&self.rules.email_domains, email_domain) {
            return Verdict::EmailDomain(domain);
        }
        if let Some(domain) = hosted_domain.and_then(|hosted| find(&self.rules.hosted_domains, hosted)) {
            return Verdict::HostedDomain(domain);
        }
        Verdict::Unlisted
    }

    /// Which of the lists were looked at, and for what.
    fn unlisted(&self, identity: &Identity) -> String {
        let email = identity.email.as_str();
        let mut missing = Vec::new();
        if !self.rules.emails.is_empty() {
            missing.push(format!("{email} is not listed in access.emails"));
        }
        if !self.rules.email_domains.is_empty() {
            missing.push(format!("{}, the domain of {email}, is not listed in access.email_domains", domain_of(email)));
        }
        if !self.rules.hosted_domains.is_empty() {
            missing.push(match &identity.hosted_domain {
                Some(hosted) => {
                    format!("{hosted}, the hosted domain of {email}, is not listed in access.hosted_domains")
                }
                None => format!("{email} belongs to no hosted domain, and access.hosted_domains asks for one"),
            });
        }
        missing.join("; ")
    }
}

/// What stands after the last `@`.
fn domain_of(email: &str) -> &str {
    email.rsplit_once('@').map_or("", |(_, domain)| domain)
}

fn find<'a>(list: &'a [String], wanted: &str) -> Option<&'a str> {
    list.iter().find(|entry| entry.eq_ignore_ascii_case(wanted)).map(String::as_str)
}
