//! Who may come in. Pure: no store, no clock, nothing to wait for.

use crate::config::access::Access as Rules;
use crate::model::Identity;

/// The answer to "may this person come in?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They may; the word says which rule let them in.
    Allow(&'static str),
    /// They may not; the word says why, for log, metric and test.
    Deny(&'static str),
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

    /// Whether nothing is set, so that everyone with a verified email may come in.
    pub fn is_open(&self) -> bool {
        let Rules { hosted_domains, email_domains, emails } = &self.rules;
        hosted_domains.is_empty() && email_domains.is_empty() && emails.is_empty()
    }

    /// Judges what a provider vouched for. One match in any list is enough.
    ///
    /// An unverified email never decides anything in a person's favour. A hosted domain counts only as the signed
    /// `hd` claim: an address at the same domain may belong to a private account.
    pub fn decide(&self, identity: &Identity) -> Decision {
        if !identity.email_verified {
            return Decision::Deny("email_unverified");
        }
        if self.is_open() {
            return Decision::Allow("open");
        }
        let email = identity.email.to_ascii_lowercase();
        let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
        if self.rules.emails.contains(&email) {
            return Decision::Allow("emails");
        }
        if self.rules.email_domains.iter().any(|allowed| allowed == domain) {
            return Decision::Allow("email_domains");
        }
        let hosted_domain = identity.hosted_domain.as_deref().map(str::to_ascii_lowercase);
        if hosted_domain.is_some_and(|hosted| self.rules.hosted_domains.contains(&hosted)) {
            return Decision::Allow("hosted_domains");
        }
        Decision::Deny("not_on_the_list")
    }
}
