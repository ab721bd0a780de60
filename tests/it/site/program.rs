//! A program started for one test: its output is read line by line, it is waited for by what it says, and it is
//! ended by its own process id when the test is over.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything that a test waits for may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long to pause between two looks at something that does not announce itself.
pub const PAUSE: Duration = Duration::from_millis(20);

/// A running program.
pub struct Program {
    child: Child,
    output: Arc<Output>,
}

#[derive(Default)]
struct Output {
    lines: Mutex<Lines>,
    news: Condvar,
}

#[derive(Default)]
struct Lines {
    said: Vec<String>,
    streams_ended: usize,
}

impl Program {
    /// Starts `command`; its stdin stays open as long as the program is held.
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let output = Arc::new(Output::default());
        output.follow(child.stdout.take().expect("stdout is piped"));
        output.follow(child.stderr.take().expect("stderr is piped"));
        Self { child, output }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that `wanted` makes something of. Panics when the program ends first, or says nothing of the
    /// kind for [`PATIENCE`].
    pub fn wait_for<T>(&self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.output.lines.lock().expect("no reader panics");
        loop {
            if let Some(found) = lines.said.iter().find_map(|line| wanted(line)) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let ended = lines.streams_ended == 2;
            assert!(!ended && !left.is_zero(), "no {what} (ended: {ended}) in:\n{}", lines.said.join("\n"));
            lines = self.output.news.wait_timeout(lines, left).expect("no reader panics").0;
        }
    }

    /// All it has said so far, on both streams.
    pub fn said(&self) -> String {
        self.output.lines.lock().expect("no reader panics").said.join("\n")
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name} {}", self.id());
    }

    /// Has it stand still, and returns when nothing of it runs any more. `CONT` lets it go on.
    pub fn freeze(&self) {
        self.signal("STOP");
        wait_until_stopped(self.id());
    }

    /// Waits until it ends by itself, and until all it said was read: how it ended, and what it said.
    pub fn run_out(&mut self) -> (ExitStatus, String) {
        let status = self.wait();
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.output.lines.lock().expect("no reader panics");
        while lines.streams_ended < 2 && Instant::now() < deadline {
            lines = self.output.news.wait_timeout(lines, PAUSE).expect("no reader panics").0;
        }
        (status, lines.said.join("\n"))
    }

    /// Seconds of processor time that it has used (proc(5), `stat`).
    pub fn seconds_used(&self) -> f64 {
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("it runs");
        let after_name = stat.rsplit_once(')').expect("a name").1;
        let fields: Vec<f64> = after_name.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
        (fields[11] + fields[12]) / TICKS_PER_SECOND
    }

    /// A number of its `status` (proc(5)): `VmRSS` and `VmHWM` in KiB, `Threads`.
    pub fn status(&self, field: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {field} in {status}"))
    }

    /// How many descriptors it holds.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).expect("it runs").count()
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end:\n{}", self.id(), self.said());
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Whether it ended by itself is the test's question, not ours.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Output {
    fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let output = Arc::clone(self);
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                output.lines.lock().expect("no reader panics").said.push(line);
                output.news.notify_all();
            }
            output.lines.lock().expect("no reader panics").streams_ended += 1;
            output.news.notify_all();
        });
    }
}

/// Waits until every thread of a process that was sent `STOP` stands still.
pub fn wait_until_stopped(id: u32) {
    let is_stopped = || {
        let threads = fs::read_dir(format!("/proc/{id}/task")).expect("a process");
        threads.flatten().all(|thread| {
            let state = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            state.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
        })
    };
    let deadline = Instant::now() + PATIENCE;
    while !is_stopped() {
        assert!(Instant::now() < deadline, "process {id} does not stop");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A port of the loopback interface that nobody holds at the moment.
///
/// Not one of those that the system gives to outgoing connections: whoever tries again and again to reach such a port
/// before its server listens may be connected to themselves.
pub fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static TRIED: AtomicU32 = AtomicU32::new(0);
    loop {
        // Tests run in many processes at once: each begins elsewhere.
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        assert!(tried < COUNT, "no port is free");
        let port = FIRST + (std::process::id().wrapping_mul(61).wrapping_add(tried)) % COUNT;
        let port = u16::try_from(port).expect("below 32,768");
        let is_free = |address: IpAddr| match TcpListener::bind((address, port)) {
            Ok(_) => true,
            // A machine without IPv6 has nobody listening there either.
            Err(error) => error.kind() != ErrorKind::AddrInUse,
        };
        if is_free(Ipv4Addr::LOCALHOST.into()) && is_free(Ipv6Addr::LOCALHOST.into()) {
            return port;
        }
    }
}
