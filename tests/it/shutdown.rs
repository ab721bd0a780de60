//! How a process ends that a load balancer sends people to: it is served from until the balancer has turned away, and no
//! request is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::site::binary::{Binary, PROVIDER_AWAY};
use crate::site::program::{PATIENCE, PAUSE, free_port};
use crate::site::visitors::{Anonymous, Visitor};

/// What a careful balancer does.
const ASKS_EVERY: Duration = Duration::from_millis(100);

/// Each of those who ask does so this often.
const PACE: Duration = Duration::from_millis(5);

/// Enough for a busy machine to notice in.
const DELAY: Duration = Duration::from_secs(4);

/// Which way requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// HTTP/1.1, a connection for each.
    Fresh,
    /// HTTP/1.1, on a connection that is kept.
    Kept,
    /// HTTP/2.
    Http2,
}

const WAYS: [Way; 3] = [Way::Fresh, Way::Kept, Way::Http2];

/// A connection, without anything that would hide how it ends: nobody tries again here.
enum Connection {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

type Answer = http::Response<Bytes>;

impl Connection {
    async fn open(address: SocketAddr, way: Way) -> Result<Self, String> {
        let told = |error: hyper::Error| format!("{way:?}: the handshake: {error:?}");
        let stream = TcpStream::connect(address).await.map_err(|error| format!("{way:?}: not connected: {error}"))?;
        let io = TokioIo::new(stream);
        if way == Way::Http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(told)?;
            tokio::spawn(connection);
            return Ok(Self::Http2(sender));
        }
        let (sender, connection) = http1::handshake(io).await.map_err(told)?;
        tokio::spawn(connection);
        Ok(Self::Http1(sender))
    }

    /// Whether the server has said, on this connection, that nothing more is to be asked on it.
    async fn has_ended(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_err(),
            Self::Http2(sender) => sender.ready().await.is_err(),
        }
    }

    /// The answer; `Ok(None)` where the server said before that it would not hear this request (GOAWAY), so that whoever
    /// speaks HTTP/2 asks again elsewhere (RFC 9113, section 6.8).
    async fn ask(&mut self, address: SocketAddr, path: &str) -> Result<Option<Answer>, String> {
        let target = match self {
            Self::Http1(_) => path.to_owned(),
            Self::Http2(_) => format!("http://localhost:{}{path}", address.port()),
        };
        let host = format!("localhost:{}", address.port());
        let request = http::Request::get(target).header("host", host).body(Empty::new()).expect("a request");
        let answer = match self {
            Self::Http1(sender) => sender.send_request(request).await.map_err(|error| format!("{error:?}"))?,
            Self::Http2(sender) => match sender.try_send_request(request).await {
                Ok(answer) => answer,
                Err(mut error) => {
                    let is_unheard = error.take_message().is_some();
                    return if is_unheard { Ok(None) } else { Err(format!("{:?}", error.error())) };
                }
            },
        };
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| format!("the body: {error:?}"))?.to_bytes();
        Ok(Some(http::Response::from_parts(head, body)))
    }
}

/// Asks for `path` once, on a connection of its own.
async fn ask(address: SocketAddr, way: Way, path: &str) -> Result<Answer, String> {
    let answer = Connection::open(address, way).await?.ask(address, path).await?;
    answer.ok_or_else(|| "nothing was heard on a new connection".to_owned())
}

/// Whether an answer is one of Doorward in good health to somebody who is not signed in.
fn is_good(answer: &Answer) -> bool {
    answer.status() == 401 && answer.body().windows(13).any(|word| word == b"not_signed_in")
}

fn is_the_last(answer: &Answer) -> bool {
    answer.headers().get("connection").is_some_and(|value| value == "close")
}

/// People behind a balancer.
#[derive(Default)]
struct Load {
    has_turned_away: AtomicBool,
    /// Whether the process was told to end.
    is_leaving: AtomicBool,
    served: AtomicUsize,
    served_leaving: AtomicUsize,
    connections_leaving: AtomicUsize,
}

impl Load {
    /// Asks until the balancer turns away; every failure.
    async fn keep_asking(self: Arc<Self>, address: SocketAddr, way: Way) -> Vec<String> {
        let mut failures = Vec::new();
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut kept: Option<Connection> = None;
        while !self.has_turned_away.load(Ordering::SeqCst) {
            ticks.tick().await;
            let is_leaving = self.is_leaving.load(Ordering::SeqCst);
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => match Connection::open(address, way).await {
                    Ok(connection) => {
                        self.connections_leaving.fetch_add(usize::from(is_leaving), Ordering::SeqCst);
                        connection
                    }
                    Err(failure) => {
                        failures.push(failure);
                        continue;
                    }
                },
            };
            match connection.ask(address, "/api/me").await {
                Ok(Some(answer)) if is_good(&answer) => {
                    self.served.fetch_add(1, Ordering::SeqCst);
                    self.served_leaving.fetch_add(usize::from(is_leaving), Ordering::SeqCst);
                    let is_kept = way != Way::Fresh && !is_the_last(&answer) && !connection.has_ended().await;
                    kept = is_kept.then_some(connection);
                }
                Ok(Some(answer)) => failures.push(format!("{way:?}: {answer:?}")),
                Ok(None) => {}
                Err(failure) => failures.push(format!("{way:?}: {failure}")),
            }
        }
        failures
    }

    /// Asks whether it is ready until it is not: that answer.
    async fn balance(self: Arc<Self>, address: SocketAddr) -> Result<Answer, String> {
        let mut ticks = interval(ASKS_EVERY);
        loop {
            ticks.tick().await;
            let ready = ask(address, Way::Fresh, "/readyz").await;
            if ready.as_ref().is_ok_and(|ready| ready.status() == 200) {
                continue;
            }
            self.has_turned_away.store(true, Ordering::SeqCst);
            return ready;
        }
    }
}

fn served_at(site: &Binary) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], site.port))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balancer_has_time_to_turn_away_and_no_request_is_lost() {
    let config = format!("server.shutdown_delay = \"{}s\"\n{PROVIDER_AWAY}", DELAY.as_secs());
    let mut site = Binary::serve(&config);
    let address = served_at(&site);
    let load = Arc::new(Load::default());
    let asking: Vec<JoinHandle<Vec<String>>> =
        WAYS.iter().cycle().take(9).map(|way| tokio::spawn(Arc::clone(&load).keep_asking(address, *way))).collect();
    let balancer = tokio::spawn(Arc::clone(&load).balance(address));
    // Those that lie idle when it begins are to be kept.
    let mut idle = Vec::new();
    for way in [Way::Kept, Way::Http2] {
        idle.push(Connection::open(address, way).await.expect("it listens"));
    }
    for connection in &mut idle {
        let answer = connection.ask(address, "/api/me").await.expect("an answer").expect("heard");
        assert!(is_good(&answer) && !is_the_last(&answer), "{answer:?}");
    }
    while load.served.load(Ordering::SeqCst) < 100 {
        assert!(!load.has_turned_away.load(Ordering::SeqCst), "{}", site.program.said());
        tokio::task::yield_now().await;
    }
    load.is_leaving.store(true, Ordering::SeqCst);
    let told = Instant::now();
    site.program.signal("TERM");
    let unready = timeout(PATIENCE, balancer).await.expect("/readyz tells").expect("no panic").expect("an answer");
    assert_eq!(unready.status(), 503, "{unready:?}");
    assert_eq!(unready.headers()["retry-after"], "2", "{unready:?}");
    let said: serde_json::Value = serde_json::from_slice(unready.body()).expect("JSON");
    assert_eq!(said["checks"]["shutdown"], "under way", "{said}");
    assert!(said["reason"].as_str().is_some_and(|reason| reason.contains("told to end")), "{said}");
    // Whoever was slower to turn away is served like anybody else, and asked not to come back.
    for way in WAYS {
        let late = ask(address, way, "/api/me").await.expect("an answer");
        assert!(is_good(&late), "{way:?}: {late:?}");
        assert_eq!(is_the_last(&late), way != Way::Http2, "{way:?}: {late:?}");
    }
    assert_eq!(ask(address, Way::Fresh, "/healthz").await.expect("an answer").status(), 200, "it is alive");
    for connection in &mut idle {
        let late = connection.ask(address, "/api/me").await.expect("an answer").expect("it was kept, and heard");
        assert!(is_good(&late), "{late:?}");
        let let_go = async {
            while !connection.has_ended().await {
                tokio::time::sleep(PAUSE).await;
            }
        };
        timeout(PATIENCE, let_go).await.expect("and let go after that");
    }
    assert!(told.elapsed() < DELAY, "the machine is too slow for this test: {:?}", told.elapsed());
    let failures: Vec<String> = future::join_all(asking).await.into_iter().flat_map(|all| all.expect("none")).collect();
    assert_eq!(failures, Vec::<String>::new(), "{}", site.program.said());
    assert!(load.connections_leaving.load(Ordering::SeqCst) > 0, "connections were not let go one by one");
    assert!(load.served_leaving.load(Ordering::SeqCst) > 0, "nobody asked between the signal and the turn");
    assert_eq!(site.program.wait().code(), Some(0), "{}", site.program.said());
    assert!(told.elapsed() >= DELAY, "it ended before its time: {:?}", told.elapsed());
    assert!(!site.program.said().contains("ended before"), "{}", site.program.said());
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_and_nothing_is_read_again_meanwhile() {
    let mut site = Binary::serve(&format!("server.shutdown_delay = \"10m\"\n{PROVIDER_AWAY}"));
    let browser = Anonymous::at(&site.public_url);
    // Before that it would end as it stands: nobody is under way.
    assert_eq!(browser.get("readyz").await.status, 200);
    site.program.signal("TERM");
    site.program.wait_for("the announcement", |line| line.contains("ending in 10m").then_some(()));
    assert_eq!(browser.get("readyz").await.status, 503);
    site.program.signal("HUP");
    site.program.wait_for("a word on that", |line| line.contains("the configuration is not read again").then_some(()));
    assert_eq!(browser.get("api/me").await.status, 401, "it serves all the same");
    site.program.signal("TERM");
    assert_eq!(site.program.wait().code(), Some(0), "{}", site.program.said());
    assert!(site.program.said().contains("ended before everything under way was finished"), "{}", site.program.said());
}

#[tokio::test]
async fn without_a_balancer_nothing_is_waited_for() {
    let mut site = Binary::serve_on(free_port(), PROVIDER_AWAY);
    let mut idle = Connection::open(served_at(&site), Way::Kept).await.expect("it listens");
    let answer = idle.ask(served_at(&site), "/api/me").await.expect("an answer").expect("heard");
    assert!(is_good(&answer), "{answer:?}");
    let told = Instant::now();
    assert_eq!(site.program.terminate().code(), Some(0), "{}", site.program.said());
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}
