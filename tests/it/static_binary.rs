//! The executable that the README's build command makes: what it needs, how big it is, how soon it answers.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::site::binary::{self, PROVIDER_AWAY};
use crate::site::program::{Program, free_port};
use crate::site::tiers::Tier;
use crate::site::visitors::{Anonymous, Visitor};

const MEGABYTE: u64 = 1024 * 1024;

fn executable() -> Option<PathBuf> {
    Tier::StaticBinary.here().map(PathBuf::from)
}

/// A folder with nothing in it but the executable, a configuration and `/dev`, and the port that it names.
fn empty_root(executable: &Path) -> (tempfile::TempDir, u16) {
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir(root.path().join("dev")).expect("a folder");
    for (device, minor) in [("null", "3"), ("zero", "5"), ("random", "8"), ("urandom", "9")] {
        let made = Command::new("mknod").arg(root.path().join("dev").join(device)).args(["c", "1", minor]).status();
        assert!(made.is_ok_and(|made| made.success()), "only root can make /dev/{device}");
    }
    fs::copy(executable, root.path().join("doorward")).expect("the executable can be copied");
    let port = free_port();
    let config = format!(
        "public_url = \"http://localhost:{port}\"\nserver.listen = \"localhost:{port}\"\n{PROVIDER_AWAY}\
         [database]\nurl = \"sqlite:/doorward.db\"\n"
    );
    binary::configure(root.path(), &config);
    (root, port)
}

#[test]
fn it_asks_for_no_loader_and_is_small() {
    let Some(executable) = executable() else { return };
    let bytes = fs::read(&executable).expect("the executable");
    assert!(bytes.len() as u64 <= 20 * MEGABYTE, "{} bytes", bytes.len());
    // ELF-64: the program headers lie where byte 32 says, 56 bytes each; kind 3 names a dynamic loader.
    let number = |at: usize, length: usize| {
        bytes[at..at + length].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    assert_eq!(&bytes[..5], b"\x7fELF\x02");
    let (start, count) = (number(32, 8), number(56, 2));
    let kinds: Vec<_> = (0..count).map(|index| number(start + 56 * index, 4)).collect();
    assert!(kinds.contains(&1) && !kinds.contains(&3), "{kinds:?}");
}

#[tokio::test]
async fn it_serves_in_an_empty_root_soon_and_in_little_memory() {
    let Some(executable) = executable() else { return };
    let (root, port) = empty_root(&executable);
    let begun = Instant::now();
    let mut command = Command::new("/usr/sbin/chroot");
    command
        .arg(root.path())
        .args(["/doorward", "--config", "/config.toml"])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin");
    let mut program = Program::start(&mut command);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        let ended = program.has_ended();
        assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(30), "{ended:?}\n{}", program.said());
        thread::sleep(Duration::from_millis(2));
    }
    let ready = begun.elapsed();
    let browser = Anonymous::at(&format!("http://localhost:{port}"));
    assert_eq!(browser.get("readyz").await.status, 200, "{}", program.said());
    assert!(browser.visit("").await.body.contains("Login to continue"));
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).expect("the process runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory is told");
    let resident: u64 = resident.trim().trim_end_matches(" kB").parse().expect("a number");
    let megabytes = fs::metadata(&executable).expect("the executable").len() as f64 / MEGABYTE as f64;
    #[expect(clippy::print_stderr, reason = "the promises are numbers, and somebody wants to know them")]
    {
        eprintln!("{megabytes:.1} MB, ready after {} ms, {resident} kB resident", ready.as_millis());
    }
    assert!(resident * 1024 <= 25 * MEGABYTE, "{resident} kB resident");
    // The promise is 100 ms; other tests run beside this one.
    assert!(ready < Duration::from_secs(1), "ready after {ready:?}");
    assert_eq!(program.terminate().code(), Some(0), "{}", program.said());
}
