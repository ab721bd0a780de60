//! A real process with somebody signed in, who goes on asking while a test floods it: what others notice, and what stays
//! behind in the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use doorward::demo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::site::binary::Binary;
use crate::site::demo::provider;
use crate::site::program::{PATIENCE, PAUSE, Program, free_port};
use crate::site::visitors::{Anonymous, Visitor};

/// How long whoever is signed in may wait for an answer while others flood us: a build without optimisation, on a machine
/// that other tests use too, which makes the flood as well.
const BEARABLE: Duration = Duration::from_secs(10);

/// What memory may have grown by once a flood is over. Allocators keep some of what they were given.
const LEFT_KIB: usize = 32 * 1024;

/// The process, and somebody who is signed in to it.
pub struct Flooded {
    /// The process.
    pub site: Binary,
    /// Their browser.
    pub ada: Arc<Anonymous>,
    /// Where they came from.
    _provider: demo::Provider,
    quiet: Holdings,
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub struct Holdings {
    /// Files and sockets.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Memory that is resident.
    pub resident_kib: usize,
}

impl Holdings {
    /// What `program` holds now.
    pub fn of(program: &Program) -> Self {
        let (descriptors, threads) = (program.descriptors(), program.status("Threads"));
        Self { descriptors, threads, resident_kib: program.status("VmRSS") }
    }
}

/// What somebody signed in heard during a flood.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// How often they were answered with 200.
    pub answers: usize,
    /// How often they were told to come again: 503 with `Retry-After`. Never anything else.
    pub later: usize,
    /// The longest they waited.
    pub slowest: Duration,
}

impl Flooded {
    /// Starts with `rest` for a configuration beside that of the provider.
    pub async fn start(rest: &str) -> Self {
        let port = free_port();
        let (provider, config) = provider(port);
        Self::around(Binary::serve_on(port, &format!("{config}{rest}")), provider).await
    }

    /// The same around a process that `site` is, whose provider is `provider`.
    pub async fn around(site: Binary, provider: demo::Provider) -> Self {
        let ada = Arc::new(Anonymous::at(&site.public_url));
        let profile = ada.follow_as("ada").await;
        assert_eq!(profile.status, 200, "{profile:#?}\n{}", site.program.said());
        let quiet = Holdings { descriptors: 0, threads: 0, resident_kib: 0 };
        let mut flooded = Self { site, ada, _provider: provider, quiet };
        flooded.quiet = flooded.holdings();
        flooded
    }

    /// What it holds now.
    pub fn holdings(&self) -> Holdings {
        Holdings::of(&self.site.program)
    }

    /// Says what was seen; whoever runs the test alone is shown it.
    pub fn tell(&self, what: &str, heard: Heard) {
        let (now, most) = (self.holdings(), self.site.program.status("VmHWM"));
        #[expect(clippy::print_stderr, reason = "docs/reliability.md gives these numbers")]
        {
            eprintln!("{what}: {heard:?}, {:?} before, {now:?} now, {most} KiB at the most", self.quiet);
        }
    }

    /// That memory never grew by more than so much since the beginning.
    pub fn grew_by_at_most(&self, kib: usize) {
        let grown = self.site.program.status("VmHWM").saturating_sub(self.quiet.resident_kib);
        assert!(grown <= kib, "{grown} KiB more than before the flood");
    }

    /// A connection to it.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.site.port)).await.expect("it listens")
    }

    /// What somebody who is signed in hears while `flood` goes on, and what comes of that.
    pub async fn during<T>(&self, flood: impl Future<Output = T>) -> (T, Heard) {
        let witness = Witness::of(Arc::clone(&self.ada));
        let flooded = flood.await;
        let heard = witness.heard().await;
        assert!(heard.answers > heard.later && heard.slowest < BEARABLE, "{heard:?}\n{}", self.tail());
        (flooded, heard)
    }

    /// Waits until it holds no more than before the flood; descriptors and threads to the number, memory about.
    pub async fn until_quiet(&self) {
        self.until(|now| now.resident_kib <= self.quiet.resident_kib + LEFT_KIB).await;
    }

    /// That a `flood` leaves no descriptor and no thread behind; and no memory: after a few of the same one more can use
    /// what those before it did. An allocator need not give back to the system what is free, and finds its pieces only with
    /// time.
    pub async fn bears_repeatedly<F: Future<Output = ()>>(&self, flood: impl Fn() -> F) {
        let mut most = Vec::new();
        for round in 0..5 {
            flood().await;
            self.until(|_| true).await;
            most.push(self.site.program.status("VmHWM"));
            if round > 0 && most[round] <= most[round - 1] + LEFT_KIB {
                return;
            }
        }
        panic!("{most:?} KiB at the most, after one and after each further one");
    }

    async fn until(&self, is_small: impl Fn(Holdings) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.holdings();
            let is_over = now.descriptors <= self.quiet.descriptors && now.threads <= self.quiet.threads;
            if is_over && is_small(now) {
                return;
            }
            assert!(Instant::now() < deadline, "{:?} before, {now:?} now\n{}", self.quiet, self.tail());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The last that it said.
    fn tail(&self) -> String {
        let said = self.site.program.said();
        let lines: Vec<&str> = said.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// Somebody signed in who asks again and again, on a connection of its own each time.
struct Witness {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Heard>,
}

impl Witness {
    fn of(browser: Arc<Anonymous>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let asking = tokio::spawn(async move {
            let mut heard = Heard { answers: 0, later: 0, slowest: Duration::ZERO };
            loop {
                let asked = Instant::now();
                let answer = browser.get("api/me").await;
                match answer.status {
                    200 => heard.answers += 1,
                    503 if !answer.header("retry-after").is_empty() => heard.later += 1,
                    _ => panic!("{answer:#?}"),
                }
                heard.slowest = heard.slowest.max(asked.elapsed());
                if told.load(Ordering::Relaxed) {
                    return heard;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { stop, asking }
    }

    async fn heard(self) -> Heard {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.await.expect("who is signed in hears nothing else")
    }
}
