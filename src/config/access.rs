//! `[access]`: who may sign in.

use crate::config::problem::{Wrong, quoted};
use crate::config::reader::Reader;

/// `[access]`: nothing set means everyone with a verified email. One match in any list of those who may come lets a
/// person in, one match in `blocked` keeps them out whatever the lists say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Google Workspace domains, by the signed `hd` claim; lower case.
    pub hosted_domains: Vec<String>,
    /// Domains of email addresses, whole and exact; lower case.
    pub email_domains: Vec<String>,
    /// Single addresses; lower case.
    pub emails: Vec<String>,
    /// Who stays out: addresses, and domains, which are meant as hosted domains and as domains of addresses; lower case.
    pub blocked: Vec<String>,
    /// Whether the site takes in people whom it does not know yet.
    pub sign_up: SignUp,
}

/// Whether a first sign-in makes a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignUp {
    /// It does.
    #[default]
    Open,
    /// Only whoever has a row in the table of users may sign in, be it that the site wrote it or that we did.
    Existing,
}

impl Access {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader) -> Self {
        let sign_up = [("open", SignUp::Open), ("existing", SignUp::Existing)];
        let access = Self {
            hosted_domains: reader.list("access.hosted_domains", domain).unwrap_or_default(),
            email_domains: reader.list("access.email_domains", domain).unwrap_or_default(),
            emails: reader.list("access.emails", email).unwrap_or_default(),
            blocked: reader.list("access.blocked", email_or_domain).unwrap_or_default(),
            sign_up: reader.word("access.sign_up", &sign_up).unwrap_or_default(),
        };
        access.warn(reader);
        access
    }

    fn warn(&self, reader: &mut Reader) {
        let is_gmail = |domain: &&String| matches!(domain.as_str(), "gmail.com" | "googlemail.com");
        if let Some(domain) = self.email_domains.iter().find(|domain| !is_gmail(domain)) {
            reader.notes.warn(format!(
                "access.email_domains lets in whoever has a Google account with an address at {domain}. Google vouches \
                 only for addresses of Gmail and of Workspace; any other it has seen confirmed once, perhaps long ago. \
                 Where {domain} is a Workspace, access.hosted_domains is the rule to use"
            ));
        }
        if let Some(domain) = self.hosted_domains.iter().find(is_gmail) {
            reader.notes.warn(format!(
                "access.hosted_domains names {domain}, which lets nobody in: private accounts belong to no Workspace. \
                 access.email_domains is the rule for them"
            ));
        }
    }
}

/// What no entry of an access list may be: a mistake here lets the wrong people in, or nobody.
fn entry(text: &str) -> Result<String, Wrong> {
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    // What an editor or a web page leaves behind: zero-width characters and byte order marks.
    let is_invisible = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}');
    if text.is_empty() {
        return Err(Wrong::new("holds an empty entry", "take it out; an empty list means as much as none"));
    }
    if text.contains('*') {
        let remedy = "take it out; with no list at all everyone with a verified email comes in";
        return Err(Wrong::new(format!("{} holds *, which matches nothing", quoted(text)), remedy));
    }
    if text.chars().any(is_blank) || text.chars().any(is_invisible) {
        let what = format!("{} holds a space or an invisible character", text.escape_default());
        return Err(Wrong::new(what, "write the entry again by hand"));
    }
    Ok(text.to_ascii_lowercase())
}

const BARE_DOMAIN: &str =
    "write a bare domain, such as example.com; it stands for itself alone, not for the ones below it";

/// A domain as an entry of a list: bare, whole, in lower case, and somebody's: nobody has an address at `com`, and a slip such
/// as `ada` for an address would pass for a rule.
pub fn domain(text: &str) -> Result<String, Wrong> {
    let domain = host(text)?;
    if !domain.contains('.') {
        let remedy =
            "write a whole domain, such as example.com, or where a list takes them an address, ada@example.com";
        return Err(Wrong::new(format!("{} is neither a domain nor an address", quoted(text)), remedy));
    }
    let suffix = psl::suffix(domain.as_bytes()).filter(|suffix| suffix.typ() == Some(psl::Type::Icann));
    if suffix.is_some_and(|suffix| suffix == domain.as_str()) {
        let what =
            format!("{} belongs to many owners (publicsuffix.org), and nobody has an address there", quoted(text));
        return Err(Wrong::new(what, BARE_DOMAIN));
    }
    Ok(domain)
}

/// The name of a host as it stands behind an @, or in a cookie: bare, whole, in lower case.
pub fn host(text: &str) -> Result<String, Wrong> {
    let host = entry(text)?;
    let is_label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
    if host.split('.').all(is_label) {
        return Ok(host);
    }
    Err(Wrong::new(format!("{} is not a domain", quoted(text)), BARE_DOMAIN))
}

/// An address as an entry of a list, in lower case.
pub fn email(text: &str) -> Result<String, Wrong> {
    let email = entry(text)?;
    let is_email = email.rsplit_once('@').is_some_and(|(name, at)| !name.is_empty() && host(at).is_ok());
    if is_email && !email.contains(',') {
        return Ok(email);
    }
    Err(Wrong::new(format!("{} is not an email address", quoted(text)), "write ada@example.com"))
}

fn email_or_domain(text: &str) -> Result<String, Wrong> {
    if text.contains('@') { email(text) } else { domain(text) }
}
