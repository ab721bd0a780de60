//! `[access]`: who may sign in.

use crate::config::problem::{Wrong, quoted};
use crate::config::reader::Reader;

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

impl Access {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            hosted_domains: reader.list("access.hosted_domains", domain).unwrap_or_default(),
            email_domains: reader.list("access.email_domains", domain).unwrap_or_default(),
            emails: reader.list("access.emails", email).unwrap_or_default(),
        }
    }
}

/// What no entry of an access list may be: a mistake here lets the wrong people in, or nobody.
fn entry(text: &str) -> Result<String, Wrong> {
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    // What an editor or a web page leaves behind: zero-width characters and byte order marks.
    let is_invisible = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}');
    if text.is_empty() {
        return Err(Wrong::new("holds an empty entry", "take it out; an empty list lets everyone in"));
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

/// A bare domain, in lower case.
pub fn domain(text: &str) -> Result<String, Wrong> {
    let domain = entry(text)?;
    let is_domain = domain.split('.').all(|label| !label.is_empty()) && !domain.contains(['@', '/', ':', ',']);
    if is_domain {
        return Ok(domain);
    }
    let remedy = "write a bare domain, such as example.com; it stands for itself alone, not for the ones below it";
    Err(Wrong::new(format!("{} is not a domain", quoted(text)), remedy))
}

/// One address, in lower case.
pub fn email(text: &str) -> Result<String, Wrong> {
    let email = entry(text)?;
    let is_email = email.rsplit_once('@').is_some_and(|(name, host)| !name.is_empty() && domain(host).is_ok());
    if is_email && !email.contains(',') {
        return Ok(email);
    }
    Err(Wrong::new(format!("{} is not an email address", quoted(text)), "write ada@example.com"))
}
