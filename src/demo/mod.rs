//! A pretend OpenID provider, so that a sign-in can be tried out and tested with no account anywhere.
//!
//! It listens on loopback alone, answers one site that is on loopback too, and keeps everything in memory: when it is
//! dropped it is gone. It shares no code with the sign-in that it serves, so that neither hides the other's mistakes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use poem::Server;
use poem::endpoint;
use poem::listener::TcpAcceptor;
use tokio::sync::oneshot;
use url::{Host, Url};

use crate::clock::Clock;
use crate::demo::doors::Doors;
use crate::demo::provider::{Client, OpenId};
use crate::random::Random;

mod doors;
mod pages;
pub mod people;
mod provider;
mod signing;

/// How long answers that are under way may take once the provider ends.
const DRAIN: Duration = Duration::from_secs(1);

/// A pretend provider that is running. It ends when this is dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    _end: oneshot::Sender<()>,
}

impl Provider {
    /// Starts on a free port of 127.0.0.1, for the one site that is called back at `redirect_uri` and proves itself with
    /// `client_id` and `client_secret`. Must be called within a Tokio runtime.
    ///
    /// Fails where `redirect_uri` is not on loopback: this provider vouches for nobody, and a site that others can reach
    /// must not believe it.
    pub fn start(
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        redirect_uri: &str,
        client_id: &str,
        client_secret: &str,
    ) -> io::Result<Self> {
        let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self::start_at(anywhere, clock, random, (redirect_uri, client_id, client_secret))
    }

    /// As [`Provider::start`], at `address`; `client` is the redirect URI, the id and the secret. Fails where `address`
    /// is not on loopback.
    pub fn start_at(
        address: SocketAddr,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        client: (&str, &str, &str),
    ) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            return Err(refused(&format!("the demo provider listens on loopback only, and {address} is not")));
        }
        let (redirect_uri, id, secret) = client;
        let redirect_uri = loopback_url(redirect_uri)?;
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let client = Client { redirect_uri, id: id.to_owned(), secret: secret.to_owned() };
        let doors = Arc::new(Doors::new(OpenId::new(issuer(address), client, clock, random)?, address.to_string()));
        let (end, ended) = oneshot::channel::<()>();
        let server = Server::new_with_acceptor(TcpAcceptor::from_std(listener)?);
        tokio::spawn(async move {
            let answer = endpoint::make(move |request| {
                let doors = Arc::clone(&doors);
                async move { doors.answer(request).await }
            });
            // The sender is only ever dropped, and that is the signal.
            let signal = async { drop(ended.await) };
            if let Err(error) = server.run_with_graceful_shutdown(answer, signal, Some(DRAIN)).await {
                tracing::error!(%error, "the demo provider ended");
            }
        });
        Ok(Self { address, _end: end })
    }

    /// Its name, which is also its address: `http://127.0.0.1:40123`.
    pub fn issuer(&self) -> String {
        issuer(self.address)
    }

    /// Where its people's pictures lie: `127.0.0.1:40123`.
    pub fn picture_host(&self) -> String {
        self.address.to_string()
    }
}

fn issuer(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn loopback_url(url: &str) -> io::Result<Url> {
    let parsed = Url::parse(url).map_err(|_| refused(&format!("{url} is not an address")))?;
    let is_loopback = match parsed.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if !is_loopback {
        return Err(refused(&format!("the demo provider signs in to loopback only, and {url} is elsewhere")));
    }
    Ok(parsed)
}

fn refused(sentence: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, sentence)
}
