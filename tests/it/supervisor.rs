//! systemd, played by the test: what it is told, what it hands over.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use crate::site::binary::{PROVIDER_AWAY, command, configure};
use crate::site::program::{PATIENCE, PAUSE, Program, free_port};
use crate::site::tiers::Tier;
use crate::site::visitors::{Anonymous, Visitor};

/// Somebody who started `doorward` and listens to what it says of itself.
struct Systemd {
    socket: UnixDatagram,
    program: Program,
    _folder: TempDir,
}

impl Systemd {
    fn start(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        configure(folder.path(), &format!("server.listen = \"localhost:{port}\"\n{PROVIDER_AWAY}"));
        let place = folder.path().join("notify");
        let socket = UnixDatagram::bind(&place).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let mut command = command(folder.path());
        command.env("NOTIFY_SOCKET", &place).envs(variables.iter().copied());
        Self { socket, program: Program::start(&mut command), _folder: folder }
    }

    /// The next word.
    fn told(&self) -> String {
        let mut word = [0; 512];
        let length = self.socket.recv(&mut word);
        let length = length.unwrap_or_else(|error| panic!("nothing is told ({error}):\n{}", self.program.said()));
        String::from_utf8_lossy(&word[..length]).into_owned()
    }
}

#[test]
fn it_is_told_of_readiness_reading_again_and_the_end() {
    let mut systemd = Systemd::start(&[]);
    let ready = systemd.told();
    assert!(ready.lines().any(|line| line == "READY=1"), "{ready}");
    let mut before = 0;
    for _ in 0..2 {
        systemd.program.signal("HUP");
        let reloading = systemd.told();
        assert!(reloading.lines().any(|line| line == "RELOADING=1"), "{reloading}");
        let micros = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")?.parse::<u64>().ok());
        let micros = micros.unwrap_or_else(|| panic!("no time in {reloading}"));
        assert!(micros > before, "{micros} after {before}");
        before = micros;
        let ready = systemd.told();
        assert!(ready.lines().any(|line| line == "READY=1"), "{ready}");
    }
    systemd.program.signal("TERM");
    let stopping = systemd.told();
    assert!(stopping.lines().any(|line| line == "STOPPING=1"), "{stopping}");
    assert_eq!(systemd.program.wait().code(), Some(0), "{}", systemd.program.said());
}

#[test]
fn the_watchdog_is_fed_where_it_waits_for_us_and_only_there() {
    let systemd = Systemd::start(&[("WATCHDOG_USEC", "200000")]);
    let fed = (0..8).filter(|_| systemd.told() == "WATCHDOG=1").count();
    assert!(fed >= 6, "{fed}");
    // The variable may be meant for the parent that passed it on.
    let mut systemd = Systemd::start(&[("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")]);
    let ready = systemd.told();
    assert!(ready.contains("READY=1"), "{ready}");
    systemd.program.signal("TERM");
    let next = systemd.told();
    assert!(next.contains("STOPPING=1"), "{next}");
    assert_eq!(systemd.program.wait().code(), Some(0));
}

#[test]
fn an_end_that_takes_its_time_is_announced_at_its_beginning_and_the_watchdog_is_fed_meanwhile() {
    let mut systemd = Systemd::start(&[("WATCHDOG_USEC", "200000"), ("DOORWARD_SERVER__SHUTDOWN_DELAY", "3m")]);
    let until = |wanted: &str| loop {
        let told = systemd.told();
        if told.lines().any(|line| line == wanted) {
            return told;
        }
    };
    until("READY=1");
    systemd.program.signal("TERM");
    let stopping = until("STOPPING=1");
    // The delay, what is under way, and a little: TimeoutStopSec= knows of no delay.
    assert!(stopping.lines().any(|line| line == "EXTEND_TIMEOUT_USEC=210000000"), "{stopping}");
    let fed = (0..4).filter(|_| systemd.told() == "WATCHDOG=1").count();
    assert_eq!(fed, 4);
    systemd.program.signal("TERM");
    assert_eq!(systemd.program.wait().code(), Some(0));
}

#[test]
fn a_socket_that_has_gone_stops_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    configure(folder.path(), &format!("server.listen = \"localhost:{port}\"\n{PROVIDER_AWAY}"));
    let mut command = command(folder.path());
    let mut program = Program::start(command.env("NOTIFY_SOCKET", folder.path().join("nobody")));
    program.wait_for("its address", |line| line.contains("Doorward is at").then_some(()));
    assert_eq!(program.terminate().code(), Some(0), "{}", program.said());
}

/// Listens on a TCP port and on a socket file, as a socket unit would, and becomes `doorward` with both.
const HAND_OVER: &str = r#"
import os, socket, sys
tcp = socket.socket()
tcp.bind(("127.0.0.1", 0))
tcp.listen(16)
unix = socket.socket(socket.AF_UNIX)
unix.bind("metrics.sock")
unix.listen(16)
print("port", tcp.getsockname()[1], flush=True)
for place, one in enumerate((tcp, unix)):
    os.dup2(one.fileno(), 100 + place)
for place in range(2):
    os.dup2(100 + place, 3 + place, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="web:metrics")
os.execv(sys.argv[1], sys.argv[1:])
"#;

#[tokio::test]
async fn sockets_that_are_handed_over_are_served() {
    let Some(python) = Tier::PyJwt.here() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Nobody could listen there, and nobody has to.
    configure(
        folder.path(),
        &format!("server.listen = \"192.0.2.1:1\"\npublic_url = \"http://localhost:3000\"\n{PROVIDER_AWAY}"),
    );
    let mut command = Command::new(python);
    command.args(["-c", HAND_OVER, env!("CARGO_BIN_EXE_doorward")]).current_dir(folder.path()).env_clear();
    let mut program = Program::start(&mut command);
    let port = program.wait_for("the port", |line| line.strip_prefix("port ").map(str::to_owned));
    let browser = Anonymous::at(&format!("http://127.0.0.1:{port}"));
    assert_eq!(browser.get("/healthz").await.status, 200, "{}", program.said());
    let metrics = folder.path().join("metrics.sock");
    let told = scrape(&metrics);
    assert!(told.contains("doorward_http_requests_total{"), "{told}");
    assert_eq!(program.terminate().code(), Some(0), "{}", program.said());
    assert!(metrics.exists(), "the file is its maker's");
}

/// What is at `/metrics` behind a socket file.
fn scrape(file: &std::path::Path) -> String {
    use std::io::{Read, Write};
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut stream = std::os::unix::net::UnixStream::connect(file).expect("somebody listens");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n").expect("the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        if answer.contains("doorward_http_requests_total{") || Instant::now() > deadline {
            return answer;
        }
        std::thread::sleep(PAUSE);
    }
}
