//! What is counted while running, for Prometheus: every name stands in one list.
//!
//! Kept for the process, as the log is: a configuration that is read again counts on. No label ever holds a person, an
//! address or anything that a stranger can choose; what a label may say is bounded by the code and the configuration.
//! Counting costs a few atomic operations and asks nobody.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// The media type of [`text`]: Prometheus' own format.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// What a series counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It rises and falls.
    Gauge,
    /// How many took how long.
    Histogram,
}

impl Kind {
    /// The word of Prometheus' format.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One name.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// As Prometheus knows it.
    pub name: &'static str,
    /// What it counts.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells, in one sentence.
    pub help: &'static str,
}

const fn described(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Described {
    Described { name, kind, labels, help }
}

const BUILD: &str = "doorward_build_info";
const REQUESTS: &str = "doorward_http_requests_total";
const REQUEST_DURATION: &str = "doorward_http_request_duration_seconds";
const IN_FLIGHT: &str = "doorward_http_requests_in_flight";
const LOGINS: &str = "doorward_logins_total";
const DECISIONS: &str = "doorward_auth_decisions_total";
const SESSIONS: &str = "doorward_sessions_active";
const CACHE: &str = "doorward_session_cache_total";
const DATABASE: &str = "doorward_db_query_duration_seconds";
const POOL: &str = "doorward_db_pool_connections";
const UP: &str = "doorward_db_up";
const PROVIDER: &str = "doorward_provider_request_duration_seconds";
const PROVIDER_ERRORS: &str = "doorward_provider_errors_total";
const CERTIFICATE: &str = "doorward_tls_cert_expiry_timestamp_seconds";
const RELOAD: &str = "doorward_config_last_reload_success_timestamp_seconds";
const RELOADED: &str = "doorward_config_last_reload_successful";

/// Every name of ours. Beside them stand those of the process, `process_…`, where the system tells them.
pub const LIST: &[Described] = &[
    described(BUILD, Kind::Gauge, &["version", "commit", "target"], "Always 1; its labels say what runs."),
    described(REQUESTS, Kind::Counter, &["route", "method", "status"], "Requests that were answered."),
    described(REQUEST_DURATION, Kind::Histogram, &["route"], "How long an answer took, from the request's headers on."),
    described(IN_FLIGHT, Kind::Gauge, &[], "Requests that are being answered."),
    described(LOGINS, Kind::Counter, &["provider", "result", "reason"], "Sign-ins that came back from the provider."),
    described(DECISIONS, Kind::Counter, &["result", "rule"], "Answers to proxies that ask whether a request may pass."),
    described(SESSIONS, Kind::Gauge, &[], "Sessions that are open in the database, of all instances together."),
    described(
        CACHE,
        Kind::Counter,
        &["result"],
        "Whether a session was remembered or the database was asked; only with sessions.cache.",
    ),
    described(DATABASE, Kind::Histogram, &["op"], "How long the database took, waiting for a connection included."),
    described(POOL, Kind::Gauge, &["state"], "Connections to the database."),
    described(UP, Kind::Gauge, &[], "1 where the database could be asked when this was read, 0 where it could not."),
    described(PROVIDER, Kind::Histogram, &["provider", "endpoint"], "How long the provider took to answer, or not to."),
    described(
        PROVIDER_ERRORS,
        Kind::Counter,
        &["provider", "endpoint"],
        "Requests to the provider that got no usable answer.",
    ),
    described(CERTIFICATE, Kind::Gauge, &[], "When our own certificate ends; only where Doorward speaks TLS itself."),
    described(RELOAD, Kind::Gauge, &[], "When the configuration that is in force was taken over."),
    described(
        RELOADED,
        Kind::Gauge,
        &[],
        "1 where the last reading of the configuration was taken over, 0 where the old one stayed.",
    ),
];

/// From half a millisecond to ten seconds.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    in_flight: IntGauge,
    logins: IntCounterVec,
    decisions: IntCounterVec,
    sessions: IntGaugeVec,
    cache_hit: IntCounter,
    cache_miss: IntCounter,
    reads: Histogram,
    writes: Histogram,
    pool: IntGaugeVec,
    up: IntGaugeVec,
    provider: HistogramVec,
    provider_errors: IntCounterVec,
    certificate: GaugeVec,
    reload: GaugeVec,
    reloaded: IntGaugeVec,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

impl Metrics {
    fn new() -> Self {
        let registry = Registry::new();
        let counters = |name| registered(&registry, IntCounterVec::new(options(name), labels(name)));
        let gauges = |name| registered(&registry, IntGaugeVec::new(options(name), labels(name)));
        let moments = |name| registered(&registry, GaugeVec::new(options(name), labels(name)));
        let histograms = |name| {
            let options = HistogramOpts::from(options(name)).buckets(BUCKETS.to_vec());
            registered(&registry, HistogramVec::new(options, labels(name)))
        };
        let commit = [env!("CARGO_PKG_VERSION"), env!("DOORWARD_COMMIT"), env!("DOORWARD_TARGET")];
        gauges(BUILD).with_label_values(&commit).set(1);
        let (cache, database) = (counters(CACHE), histograms(DATABASE));
        #[cfg(target_os = "linux")]
        let _ = registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()));
        Self {
            requests: counters(REQUESTS),
            request_duration: histograms(REQUEST_DURATION),
            in_flight: gauges(IN_FLIGHT).with_label_values::<&str>(&[]),
            logins: counters(LOGINS),
            decisions: counters(DECISIONS),
            sessions: gauges(SESSIONS),
            cache_hit: cache.with_label_values(&["hit"]),
            cache_miss: cache.with_label_values(&["miss"]),
            reads: database.with_label_values(&["read"]),
            writes: database.with_label_values(&["write"]),
            pool: gauges(POOL),
            up: gauges(UP),
            provider: histograms(PROVIDER),
            provider_errors: counters(PROVIDER_ERRORS),
            certificate: moments(CERTIFICATE),
            reload: moments(RELOAD),
            reloaded: gauges(RELOADED),
            registry,
        }
    }
}

fn find(name: &str) -> &'static Described {
    LIST.iter().find(|described| described.name == name).expect("every name stands in the list")
}

fn options(name: &str) -> Opts {
    Opts::new(name, find(name).help)
}

fn labels(name: &str) -> &'static [&'static str] {
    find(name).labels
}

/// A collector that `registry` knows.
fn registered<C: prometheus::core::Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let collector = made.expect("names and labels are well formed, which a test sees");
    registry.register(Box::new(collector.clone())).expect("each name is registered once");
    collector
}

/// All of it in Prometheus' text format.
pub fn text() -> String {
    // Whatever cannot be written is missing, and Prometheus says so.
    TextEncoder::new().encode_to_string(&METRICS.registry.gather()).unwrap_or_default()
}

/// A request that is being answered, until it is dropped.
pub struct InFlight {
    started: Instant,
}

/// Counts a request that has arrived.
pub fn request() -> InFlight {
    METRICS.in_flight.inc();
    InFlight { started: Instant::now() }
}

impl InFlight {
    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Counts the answer: `route` is the door's pattern, `method` one that the door knows. How long it took.
    pub fn answered(&self, route: &'static str, method: &str, status: &str) -> Duration {
        let took = self.elapsed();
        METRICS.requests.with_label_values(&[route, known_method(method), status]).inc();
        METRICS.request_duration.with_label_values(&[route]).observe(took.as_secs_f64());
        took
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        METRICS.in_flight.dec();
    }
}

/// `method`, if it is one of those everybody uses: a stranger's inventions must not become series.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}

/// Counts a sign-in that came back: `result` is `ok`, `denied` or `error`, `reason` the error's stable word or nothing.
pub fn login(provider: &str, result: &'static str, reason: &'static str) {
    METRICS.logins.with_label_values(&[provider, result, reason]).inc();
}

/// Counts an answer at the gate: `result` is `allow`, `deny` or `login`; `rule` the number of the rule that decided, or
/// the stable word of what did.
pub fn decision(result: &'static str, rule: &str) {
    METRICS.decisions.with_label_values(&[result, rule]).inc();
}

/// Counts whether a session was remembered.
pub fn session_cache(is_hit: bool) {
    if is_hit { METRICS.cache_hit.inc() } else { METRICS.cache_miss.inc() }
}

/// How many sessions are open.
pub fn sessions_active(sessions: u64) {
    METRICS.sessions.with_label_values::<&str>(&[]).set(i64::try_from(sessions).unwrap_or(i64::MAX));
}

/// What is asked of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Nothing changes.
    Read,
    /// Something may change.
    Write,
}

/// A question to the database that is being answered; its time is counted when this is dropped.
pub struct Question {
    histogram: &'static Histogram,
    started: Instant,
}

/// Begins to count the time of a question to the database.
pub fn database(operation: Operation) -> Question {
    let histogram = match operation {
        Operation::Read => &METRICS.reads,
        Operation::Write => &METRICS.writes,
    };
    Question { histogram, started: Instant::now() }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.histogram.observe(self.started.elapsed().as_secs_f64());
    }
}

/// Whether the database can be asked, and how many connections to it lie idle and how many work.
pub fn database_state(is_up: bool, idle: usize, busy: usize) {
    METRICS.up.with_label_values::<&str>(&[]).set(i64::from(is_up));
    for (state, connections) in [("idle", idle), ("busy", busy)] {
        METRICS.pool.with_label_values(&[state]).set(i64::try_from(connections).unwrap_or(i64::MAX));
    }
}

/// Counts a request to the provider that took so long; `is_error`: it brought no usable answer.
pub fn provider(name: &str, endpoint: &'static str, took: Duration, is_error: bool) {
    METRICS.provider.with_label_values(&[name, endpoint]).observe(took.as_secs_f64());
    let errors = METRICS.provider_errors.with_label_values(&[name, endpoint]);
    if is_error {
        errors.inc();
    }
}

/// When our own certificate ends, in seconds since 1970.
pub fn certificate_ends(at: i64) {
    METRICS.certificate.with_label_values::<&str>(&[]).set(seconds(at));
}

/// The configuration was taken over at this moment, in seconds since 1970.
pub fn reloaded(at: i64) {
    METRICS.reload.with_label_values::<&str>(&[]).set(seconds(at));
    METRICS.reloaded.with_label_values::<&str>(&[]).set(1);
}

/// The configuration was read and not taken over.
pub fn not_reloaded() {
    METRICS.reloaded.with_label_values::<&str>(&[]).set(0);
}

/// Exact until the year 285 million.
#[expect(clippy::cast_precision_loss, reason = "seconds of our times are far below 2^53")]
fn seconds(at: i64) -> f64 {
    at as f64
}
