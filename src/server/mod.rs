//! Bytes in and out: listeners, connections, the drain at the end.

pub mod connection;
pub mod janitor;
pub mod listen;
pub mod tls;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme;
use hyper_util::server::graceful::GracefulShutdown;
use poem::Addr;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::server::connection::{Ends, Protocol};
use crate::server::listen::Listener;
use crate::server::tls::Certificate;
use crate::web::FrontDoor;
use crate::web::app::App;

/// How long to wait after a failed accept: at the limit of open files the next one fails too, at once and for ever.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// For a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that takes connections. Dropping it ends it at once; [`Running::drain`] lets it finish.
pub struct Running {
    addresses: Vec<SocketAddr>,
    app: Arc<App>,
    stop: watch::Sender<bool>,
    accepting: JoinSet<GracefulShutdown>,
    chores: JoinSet<()>,
    #[cfg(unix)]
    socket_files: Vec<std::path::PathBuf>,
}

/// Takes connections from `listeners`, over TLS with `certificate` where there is one; `max_connections` at once, further
/// ones wait in the system's queue.
pub fn start(
    app: Arc<App>,
    listeners: Vec<Listener>,
    certificate: Option<&Certificate>,
    max_connections: usize,
) -> Running {
    let door = Arc::new(FrontDoor::new(Arc::clone(&app)));
    let (stop, stopped) = watch::channel(false);
    let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let addresses = listeners.iter().filter_map(Listener::address).collect();
    #[cfg(unix)]
    let socket_files = listeners.iter().filter_map(Listener::socket_file).collect();
    let tls = certificate.map(|certificate| TlsAcceptor::from(Arc::clone(&certificate.config)));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept_all(listener, Arc::clone(&door), tls.clone(), Arc::clone(&places), stopped.clone()));
    }
    let mut chores = JoinSet::new();
    chores.spawn(janitor::work(Arc::clone(&app)));
    Running {
        addresses,
        app,
        stop,
        accepting,
        chores,
        #[cfg(unix)]
        socket_files,
    }
}

impl Running {
    /// Where it takes connections, Unix sockets aside.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Adds work that goes on for as long as the server does.
    pub fn also(&mut self, chore: impl Future<Output = ()> + Send + 'static) {
        self.chores.spawn(chore);
    }

    /// Takes no further connections, lets requests and sign-ins that are under way finish, but waits no longer than
    /// `limit`. Whether all of them finished.
    pub async fn drain(mut self, limit: Duration) -> bool {
        self.stop.send_replace(true);
        let finish = async {
            while let Some(connections) = self.accepting.join_next().await {
                if let Ok(connections) = connections {
                    connections.shutdown().await;
                }
            }
            if let Some(login) = &self.app.login {
                login.finished().await;
            }
            self.app.sessions.settle().await
        };
        let is_done = matches!(tokio::time::timeout(limit, finish).await, Ok(0));
        self.app.store.close().await;
        #[cfg(unix)]
        for file in &self.socket_files {
            let _ = std::fs::remove_file(file);
        }
        is_done
    }
}

async fn accept_all(
    listener: Listener,
    door: Arc<FrontDoor>,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) -> GracefulShutdown {
    let protocol = Protocol::default();
    let connections = GracefulShutdown::new();
    let mut has_failed = false;
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return connections,
        };
        match accepted {
            Ok((stream, ends, place)) => {
                has_failed = false;
                let (protocol, door, watcher) = (protocol.clone(), Arc::clone(&door), connections.watcher());
                let tls = tls.clone();
                tokio::spawn(async move {
                    match stream {
                        Stream::Tcp(stream) => match tls {
                            Some(tls) => {
                                serve_tls(&tls, stream, ends, |io, ends| protocol.serve(io, ends, door, watcher)).await
                            }
                            None => protocol.serve(stream, ends, door, watcher).await,
                        },
                        // Whoever sits at the other end of a file needs no encryption to reach it.
                        #[cfg(unix)]
                        Stream::Unix(stream) => protocol.serve(stream, ends, door, watcher).await,
                    }
                    drop(place);
                });
            }
            // The client gave up before its turn came.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!(%error, "a connection could not be taken; trying again");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Shakes hands, within bounds of time, and serves.
async fn serve_tls<F: Future<Output = ()>>(
    tls: &TlsAcceptor,
    stream: TcpStream,
    ends: Ends,
    serve: impl FnOnce(TlsStream<TcpStream>, Ends) -> F,
) {
    let ends = Ends { scheme: Scheme::HTTPS, ..ends };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, ends).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

async fn accept(listener: &Listener, places: &Arc<Semaphore>) -> io::Result<(Stream, Ends, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    match listener {
        Listener::Tcp(listener) => {
            let (stream, remote) = listener.accept().await?;
            // Answers are small and written whole: waiting for more to send would only delay them. Neither this nor the
            // address can be had of a client that has gone already, which is no reason to pause.
            let _ = stream.set_nodelay(true);
            let local = stream.local_addr().map_or_else(|_| Addr::custom("tcp", ""), Addr::SocketAddr);
            let remote = RemoteAddr(Addr::SocketAddr(remote));
            Ok((Stream::Tcp(stream), Ends { local: LocalAddr(local), remote, scheme: Scheme::HTTP }, place))
        }
        #[cfg(unix)]
        Listener::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let unix = || Addr::custom("unix", "");
            let ends = Ends { local: LocalAddr(unix()), remote: RemoteAddr(unix()), scheme: Scheme::HTTP };
            Ok((Stream::Unix(stream), ends, place))
        }
    }
}
