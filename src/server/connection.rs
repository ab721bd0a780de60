//! One connection: bytes to requests to answers, within bounds of time and size.
//!
//! poem's own server sets no timer, so that none of hyper's time-outs counts, and no limit to headers. Here headers have
//! 32 KiB, 100 lines and ten seconds, and every connection has an end: one that asks nothing is asked to close and then
//! dropped, whatever it does to look alive.
//!
//! A connection that asks nothing for a moment is taken from hyper and kept as what it is, a socket, until the next
//! byte: thousands that lie idle between a proxy and us would each hold buffers and states of requests.
//!
//! What hyper refuses before it calls us (a request line that is none, headers beyond the limits: 400 and 431) it
//! answers by itself, with an empty body and none of our headers.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Version;
use http::header::{CONNECTION, HeaderValue};
use http::uri::Scheme;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::server::Phase;
use crate::server::activity::{Activity, Busy, DOZE, Rest};
use crate::server::threshold::{Spoken, Threshold};

const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;

/// Of one connection of HTTP/2: how many requests at once, how many bytes of bodies before somebody reads them.
const MAX_STREAMS: u32 = 100;
const WINDOW: u32 = 64 * 1024;

/// How many requests a client may take back before anybody has looked at them (CVE-2023-44487), and how often it may make
/// us take one back (CVE-2025-8671), before its connection ends.
const MAX_TAKEN_BACK: usize = 20;
const MAX_STREAM_ERRORS: usize = 100;

/// How long we wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the headers of the first request, from the moment the connection was made.
    pub first_request: Duration,
    /// For the headers of a request; idle keep-alive of HTTP/1.1 counts by the same clock.
    pub headers: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// For the next request where HTTP/2 keeps the connection alive, or for somebody to read our answer.
    pub idle: Duration,
    /// For a connection to close that was asked to.
    pub linger: Duration,
    /// For the first word of a connection that had just been made when the end came: its request is on its way.
    pub newcomer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_request: Duration::from_secs(12),
            headers: Duration::from_secs(10),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            linger: Duration::from_secs(5),
            newcomer: Duration::from_secs(1),
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

type Answer = http::Response<BoxBody<Bytes, std::io::Error>>;

/// An answer on its way.
type Answering = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

/// What all connections share.
#[derive(Clone)]
pub struct Protocol {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    patience: Patience,
}

/// One connection's own: who is there, what it is doing, when all have to stop.
struct Guest<D> {
    ends: Ends,
    door: Arc<D>,
    activity: Arc<Activity>,
    phase: watch::Receiver<Phase>,
}

impl Protocol {
    /// HTTP/1.1 and HTTP/2 with `patience`.
    pub fn new(patience: Patience) -> Self {
        let mut http1 = http1::Builder::new();
        // Its time-out for headers makes a timer for every request; ours looks at the clock now and then.
        http1.header_read_timeout(None).max_buf_size(MAX_HEADER_BYTES).max_headers(MAX_HEADERS);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_pending_accept_reset_streams(MAX_TAKEN_BACK)
            .max_local_error_reset_streams(MAX_STREAM_ERRORS)
            .keep_alive_interval(Duration::from_secs(15))
            .keep_alive_timeout(Duration::from_secs(10));
        Self { http1, http2, patience }
    }

    /// Serves one connection to its end. Where `phase` is the last one it finishes what it is doing; `phase` is held until
    /// then, so that whoever ends all can see that it has.
    pub async fn serve<I, D>(&self, io: I, ends: Ends, door: Arc<D>, phase: watch::Receiver<Phase>)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        D: Endpoint<Output = Response> + 'static,
    {
        let activity = Arc::new(Activity::new());
        let mut io = Threshold::new(io, Arc::clone(&activity));
        let mut guest = Guest { ends, door, activity, phase };
        let opened = Instant::now();
        let (until, newcomer) = (opened + self.patience.first_request, opened + self.patience.newcomer);
        let Some(spoken) = guest.wait(until, newcomer, io.first_words()).await else {
            return io.close(self.patience.linger).await;
        };
        if spoken == Spoken::Http2 {
            return Box::pin(self.serve_http2(io, &mut guest)).await;
        }
        // What hyper needs for a request is freed between two of them, unless they follow each other closely.
        while let Some(waiting) = Box::pin(self.serve_http1(io, &mut guest, opened)).await {
            io = waiting;
            let until = guest.activity.idle_since().unwrap_or(opened) + self.patience.headers;
            if guest.wait(until, opened, io.next_word()).await.is_none() {
                return io.close(self.patience.linger).await;
            }
        }
    }

    /// Answers requests until the connection ends, or until none has come for a while: then it is given back.
    async fn serve_http1<I, D>(&self, io: Threshold<I>, guest: &mut Guest<D>, opened: Instant) -> Option<Threshold<I>>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        D: Endpoint<Output = Response> + 'static,
    {
        let begun = Instant::now();
        let bound = (opened + self.patience.first_request).min(begun + self.patience.headers);
        let mut connection = self.http1.serve_connection(TokioIo::new(io), guest.service());
        let mut is_ending = false;
        let mut deadline = bound.min(begun + DOZE);
        loop {
            tokio::select! {
                biased;
                // What ends a connection, its client knows: nobody reads it here.
                _ = &mut connection => return None,
                _ = guest.phase.wait_for(|phase| *phase == Phase::Ending), if !is_ending => {
                    is_ending = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
                () = tokio::time::sleep_until(deadline) => match guest.activity.rest(&self.patience, begun, bound) {
                    Rest::Until(later) => deadline = later,
                    Rest::Over => return None,
                    _ if is_ending => return None,
                    Rest::Unread => {
                        is_ending = true;
                        Pin::new(&mut connection).graceful_shutdown();
                        deadline = Instant::now() + self.patience.linger;
                    }
                    Rest::Doze => {
                        Pin::new(&mut connection).graceful_shutdown();
                        match poll_fn(|cx| connection.poll_without_shutdown(cx)).now_or_never() {
                            Some(Ok(())) if guest.activity.is_flushed() => {
                                let parts = connection.into_parts();
                                let mut io = parts.io.into_inner();
                                io.put_back(&parts.read_buf);
                                return Some(io);
                            }
                            Some(_) => return None,
                            None => is_ending = true,
                        }
                        deadline = Instant::now() + self.patience.linger;
                    }
                },
            }
        }
    }

    /// Answers requests until the connection ends.
    async fn serve_http2<I, D>(&self, io: Threshold<I>, guest: &mut Guest<D>)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        D: Endpoint<Output = Response> + 'static,
    {
        let mut connection = pin!(self.http2.serve_connection(TokioIo::new(io), guest.service()));
        let mut is_ending = false;
        let mut deadline = Instant::now() + self.patience.first_request;
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = guest.phase.wait_for(|phase| *phase == Phase::Ending), if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = guest.activity.let_go(), if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = tokio::time::sleep_until(deadline) => match guest.activity.deadline(&self.patience) {
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

impl<D: Endpoint<Output = Response> + 'static> Guest<D> {
    /// What answers this connection's requests.
    fn service(
        &self,
    ) -> impl Service<hyper::Request<Incoming>, Response = Answer, Error = Infallible, Future = Answering> + use<D>
    {
        let (ends, door, activity) = (self.ends.clone(), Arc::clone(&self.door), Arc::clone(&self.activity));
        let phase = self.phase.clone();
        service_fn(move |request: hyper::Request<Incoming>| {
            let busy = Busy::with(&activity, goes_on(&request));
            let (door, phase) = (Arc::clone(&door), phase.clone());
            let is_http2 = request.version() == Version::HTTP_2;
            let Ends { local, remote, scheme } = ends.clone();
            // In a box of its own: hyper would keep the room for it for as long as the connection lasts.
            Box::pin(async move {
                let request = Request::from((request, local, remote, scheme));
                let mut response = door.get_response(request).await;
                if *phase.borrow() != Phase::Serving {
                    // The words of HTTP/1; HTTP/2 has a frame for it, GOAWAY.
                    if is_http2 {
                        busy.is_the_last();
                    } else {
                        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                }
                drop(busy);
                Ok(response.into())
            }) as Answering
        })
    }

    /// What comes of `event`; `None` where `until` has come before, or the end, which does not count before `earliest`.
    async fn wait<T>(
        &mut self,
        mut until: Instant,
        earliest: Instant,
        event: impl Future<Output = Option<T>>,
    ) -> Option<T> {
        let mut event = pin!(event);
        let mut is_ending = false;
        loop {
            tokio::select! {
                biased;
                come = event.as_mut() => return come,
                _ = self.phase.wait_for(|phase| *phase == Phase::Ending), if !is_ending => {
                    is_ending = true;
                    until = until.min(earliest);
                }
                () = tokio::time::sleep_until(until) => return None,
            }
        }
    }
}

/// Whether the connection is certainly good for another request after this one: where hyper would close it, it must not
/// be given back to wait.
fn goes_on(request: &hyper::Request<Incoming>) -> bool {
    request.version() == Version::HTTP_11
        && request.body().is_end_stream()
        && request.headers().get(CONNECTION).is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"keep-alive"))
}
