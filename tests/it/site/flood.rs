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
pub const BEARABLE: Duration = Duration::from_secs(5);

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
    /// How often they were answered, each time with 200.
    pub answers: usize,
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

    /// A connection to it.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.site.port)).await.expect("it listens")
    }

    /// What somebody who is signed in hears while `flood` goes on, and what comes of that.
    pub async fn during<T>(&self, flood: impl Future<Output = T>) -> (T, Heard) {
        let witness = Witness::of(Arc::clone(&self.ada));
        let flooded = flood.await;
        let heard = witness.heard().await;
        assert!(heard.answers > 0, "nobody asked meanwhile");
        assert!(heard.slowest < BEARABLE, "{heard:?}\n{}", self.tail());
        (flooded, heard)
    }

    /// Waits until it holds no more than before the flood; descriptors and threads to the number, memory about.
    pub async fn until_quiet(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.holdings();
            let is_quiet = now.descriptors <= self.quiet.descriptors && now.threads <= self.quiet.threads;
            if is_quiet && now.resident_kib <= self.quiet.resident_kib + LEFT_KIB {
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
            let mut heard = Heard { answers: 0, slowest: Duration::ZERO };
            while !told.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let answer = browser.get("api/me").await;
                assert_eq!(answer.status, 200, "{answer:#?}");
                heard = Heard { answers: heard.answers + 1, slowest: heard.slowest.max(asked.elapsed()) };
                tokio::time::sleep(PAUSE).await;
            }
            heard
        });
        Self { stop, asking }
    }

    async fn heard(self) -> Heard {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.await.expect("who is signed in hears 200")
    }
}
