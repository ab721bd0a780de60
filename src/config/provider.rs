//! `[providers.NAME]`: who vouches for people.

use std::path::PathBuf;

use url::Url;

use crate::config::client_json::{self, ClientJson};
use crate::config::problem::{Wrong, quoted};
use crate::config::public_url::PublicUrl;
use crate::config::reader::Reader;
use crate::config::secret::{self, Secret};

/// One OpenID provider. The name is the preset: `google` knows its issuer, another name needs one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// The name in the configuration, `google`.
    pub name: String,
    /// What the button says after "Sign in with", `Google`.
    pub label: String,
    /// The issuer, byte for byte (OpenID Connect Discovery 1.0).
    pub issuer: String,
    /// Our name at the provider (RFC 6749, section 2.2).
    pub client_id: String,
    /// Our secret at the provider (RFC 6749, section 2.3.1).
    pub client_secret: Secret,
    /// `prompt` of the authorization request; `None` sends none. Google's default here is `select_account`.
    pub prompt: Option<String>,
    /// Take an email whose `email_verified` is missing for verified. `false` and strings stay unverified.
    pub trust_email: bool,
    /// Hosts whose pictures are shown; other pictures become initials.
    pub picture_hosts: Vec<String>,
    /// The claim that holds the name; `given_name` and the email's first part follow.
    pub name_claim: String,
    /// Signature algorithms taken for ID tokens, `RS256` unless told otherwise.
    pub algorithms: Vec<String>,
    /// Further certificate authorities for the provider, a PEM file.
    pub ca_file: Option<PathBuf>,
    /// The file that Google's console downloads, when the id and secret came from it: its redirect URIs.
    pub registered_redirect_uris: Option<Vec<String>>,
}

/// Google's issuer.
pub const GOOGLE_ISSUER: &str = "https://accounts.google.com";

/// The client of `config.toml.example`, id and secret, which is nobody's.
pub const EXAMPLE: (&str, &str) = ("1234567890-abcdef.apps.googleusercontent.com", "GOCSPX-from-Googles-console");

/// The preset for Google, without a client.
pub fn google() -> Provider {
    Provider {
        name: "google".to_owned(),
        label: "Google".to_owned(),
        issuer: GOOGLE_ISSUER.to_owned(),
        prompt: Some("select_account".to_owned()),
        picture_hosts: (3..=6).map(|n| format!("lh{n}.googleusercontent.com")).collect(),
        ..other("google")
    }
}

/// What is assumed of an issuer we know nothing of.
pub fn other(name: &str) -> Provider {
    Provider {
        name: name.to_owned(),
        label: name.to_owned(),
        issuer: String::new(),
        client_id: String::new(),
        client_secret: Secret::default(),
        prompt: None,
        trust_email: false,
        picture_hosts: Vec::new(),
        name_claim: "name".to_owned(),
        algorithms: vec!["RS256".to_owned()],
        ca_file: None,
        registered_redirect_uris: None,
    }
}

/// Asymmetric algorithms of RFC 7518, section 3.1. With HMAC our secret would be the key that signs, and whoever reads
/// it could sign in as anybody; `none` is no signature at all.
const ALGORITHMS: &[&str] = &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"];

/// Takes `[providers.NAME]` from what was said. A second provider is a problem for now.
pub fn read(reader: &mut Reader, public_url: &PublicUrl) -> Option<Provider> {
    let names = reader.names("providers");
    let (first, further) = names.split_first()?;
    for name in further {
        let what = format!("is a second provider beside providers.{first}, and so far there can be one");
        reader.refuse(&format!("providers.{name}"), Wrong::new(what, "keep one of them"));
    }
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if first.is_empty() || first.len() > 32 || !first.chars().all(is_name) {
        let wrong = Wrong::new("is no name for a provider", "use 1 to 32 lower-case letters, digits, - and _");
        reader.refuse(&format!("providers.{first}"), wrong);
    }
    let mut provider = if first == "google" { google() } else { other(first) };
    let key = |name: &str| format!("providers.{first}.{name}");
    provider.issuer = reader.parse(&key("issuer"), issuer).unwrap_or(provider.issuer);
    if provider.issuer.is_empty() && !reader.is_said(&key("issuer")) && !reader.is_misspelt(&key("issuer")) {
        let remedy = format!("write issuer = \"https://…\" under [providers.{first}]; only google needs none");
        reader.refuse(&key("issuer"), Wrong::new("is missing", remedy));
    }
    client(reader, &mut provider, public_url);
    provider.label = reader.parse(&key("label"), label).unwrap_or(provider.label);
    if let Some(prompt) = reader.parse(&key("prompt"), prompt) {
        provider.prompt = prompt;
    }
    provider.trust_email = reader.flag(&key("trust_email")).unwrap_or(provider.trust_email);
    provider.picture_hosts = reader.list(&key("picture_hosts"), picture_host).unwrap_or(provider.picture_hosts);
    provider.name_claim = reader.parse(&key("name_claim"), name_claim).unwrap_or(provider.name_claim);
    if let Some(algorithms) = reader.list(&key("algorithms"), algorithm) {
        if algorithms.is_empty() {
            let remedy = "write algorithms = [\"RS256\"]";
            reader.refuse(&key("algorithms"), Wrong::new("is empty, so that no ID token would be taken", remedy));
        }
        provider.algorithms = algorithms;
    }
    provider.ca_file = reader.path(&key("ca_file"));
    Some(provider)
}

/// Our name and secret at the provider, given one by one or in the file that Google's console downloads.
fn client(reader: &mut Reader, provider: &mut Provider, public_url: &PublicUrl) {
    let key = |name: &str| format!("providers.{}.{name}", provider.name);
    let (id, secret, secret_file, json) =
        (key("client_id"), key("client_secret"), key("client_secret_file"), key("client_json"));
    let from_json = if reader.is_said(&json) { client_json(reader, &json, public_url) } else { None };
    let client_id = match reader.one_of(&[&id, &json]) {
        Some(0) => reader.parse(&id, client_id),
        Some(_) => from_json.as_ref().map(|client| client.client_id.clone()),
        None if reader.is_misspelt(&id) => None,
        None => {
            let remedy = format!("write client_id = \"…\" under [providers.{}]", provider.name);
            reader.refuse(&id, Wrong::new("is missing", remedy));
            None
        }
    };
    let client_secret = match reader.one_of(&[&secret, &secret_file, &json]) {
        Some(0) => reader.parse(&secret, |text| Ok(Secret::new(text))).map(|found| (secret, found)),
        Some(1) => reader.secret_file(&secret_file).map(|found| (secret_file, found)),
        Some(_) => from_json.as_ref().map(|client| (json, client.client_secret.clone())),
        None if reader.is_misspelt(&secret) || reader.is_misspelt(&secret_file) => None,
        None => {
            let remedy = format!("write client_secret or client_secret_file under [providers.{}]", provider.name);
            reader.refuse(&secret, Wrong::new("is missing", remedy));
            None
        }
    };
    match &client_secret {
        Some((key, found)) if found.reveal().trim().is_empty() => {
            reader.refuse(key, Wrong::new("is empty", "copy the secret from the provider's console"));
        }
        Some((key, found)) if found.reveal().contains('…') || found.reveal().ends_with("...") => {
            reader.refuse(key, Wrong::new("is a placeholder", "copy the secret from the provider's console"));
        }
        Some((key, found)) if found.reveal() == EXAMPLE.1 => reader.notes.warn(format!(
            "{key} still holds what config.toml.example says: copy the secret from the provider's console"
        )),
        _ => {}
    }
    if client_id.as_deref() == Some(EXAMPLE.0) {
        let id = &id;
        reader.notes.warn(format!(
            "{id} still holds what config.toml.example says: copy the client id from the provider's console"
        ));
    }
    let is_googles = |id: &str| id.ends_with(".apps.googleusercontent.com");
    if provider.issuer == GOOGLE_ISSUER && client_id.as_deref().is_some_and(|id| !is_googles(id)) {
        reader.notes.warn(format!("{id} does not end with .apps.googleusercontent.com, as Google's client ids do"));
    }
    provider.client_id = client_id.unwrap_or_default();
    provider.client_secret = client_secret.map(|(_, secret)| secret).unwrap_or_default();
    provider.registered_redirect_uris = from_json.map(|client| client.redirect_uris);
}

/// Reads the file that Google's console downloads, and says where it does not fit this site.
fn client_json(reader: &mut Reader, key: &str, public_url: &PublicUrl) -> Option<ClientJson> {
    let path = reader.path(key)?;
    let client = match client_json::read(&path) {
        Ok(client) => client,
        Err(wrong) => {
            reader.refuse(key, wrong);
            return None;
        }
    };
    if secret::is_world_readable(&path) {
        reader.notes.warn(secret::exposed(&path));
    }
    if client.is_for_desktops {
        let what = "is a client for desktop programs; Google wants one of the type \"Web application\" for a site";
        reader.notes.warn(format!("{key}: {} {what}", path.display()));
    }
    let ours = public_url.join("/login/callback");
    if !client.redirect_uris.contains(&ours) {
        reader.notes.warn(format!(
            "{key}: {} does not list {ours}; Google will refuse to send people back. Add it to the client's \
             \"Authorized redirect URIs\" in Google's console; what is added later does not show in the file",
            path.display()
        ));
    }
    Some(client)
}

/// An issuer identifier: https, or http on this machine; kept byte for byte, since it is compared so.
fn issuer(text: &str) -> Result<String, Wrong> {
    let wrong = |what: &str| {
        Wrong::new(
            format!("{} {what}", quoted(text)),
            "write the issuer as the provider's documents give it, https://…",
        )
    };
    let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
    let extra = url.query().is_some() || url.fragment().is_some() || !url.username().is_empty();
    if extra || url.password().is_some() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(wrong("is no issuer: it has a query, a fragment, a user name or a space"));
    }
    if text.ends_with("/.well-known/openid-configuration") {
        let issuer = text.trim_end_matches("/.well-known/openid-configuration");
        return Err(Wrong::new("is the address of the metadata, not the issuer", format!("write {}", quoted(issuer))));
    }
    // The rules of public_url about schemes are the rules here.
    PublicUrl::parse(text).map_err(|_| wrong("is plain http beyond this machine, or no address at all"))?;
    Ok(text.to_owned())
}

fn client_id(text: &str) -> Result<String, Wrong> {
    let remedy = "copy the client id from the provider's console";
    match text {
        "" => Err(Wrong::new("is empty", remedy)),
        text if text.contains('…') || text.contains("...") => {
            Err(Wrong::new(format!("{} is a placeholder", quoted(text)), remedy))
        }
        text if text.chars().any(|c| c.is_whitespace() || c.is_control()) => {
            Err(Wrong::new(format!("{} holds a space", quoted(text)), remedy))
        }
        text => Ok(text.to_owned()),
    }
}

fn label(text: &str) -> Result<String, Wrong> {
    let is_short = !text.trim().is_empty() && text.chars().count() <= 50;
    if is_short && !text.chars().any(char::is_control) {
        return Ok(text.trim().to_owned());
    }
    Err(Wrong::new(format!("{} does not fit on a button", quoted(text)), "write 1 to 50 characters"))
}

/// Words of OpenID Connect Core 1.0, section 3.1.2.1; empty sends none. `none` would ask the provider to answer without
/// a person, and every first sign-in would fail.
fn prompt(text: &str) -> Result<Option<String>, Wrong> {
    let is_word = |word: &str| matches!(word, "login" | "consent" | "select_account");
    if text.is_empty() {
        return Ok(None);
    }
    if text.split(' ').all(is_word) {
        return Ok(Some(text.to_owned()));
    }
    let remedy = "write select_account, login or consent, or \"\" to send none";
    Err(Wrong::new(format!("{} is not a prompt", quoted(text)), remedy))
}

/// A host as it stands in a content security policy: no scheme, no path, no wildcard.
fn picture_host(text: &str) -> Result<String, Wrong> {
    let (host, port) = text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_host = !host.is_empty()
        && host.split('.').all(|label| !label.is_empty())
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    if is_host && port.is_none_or(|port| port.parse::<u16>().is_ok()) {
        return Ok(text.to_ascii_lowercase());
    }
    let remedy = "write a bare host, such as lh3.googleusercontent.com";
    Err(Wrong::new(format!("{} is not a host", quoted(text)), remedy))
}

fn name_claim(text: &str) -> Result<String, Wrong> {
    let is_claim = !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let wrong = || Wrong::new(format!("{} is not a claim", quoted(text)), "write name or preferred_username");
    if is_claim { Ok(text.to_owned()) } else { Err(wrong()) }
}

fn algorithm(text: &str) -> Result<String, Wrong> {
    if ALGORITHMS.contains(&text) {
        return Ok(text.to_owned());
    }
    let remedy = format!("write some of {}", ALGORITHMS.join(", "));
    Err(Wrong::new(format!("{} is not a signature we trust", quoted(text)), remedy))
}
