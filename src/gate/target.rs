//! What is asked for behind the gate: host, path and method, in the one form that rules are held against.
//!
//! A proxy, a rule and an app may each read an address in their own way, and what one takes for `/public/…` the other
//! takes for `/private`. So a path that can be read in two ways is not read at all: it is [`Path::Ambiguous`], and no rule
//! that looks at paths lets it pass.

use percent_encoding::percent_decode_str;

/// What a request behind the gate asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `http` or `https`, as the browser sees it.
    pub scheme: Scheme,
    /// The host's name in lower case, without a dot at its end.
    pub host: String,
    /// The port that was named and is not the scheme's own.
    pub port: Option<u16>,
    /// Path and query as they came, beginning with a slash.
    pub address: String,
    /// The path, decoded.
    pub path: Path,
    /// The method, where it was told.
    pub method: Option<String>,
}

/// How the browser speaks to the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

/// A path, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// Its only reading: decoded once, without a slash at its end; the root is empty.
    Canonical(String),
    /// It has several readings.
    Ambiguous,
}

/// Why something is no [`Target`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address that was asked for cannot be read")]
pub struct Unreadable;

impl Target {
    /// Reads what a proxy tells: the scheme, the host with or without a port, path and query, the method.
    pub fn new(scheme: &str, authority: &str, address: &str, method: Option<&str>) -> Result<Self, Unreadable> {
        let (scheme, own_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => (Scheme::Http, 80),
            "https" | "wss" => (Scheme::Https, 443),
            _ => return Err(Unreadable),
        };
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (name, Some(port.parse::<u16>().map_err(|_| Unreadable)?))
            }
            _ => (authority, None),
        };
        let host = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        let is_host =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') || (is_bracketed && "[]:".contains(c));
        let is_visible = |c: char| c.is_ascii_graphic() || !c.is_ascii();
        if host.is_empty()
            || !host.chars().all(is_host)
            || !address.starts_with('/')
            || !address.chars().all(is_visible)
        {
            return Err(Unreadable);
        }
        Ok(Self {
            scheme,
            host,
            port: port.filter(|port| *port != own_port),
            address: address.to_owned(),
            path: Path::read(address),
            method: method.map(str::to_owned),
        })
    }

    /// The app's origin as a browser writes it (RFC 6454, section 6.2).
    pub fn origin(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{}{port}", self.host)
    }

    /// The port that the browser connects to.
    pub fn port_or_own(&self) -> Option<u16> {
        let own = match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        self.port.or(Some(own))
    }

    /// The whole address, to come back to.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin(), self.address)
    }
}

impl Path {
    /// Reads the path of `address`, whose query says nothing.
    fn read(address: &str) -> Self {
        let path = address.split('?').next().unwrap_or_default();
        let Ok(decoded) = percent_decode_str(path).decode_utf8() else { return Self::Ambiguous };
        // Encoded or not, each of these is a separator to one program and a letter to the next, or ends the path.
        let is_treacherous = |c: char| c.is_control() || matches!(c, '\\' | ';' | '#' | '?' | '%');
        let encodes_slash = path.to_ascii_lowercase().contains("%2f");
        if encodes_slash || decoded.chars().any(is_treacherous) || !is_encoded_well(path) {
            return Self::Ambiguous;
        }
        let inner = decoded.strip_prefix('/').unwrap_or(&decoded);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let is_turned = |segment: &str| matches!(segment, "" | "." | "..");
        if !inner.is_empty() && inner.split('/').any(is_turned) {
            return Self::Ambiguous;
        }
        Self::Canonical(if inner.is_empty() { String::new() } else { format!("/{inner}") })
    }
}

/// Whether every `%` is followed by two digits.
fn is_encoded_well(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit))
}
