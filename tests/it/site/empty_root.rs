//! A root directory that holds the static binary, three devices, `/etc/resolv.conf` and a folder to write to, and
//! nothing else: no C library, no `/etc/passwd`, no `/proc`, no `/tmp`.
//!
//! The binary runs there as a user without a name, and as the first process of a process namespace, as it does in a
//! container.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use crate::site::program::{PATIENCE, PAUSE, Program};

/// Owns nothing else on any machine.
const NOBODYS_ID: u32 = 65532;

/// The devices, with their minor numbers: all are of the memory driver.
const DEVICES: [(&str, &str); 3] = [("null", "3"), ("random", "8"), ("urandom", "9")];

/// The root directory. It is removed when it is dropped.
pub struct EmptyRoot {
    folder: TempDir,
}

impl EmptyRoot {
    /// A root for `binary`, whose names are asked of `name_server`.
    pub fn around(binary: &str, name_server: Ipv4Addr) -> Self {
        // Below `target`: where temporary files lie, devices are often forbidden.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let root = Self { folder };
        for name in ["dev", "etc", "data"] {
            fs::create_dir(root.path(name)).expect("a folder");
        }
        for (name, minor) in DEVICES {
            let device = root.path("dev").join(name);
            let made = Command::new("mknod").arg(&device).args(["c", "1", minor]).status();
            assert!(made.is_ok_and(|status| status.success()), "{} cannot be made", device.display());
            fs::set_permissions(&device, fs::Permissions::from_mode(0o666)).expect("its mode");
        }
        fs::write(root.path("etc/resolv.conf"), format!("nameserver {name_server}\n")).expect("a file");
        fs::copy(binary, root.path("doorward")).expect("the binary");
        fs::set_permissions(root.folder.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        chown(root.path("data"), Some(NOBODYS_ID), Some(NOBODYS_ID)).expect("only root gives away");
        root
    }

    /// Writes a file into the folder that the binary runs in.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.path("data").join(name);
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
        chown(&file, Some(NOBODYS_ID), Some(NOBODYS_ID)).expect("only root gives away");
    }

    /// A place inside, seen from outside.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// Starts the binary inside, in `/data` and with an empty environment.
    pub fn start(&self, arguments: &[&str]) -> Inside {
        let mut command = Command::new("unshare");
        command.env_clear().args(["--pid", "--fork", "--kill-child"]);
        command.arg(format!("--root={}", self.folder.path().display())).arg("--wd=/data");
        command.arg(format!("--setgid={NOBODYS_ID}")).arg(format!("--setuid={NOBODYS_ID}"));
        Inside { program: Program::start(command.arg("/doorward").args(arguments)) }
    }
}

/// The binary at work inside.
pub struct Inside {
    /// The process that put it there and waits for its end.
    pub program: Program,
}

impl Inside {
    /// Its process id, seen from outside; inside it is 1.
    pub fn id(&self) -> u32 {
        let parent = self.program.id();
        let children = format!("/proc/{parent}/task/{parent}/children");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let children = fs::read_to_string(&children).expect("proc(5)");
            if let Some(child) = children.split_whitespace().next() {
                return child.parse().expect("a process id");
            }
            assert!(Instant::now() < deadline, "it was not started:\n{}", self.program.said());
            std::thread::sleep(PAUSE);
        }
    }

    /// Asks it to end (SIGTERM). Its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let status = Command::new("kill").arg("-TERM").arg(self.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "it had ended:\n{}", self.program.said());
        self.program.wait().code()
    }

    /// A line of its `/proc/…/status`, in KiB.
    pub fn status_kib(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("proc(5)");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect(field);
        line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().expect("a number")
    }
}
