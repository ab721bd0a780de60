//! `[access]`: who may sign in.

/// `[access]`: nothing set means everyone with a verified email. One match in any list lets a person in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Google Workspace domains, by the signed `hd` claim; lower case.
    pub hosted_domains: Vec<String>,
    /// Domains of email addresses, whole and exact; lower case.
    pub email_domains: Vec<String>,
    /// Single addresses; lower case.
    pub emails: Vec<String>,
}
