//! One connection: bytes to requests to answers, within bounds of time and size.
//!
//! poem's own server sets no timer, so that none of hyper's time-outs counts, and no limit to headers. Here headers have
//! 32 KiB, 100 lines and ten seconds, and every connection has an end: one that asks nothing is asked to close and then
//! dropped, whatever it does to look alive.
//!
//! What hyper refuses before it calls us (a request line that is none, headers beyond the limits: 400 and 431) it
//! answers by itself, with an empty body and none of our headers.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::uri::Scheme;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;
const MAX_STREAMS: u32 = 100;

/// How long we wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the headers of the first request, from the moment the connection was made: hyper's sniffing of the protocol
    /// has no limit of its own.
    pub first_request: Duration,
    /// For the headers of a request; hyper counts idle keep-alive of HTTP/1.1 by the same clock.
    pub headers: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// For the next request where HTTP/2 keeps the connection alive, or for somebody to read our answer.
    pub idle: Duration,
    /// For a connection to close that was asked to.
    pub linger: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_request: Duration::from_secs(12),
            headers: Duration::from_secs(10),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            linger: Duration::from_secs(5),
        }
    }
}

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
pub struct Protocol {
    builder: Builder<TokioExecutor>,
    patience: Patience,
}

impl Protocol {
    /// HTTP/1.1 and HTTP/2 with `patience`.
    pub fn new(patience: Patience) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(patience.headers)
            .max_buf_size(MAX_HEADER_BYTES)
            .max_headers(MAX_HEADERS);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
            .max_concurrent_streams(MAX_STREAMS)
            .keep_alive_interval(Duration::from_secs(15))
            .keep_alive_timeout(Duration::from_secs(10));
        Self { builder, patience }
    }

    /// Serves one connection to its end. Once `stopped` is true it finishes what it is doing; `stopped` is held until
    /// then, so that whoever stops can see that it has.
    pub async fn serve<I, D>(&self, io: I, ends: Ends, door: Arc<D>, mut stopped: watch::Receiver<bool>)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        D: Endpoint<Output = Response> + 'static,
    {
        let activity = Arc::new(Activity::new());
        let seen = Arc::clone(&activity);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let busy = Busy::with(&seen);
            let door = Arc::clone(&door);
            let Ends { local, remote, scheme } = ends.clone();
            async move {
                let request = Request::from((request, local, remote, scheme));
                let response = door.get_response(request).await;
                drop(busy);
                Ok::<http::Response<_>, Infallible>(response.into())
            }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(io), service).into_owned());
        let mut is_ending = false;
        let mut deadline = Instant::now() + self.patience.first_request;
        loop {
            tokio::select! {
                // What ends a connection, its client knows: nobody reads it here.
                _ = connection.as_mut() => return,
                _ = stopped.wait_for(|stopped| *stopped), if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = tokio::time::sleep_until(deadline) => match activity.deadline(&self.patience) {
                    // It has asked something meanwhile, or waits for our answer.
                    Some(later) if later > Instant::now() => deadline = later,
                    Some(_) if !is_ending => {
                        is_ending = true;
                        connection.as_mut().graceful_shutdown();
                        deadline = Instant::now() + self.patience.linger;
                    }
                    _ => return,
                },
            }
        }
    }
}

/// When a connection last asked for something.
struct Activity(Mutex<Requests>);

struct Requests {
    /// Those that are being answered.
    running: usize,
    /// When the last one was answered; `None` before the first.
    idle_since: Option<Instant>,
}

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(Requests { running: 0, idle_since: None }))
    }

    /// Until when the connection may ask nothing. `None`: it never asked anything in all the time it had.
    fn deadline(&self, patience: &Patience) -> Option<Instant> {
        let requests = self.requests();
        if requests.running > 0 {
            Some(Instant::now() + patience.idle)
        } else {
            Some(requests.idle_since? + patience.idle)
        }
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered, for as long as this lives.
struct Busy(Arc<Activity>);

impl Busy {
    fn with(activity: &Arc<Activity>) -> Self {
        activity.requests().running += 1;
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut requests = self.0.requests();
        requests.running -= 1;
        requests.idle_since = Some(Instant::now());
    }
}
