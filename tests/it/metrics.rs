//! What is counted for Prometheus: where it is told, under which names, and that no person stands in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use doorward::metrics::{self, Kind, LIST};
use reqwest::Method;

use crate::site::binary::{Binary, PROVIDER_AWAY, command, configure};
use crate::site::instance::Site;
use crate::site::place::Place;
use crate::site::program::{PATIENCE, PAUSE, Program, free_port};
use crate::site::visitors::{Anonymous, Answer, Visitor};

/// One line of Prometheus' format: the name, its labels, its value.
type Sample = (String, BTreeMap<String, String>, f64);

fn samples(text: &str) -> Vec<Sample> {
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value in {line:?}"));
    let value = value.parse().unwrap_or_else(|_| panic!("no number in {line:?}"));
    let Some((name, labels)) = series.split_once('{') else { return (series.to_owned(), BTreeMap::new(), value) };
    let labels = labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty());
    let label = |label: &str| {
        let (name, value) = label.split_once("=\"").unwrap_or_else(|| panic!("no label in {line:?}"));
        (name.to_owned(), value.trim_end_matches('"').to_owned())
    };
    (name.to_owned(), labels.map(label).collect(), value)
}

/// What is counted under `name` with these labels.
pub fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let is_it = |(found, has, _): &&Sample| {
        found == name && labels.iter().all(|(label, value)| has.get(*label).is_some_and(|has| has == value))
    };
    samples(text).iter().filter(is_it).map(|(.., value)| value).sum()
}

/// A running process that tells its metrics, and where.
fn counting(rest: &str) -> (Binary, Anonymous) {
    let port = free_port();
    let site = Binary::serve(&format!("metrics.listen = \"127.0.0.1:{port}\"\n{rest}"));
    (site, Anonymous::at(&format!("http://127.0.0.1:{port}")))
}

async fn scraped(prometheus: &Anonymous) -> String {
    let answer = prometheus.get("/metrics").await;
    assert_eq!(answer.status, 200, "{answer:#?}");
    answer.body
}

/// Reads until `wanted`: what is counted after an answer may come a moment later than the answer.
async fn until(prometheus: &Anonymous, wanted: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = scraped(prometheus).await;
        if wanted(&text) {
            return text;
        }
        assert!(Instant::now() < deadline, "it does not come:\n{text}");
        tokio::time::sleep(PAUSE).await;
    }
}

#[test]
fn the_documentation_lists_exactly_the_names_of_the_code() {
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).expect("the page");
    let rows: Vec<&str> = docs.lines().filter(|line| line.starts_with("| `")).collect();
    let described = |one: &metrics::Described| {
        let labels: Vec<String> = one.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {} | {} | {} |", one.name, one.kind.word(), labels.join(", "), one.help)
    };
    assert_eq!(rows, LIST.iter().map(described).collect::<Vec<_>>());
}

#[test]
fn names_follow_the_rules_of_prometheus() {
    let mut seen = BTreeSet::new();
    for one in LIST {
        assert!(seen.insert(one.name), "{} twice", one.name);
        assert!(one.name.starts_with("doorward_"), "{}", one.name);
        assert_eq!(one.name.ends_with("_total"), one.kind == Kind::Counter, "{}", one.name);
        assert!(one.kind != Kind::Histogram || one.name.ends_with("_seconds"), "{}", one.name);
    }
}

#[tokio::test]
async fn every_name_is_told_with_its_labels_and_no_other() {
    let (site, prometheus) = counting(
        "sessions.cache = \"1s\"\n[providers.away]\nissuer = \"http://127.0.0.1:9\"\nclient_id = \"client\"\nclient_secret = \"secret\"\n",
    );
    let browser = Anonymous::at(&site.public_url);
    assert_eq!(browser.get("/healthz").await.status, 200);
    assert_eq!(browser.get("/api/me").await.status, 401);
    assert_eq!(browser.get("/gate").await.status, 401);
    assert_eq!(browser.visit("/login").await.status, 503);
    let text = until(&prometheus, |text| text.contains("doorward_sessions_active 0")).await;
    let process = ["cpu_seconds_total", "resident_memory_bytes", "virtual_memory_bytes", "open_fds", "max_fds"];
    let process = process.into_iter().chain(["start_time_seconds", "threads"]).map(|name| format!("process_{name}"));
    let process: BTreeSet<String> = process.collect();
    let mut told = BTreeSet::new();
    for (name, labels, _) in samples(&text) {
        if process.contains(&name) {
            continue;
        }
        let stem = ["_bucket", "_sum", "_count"].into_iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        let one = LIST.iter().find(|one| one.name == name || (one.kind == Kind::Histogram && one.name == stem));
        let one = one.unwrap_or_else(|| panic!("{name} stands in no list"));
        let expected: BTreeSet<&str> = one.labels.iter().copied().collect();
        let found: BTreeSet<&str> = labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
        assert_eq!(found, expected, "{name}");
        told.insert(one.name);
    }
    // Nobody came back from the provider, and TLS is not ours.
    let silent = ["doorward_logins_total", "doorward_tls_cert_expiry_timestamp_seconds"];
    let expected: BTreeSet<&str> = LIST.iter().map(|one| one.name).filter(|name| !silent.contains(name)).collect();
    assert_eq!(told, expected, "{text}");
    assert_eq!(value(&text, "doorward_db_up", &[]), 1.0, "{text}");
    assert_eq!(value(&text, "doorward_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0, "{text}");
    let gate = [("result", "login"), ("rule", "no_rules")];
    assert_eq!(value(&text, "doorward_auth_decisions_total", &gate), 1.0, "{text}");
    let metadata = [("provider", "away"), ("endpoint", "metadata")];
    assert!(value(&text, "doorward_provider_errors_total", &metadata) >= 1.0, "{text}");
}

#[tokio::test]
async fn requests_are_counted_by_door_and_never_by_what_a_stranger_chose() {
    let (site, prometheus) = counting(PROVIDER_AWAY);
    let browser = Anonymous::at(&site.public_url);
    for path in
        ["/healthz", "/healthz", "/ada@example.com", "/api/tokens/sesame", "/login/callback?code=sesame&state=x"]
    {
        browser.get(path).await;
    }
    let odd = Method::from_bytes(b"SESAME").expect("a method");
    browser.ask(odd, "/gate", &[]).await;
    let name = "doorward_http_requests_total";
    let text = until(&prometheus, |text| value(text, name, &[]) >= 6.0).await;
    assert_eq!(value(&text, name, &[("route", "/healthz"), ("method", "GET"), ("status", "200")]), 2.0, "{text}");
    assert_eq!(value(&text, name, &[("route", "none"), ("status", "404")]), 1.0, "{text}");
    assert_eq!(value(&text, name, &[("route", "/api/tokens/:id"), ("status", "405")]), 1.0, "{text}");
    assert_eq!(value(&text, name, &[("route", "/login/callback"), ("method", "GET")]), 1.0, "{text}");
    assert_eq!(value(&text, name, &[("route", "/gate"), ("method", "other")]), 1.0, "{text}");
    assert_eq!(value(&text, "doorward_http_request_duration_seconds_count", &[("route", "/healthz")]), 2.0, "{text}");
    assert_eq!(value(&text, "doorward_http_requests_in_flight", &[]), 0.0, "{text}");
    for chosen in ["ada@", "sesame", "SESAME"] {
        assert!(!text.contains(chosen), "{chosen} in {text}");
    }
}

#[tokio::test]
async fn they_are_told_on_their_own_listener_and_nowhere_else() {
    let (mut site, prometheus) = counting(PROVIDER_AWAY);
    let browser = Anonymous::at(&site.public_url);
    assert_eq!(browser.get("/metrics").await.status, 404, "the metrics are shown to everybody");
    for path in ["/", "/login", "/api/me", "/healthz"] {
        assert_eq!(prometheus.get(path).await.status, 404, "{path} is shown beside the metrics");
    }
    let answer: Answer = prometheus.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"), "{answer:#?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let posted = prometheus.ask(Method::POST, "/metrics", &[]).await;
    assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"), "{posted:#?}");
    assert_eq!(site.program.terminate().code(), Some(0), "{}", site.program.said());
}

#[tokio::test]
async fn the_end_of_our_own_certificate_is_told_and_changes_with_it() {
    let lay = |folder: &Path, year: i32| {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(year, 3, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(folder.join("cert.pem"), certificate.pem()).expect("a file");
        fs::write(folder.join("key.pem"), key.serialize_pem()).expect("a file");
    };
    let port = free_port();
    let config = format!(
        "server.cert = \"cert.pem\"\nserver.key = \"key.pem\"\nmetrics.listen = \"127.0.0.1:{port}\"\n{PROVIDER_AWAY}"
    );
    let site = Binary::serve_https(free_port(), &config, |folder| lay(folder, 2031));
    let prometheus = Anonymous::at(&format!("http://127.0.0.1:{port}"));
    let ends = |text: &str| value(text, "doorward_tls_cert_expiry_timestamp_seconds", &[]);
    // As `date --date 2031-03-01T00:00Z +%s` says.
    until(&prometheus, |text| ends(text) == 1_930_089_600.0).await;
    // From 2050 on certificates write years in another way.
    lay(site.folder.path(), 2051);
    site.program.signal("HUP");
    until(&prometheus, |text| ends(text) == 2_561_241_600.0).await;
}

#[tokio::test]
async fn a_listener_that_is_taken_is_named_with_its_key() {
    let holder = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = holder.local_addr().expect("an address").port();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ours = free_port();
    configure(
        folder.path(),
        &format!("server.listen = \"localhost:{ours}\"\nmetrics.listen = \"127.0.0.1:{port}\"\n{PROVIDER_AWAY}"),
    );
    let (status, said) = Program::start(&mut command(folder.path())).run_out();
    assert_eq!(status.code(), Some(69), "{said}");
    assert!(said.contains("metrics.listen") && said.contains(&port.to_string()), "{said}");
}

#[tokio::test]
async fn a_sign_in_is_counted_and_nobody_is_named() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let ok = [("result", "ok"), ("reason", "")];
        let before = value(&metrics::text(), "doorward_logins_total", &ok);
        let subject = format!("zoe-{place:?}");
        let zoe = site.sign_in(&subject).await;
        assert_eq!(zoe.get("/api/me").await.status, 200);
        let text = metrics::text();
        assert!(value(&text, "doorward_logins_total", &ok) > before, "{text}");
        assert!(value(&text, "doorward_db_query_duration_seconds_count", &[("op", "write")]) >= 1.0, "{text}");
        assert!(value(&text, "doorward_provider_request_duration_seconds_count", &[("endpoint", "token")]) >= 1.0);
        for name in [subject.as_str(), "example.com", "127.0.0.1"] {
            assert!(!text.contains(name), "{name} in {text}");
        }
    }
}

#[tokio::test]
async fn open_sessions_are_those_that_still_let_somebody_in() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        assert_eq!(site.sessions().count().await.expect("a number"), 0, "{place:?}");
        site.sign_in("ada").await;
        site.sign_in("grace").await;
        assert_eq!(site.sessions().count().await.expect("a number"), 2, "{place:?}");
        site.clock.advance(Duration::from_secs(7 * 24 * 60 * 60));
        assert_eq!(site.sessions().count().await.expect("a number"), 0, "{place:?}: nobody used them for a week");
    }
}
