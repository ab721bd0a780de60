//! What we keep of the claims, and what we refuse.
//!
//! Whatever a provider sends is data of a stranger: an address that two programs read differently can open another
//! person's door, a name can carry markup or turn the text around it. What decides (subject, email, hosted domain) is
//! refused when it is not plain; what is only shown (name, picture) is cleaned, cut or left out.

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;
use url::Url;

use crate::config::provider::Provider;
use crate::login::LoginError;
use crate::login::http::is_loopback;
use crate::model::Identity;

/// Claims as a provider sent them.
pub type Claims = Map<String, Value>;

const MAX_SUBJECT: usize = 255;
const MAX_EMAIL: usize = 320;
const MAX_NAME: usize = 255;
const MAX_PICTURE: usize = 2048;

/// Whether the ID token's claims leave something open that the userinfo endpoint may know.
pub fn lacks_something(id_token: &Claims, provider: &Provider) -> bool {
    email_is_open(id_token) || name(id_token, provider).is_none()
}

/// Whether the ID token's claims say nothing of an address, or not whether it is verified.
pub fn email_is_open(id_token: &Claims) -> bool {
    is_missing(id_token, "email") || is_missing(id_token, "email_verified")
}

/// What `id_token` (verified) and `userinfo` (fetched for the same subject) say of a person.
pub fn identity(id_token: &Claims, userinfo: Option<&Claims>, provider: &Provider) -> Result<Identity, LoginError> {
    let subject = subject(id_token).ok_or_else(|| LoginError::BadIdToken("sub names nobody".to_owned()))?;
    let email = verified_email(id_token, userinfo, provider)?;
    let everywhere = || [Some(id_token), userinfo].into_iter().flatten();
    let name = everywhere().find_map(|claims| name(claims, provider));
    Ok(Identity {
        provider: provider.name.clone(),
        issuer: provider.issuer.clone(),
        subject: subject.to_owned(),
        name: name.or_else(|| email.split('@').next().and_then(displayed)),
        email,
        email_verified: true,
        picture: everywhere().find_map(|claims| picture(claims, provider)),
        // Only what is signed may open a door.
        hosted_domain: text(id_token, "hd").filter(|domain| is_domain(domain)).map(str::to_ascii_lowercase),
    })
}

/// The subject: 1 to 255 printable ASCII characters (OpenID Connect Core 1.0, section 2, `sub`).
pub fn subject(claims: &Claims) -> Option<&str> {
    let is_sound = |subject: &&str| {
        (1..=MAX_SUBJECT).contains(&subject.len()) && subject.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    };
    text(claims, "sub").filter(is_sound)
}

/// The address and the word of the provider on it, taken from one place: an ID token's address must not be vouched for
/// by a word that was said of another one.
fn verified_email(id_token: &Claims, userinfo: Option<&Claims>, provider: &Provider) -> Result<String, LoginError> {
    let source = match userinfo {
        Some(userinfo) if email_is_open(id_token) && !is_missing(userinfo, "email") => userinfo,
        _ => id_token,
    };
    let email = text(source, "email").ok_or(LoginError::EmailUnverified(None))?;
    if !is_plain_email(email) {
        return Err(LoginError::EmailMalformed);
    }
    let is_verified = match source.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        // The same address, vouched for in the ID token.
        None | Some(Value::Null)
            if text(id_token, "email") == Some(email) && !is_missing(id_token, "email_verified") =>
        {
            id_token.get("email_verified") == Some(&Value::Bool(true))
        }
        None | Some(Value::Null) => provider.trust_email,
        // `"true"`, `1`: a provider that is careless with this is not believed (OpenID Connect Core 1.0, section 5.1).
        Some(_) => false,
    };
    if is_verified { Ok(email.to_owned()) } else { Err(LoginError::EmailUnverified(Some(email.to_owned()))) }
}

/// Whether every program reads `email` as the same mailbox: one `@`, nothing quoted, no list, no look-alike that
/// normalising would turn into something else, an ASCII domain.
fn is_plain_email(email: &str) -> bool {
    let Some((local, domain)) = email.split_once('@') else { return false };
    let is_plain = |character: char| {
        !character.is_control()
            && !character.is_whitespace()
            && !is_invisible(character)
            && !matches!(character, '@' | '"' | '\'' | '`' | ',' | ';' | ':' | '<' | '>' | '(' | ')' | '[' | ']' | '\\')
    };
    // An apostrophe is the one of these that honest addresses hold.
    let is_local = !local.is_empty() && local.chars().all(|character| character == '\'' || is_plain(character));
    is_local && is_domain(domain) && email.chars().count() <= MAX_EMAIL && email.nfkc().eq(email.chars())
}

/// Whether `domain` is a host's name in ASCII: labels of letters, digits and inner hyphens, no dot at either end.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.len() <= 253 && domain.split('.').all(is_label)
}

/// Characters that take no room or turn the direction of their neighbours: two addresses would look the same.
fn is_invisible(character: char) -> bool {
    turns_text(character)
        || matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Embeddings, overrides and isolates of direction: a name must not turn the text around it.
const fn turns_text(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn name(claims: &Claims, provider: &Provider) -> Option<String> {
    [provider.name_claim.as_str(), "given_name"].iter().find_map(|claim| displayed(text(claims, claim)?))
}

/// `text` as it can be shown: in one line, without what turns the text around it, at most 255 characters.
fn displayed(text: &str) -> Option<String> {
    let shown: String = text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .filter(|character| !turns_text(*character))
        .collect();
    let shown: String = shown.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_NAME).collect();
    Some(shown.trim_end().to_owned()).filter(|shown| !shown.is_empty())
}

/// The picture's address, if it is one that pages may load: an allowed host, https, the usual port. Plain http only
/// where the provider itself is on this machine and speaks it: the demo.
fn picture(claims: &Claims, provider: &Provider) -> Option<String> {
    let url = text(claims, "picture").filter(|url| url.len() <= MAX_PICTURE).and_then(|url| Url::parse(url).ok())?;
    let is_local =
        || Url::parse(&provider.issuer).is_ok_and(|issuer| issuer.scheme() == "http" && is_loopback(&issuer));
    let is_reachable = match url.scheme() {
        "https" => url.port().is_none(),
        "http" => is_local() && is_loopback(&url),
        _ => false,
    };
    let is_anonymous = url.username().is_empty() && url.password().is_none();
    let host = url.host_str()?;
    let is_allowed = provider.picture_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host));
    let address = url.to_string();
    (is_reachable && is_anonymous && is_allowed && address.len() <= MAX_PICTURE).then_some(address)
}

fn text<'a>(claims: &'a Claims, claim: &str) -> Option<&'a str> {
    claims.get(claim).and_then(Value::as_str)
}

fn is_missing(claims: &Claims, claim: &str) -> bool {
    claims.get(claim).is_none_or(Value::is_null)
}
