//! `public_url`: what browsers type to reach us.

use std::fmt;

use url::{Host, Url};

/// An http or https URL with a host, an optional port and an optional path; no credentials, query or fragment.
/// Plain http only on `localhost` or a loopback address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    url: Url,
}

/// Why a text is no [`PublicUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPublicUrl {
    /// Not a URL at all.
    #[error("is not the address of a site")]
    Malformed(url::ParseError),
    /// Neither http nor https.
    #[error("must begin with https:// (or http:// on localhost)")]
    Scheme,
    /// Has what an address of a site cannot have.
    #[error("must be a plain address, without user name, password, query or fragment")]
    Extra,
    /// Plain http beyond this machine.
    #[error("is plain http for a host other than localhost; session cookies would travel unprotected")]
    PlainHttp,
}

impl PublicUrl {
    /// Reads `text`; a slash at the end makes no difference.
    pub fn parse(text: &str) -> Result<Self, NotPublicUrl> {
        let mut url = Url::parse(text).map_err(NotPublicUrl::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(NotPublicUrl::Scheme);
        }
        let extra = !url.username().is_empty() || url.password().is_some();
        if extra || url.query().is_some() || url.fragment().is_some() {
            return Err(NotPublicUrl::Extra);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        let public_url = Self { url };
        if public_url.is_https() || public_url.is_loopback() { Ok(public_url) } else { Err(NotPublicUrl::PlainHttp) }
    }

    /// Whether browsers reach us over TLS.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether the host is this machine: `localhost`, a name under it (RFC 6761), or a loopback address.
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Scheme, host and port as a browser's `Origin` has them: `https://example.com`.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Host, and port where it is not the scheme's own, as a browser's `Host` has them.
    pub fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The port browsers connect to.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(443)
    }

    /// The path under which all our doors lie, without a slash at the end: `` or `/auth`.
    pub fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    /// The absolute address of `door`, which begins with a slash: `https://example.com/auth` + `/login`.
    pub fn join(&self, door: &str) -> String {
        format!("{}{}{door}", self.origin(), self.path())
    }

    /// As a [`Url`], to resolve references against.
    pub const fn as_url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.join("").as_str())
    }
}

/// What to do about each.
impl NotPublicUrl {
    /// The remedy, a sentence without a full stop.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::Scheme => {
                "write https://example.com, or http://localhost:3000 on your own machine"
            }
            Self::Extra => "write scheme, host, port and at most a path: https://example.com/auth",
            Self::PlainHttp => "write https://; a proxy may end TLS and pass plain http on to us",
        }
    }
}
