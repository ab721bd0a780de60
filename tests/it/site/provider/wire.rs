//! How the scripted provider speaks HTTP: any status, header, body, delay and pace that a test wants.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use url::form_urlencoded;

/// A request as the provider sees it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path.
    pub path: String,
    /// The query's pairs.
    pub query: HashMap<String, String>,
    /// The body's pairs.
    pub form: HashMap<String, String>,
    headers: http::HeaderMap,
}

impl Request {
    async fn read(request: http::Request<Incoming>) -> Self {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let pairs = |text: &[u8]| form_urlencoded::parse(text).into_owned().collect();
        Self {
            path: parts.uri.path().to_owned(),
            query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
            form: pairs(&body),
            headers: parts.headers,
        }
    }

    /// The header's value, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How the client proved that it is the one with `id` and `secret` (RFC 6749, section 2.3.1).
    pub fn authenticated_by(&self, id: &str, secret: &str) -> Option<&'static str> {
        let decoded =
            |text: &str| form_urlencoded::parse(format!("v={text}").as_bytes()).next().map(|(_, v)| v.into_owned());
        if let Some(basic) = self.header("authorization").and_then(|value| value.strip_prefix("Basic ")) {
            let both = String::from_utf8(STANDARD.decode(basic).ok()?).ok()?;
            let (given_id, given_secret) = both.split_once(':')?;
            let is_right = decoded(given_id)? == id && decoded(given_secret)? == secret;
            return is_right.then_some("basic");
        }
        let is = |name: &str, value: &str| self.form.get(name).is_some_and(|given| given == value);
        (is("client_id", id) && is("client_secret", secret)).then_some("post")
    }
}

/// How a body comes.
#[derive(Clone)]
enum Body {
    /// At once.
    Whole(Bytes),
    /// One byte a second.
    Drip(Bytes),
    /// For ever.
    Endless,
}

/// An answer.
#[derive(Clone)]
pub struct Canned {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
    delay: Duration,
}

impl Canned {
    /// A status and no body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(Bytes::new()), delay: Duration::ZERO }
    }

    /// 200 and a JSON body.
    pub fn json(value: Value) -> Self {
        Self::status(200).with_header("content-type", "application/json; charset=utf-8").with_body(value.to_string())
    }

    /// 200 and a body that never ends.
    pub fn endless() -> Self {
        Self { body: Body::Endless, ..Self::status(200).with_header("content-type", "application/json") }
    }

    /// The same body, one byte a second.
    pub fn dripping(mut self) -> Self {
        if let Body::Whole(bytes) = self.body {
            self.body = Body::Drip(bytes);
        }
        self
    }

    /// The same with this status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with one header more.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with this body.
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Whole(body.into());
        self
    }

    /// The same, but late.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    async fn into_response(self) -> http::Response<UnsyncBoxBody<Bytes, Infallible>> {
        tokio::time::sleep(self.delay).await;
        let frames: Pin<Box<dyn Stream<Item = Bytes> + Send>> = match self.body {
            Body::Whole(bytes) => Box::pin(stream::iter([bytes])),
            Body::Drip(bytes) => Box::pin(stream::iter(bytes).then(async |byte| {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Bytes::from(vec![byte])
            })),
            Body::Endless => Box::pin(stream::repeat(Bytes::from_static(&[b' '; 4096]))),
        };
        let body = StreamBody::new(frames.map(|bytes| Ok(Frame::data(bytes))));
        let mut response = http::Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(UnsyncBoxBody::new(body)).expect("an answer that can be sent")
    }
}

/// Something that listens until it is dropped, with every connection it has taken.
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A socket at `address`, even if one was there a moment ago.
pub async fn bind(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(address).expect("a free port");
    socket.listen(1024).expect("a listener")
}

/// Answers what comes to `socket` over plain HTTP.
pub fn listen(socket: TcpListener, answer: impl Fn(Request) -> Canned + Send + Sync + 'static) -> Listener {
    listen_with(socket, None, answer)
}

/// Answers what comes to `socket` over TLS.
pub fn listen_tls(
    socket: TcpListener,
    tls: TlsAcceptor,
    answer: impl Fn(Request) -> Canned + Send + Sync + 'static,
) -> Listener {
    listen_with(socket, Some(tls), answer)
}

fn listen_with(
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    answer: impl Fn(Request) -> Canned + Send + Sync + 'static,
) -> Listener {
    let address = socket.local_addr().expect("an address");
    let answer = Arc::new(answer);
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((connection, _)) = socket.accept().await {
            let (answer, tls) = (Arc::clone(&answer), tls.clone());
            connections.spawn(async move {
                match tls {
                    None => serve(connection, answer).await,
                    Some(tls) => {
                        if let Ok(connection) = tls.accept(connection).await {
                            serve(connection, answer).await;
                        }
                    }
                }
            });
        }
    });
    Listener { address, task }
}

async fn serve(
    connection: impl AsyncRead + AsyncWrite + Unpin,
    answer: Arc<impl Fn(Request) -> Canned + Send + Sync + 'static>,
) {
    let answering = service_fn(move |request: http::Request<Incoming>| {
        let answer = Arc::clone(&answer);
        async move { Ok::<_, Infallible>(answer(Request::read(request).await).into_response().await) }
    });
    // Clients that hang up are part of the tests.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), answering).await;
}
