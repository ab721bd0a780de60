//! The alert rules that go with Doorward, in a real Prometheus: loaded, and fired by real faults.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::site::binary::{Binary, PROVIDER_AWAY};
use crate::site::databases::Server;
use crate::site::program::{PAUSE, Program, free_port};
use crate::site::tiers::Tier;
use crate::site::visitors::{Anonymous, Visitor};

/// How long it may take until Prometheus has seen something: it looks every other second, and the machine is busy.
const NOTICED: Duration = Duration::from_secs(150);

fn rules() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/prometheus/alerts.yml")).expect("the rules")
}

/// The rules without the time that they wait before they fire.
fn impatient_rules() -> String {
    let impatient = |line: &str| match line.trim_start().strip_prefix("for: ") {
        Some(_) => format!("{}for: 0s", &line[..line.len() - line.trim_start().len()]),
        None => line.to_owned(),
    };
    rules().lines().map(impatient).collect::<Vec<_>>().join("\n")
}

/// A Prometheus that looks at one instance, several times a second.
struct Prometheus {
    program: Program,
    browser: Anonymous,
    _folder: TempDir,
}

impl Prometheus {
    fn watching(program: &str, target: u16) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let config = format!(
            "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms }}\n\
             rule_files: [alerts.yml]\n\
             scrape_configs:\n  - job_name: doorward\n    scrape_interval: 2s\n    scrape_timeout: 2s\n    \
             static_configs: [{{ targets: ['127.0.0.1:{target}'] }}]\n"
        );
        fs::write(folder.path().join("prometheus.yml"), config).expect("its configuration");
        fs::write(folder.path().join("alerts.yml"), impatient_rules()).expect("the rules");
        let program = Program::start(
            Command::new(program)
                .current_dir(folder.path())
                .arg("--config.file=prometheus.yml")
                .arg("--storage.tsdb.path=data")
                .arg(format!("--web.listen-address=127.0.0.1:{port}")),
        );
        Self { program, browser: Anonymous::at(&format!("http://127.0.0.1:{port}")), _folder: folder }
    }

    /// Waits until the alert of this name fires, or until it does not.
    async fn until(&self, alert: &str, fires: bool) {
        let deadline = Instant::now() + NOTICED;
        loop {
            let firing = if self.is_there() { self.firing().await } else { Vec::new() };
            if self.is_there() && firing.iter().any(|name| name == alert) == fires {
                return;
            }
            let said = if Instant::now() < deadline { String::new() } else { self.program.said() };
            assert!(Instant::now() < deadline, "{alert}, {fires} does not come, but {firing:?}:\n{said}");
            tokio::time::sleep(PAUSE * 5).await;
        }
    }

    fn is_there(&self) -> bool {
        self.program.said().contains("Server is ready to receive web requests")
    }

    async fn firing(&self) -> Vec<String> {
        let alerts = self.browser.get("/api/v1/alerts").await.json();
        let alerts = alerts["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let name = |alert: &Value| alert["labels"]["alertname"].as_str().expect("a name").to_owned();
        alerts.iter().filter(|alert| alert["state"] == "firing").map(name).collect()
    }
}

#[test]
fn every_rule_speaks_of_names_that_there_are() {
    let rules = rules();
    let names: Vec<&str> = rules
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("doorward_") || word.starts_with("process_"))
        .collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        let stem = name.strip_suffix("_bucket").unwrap_or(name);
        let is_ours = doorward::metrics::LIST.iter().any(|one| one.name == stem);
        assert!(is_ours || ["process_open_fds", "process_max_fds"].contains(&name), "{name}");
    }
}

#[tokio::test]
async fn what_is_told_passes_prometheus_own_check() {
    let Some(_) = Tier::Prometheus.here() else { return };
    let port = free_port();
    let site = Binary::serve(&format!("metrics.listen = \"127.0.0.1:{port}\"\n{PROVIDER_AWAY}"));
    Anonymous::at(&site.public_url).get("/api/me").await;
    let told = Anonymous::at(&format!("http://127.0.0.1:{port}")).get("/metrics").await.body;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool comes with Prometheus");
    promtool.stdin.take().expect("a pipe").write_all(told.as_bytes()).expect("it reads");
    let checked = promtool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&checked.stderr) + String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && said.trim().is_empty(), "{said}\n{told}");
}

#[tokio::test]
async fn real_faults_fire_them_and_mending_ends_them() {
    let Some(prometheus) = Tier::Prometheus.here() else { return };
    // A server of this test's own, which can be stopped.
    let Some(server) = Server::start() else { return };
    let port = free_port();
    let config = format!(
        "metrics.listen = \"127.0.0.1:{port}\"\ndatabase.url = \"{}doorward\"\n{PROVIDER_AWAY}",
        server.url().trim_end_matches("mysql")
    );
    let mut site = Binary::serve(&config);
    let prometheus = Prometheus::watching(&prometheus, port);
    prometheus.until("DoorwardDatabaseDown", false).await;
    server.signal("KILL");
    prometheus.until("DoorwardDatabaseDown", true).await;
    server.run();
    prometheus.until("DoorwardDatabaseDown", false).await;
    let file = site.folder.path().join("config.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    fs::write(&file, format!("sesions.idle = \"1d\"\n{text}")).expect("it is written");
    site.program.signal("HUP");
    prometheus.until("DoorwardReloadFailed", true).await;
    fs::write(&file, text).expect("it is written");
    site.program.signal("HUP");
    prometheus.until("DoorwardReloadFailed", false).await;
    site.program.signal("KILL");
    site.program.wait();
    prometheus.until("DoorwardDown", true).await;
}
