//! `[providers.NAME]`: who vouches for people.

use std::path::PathBuf;

use crate::config::secret::Secret;

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
