//! Bytes on the wire: what is too long, too slow, too much or too strange, and how a server ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use doorward::clock::SystemClock;
use doorward::config::Config;
use doorward::config::database::{Database, Place};
use doorward::config::provider::{self, Provider};
use doorward::config::public_url::PublicUrl;
use doorward::config::secret::Secret;
use doorward::config::server::Listen;
use doorward::names::Names;
use doorward::random::OsRandom;
use doorward::server::activity::{Activity, Busy, DOZE, Rest};
use doorward::server::connection::Patience;
use doorward::server::listen::{self, Listener};
use doorward::server::{self, Running};
use doorward::store;
use doorward::web::app::App;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::site::binary::{PROVIDER_AWAY, command};
use crate::site::program::{PATIENCE, Program, free_port};
use crate::site::provider::wire::Canned;
use crate::site::provider::{Door, ScriptedProvider};
use crate::site::visitors::{Anonymous, Visitor, provide_cryptography};

/// A server whose patience is short.
struct Server {
    address: SocketAddr,
    port: u16,
    running: Running,
    _folder: TempDir,
}

/// Long enough for a busy machine to answer in, short enough to wait for.
const SHORT: Duration = Duration::from_millis(700);

/// What nobody here comes to the end of.
const LONG: Duration = Duration::from_secs(600);

const ENDLESS: Patience =
    Patience { first_request: LONG, headers: LONG, body: LONG, idle: LONG, linger: LONG, newcomer: SHORT };

fn nobody_vouches() -> Provider {
    Provider {
        issuer: "http://127.0.0.1:9".to_owned(),
        client_id: "client".to_owned(),
        client_secret: Secret::new("secret"),
        ..provider::other("away")
    }
}

impl Server {
    async fn start(patience: Patience) -> Self {
        Self::start_with(patience, 100, nobody_vouches()).await
    }

    async fn start_with(patience: Patience, max_connections: usize, provider: Provider) -> Self {
        provide_cryptography();
        let folder = tempfile::tempdir().expect("a folder");
        let names = Names::from_system();
        let anywhere = Listen::Tcp { host: "localhost".to_owned(), port: 0 };
        let listeners = listen::bind(&anywhere, &names).await.expect("a free port");
        let address = listeners.iter().find_map(Listener::address).expect("an address");
        let issuer = provider.issuer.clone();
        let config = Config {
            public_url: PublicUrl::parse(&format!("http://localhost:{}", address.port())).expect("an address"),
            database: Database { place: Place::Sqlite(folder.path().join("it.db")), ..Database::default() },
            provider: Some(provider),
            ..Config::default()
        };
        let store = store::open(&config.database, names.clone(), Arc::new(SystemClock));
        let app = App::new(&config, store, Arc::new(SystemClock), Arc::new(OsRandom), names).expect("a provider");
        let app = Arc::new(app);
        app.store.prepare(Some(&issuer)).await.expect("a fresh database");
        let running = server::start_with(app, listeners, None, max_connections, patience);
        Self { address, port: address.port(), running, _folder: folder }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    /// What comes back until the server closes, for `bytes` sent at once.
    async fn send(&self, bytes: &[u8]) -> String {
        let mut connection = self.connect().await;
        // The server may have heard enough before it has heard all.
        let _ = connection.write_all(bytes).await;
        rest(&mut connection).await
    }

    async fn status(&self, bytes: &[u8]) -> u16 {
        status(&self.send(bytes).await)
    }
}

/// All that comes until the other end closes, politely or not.
async fn rest(connection: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let end = timeout(PATIENCE, connection.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "the connection stays open after {:?}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads one answer without a body that matters, up to the end of its headers.
async fn one_answer(connection: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        let read = timeout(PATIENCE, connection.read(&mut byte)).await.expect("an answer in time").expect("an answer");
        assert_eq!(read, 1, "closed after {:?}", String::from_utf8_lossy(&answer));
        answer.push(byte[0]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no status in {answer:?}"))
}

fn get(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

#[tokio::test]
async fn headers_have_32_kib_and_a_hundred_lines() {
    let server = Server::start(ENDLESS).await;
    let filler = |bytes: usize| format!("X-Filler: {}\r\n", "f".repeat(bytes));
    assert_eq!(server.status(&get("/healthz", &filler(30_000))).await, 200);
    assert_eq!(server.status(&get("/healthz", &filler(33_000))).await, 431);
    assert_eq!(server.status(&get("/healthz", &filler(2_000_000))).await, 431);
    // Two are there already.
    assert_eq!(server.status(&get("/healthz", &"X-Line: 1\r\n".repeat(98))).await, 200);
    assert_eq!(server.status(&get("/healthz", &"X-Line: 1\r\n".repeat(99))).await, 431);
}

#[tokio::test]
async fn an_address_has_8_kib() {
    let server = Server::start(ENDLESS).await;
    let target = |length: usize| format!("/healthz?{}", "q".repeat(length - "/healthz?".len()));
    assert_eq!(server.status(&get(&target(8192), "")).await, 200);
    let answer = server.send(&get(&target(8193), "")).await;
    assert_eq!(status(&answer), 414);
    assert!(answer.to_ascii_lowercase().contains("\r\ncontent-security-policy: "), "{answer}");
    assert!(!answer.contains("qqqq"), "it repeats what was asked");
}

#[tokio::test]
async fn a_body_has_64_kib_whatever_it_says_of_its_length() {
    let server = Server::start(ENDLESS).await;
    let ours = format!("Origin: http://localhost:{}\r\n", server.port);
    let post = |headers: &str, body: &[u8]| {
        let head = format!("POST /logout HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n", server.port);
        [format!("{head}{ours}{headers}\r\n").as_bytes(), body].concat()
    };
    let body = vec![b'b'; 65_537];
    assert_eq!(server.status(&post("Content-Length: 65536\r\n", &body[..65_536])).await, 303);
    assert_eq!(server.status(&post("Content-Length: 65537\r\n", &body)).await, 413);
    // Said, but never sent: nobody waits for the rest.
    assert_eq!(server.status(&post("Content-Length: 9000000000\r\n", &body)).await, 413);
    let chunk = [&b"2000\r\n"[..], &[b'c'; 0x2000], b"\r\n"].concat();
    let chunked = |chunks: usize, end: &[u8]| {
        let body = [chunk.repeat(chunks), end.to_vec()].concat();
        post("Transfer-Encoding: chunked\r\n", &body)
    };
    assert_eq!(server.status(&chunked(8, b"0\r\n\r\n")).await, 303);
    assert_eq!(server.status(&chunked(9, b"")).await, 413);
    assert_eq!(server.status(&chunked(1, b"zz\r\n")).await, 400, "a chunk without a length");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Server::start(Patience { body: SHORT, ..ENDLESS }).await;
    let head = format!(
        "POST /logout HTTP/1.1\r\nHost: localhost:{0}\r\nOrigin: http://localhost:{0}\r\nContent-Length: 100\r\n\r\nhalf",
        server.port
    );
    assert_eq!(server.status(head.as_bytes()).await, 408);
    // GET may bring a body as well.
    let head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(server.status(head.as_bytes()).await, 408);
}

#[tokio::test]
async fn whoever_says_nothing_or_begins_and_does_not_go_on_is_not_waited_for() {
    let server = Server::start(Patience { first_request: SHORT, ..ENDLESS }).await;
    let halves: [&[u8]; 5] = [
        b"",
        b"G",
        // Might still become HTTP/2.
        b"PRI * HTTP/2.0\r\n\r\nSM",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    ];
    for half in halves {
        let answer = server.send(half).await;
        assert!(!answer.contains("200"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_byte_now_and_then_does_not_prolong_the_wait() {
    let server = Server::start(Patience { headers: SHORT, ..ENDLESS }).await;
    let mut connection = server.connect().await;
    connection.write_all(b"GET /healthz HTTP/1.1\r\nX-Slow: ").await.expect("it listens");
    let (mut reading, mut writing) = connection.split();
    let drip = async {
        let mut ticks = tokio::time::interval(SHORT / 10);
        loop {
            ticks.tick().await;
            if writing.write_all(b"s").await.is_err() {
                return;
            }
        }
    };
    let mut answer = Vec::new();
    let end = async {
        tokio::select! {
            _ = reading.read_to_end(&mut answer) => {}
            () = drip => {}
        }
    };
    assert!(timeout(PATIENCE, end).await.is_ok(), "it listens for ever");
    // While it waits for one, it serves others.
    assert_eq!(server.status(&get("/healthz", "")).await, 200);
}

#[tokio::test]
async fn a_connection_that_is_kept_alive_and_not_used_is_closed() {
    let server = Server::start(Patience { headers: SHORT, ..ENDLESS }).await;
    let mut connection = server.connect().await;
    connection.write_all(b"GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it listens");
    let answer = rest(&mut connection).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("Disallow: /\n"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_dozed_off_hears_the_next_request_in_whichever_pieces_it_comes() {
    const RATHER_LONG: Duration = Duration::from_millis(300);
    let server = Server::start(ENDLESS).await;
    let mut connection = server.connect().await;
    let request = b"GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut body = [0; "User-agent: *\nDisallow: /\n".len()];
    let twice_and_a_bit = [&request[..], &request[..], b"GE"].concat();
    let rest_of_three: [&[u8]; 3] = [b"T /robots.txt HTTP/1.1\r\nHo", b"st: localhost\r\n", b"\r\n"];
    for (pieces, answers) in [
        (vec![&request[..]], 1),
        (vec![&b"G"[..], &request[1..]], 1),
        (vec![&twice_and_a_bit], 2),
        (rest_of_three.into(), 1),
    ] {
        for piece in pieces {
            // As long as it takes to be thought idle: before the first piece it is, between two it only seems so.
            tokio::time::sleep(RATHER_LONG).await;
            connection.write_all(piece).await.expect("it listens");
        }
        for _ in 0..answers {
            let head = one_answer(&mut connection).await;
            assert!(head.starts_with("HTTP/1.1 200 ") && !head.contains("connection: close"), "{head}");
            timeout(PATIENCE, connection.read_exact(&mut body)).await.expect("in time").expect("a body");
        }
    }
    tokio::time::sleep(RATHER_LONG).await;
    connection.write_all(&get("/robots.txt", "")).await.expect("it listens");
    assert!(rest(&mut connection).await.contains("connection: close"), "asked to close, it closes");
}

#[tokio::test(start_paused = true)]
async fn only_a_connection_that_has_been_answered_and_may_go_on_dozes() {
    let patience = Patience::default();
    let activity = Arc::new(Activity::new());
    let begun = Instant::now();
    let bound = begun + patience.headers;
    let rest = || activity.rest(&patience, begun, bound);
    let pass = async |time: Duration| tokio::time::advance(time).await;
    pass(DOZE).await;
    assert_eq!(rest(), Rest::Until(bound), "it has asked nothing yet");
    let busy = Busy::with(&activity, true);
    pass(DOZE).await;
    assert_eq!(rest(), Rest::Until(Instant::now() + DOZE), "it is being answered");
    drop(busy);
    assert_eq!(rest(), Rest::Until(Instant::now() + DOZE), "it was answered just now");
    let answered = Instant::now();
    pass(DOZE).await;
    assert_eq!(rest(), Rest::Doze);
    let woken = Instant::now();
    assert_eq!(activity.rest(&patience, woken, bound), Rest::Until(answered + patience.headers), "it begins and stops");
    activity.note_flushed(false);
    assert_eq!(rest(), Rest::Until(Instant::now() + DOZE), "it has not read its answer");
    pass(patience.idle).await;
    assert_eq!(rest(), Rest::Unread);
    activity.note_flushed(true);
    assert_eq!(rest(), Rest::Over);
    drop(Busy::with(&activity, false));
    pass(DOZE).await;
    let closing = Rest::Until(Instant::now() - DOZE + patience.headers);
    assert_eq!(rest(), closing, "hyper closes it: nobody may wait on it for more");
}

#[tokio::test]
async fn http_2_is_spoken_to_whoever_begins_with_it_and_its_idleness_ends_too() {
    let server = Server::start(Patience { first_request: 5 * SHORT, idle: SHORT, linger: SHORT, ..ENDLESS }).await;
    let io = TokioIo::new(server.connect().await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let url = format!("http://localhost:{}/api/me", server.port);
    let request = || http::Request::get(&url).body(Empty::<Bytes>::new()).expect("a request");
    let answer = sender.send_request(request()).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.version()), (401, http::Version::HTTP_2));
    assert!(answer.headers().contains_key("content-security-policy"));
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("not_signed_in"));
    let many = futures_util::future::join_all((0..100).map(|_| sender.send_request(request()))).await;
    assert!(many.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status() == 401)));
    drop(many);
    // Pings are answered all the while; only requests count.
    timeout(PATIENCE, connection).await.expect("the server closes").expect("no panic").expect("and says so");
}

#[tokio::test]
async fn http_2_headers_have_32_kib() {
    let server = Server::start(ENDLESS).await;
    let io = TokioIo::new(server.connect().await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
    tokio::spawn(connection);
    let url = format!("http://localhost:{}/healthz", server.port);
    let request = http::Request::get(&url).header("x-filler", "f".repeat(40_000)).body(Empty::<Bytes>::new());
    let answer = sender.send_request(request.expect("a request")).await;
    assert!(!answer.is_ok_and(|answer| answer.status() == 200), "40 kB of headers were taken");
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_and_harms_nobody() {
    let server = Server::start(ENDLESS).await;
    let raw = |line: &str| format!("{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes();
    let url = format!("http://localhost:{}", server.port);
    for (line, wanted) in [
        ("CONNECT example.com:443 HTTP/1.1", &[400, 404, 405][..]),
        ("OPTIONS * HTTP/1.1", &[400, 404, 405]),
        ("GET * HTTP/1.1", &[400, 404]),
        ("TRACE / HTTP/1.1", &[405]),
        ("BREW / HTTP/1.1", &[405]),
        ("GET http://evil.example/api/me HTTP/1.1", &[401]),
        ("GET //api/me HTTP/1.1", &[404]),
        ("GET /api//me HTTP/1.1", &[404]),
        ("GET /api/me/ HTTP/1.1", &[404]),
        ("GET /API/me HTTP/1.1", &[404]),
        ("GET /api/me;x HTTP/1.1", &[404]),
        ("GET /%61pi/me HTTP/1.1", &[404]),
        ("GET /api%2fme HTTP/1.1", &[404]),
        ("GET /./api/me HTTP/1.1", &[404]),
        ("GET /api?x HTTP/1.1", &[404]),
        ("GET /api/ HTTP/1.1", &[404]),
        ("GET /\u{1} HTTP/1.1", &[400]),
        ("GET / HTTP/9.9", &[400]),
        ("nonsense", &[400]),
    ] {
        let status = server.status(&raw(line)).await;
        assert!(wanted.contains(&status), "{line:?}: {status}");
    }
    for framing in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
    ] {
        let head =
            format!("POST /logout HTTP/1.1\r\nHost: localhost\r\n{framing}Connection: close\r\nOrigin: {url}\r\n\r\n");
        let status = server.status([head.as_bytes(), b"0\r\n\r\n"].concat().as_slice()).await;
        assert!(matches!(status, 303 | 400..=417), "{framing:?}: {status}");
    }
    assert_eq!(server.status(&get("/healthz", "")).await, 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let server = Server::start_with(ENDLESS, 2, nobody_vouches()).await;
    // One place at each of the two addresses: both are needed to have none left.
    let mut first = server.connect().await;
    first.write_all(b"GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it listens");
    one_answer(&mut first).await;
    let mut second = server.connect().await;
    second.write_all(&get("/robots.txt", "")).await.expect("the system takes it");
    let mut byte = [0];
    let early = timeout(SHORT, second.read(&mut byte)).await;
    assert!(early.is_err(), "more than the limit are served");
    drop(first);
    assert_eq!(status(&rest(&mut second).await), 200);
}

#[tokio::test]
async fn a_drain_lets_go_of_whoever_is_idle_and_finishes_what_was_begun() {
    let provider = ScriptedProvider::start().await;
    provider.script().answer(
        Door::Token,
        Canned::json(serde_json::json!({ "error": "invalid_grant" })).with_status(400).after(SHORT),
    );
    let server = Server::start_with(ENDLESS, 100, provider.config()).await;
    let site = format!("http://localhost:{}", server.port);
    let mut idle = server.connect().await;
    idle.write_all(b"GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it listens");
    one_answer(&mut idle).await;
    let browser = Anonymous::at(&site);
    let asked = browser.visit("/login").await.location();
    let answer = provider.approve(&asked);
    let (code, state) = (answer.code.expect("a code"), answer.state.expect("a state"));
    let callback = async {
        let mut url = reqwest::Url::parse(&format!("{site}/login/callback")).expect("an address");
        url.query_pairs_mut().append_pair("code", &code).append_pair("state", &state);
        browser.visit(url.as_str()).await
    };
    let drain = async {
        let deadline = Instant::now() + PATIENCE;
        while provider.hits(Door::Token) == 0 {
            assert!(Instant::now() < deadline, "the code is never spent");
            tokio::task::yield_now().await;
        }
        server.running.drain(PATIENCE).await
    };
    let (back, drained) = tokio::join!(callback, drain);
    assert_eq!(back.status, 502, "the sign-in under way came to its end: {back:#?}");
    assert!(drained, "everything was finished");
    assert_eq!(rest(&mut idle).await, "User-agent: *\nDisallow: /\n", "closed, and nothing more was said");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_connection_that_was_just_made_when_the_end_came_is_heard() {
    let server = Server::start(Patience { newcomer: PATIENCE, ..ENDLESS }).await;
    let mut newcomer = server.connect().await;
    // Answered, so the one before it was taken too.
    assert_eq!(server.status(&get("/healthz", "")).await, 200);
    let address = server.address;
    let asking = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        newcomer.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is kept");
        rest(&mut newcomer).await
    };
    let (drained, answer) = tokio::join!(server.running.drain(PATIENCE), asking);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer:?}");
    assert!(drained, "and then nothing is left");
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let server = Server::start(ENDLESS).await;
    let mut stuck = server.connect().await;
    stuck.write_all(b"GET /healthz HTTP/1.1\r\nContent-Length: 10\r\n\r\n").await.expect("it listens");
    // Answered, so the one before it was taken too.
    assert_eq!(server.status(&get("/healthz", "")).await, 200);
    assert!(!server.running.drain(SHORT).await, "something was left unfinished");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_a_file_left_to_open_it_waits_quietly_and_goes_on_when_there_is_one() {
    let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
    let config =
        format!("public_url = \"http://localhost:{port}\"\nserver.listen = \"127.0.0.1:{port}\"\n{PROVIDER_AWAY}");
    std::fs::write(folder.path().join("config.toml"), config).expect("a configuration");
    let program = Program::start(command(folder.path()).args(["--config", "config.toml"]));
    program.wait_for("start", |line| line.contains("Doorward is at").then_some(()));
    // Whatever it does by itself at first is done: a file that it closed would let one of the crowd in for a moment.
    program.wait_for("look at the provider", |line| line.contains("the provider cannot be asked").then_some(()));
    // It keeps what it needs of the limit that it finds; so the limit is one that it did not find.
    let limit = format!("--nofile={}", program.descriptors() + 20);
    let lowered = std::process::Command::new("prlimit").args(["--pid", &program.id().to_string(), &limit]).status();
    assert!(lowered.is_ok_and(|status| status.success()), "prlimit {limit}");
    let crowd: Vec<_> =
        (0..80).map(|_| std::net::TcpStream::connect(("127.0.0.1", port)).expect("a place to wait")).collect();
    let refused = "a connection could not be taken";
    program.wait_for("complaint", |line| line.contains(refused).then_some(()));
    let before = program.seconds_used();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = program.seconds_used() - before;
    assert!(used < 0.2, "it spins: {used} s of processor time in one second");
    assert_eq!(program.said().matches(refused).count(), 1, "said once:\n{}", program.said());
    drop(crowd);
    assert_eq!(Anonymous::at(&format!("http://localhost:{port}")).get("healthz").await.status, 200);
}
