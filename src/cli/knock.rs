//! Asks a running instance one thing over HTTP/1.1: where it listens, or where browsers reach it. Follows nothing, believes
//! nothing beyond the certificate, and reads no more than an answer of ours can have.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustls::CertificateError;
use rustls::pki_types::{ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::clock::Timestamp;
use crate::config::Config;
use crate::config::problem::in_words;
use crate::config::public_url::PublicUrl;
use crate::config::server::Listen;
use crate::login::http;
use crate::names::Names;
use crate::server::tls;

/// How much of an answer is read.
const LONGEST: u64 = 64 * 1024;

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status line.
    pub line: String,
    /// All of it, head and body.
    pub text: String,
    /// Where the connection began, for those that have an address.
    pub from: Option<SocketAddr>,
    /// Whether the certificate was accepted only because it is the very one that is configured.
    pub is_own_certificate: bool,
}

impl Answer {
    /// The header of this name, where it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// The JSON object in the body, if there is one.
    pub fn json(&self) -> Option<serde_json::Value> {
        let (_, body) = self.text.split_once("\r\n\r\n")?;
        // It may come in pieces, each with its length before it; one of ours is a single piece.
        let body = body.get(body.find('{')?..)?;
        serde_json::Deserializer::from_str(body).into_iter().next()?.ok()
    }
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    /// The name has no address.
    #[error("{0}")]
    Name(io::Error),
    /// Nobody took the connection.
    #[error("nobody takes connections at {0}: {why}", why = in_words(.1))]
    Connection(String, io::Error),
    /// The certificate, or TLS as such.
    #[error("TLS fails: {why}", why = in_words(.0))]
    Tls(io::Error),
    /// The connection broke.
    #[error("no answer came: {why}", why = in_words(.0))]
    Broken(#[from] io::Error),
}

/// Asks for `path` where `config` listens, with further `headers`, a line each.
pub async fn where_it_listens(config: &Config, path: &str, headers: &[String]) -> Result<Answer, Silence> {
    let request = request(path, config.public_url.as_url().authority(), headers);
    match &config.server.listen {
        Listen::Tcp { host, port } => {
            let stream = connect(host, *port).await?;
            let from = stream.local_addr().ok();
            let own = tls::own_certificate(config).map_err(|error| Silence::Tls(io::Error::other(error)))?;
            let Some(own) = own else { return ask(stream, &request, from).await };
            // The name is not what is compared: it is the very certificate.
            let stream = over_tls(stream, "localhost", tls::client_for(own)).await?;
            ask(stream, &request, from).await
        }
        #[cfg(unix)]
        Listen::Unix(socket) => {
            let stream = tokio::net::UnixStream::connect(socket).await;
            let stream = stream.map_err(|error| Silence::Connection(format!("unix:{}", socket.display()), error))?;
            ask(stream, &request, None).await
        }
        #[cfg(not(unix))]
        Listen::Unix(path) => {
            let error = io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets");
            Err(Silence::Connection(format!("unix:{}", path.display()), error))
        }
    }
}

/// Asks for `path` where browsers ask, as they would; `ca_file` holds further authorities.
pub async fn where_browsers_go(
    config: &Config,
    ca_file: Option<&Path>,
    path: &str,
    headers: &[String],
) -> Result<Answer, Silence> {
    let public_url: &PublicUrl = &config.public_url;
    let (host, port) = (public_url.as_url().host_str().unwrap_or_default(), public_url.port());
    let request = request(path, public_url.as_url().authority(), headers);
    let stream = connect(host, port).await?;
    let from = stream.local_addr().ok();
    if !public_url.is_https() {
        return ask(stream, &request, from).await;
    }
    let roots = http::tls(ca_file).map_err(|error| Silence::Tls(io::Error::other(error)))?;
    let name = host.trim_matches(['[', ']']);
    match over_tls(stream, name, roots).await {
        Ok(stream) => ask(stream, &request, from).await,
        Err(refused) => {
            // One of our own is believed by nobody else; whether it is ours can still be told.
            let Ok(Some(own)) = tls::own_certificate(config) else { return Err(refused) };
            let stream = connect(host, port).await?;
            let from = stream.local_addr().ok();
            let Ok(stream) = over_tls(stream, name, tls::client_for(own)).await else { return Err(refused) };
            Ok(Answer { is_own_certificate: true, ..ask(stream, &request, from).await? })
        }
    }
}

fn request(path: &str, host: &str, headers: &[String]) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, Silence> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in Names::from_system().resolve(host).await.map_err(Silence::Name)? {
        // Whoever listens on every address can be asked on this machine's own.
        let address = match address {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            address => address,
        };
        match TcpStream::connect((address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(Silence::Connection(format!("{host}:{port}"), last))
}

async fn over_tls(
    stream: TcpStream,
    name: &str,
    client: rustls::ClientConfig,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Silence> {
    let name = ServerName::try_from(name.to_owned()).map_err(|error| Silence::Tls(io::Error::other(error)))?;
    let connected = TlsConnector::from(Arc::new(client)).connect(name, stream).await;
    connected.map_err(|error| Silence::Tls(judged(error)))
}

/// What is held against a certificate, in people's words and dates; any other error as it is.
fn judged(error: io::Error) -> io::Error {
    let refused = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(why)) = refused else { return error };
    let at = |time: &UnixTime| Timestamp::from_unix(time.as_secs().try_into().unwrap_or(i64::MAX));
    let words = match why {
        CertificateError::ExpiredContext { not_after, .. } => format!("the certificate expired at {}", at(not_after)),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the certificate does not hold before {}", at(not_before))
        }
        CertificateError::UnknownIssuer => {
            "the certificate is signed by nobody that browsers know, or what leads to them is missing from its chain"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> =
                presented.iter().map(|name| name.trim_start_matches("DnsName(").trim_matches(['"', ')'])).collect();
            format!("the certificate is not for {}, but for {}", expected.to_str(), names.join(", "))
        }
        _ => return error,
    };
    io::Error::new(error.kind(), words)
}

async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
    from: Option<SocketAddr>,
) -> Result<Answer, Silence> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    let read = stream.take(LONGEST).read_to_end(&mut bytes).await;
    // Some close without a good-bye: what came before stands.
    if bytes.is_empty() {
        read?;
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let line = text.lines().next().unwrap_or_default().to_owned();
    Ok(Answer { line, text, from, is_own_certificate: false })
}
