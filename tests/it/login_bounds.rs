//! Bounds on what a provider can cost us: time, memory, trust in certificates.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::login::{Login, Prompt};
use doorward::model::Browser;
use doorward::store::SharedStore;
use rcgen::CertificateParams;
use serde_json::json;
use tokio_rustls::rustls::{SupportedProtocolVersion, version};

use crate::site::desk::{Desk, config, login};
use crate::site::memory::Memory;
use crate::site::provider::authority::{Authority, BOTH_VERSIONS};
use crate::site::provider::wire::{self, Canned, Listener};
use crate::site::provider::{Door, Script};

const DOORS: [Door; 4] = [Door::Discovery, Door::Keys, Door::Token, Door::Userinfo];

/// A sign-in at a provider that misbehaves at `door`: why it fails, and how long that takes.
async fn misbehaving(door: Door, canned: Canned) -> (&'static str, String, Duration) {
    let desk = Desk::open().await;
    *desk.provider.script() = Script::default();
    desk.provider.script().without_claim("email");
    desk.provider.script().answer(door, canned);
    let begun = Instant::now();
    let error = match desk.login.begin(None, Prompt::Configured).await {
        Err(error) => error,
        Ok(begun) => {
            let answer = desk.provider.approve(&begun.authorization_url);
            desk.login
                .finish(answer, vec![begun.pending], Browser::default(), None)
                .await
                .expect_err("misbehaving")
                .error
        }
    };
    (error.reason(), error.to_string(), begun.elapsed())
}

/// OIDC-24, fault 21: a body without an end, one that is a little too large, one that lies about its encoding.
#[tokio::test]
async fn bodies_are_read_up_to_a_limit() {
    let padded = |length: usize| Canned::json(json!({ "x": "" })).with_body(" ".repeat(length));
    // What a decompressor would turn into megabytes stays what it is and is no JSON.
    let bomb = || Canned::json(json!({})).with_header("content-encoding", "gzip").with_body(vec![0x1f, 0x8b, 8, 0, 0]);
    for door in DOORS {
        for (what, canned, sentence) in [
            ("endless", Canned::endless(), Some("larger than 256 KiB")),
            ("one byte too large", padded(256 * 1024 + 1), Some("larger than 256 KiB")),
            ("compressed", bomb(), None),
        ] {
            let (reason, error, _) = misbehaving(door, canned).await;
            assert_eq!(reason, "provider_unavailable", "{door:?} {what}: {error}");
            assert!(sentence.is_none_or(|sentence| error.contains(sentence)), "{door:?} {what}: {error}");
        }
    }
}

/// OIDC-24, faults 21 and 23: an answer that drips or never comes is given up after ten seconds.
#[tokio::test]
async fn slow_answers_are_given_up() {
    let slow = DOORS.into_iter().flat_map(|door| {
        let dripping = Canned::json(json!({ "keys": [], "padding": "x".repeat(100) })).dripping();
        let silent = Canned::status(200).after(Duration::from_secs(60));
        [(door, dripping), (door, silent)]
    });
    // Together: they wait for the network, not for each other.
    let outcomes = futures_util::future::join_all(
        slow.map(|(door, canned)| async move { (door, misbehaving(door, canned).await) }),
    )
    .await;
    for (door, (reason, error, took)) in outcomes {
        assert_eq!(reason, "provider_unavailable", "{door:?}: {error}");
        assert!(error.contains("in time"), "{door:?}: {error}");
        assert!(took < Duration::from_secs(13), "{door:?} took {took:?}");
    }
}

/// Fault 40: what waits for the provider is bounded, and who comes too many is told so without losing the code.
#[tokio::test]
async fn exchanges_are_bounded() {
    let desk = Desk::open().await;
    desk.provider.script().answer(Door::Token, Canned::status(500).after(Duration::from_secs(4)));
    let mut waiting = Vec::new();
    for _ in 0..70 {
        waiting.push(desk.approved().await);
    }
    let finishing = waiting.into_iter().map(|(begun, answer)| {
        let desk = &desk;
        async move { desk.finish(answer, &begun).await.expect_err("the provider fails") }
    });
    let failed = futures_util::future::join_all(finishing).await;
    let turned_away: Vec<_> = failed.iter().filter(|failed| failed.error.to_string().contains("too many")).collect();
    assert_eq!((desk.provider.hits(Door::Token), turned_away.len()), (64, 6));
    assert!(turned_away.iter().all(|failed| failed.spent.is_none()), "their code was not spent");
}

/// A provider over TLS, and the file with the authority that vouches for it.
struct TlsProvider {
    _listener: Listener,
    issuer: String,
    ca_file: tempfile::NamedTempFile,
}

impl TlsProvider {
    async fn start(
        host: &str,
        change: impl FnOnce(&mut CertificateParams),
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let authority = Authority::new();
        let tls = authority.acceptor_with(host, change, versions);
        let socket = wire::bind("127.0.0.1:0".parse().expect("an address")).await;
        let issuer = format!("https://localhost:{}", socket.local_addr().expect("an address").port());
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
        });
        let listener = wire::listen_tls(socket, tls, move |request| match request.path.as_str() {
            "/keys" => Canned::json(json!({ "keys": [] })),
            _ => Canned::json(metadata.clone()),
        });
        let mut ca_file = tempfile::NamedTempFile::new().expect("a file");
        ca_file.write_all(authority.pem().as_bytes()).expect("a disk");
        Self { _listener: listener, issuer, ca_file }
    }

    /// A product that knows the authority, or does not.
    fn login(&self, knows_authority: bool) -> Login {
        let mut provider = doorward::config::provider::other("tls");
        provider.issuer = self.issuer.clone();
        provider.ca_file = knows_authority.then(|| self.ca_file.path().to_owned());
        let clock = Arc::new(doorward::clock::ManualClock::at(doorward::clock::Timestamp::from_unix(0)));
        login(&config(), &provider, Arc::new(Memory::default()) as SharedStore, clock, 1)
    }
}

/// OIDC-35: a certificate of an authority that the operator named is good, over both versions of TLS.
#[tokio::test]
async fn a_providers_certificate_is_verified_by_the_operators_authority() {
    for versions in [BOTH_VERSIONS, &[&version::TLS12], &[&version::TLS13]] {
        let provider = TlsProvider::start("localhost", |_| {}, versions).await;
        provider.login(true).begin(None, Prompt::Configured).await.expect("a good certificate");
    }
}

/// OIDC-35: unknown authority, wrong host, expired, not yet valid.
#[tokio::test]
async fn a_certificate_that_does_not_hold_is_refused() {
    type Change = fn(&mut CertificateParams);
    let table: [(&str, &str, Change, bool); 4] = [
        ("unknown authority", "localhost", |_| {}, false),
        ("another host's", "example.com", |_| {}, true),
        ("expired", "localhost", |server| server.not_after = rcgen::date_time_ymd(2020, 1, 1), true),
        ("not yet valid", "localhost", |server| server.not_before = rcgen::date_time_ymd(2090, 1, 1), true),
    ];
    for (what, host, change, knows_authority) in table {
        let provider = TlsProvider::start(host, change, BOTH_VERSIONS).await;
        let error = provider.login(knows_authority).begin(None, Prompt::Configured).await.expect_err(what);
        assert_eq!(error.reason(), "provider_unavailable", "{what}");
        assert!(error.to_string().contains("certificate"), "{what}: {error}");
    }
}

/// What is wrong with a configuration is said at the start, not at the first sign-in.
#[test]
fn a_provider_that_cannot_be_used_is_said_at_once() {
    let empty = tempfile::NamedTempFile::new().expect("a file");
    let mut provider = doorward::config::provider::google();
    let mut is_unusable = |change: &dyn Fn(&mut doorward::config::provider::Provider), sentence: &str| {
        provider = doorward::config::provider::google();
        change(&mut provider);
        let clock = Arc::new(doorward::clock::SystemClock);
        let random = Arc::new(doorward::random::OsRandom);
        let store = Arc::new(Memory::default()) as SharedStore;
        let names = doorward::names::Names::from_system();
        let error = Login::new(&config(), &provider, store, clock, random, names).err().map(|error| error.to_string());
        assert!(error.as_deref().unwrap_or_default().contains(sentence), "{sentence}: {error:?}");
    };
    is_unusable(&|provider| provider.issuer = "http://accounts.test".to_owned(), "neither an https address nor");
    is_unusable(&|provider| provider.issuer = "accounts.google.com".to_owned(), "neither an https address nor");
    is_unusable(&|provider| provider.algorithms = vec!["none".to_owned()], "no signature algorithm");
    is_unusable(&|provider| provider.algorithms = vec!["rs256".to_owned()], "no signature algorithm");
    is_unusable(&|provider| provider.ca_file = Some("/nowhere/ca.pem".into()), "ca_file /nowhere/ca.pem");
    is_unusable(&|provider| provider.ca_file = Some(empty.path().to_owned()), "no certificate");
}
