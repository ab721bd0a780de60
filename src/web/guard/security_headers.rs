//! Headers that every answer carries, errors and redirects included.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Config;

/// Who may show what we answer.
pub const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The headers, made once.
#[derive(Clone, Debug)]
pub struct SecurityHeaders(HeaderMap);

impl SecurityHeaders {
    /// The headers that `config` asks for.
    pub fn new(config: &Config) -> Self {
        Self::with(config, "'self'", config.public_url.is_https() && !config.public_url.is_loopback())
    }

    /// The headers of an answer that is shown under another host than ours, that of an app behind a proxy: what is ours is
    /// named by our address, and whether that host is reached over TLS alone is not for us to say.
    pub fn elsewhere(config: &Config) -> Self {
        Self::with(config, &config.public_url.origin(), false)
    }

    fn with(config: &Config, ourselves: &str, is_strict: bool) -> Self {
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: &str| {
            headers.insert(name, HeaderValue::from_str(value).expect("policies of ours are ASCII"));
        };
        set(CONTENT_SECURITY_POLICY, &content_security_policy(config, ourselves));
        if is_strict {
            // Two years. Not for subdomains: they are not ours to speak for.
            set(STRICT_TRANSPORT_SECURITY, "max-age=63072000");
        }
        set(X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(X_FRAME_OPTIONS, "DENY");
        // Not no-referrer: under it browsers send `Origin: null` with our own forms.
        set(REFERRER_POLICY, "same-origin");
        set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
        set(CORP, "same-origin");
        // The one policy that isolates the page and still lets a provider's picture in.
        set(HeaderName::from_static("cross-origin-embedder-policy"), "credentialless");
        set(
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        );
        Self(headers)
    }

    /// Adds them to an answer. Whoever said nothing of caching meant: not at all.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        // Once, with room for what else an answer has: it would grow step by step.
        headers.reserve(self.0.len() + 8);
        for (name, value) in &self.0 {
            // A file says for itself who may show it.
            if *name != CORP || !headers.contains_key(CORP) {
                headers.insert(name.clone(), value.clone());
            }
        }
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(VARY, HeaderValue::from_static("Cookie, Authorization"));
        }
    }
}

/// Nothing is allowed but our own stylesheet, our own pictures, the provider's pictures and our own forms. There is no
/// script on any page, so none is allowed.
fn content_security_policy(config: &Config, ourselves: &str) -> String {
    let mut images = ourselves.to_owned();
    if let Some(provider) = &config.provider {
        // A provider on this machine may speak plain http, and so may its pictures, from any port of it.
        let is_local = provider.issuer.starts_with("http://");
        for host in &provider.picture_hosts {
            let source = if is_local { format!(" http://{host}:*") } else { format!(" https://{host}") };
            images.push_str(&source);
        }
    }
    // What a site reached over TLS mentions is fetched over TLS; on this machine there may be none.
    let is_https = config.public_url.is_https() && !config.public_url.is_loopback();
    let upgrade = if is_https { "; upgrade-insecure-requests" } else { "" };
    // `form-action` follows redirects, so a sign-in starts by a link and no form of ours leads off the site.
    format!(
        "default-src 'none'; style-src {ourselves}; img-src {images}; form-action {ourselves}; base-uri 'none'; \
         object-src 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'{upgrade}"
    )
}
