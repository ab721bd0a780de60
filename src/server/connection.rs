//! One connection: bytes to requests to answers, within bounds of time and size.
//!
//! poem's own server sets no timer, so that none of hyper's time-outs counts, and no limit to headers. Here a client
//! has ten seconds for its first request and for the headers of each further one, 32 KiB and 100 headers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::uri::Scheme;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, Request};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::web::FrontDoor;

/// For the headers of a request; hyper counts idle keep-alive by the same clock.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// For the first whole request after the connection was made: hyper's sniffing of the protocol has no limit.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(12);

const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;
const MAX_STREAMS: u32 = 100;

/// Where a connection comes from and where it arrived.
#[derive(Clone, Debug)]
pub struct Ends {
    /// Our end.
    pub local: LocalAddr,
    /// Theirs.
    pub remote: RemoteAddr,
    /// Whether it is encrypted.
    pub scheme: Scheme,
}

/// What all connections share.
#[derive(Clone)]
pub struct Protocol(Builder<TokioExecutor>);

impl Default for Protocol {
    fn default() -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MAX_HEADER_BYTES)
            .max_headers(MAX_HEADERS);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
            .max_concurrent_streams(MAX_STREAMS)
            .keep_alive_interval(Duration::from_secs(15))
            .keep_alive_timeout(Duration::from_secs(10));
        Self(builder)
    }
}

impl Protocol {
    /// Serves one connection to its end, or until `watcher` asks it to finish what it is doing.
    pub async fn serve<I>(&self, io: I, ends: Ends, door: Arc<FrontDoor>, watcher: Watcher)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let has_spoken = Arc::new(AtomicBool::new(false));
        let spoke = Arc::clone(&has_spoken);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            spoke.store(true, Ordering::Relaxed);
            let door = Arc::clone(&door);
            let Ends { local, remote, scheme } = ends.clone();
            async move {
                let request = Request::from((request, local, remote, scheme));
                Ok::<http::Response<_>, std::convert::Infallible>(door.get_response(request).await.into())
            }
        });
        let connection = self.0.serve_connection(TokioIo::new(io), service).into_owned();
        let mut connection = std::pin::pin!(watcher.watch(connection));
        tokio::select! {
            // What ends a connection, its client knows: nobody reads it here.
            _ = &mut connection => return,
            () = tokio::time::sleep(FIRST_REQUEST_TIMEOUT) => {}
        }
        if has_spoken.load(Ordering::Relaxed) {
            let _ = connection.await;
        }
    }
}
