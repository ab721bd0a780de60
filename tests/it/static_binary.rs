//! The binary that people download: one static file that needs nothing beside it. It is what the README's release
//! command builds, run in a root directory that is otherwise empty.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use std::{env, fs};

use doorward::clock::{Clock, SystemClock};
use reqwest::Url;

use crate::site::binary::PROVIDER_AWAY;
use crate::site::empty_root::{EmptyRoot, Inside};
use crate::site::name_server::NameServer;
use crate::site::program::free_port;
use crate::site::provider::authority::Authority;
use crate::site::provider::{CLIENT_SECRET, Door, ScriptedProvider};
use crate::site::tiers::Tier;
use crate::site::visitors::{Anonymous, SignedIn, Visitor};

/// Our name at the provider: one that a configuration takes.
const CLIENT_ID: &str = "client-of-tests";

/// What is promised.
const LARGEST_BYTES: u64 = 20_000_000;
const LARGEST_RESIDENT_KIB: u64 = 25 * 1024;
const READY_WITHIN: Duration = Duration::from_millis(100);

/// Each test has addresses of its own on loopback: name servers share port 53, tests run beside each other.
const KNOWS_PROVIDER: Ipv4Addr = Ipv4Addr::new(127, 0, 77, 1);
const KNOWS_PROVIDER_TOO: Ipv4Addr = Ipv4Addr::new(127, 0, 77, 2);
const NOBODY_LISTENS: Ipv4Addr = Ipv4Addr::new(127, 0, 77, 3);

/// Where the provider really is.
const PROVIDER: Ipv4Addr = Ipv4Addr::new(127, 0, 77, 4);

/// Its name, which nobody knows but the tests' name servers.
const PROVIDER_NAME: &str = "provider.test";

/// What a 64-bit ELF file asks of the system that starts it: a dynamic loader, shared libraries.
#[derive(Debug, PartialEq, Eq)]
struct Needs {
    loader: bool,
    libraries: usize,
}

impl Needs {
    fn of(file: &[u8]) -> Self {
        const PT_DYNAMIC: u64 = 2;
        const PT_INTERP: u64 = 3;
        const DT_NEEDED: u64 = 1;
        assert_eq!(file[..6], *b"\x7fELF\x02\x01", "a 64-bit little-endian ELF file");
        let number = |at: usize, length: usize| {
            file[at..at + length].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let place = |at: usize, length: usize| usize::try_from(number(at, length)).expect("a place in the file");
        let (first, size, count) = (place(0x20, 8), place(0x36, 2), place(0x38, 2));
        let mut needs = Self { loader: false, libraries: 0 };
        for header in (0..count).map(|index| first + index * size) {
            match number(header, 4) {
                PT_INTERP => needs.loader = true,
                PT_DYNAMIC => {
                    let (begin, length) = (place(header + 8, 8), place(header + 32, 8));
                    let entries = (begin..begin + length).step_by(16);
                    needs.libraries += entries.filter(|entry| number(*entry, 8) == DT_NEEDED).count();
                }
                _ => {}
            }
        }
        needs
    }
}

#[test]
fn it_is_one_small_file_that_needs_no_library() {
    let Some(binary) = Tier::StaticBinary.here() else { return };
    let file = fs::read(&binary).expect("the static binary");
    assert_eq!(Needs::of(&file), Needs { loader: false, libraries: 0 }, "{binary}");
    let length = u64::try_from(file.len()).expect("a length");
    assert!(length < LARGEST_BYTES, "{length} bytes");
    // The tests themselves are linked in the usual way: the question can be answered with yes.
    let usual = Needs::of(&fs::read(env::current_exe().expect("the tests")).expect("the tests"));
    assert!(usual.loader && usual.libraries > 0, "{usual:?}");
}

/// The address that the demo prints.
fn address_of_demo(demo: &Inside) -> String {
    demo.program.wait_for("address", |line| {
        let address = line.trim().strip_prefix("http://localhost:")?.trim_end_matches('/');
        Some(format!("http://localhost:{address}"))
    })
}

#[tokio::test]
async fn in_an_empty_root_the_demo_signs_people_in() {
    let Some(binary) = Tier::StaticBinary.here() else { return };
    let root = EmptyRoot::around(&binary, NOBODY_LISTENS);
    let mut demo = root.start(&["demo", "--listen", "localhost:0"]);
    let browser = Anonymous::at(&address_of_demo(&demo));
    assert!(browser.visit("").await.body.contains("Login to continue"));
    let choice = browser.follow("login").await;
    let (_, link) = choice.body.split_once("href=\"/choose/").expect("somebody can be chosen");
    let link = format!("/choose/{}", link.split('"').next().expect("the end of the link"));
    let chosen = choice.url.join(&link).expect("an address");
    let profile = browser.follow(chosen.as_str()).await;
    assert!(profile.body.contains("Log out"), "{profile:#?}");
    SignedIn::with(browser).await;
    assert_eq!(demo.terminate(), Some(0), "{}", demo.program.said());
    let left: Vec<_> = fs::read_dir(root.path("data")).expect("the folder").collect();
    assert!(left.is_empty(), "the demo keeps nothing: {left:?}");
}

/// A site in an empty root whose provider is only known by name.
struct Site {
    root: EmptyRoot,
    url: String,
    provider: ScriptedProvider,
    port: u16,
}

impl Site {
    /// `trusted` is the authority that the configuration names; the provider has its certificate from `authority`.
    async fn prepare(binary: &str, name_server: Ipv4Addr, authority: &Authority, trusted: &Authority) -> Self {
        let provider = ScriptedProvider::start_tls(IpAddr::V4(PROVIDER), PROVIDER_NAME, authority).await;
        provider.script().now = SystemClock.now().unix();
        provider.script().client_id = CLIENT_ID.to_owned();
        let root = EmptyRoot::around(binary, name_server);
        root.write("ca.pem", &trusted.pem());
        root.write("secret", CLIENT_SECRET);
        let (port, issuer) = (free_port(), provider.issuer());
        let url = format!("http://localhost:{port}");
        root.write(
            "config.toml",
            &format!(
                "public_url = \"{url}\"\nserver.listen = \"0.0.0.0:{port}\"\n[providers.test]\nissuer = \"{issuer}\"\n\
                 client_id = \"{CLIENT_ID}\"\nclient_secret_file = \"secret\"\nca_file = \"ca.pem\"\n"
            ),
        );
        Self { root, url, provider, port }
    }

    /// Starts it and waits until it is at its address.
    fn serve(&self) -> Inside {
        let inside = self.root.start(&["--config", "config.toml"]);
        inside.program.wait_for("announcement", |line| line.contains("Doorward is at").then_some(()));
        inside
    }
}

#[tokio::test]
async fn in_an_empty_root_names_come_from_resolv_conf_and_certificates_are_verified() {
    let Some(binary) = Tier::StaticBinary.here() else { return };
    let names = NameServer::start(KNOWS_PROVIDER, PROVIDER_NAME, PROVIDER).await;
    let authority = Authority::new();
    let site = Site::prepare(&binary, KNOWS_PROVIDER, &authority, &authority).await;
    let mut inside = site.serve();
    let browser = Anonymous::at(&site.url);
    let login = browser.visit("login").await;
    assert_eq!(login.status, 303, "{login:#?}\n{}", inside.program.said());
    let request = login.location();
    assert!(request.as_str().starts_with(&format!("{}/authorize?", site.provider.issuer())), "{request}");
    assert!(names.asked() > 0, "the name server was not asked");

    // And on to the end: the code is exchanged and the keys are fetched in the same way.
    let answer = site.provider.approve(&request);
    let mut callback = Url::parse(&format!("{}/login/callback", site.url)).expect("an address");
    callback.query_pairs_mut().append_pair("code", &answer.code.expect("a code"));
    callback.query_pairs_mut().append_pair("state", &answer.state.expect("a state"));
    let back = browser.visit(callback.as_str()).await;
    assert_eq!(back.status, 303, "{back:#?}\n{}", inside.program.said());
    SignedIn::with(browser).await;
    assert_eq!(site.provider.hits(Door::Token), 1);
    assert!(site.root.path("data/doorward.db").exists(), "the database lies in the folder that it runs in");

    let healthy = site.root.start(&["healthcheck"]).program.wait();
    assert_eq!(healthy.code(), Some(0), "{}", inside.program.said());
    assert_eq!(inside.terminate(), Some(0), "{}", inside.program.said());
    let dead = site.root.start(&["healthcheck"]).program.wait();
    assert_eq!(dead.code(), Some(1), "nobody listens at {} any more", site.port);
}

#[tokio::test]
async fn in_an_empty_root_a_certificate_of_another_authority_is_refused() {
    let Some(binary) = Tier::StaticBinary.here() else { return };
    let names = NameServer::start(KNOWS_PROVIDER_TOO, PROVIDER_NAME, PROVIDER).await;
    let site = Site::prepare(&binary, KNOWS_PROVIDER_TOO, &Authority::new(), &Authority::new()).await;
    let mut inside = site.serve();
    let login = Anonymous::at(&site.url).visit("login").await;
    assert_eq!(login.status, 503, "{login:#?}");
    assert!(names.asked() > 0, "the name server was not asked");
    assert_eq!(site.provider.hits(Door::Discovery), 0, "nothing was said over a connection that is not trusted");
    assert!(inside.program.said().contains("certificate"), "the log says why:\n{}", inside.program.said());
    assert_eq!(inside.terminate(), Some(0), "{}", inside.program.said());
}

/// How long it takes from the start of the process to the first 200 of `/readyz`, on a fresh SQLite database.
async fn start_to_ready(binary: &str) -> (Duration, Inside, EmptyRoot) {
    let root = EmptyRoot::around(binary, NOBODY_LISTENS);
    let port = free_port();
    let place = format!("localhost:{port}");
    root.write(
        "config.toml",
        &format!("public_url = \"http://{place}\"\nserver.listen = \"{place}\"\n{PROVIDER_AWAY}"),
    );
    let begun = Instant::now();
    let inside = root.start(&["--config", "config.toml"]);
    while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        std::thread::yield_now();
    }
    let ready = Anonymous::at(&format!("http://{place}")).get("readyz").await;
    let took = begun.elapsed();
    assert_eq!(ready.status, 200, "{ready:#?}");
    (took, inside, root)
}

#[tokio::test]
async fn it_is_ready_within_a_tenth_of_a_second_and_small_in_memory() {
    let Some(binary) = Tier::StaticBinary.here() else { return };
    // Other tests share the machine: the best of some starts tells what the program itself needs.
    let mut took = Vec::new();
    for _ in 0..20 {
        let (time, mut inside, _root) = start_to_ready(&binary).await;
        let resident = inside.status_kib("VmRSS");
        assert!(resident < LARGEST_RESIDENT_KIB, "{resident} KiB are resident");
        assert_eq!(inside.terminate(), Some(0), "{}", inside.program.said());
        #[expect(clippy::print_stderr, reason = "the promises are numbers, and somebody wants to know them")]
        {
            eprintln!("ready after {} ms, {resident} KiB resident", time.as_millis());
        }
        took.push(time);
        if time < READY_WITHIN {
            return;
        }
    }
    panic!("never ready within {READY_WITHIN:?}: {took:?}");
}
