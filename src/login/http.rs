//! Our own HTTP client towards the provider.
//!
//! Every answer is bounded in time and size, no redirect is followed (RFC 9700: an endpoint that redirects could send a
//! code or a secret elsewhere), no proxy is taken from the environment, nothing is decompressed, and plain http goes to
//! this machine only. Certificates are verified against the embedded public roots and the operator's own file.

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::{Host, Url};

use crate::config::problem::in_words;
use crate::metrics;
use crate::names::Names;

/// How long a connection may take to stand, name lookup and TLS included.
const CONNECT: Duration = Duration::from_secs(3);

/// How long a request may take from its first to its last byte.
const TOTAL: Duration = Duration::from_secs(10);

/// How large an answer may be, counted as it arrives: a `Content-Length` may lie or be missing.
pub const MAX_BODY: usize = 256 * 1024;

/// Why there is no usable answer. Holds no URL: its query may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Plain http, or another scheme, to another machine.
    #[error("its address is neither https nor on this machine")]
    Insecure,
    /// Not a request that can be sent.
    #[error("the request cannot be sent: {0}")]
    Malformed(String),
    /// No connection, or it broke.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// Too slow.
    #[error("no answer in time")]
    TimedOut,
    /// Larger than [`MAX_BODY`].
    #[error("the answer is larger than {} KiB", MAX_BODY / 1024)]
    TooLarge,
    /// A redirect, which is never followed.
    #[error("it answered with a redirect ({0}), which is not followed")]
    Redirect(u16),
    /// It says itself that it cannot answer: 429 or 5xx.
    #[error("it answered with status {0}")]
    Status(u16),
}

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The operator's certificates cannot be used.
    #[error("ca_file {path} cannot be used: {reason}")]
    CaFile {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// TLS cannot be set up at all: a defect of ours.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// The client. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    /// Whom the metrics say that is asked.
    provider: Arc<str>,
    /// For what.
    endpoint: &'static str,
    /// The header `traceparent` of each request, where it belongs to one of somebody's.
    traceparent: Option<http::HeaderValue>,
}

impl Http {
    /// A client for the provider of this name, which finds hosts by `names` and also trusts the authorities in `ca_file`.
    pub fn new(provider: &str, names: Names, ca_file: Option<&Path>) -> Result<Self, HttpSetupError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(ca_file)?)
            .dns_resolver(Arc::new(ByNames(names)))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(8)
            .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| HttpSetupError::Tls(root_cause(&error)))?;
        Ok(Self { client, provider: provider.into(), endpoint: "metadata", traceparent: None })
    }

    /// The same client, whose requests are counted as those to this endpoint.
    pub fn at(&self, endpoint: &'static str) -> Self {
        Self { endpoint, ..self.clone() }
    }

    /// The same client for what a request asks that belongs to a trace (W3C Trace Context).
    pub fn within(&self, traceparent: &str) -> Self {
        Self { traceparent: http::HeaderValue::try_from(traceparent).ok(), ..self.clone() }
    }

    /// Sends `request` and reads the whole answer. Answers of 2xx and 4xx come back; others are errors.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let started = Instant::now();
        let answer = self.exchange(request).await;
        let is_error = answer.as_ref().map_or(true, |answer| !answer.status().is_success());
        metrics::provider(&self.provider, self.endpoint, started.elapsed(), is_error);
        answer
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let url = Url::parse(&request.uri().to_string()).map_err(|error| HttpError::Malformed(error.to_string()))?;
        if !is_safe(&url) {
            return Err(HttpError::Insecure);
        }
        let (mut parts, body) = request.into_parts();
        if let Some(traceparent) = &self.traceparent {
            parts.headers.insert("traceparent", traceparent.clone());
        }
        let request = self.client.request(parts.method, url).headers(parts.headers).body(body);
        let mut answer = request.send().await.map_err(|error| failed(&error))?;
        let status = answer.status();
        if status.is_redirection() {
            return Err(HttpError::Redirect(status.as_u16()));
        }
        if status.is_server_error() || status.as_u16() == 429 {
            return Err(HttpError::Status(status.as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let mut response = HttpResponse::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Whether `url` may be asked: https anywhere, plain http on this machine only.
pub fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_loopback(url),
        _ => false,
    }
}

/// Whether `url` leads to this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// TLS 1.2 and 1.3 by ring, verified against the public roots and `ca_file`.
pub fn tls(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, HttpSetupError> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        let unusable = |reason: String| HttpSetupError::CaFile { path: path.display().to_string(), reason };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
        let known = roots.len();
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
        if roots.len() == known {
            return Err(unusable("it holds no certificate".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpSetupError::Tls(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn failed(error: &reqwest::Error) -> HttpError {
    if error.is_timeout() { HttpError::TimedOut } else { HttpError::Connection(root_cause(error)) }
}

/// The innermost reason ("Connection refused"), without the URL that outer ones carry.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if cause.is::<reqwest::Error>() { "the answer is not HTTP".to_owned() } else { in_words(cause) }
}

/// [`Names`] in reqwest's words.
struct ByNames(Names);

impl Resolve for ByNames {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.0.clone();
        Box::pin(async move {
            let addresses = names.resolve(name.as_str()).await?;
            // Port 0 means: the one in the URL.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
