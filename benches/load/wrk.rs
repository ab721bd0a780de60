//! `wrk`, told to ask for many sessions in turn: with one session alone every question would be the same.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::database::HANDLE;

/// What one run found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measure {
    /// Answers of 2xx and 3xx a second.
    pub per_second: f64,
    /// All answers.
    pub answers: f64,
    /// Answers of 4xx and 5xx.
    pub refused: f64,
    /// Connections, reads and writes that failed or took too long.
    pub failed: f64,
    /// Latency in milliseconds, half of the requests.
    pub median_ms: f64,
    /// Latency in milliseconds, 99 of 100 requests.
    pub p99_ms: f64,
}

/// A door and what else a question at it says, as a table of Lua's.
pub type Door = (&'static str, &'static str);

/// The visitor as JSON.
pub const ME: Door = ("/api/me", "");

/// A proxy asks for an app behind it.
pub const GATE: Door = (
    "/gate",
    r#"["X-Forwarded-Proto"] = "http", ["X-Forwarded-Host"] = "app.example.com", ["X-Forwarded-Uri"] = "/reports", ["X-Forwarded-Method"] = "GET", "#,
);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Questions<'a> {
    /// Where.
    pub door: Door,
    /// The port of the subject.
    pub port: u16,
    /// The session cookie's name.
    pub cookie: &'a str,
    /// How many sessions there are to ask for.
    pub sessions: u64,
}

/// Asks over `connections` for `seconds`.
pub fn run(questions: Questions<'_>, connections: usize, seconds: u64) -> Measure {
    let folder = TempDir::new().expect("a temporary folder");
    let script = folder.path().join("checks.lua");
    fs::write(&script, lua(questions)).expect("the script");
    let output = Command::new("wrk")
        .args(["-t1", "--timeout", "10s"])
        .arg(format!("-c{connections}"))
        .arg(format!("-d{seconds}s"))
        .arg("-s")
        .arg(&script)
        .arg(format!("http://127.0.0.1:{}{}", questions.port, questions.door.0))
        .output()
        .expect("wrk, the Debian package of that name");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("FOUND ")).unwrap_or_else(|| panic!("{output:?}"));
    let figures: Vec<f64> = line.split(' ').map(|figure| figure.parse().expect("a number")).collect();
    let [answers, micros, refused, failed, median, p99] = figures[..] else { panic!("{line}") };
    Measure {
        per_second: (answers - refused) / (micros / 1e6),
        answers,
        refused,
        failed,
        median_ms: median / 1e3,
        p99_ms: p99 / 1e3,
    }
}

fn lua(Questions { door: (_, headers), cookie, sessions, .. }: Questions<'_>) -> String {
    let asked = sessions.min(100_000);
    format!(
        r#"
local requests, at = {{}}, 0
function init(args)
    math.randomseed(os.time())
    for i = 1, {asked} do
        local n = {sessions} <= {asked} and i or math.random({sessions})
        requests[i] = wrk.format("GET", nil, {{ {headers}Cookie = "{cookie}={HANDLE}" .. string.format("%035d", n) }})
    end
    for i = {asked}, 2, -1 do
        local j = math.random(i)
        requests[i], requests[j] = requests[j], requests[i]
    end
end
function request()
    at = at % {asked} + 1
    return requests[at]
end
function done(summary, latency)
    local e = summary.errors
    io.write(string.format("FOUND %d %d %d %d %d %d\n", summary.requests, summary.duration, e.status,
        e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
"#
    )
}
