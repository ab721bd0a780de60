//! Bytes in and out: listeners, connections, the drain at the end.

pub mod activity;
pub mod connection;
pub mod descriptors;
pub mod expiry;
pub mod inside;
pub mod janitor;
pub mod listen;
pub mod threshold;
pub mod tls;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Response};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::server::connection::{Ends, Patience, Protocol};
use crate::server::inside::Inside;
use crate::server::listen::Listener;
use crate::server::tls::Certificate;
use crate::web::app::App;
use crate::web::metrics::MetricsDoor;

/// How long to wait after a failed accept: at the limit of open files the next one fails too, at once and for ever.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Prometheus needs one connection.
const METRICS_CONNECTIONS: usize = 16;

/// For a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How near the end is. All connections watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not near.
    Serving,
    /// Whoever sends us people is to send them elsewhere: everybody is served, and asked not to come back.
    Leaving,
    /// What is under way is finished, and nothing is begun.
    Ending,
}

/// A server that takes connections. Dropping it ends it at once; [`Running::drain`] lets it finish.
pub struct Running {
    addresses: Vec<SocketAddr>,
    inside: Arc<Inside>,
    patience: Patience,
    phase: watch::Sender<Phase>,
    accepting: JoinSet<()>,
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
    start_with(app, listeners, certificate, max_connections, Patience::default())
}

/// As [`start`], with another patience: for those who cannot wait for ours.
pub fn start_with(
    app: Arc<App>,
    listeners: Vec<Listener>,
    certificate: Option<&Certificate>,
    max_connections: usize,
    patience: Patience,
) -> Running {
    let inside = Arc::new(Inside::new(app, certificate, patience.body));
    let protocol = Protocol::new(patience);
    let (phase, watched) = watch::channel(Phase::Serving);
    let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let addresses = listeners.iter().filter_map(Listener::address).collect();
    #[cfg(unix)]
    let socket_files = listeners.iter().filter_map(Listener::socket_file).collect();
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let hall = Hall {
            protocol: protocol.clone(),
            door: Arc::clone(&inside),
            encryption: Some(Arc::clone(&inside)),
            places: Arc::clone(&places),
            phase: watched.clone(),
        };
        accepting.spawn(hall.accept_all(listener));
    }
    let mut chores = JoinSet::new();
    chores.spawn(janitor::work(Arc::clone(&inside)));
    Running {
        addresses,
        inside,
        patience,
        phase,
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

    /// What can be changed while we run.
    pub fn inside(&self) -> Arc<Inside> {
        Arc::clone(&self.inside)
    }

    /// What requests reach now.
    pub fn app(&self) -> Arc<App> {
        self.inside.app()
    }

    /// Answers with `app` from now on, and encrypts new connections with `certificate`; what is under way is finished
    /// as it began.
    pub fn change(&mut self, app: Arc<App>, certificate: Option<&Certificate>) {
        self.inside.change(app, certificate);
    }

    /// Tells whoever connects to `listeners` what is counted, and nothing else.
    pub fn show_metrics(&mut self, listeners: Vec<Listener>) {
        #[cfg(unix)]
        self.socket_files.extend(listeners.iter().filter_map(Listener::socket_file));
        let (door, places) = (Arc::new(MetricsDoor::new(self.app())), Arc::new(Semaphore::new(METRICS_CONNECTIONS)));
        for listener in listeners {
            let hall = Hall {
                protocol: Protocol::new(self.patience),
                door: Arc::clone(&door),
                encryption: None,
                places: Arc::clone(&places),
                phase: self.phase.subscribe(),
            };
            self.accepting.spawn(hall.accept_all(listener));
        }
    }

    /// Adds work that goes on for as long as the server does.
    pub fn also(&mut self, chore: impl Future<Output = ()> + Send + 'static) {
        self.chores.spawn(chore);
    }

    /// Goes on, and says at `/readyz` that it will not for long. Each answer from now on is its connection's last: whoever
    /// keeps connections open notices as well.
    pub fn leave(&self) {
        self.app().leave();
        self.phase.send_replace(Phase::Leaving);
    }

    /// Takes no further connections, lets requests and sign-ins that are under way finish, but waits no longer than
    /// `limit`. Whether all of them finished.
    pub async fn drain(mut self, limit: Duration) -> bool {
        self.phase.send_replace(Phase::Ending);
        let app = self.app();
        let finish = async {
            while self.accepting.join_next().await.is_some() {}
            // Every connection holds a receiver until it has ended.
            self.phase.closed().await;
            if let Some(login) = &app.login {
                login.finished().await;
            }
            app.sessions.settle(&app.audit).await
        };
        let is_done = matches!(tokio::time::timeout(limit, finish).await, Ok(0));
        app.store.close().await;
        #[cfg(unix)]
        for file in &self.socket_files {
            let _ = std::fs::remove_file(file);
        }
        is_done
    }
}

/// What takes connections in: one for each listener, all with the same places.
struct Hall<D> {
    protocol: Protocol,
    door: Arc<D>,
    /// Who knows how connections are encrypted; `None`: they never are.
    encryption: Option<Arc<Inside>>,
    places: Arc<Semaphore>,
    phase: watch::Receiver<Phase>,
}

impl<D: Endpoint<Output = Response> + 'static> Hall<D> {
    async fn accept_all(self, listener: Listener) {
        let mut phase = self.phase.clone();
        let mut has_failed = false;
        loop {
            let accepted = tokio::select! {
                accepted = accept(&listener, &self.places) => accepted,
                _ = phase.wait_for(|phase| *phase == Phase::Ending) => return,
            };
            match accepted {
                Ok((stream, ends, place)) => {
                    has_failed = false;
                    self.serve(stream, ends, place);
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

    /// Serves `stream` in a task of its own, which keeps `place` until it ends.
    fn serve(&self, stream: Stream, ends: Ends, place: OwnedSemaphorePermit) {
        let (protocol, door, phase) = (self.protocol.clone(), Arc::clone(&self.door), self.phase.clone());
        let tls = self.encryption.as_ref().and_then(|inside| inside.tls());
        tokio::spawn(async move {
            match stream {
                Stream::Tcp(stream) => match tls {
                    // In a box: a connection without it holds no room for it.
                    Some(tls) => {
                        let serve = |io, ends| async move { protocol.serve(io, ends, door, phase).await };
                        Box::pin(serve_tls(&tls, stream, ends, serve)).await;
                    }
                    None => protocol.serve(stream, ends, door, phase).await,
                },
                // Whoever sits at the other end of a file needs no encryption to reach it.
                #[cfg(unix)]
                Stream::Unix(stream) => protocol.serve(stream, ends, door, phase).await,
            }
            drop(place);
        });
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
        Listener::Unix(listener) | Listener::Handed(listener) => {
            let (stream, _) = listener.accept().await?;
            let unix = || Addr::custom("unix", "");
            let ends = Ends { local: LocalAddr(unix()), remote: RemoteAddr(unix()), scheme: Scheme::HTTP };
            Ok((Stream::Unix(stream), ends, place))
        }
    }
}
