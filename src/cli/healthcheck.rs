//! `doorward healthcheck`: asks the running server whether it is alive, where it listens, in the way it is served there. For
//! containers, which have no other program to ask with.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::talk;
use crate::config::Config;
use crate::config::server::Listen;
use crate::names::Names;
use crate::server::tls;
use crate::web::paths;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// `doorward healthcheck`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward healthcheck`.
pub async fn run(_args: Args, context: Context) -> Result<(), Failure> {
    let config = context.load()?.config;
    let place = match &config.server.listen {
        Listen::Tcp { host, port } => format!("{host}:{port}"),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    };
    match tokio::time::timeout(PATIENCE, ask(&config)).await {
        Ok(Ok(status)) if status.starts_with("HTTP/1.1 200 ") => {
            talk("alive");
            Ok(())
        }
        Ok(Ok(status)) => Err(Failure::not_so(format!("{place} answered {}", status.trim()))),
        Ok(Err(error)) => Err(Failure::not_so(format!("{place} cannot be asked: {error}"))),
        Err(_) => Err(Failure::not_so(format!("{place} gave no answer within {} seconds", PATIENCE.as_secs()))),
    }
}

/// The status line of the answer.
async fn ask(config: &Config) -> io::Result<String> {
    let path = format!("{}{}", config.public_url.path(), paths::HEALTHZ);
    match &config.server.listen {
        Listen::Tcp { host, port } => {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in Names::from_system().resolve(host).await? {
                // Whoever listens on every address can be asked on this machine's own.
                let address = if address.is_unspecified() { loopback(address) } else { address };
                match TcpStream::connect((address, *port)).await {
                    Ok(stream) => return over_tls_or_not(stream, config, &path).await,
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
        #[cfg(unix)]
        Listen::Unix(socket) => status(tokio::net::UnixStream::connect(socket).await?, &path).await,
        #[cfg(not(unix))]
        Listen::Unix(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets")),
    }
}

async fn over_tls_or_not(stream: TcpStream, config: &Config, path: &str) -> io::Result<String> {
    let own = tls::own_certificate(config).map_err(io::Error::other)?;
    let Some(own) = own else { return status(stream, path).await };
    let connector = TlsConnector::from(Arc::new(tls::client_for(own)));
    // The name is not what is compared: it is the very certificate.
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    status(connector.connect(name, stream).await?, path).await
}

fn loopback(unspecified: std::net::IpAddr) -> std::net::IpAddr {
    match unspecified {
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

async fn status(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}
