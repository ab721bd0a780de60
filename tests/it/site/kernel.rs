//! Faults that only the kernel makes, and only for root: packets that vanish, a disk that is full, a call that fails.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::site::program::{PATIENCE, PAUSE};
use crate::site::tiers::Tier;

/// Runs a command that must succeed.
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

/// A second machine, as far as the network is concerned: a network of its own at the other end of a cable.
pub struct Network {
    /// What commands call it.
    pub name: String,
    /// The other machine's address.
    pub address: String,
}

impl Network {
    /// Lays the cable. `None`: this machine may not, which was said aloud.
    pub fn lay() -> Option<Self> {
        Tier::Kernel.here()?;
        let id = std::process::id();
        let (name, cable) = (format!("doorward-{id}"), format!("doorward{}", id % 1_000_000));
        // Each process of tests has four addresses of its own in a corner that nobody routes.
        let subnet = format!("10.213.{}", (id >> 6) & 0xff);
        let first = (id & 0x3f) * 4;
        let (here, there) = (format!("{subnet}.{}", first + 1), format!("{subnet}.{}", first + 2));
        run("ip", &["netns", "add", &name]);
        let network = Self { name: name.clone(), address: there.clone() };
        run("ip", &["link", "add", &cable, "type", "veth", "peer", "name", "cable", "netns", &name]);
        run("ip", &["addr", "add", &format!("{here}/30"), "dev", &cable]);
        run("ip", &["link", "set", &cable, "up"]);
        network.inside(&["ip", "addr", "add", &format!("{there}/30"), "dev", "cable"]);
        network.inside(&["ip", "link", "set", "cable", "up"]);
        network.inside(&["ip", "link", "set", "lo", "up"]);
        Some(network)
    }

    /// The other machine's kernel drops every TCP packet that arrives, and tells nobody.
    pub fn swallow(&self) {
        let rules =
            "table inet silence { chain arrivals { type filter hook input priority 0; meta l4proto tcp drop; }; }";
        self.inside(&["nft", rules]);
    }

    /// Packets arrive again.
    pub fn deliver(&self) {
        self.inside(&["nft", "delete table inet silence"]);
    }

    fn inside(&self, command: &[&str]) {
        run("ip", &[&["netns", "exec", self.name.as_str()][..], command].concat());
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Its end of the cable goes with it, and ours with that.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

/// A disk of so many KiB.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one. `None`: this machine may not, which was said aloud.
    pub fn of(kib: u32) -> Option<Self> {
        Tier::Kernel.here()?;
        let folder = tempfile::Builder::new().prefix("doorward-disk-").tempdir().expect("a folder");
        let path = folder.path().display().to_string();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={kib}k,mode=0755"), "doorward-test", &path]);
        Some(Self { folder })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filler()).expect("a file");
        while file.write(&[0; 4096]).is_ok() {}
    }

    /// Gives that room back.
    pub fn make_room(&self) {
        fs::remove_file(self.filler()).expect("what was filled");
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still has a file open there keeps the disk until they end.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// A process some of whose calls fail, as `strace` makes them.
pub struct FailingCalls {
    tracer: Child,
}

impl FailingCalls {
    /// From now on `calls` of the process, separated by commas, fail with `error`. `None`: this machine may not, which
    /// was said aloud.
    pub fn of(process: u32, calls: &str, error: &str) -> Option<Self> {
        Tier::Kernel.here()?;
        let (traced, injected) = (format!("trace={calls}"), format!("inject={calls}:error={error}"));
        let tracer = Command::new("strace")
            .args(["-f", "-q", "-o", "/dev/null", "-e", &traced, "-e", &injected, "-p", &process.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace");
        let deadline = Instant::now() + PATIENCE;
        while !is_traced(process) {
            assert!(Instant::now() < deadline, "strace does not take hold");
            std::thread::sleep(PAUSE);
        }
        Some(Self { tracer })
    }

    /// They succeed again.
    pub fn end(mut self) {
        // Killed outright, it would leave threads of the process stopped for good.
        run("kill", &["-s", "TERM", &self.tracer.id().to_string()]);
        self.tracer.wait().expect("a child of ours");
    }
}

impl Drop for FailingCalls {
    fn drop(&mut self) {
        if matches!(self.tracer.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-s", "TERM", &self.tracer.id().to_string()]).status();
            let _ = self.tracer.wait();
        }
    }
}

/// Whether somebody holds every thread of the process.
fn is_traced(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("a process");
    threads.flatten().all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
    })
}
