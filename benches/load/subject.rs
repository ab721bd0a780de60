//! What is measured: a Doorward, or the bare handler; a process of its own that ends with the value.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::bare;
use crate::database::HANDLE;
use crate::process;
use crate::site::binary::{PROVIDER_AWAY, configure};
use crate::site::program::free_port;
use crate::wrk::{self, Questions};

/// A process that answers `/api/me`.
pub struct Subject {
    /// What the report calls it.
    pub name: String,
    /// Where it listens.
    pub port: u16,
    /// How long it took from its start to the first 200 of `/readyz`; for the bare handler, to the first connection.
    pub started_in: Duration,
    /// The name of the session's cookie.
    pub cookie: String,
    child: Child,
    folder: TempDir,
}

impl Subject {
    /// `binary` on the database at `url`, with further lines of configuration and its log in a file.
    pub fn doorward(binary: &Path, url: &str, config: &str) -> Self {
        Self::doorward_with(binary, url, &format!("{config}\n{PROVIDER_AWAY}"))
    }

    /// The same with a provider of the caller's.
    pub fn doorward_with(binary: &Path, url: &str, config: &str) -> Self {
        let (port, folder) = (free_port(), TempDir::new().expect("a temporary folder"));
        let lines = format!(
            "public_url = \"http://localhost:{port}\"\nserver.listen = \"127.0.0.1:{port}\"\ndatabase.url = \"{url}\"\n{config}"
        );
        configure(folder.path(), &lines);
        let log = File::create(folder.path().join("log")).expect("a log");
        let mut command = Command::new(binary);
        command.args(["--config", "config.toml"]).current_dir(folder.path()).env_clear().stderr(log);
        let name = binary.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let cookie = format!("doorward_{port}");
        let mut subject = Self { name, port, started_in: Duration::ZERO, cookie, child: start(command), folder };
        subject.wait("/readyz", "200 ");
        subject
    }

    /// The bare handler that repeats `answer`.
    pub fn bare(answer: &[u8]) -> Self {
        let (port, folder) = (free_port(), TempDir::new().expect("a temporary folder"));
        let file = folder.path().join("answer");
        fs::write(&file, answer).expect("the answer");
        let mut command = Command::new(bare_program());
        command.arg(bare::ARGUMENT).arg(port.to_string()).arg(&file);
        let (name, cookie) = ("bare poem".to_owned(), format!("doorward_{port}"));
        let mut subject = Self { name, port, started_in: Duration::ZERO, cookie, child: start(command), folder };
        subject.wait("/api/me", "200 ");
        subject
    }

    fn wait(&mut self, path: &str, status: &str) {
        let begun = Instant::now();
        while !self.try_get(path, "").is_some_and(|answer| answer.starts_with(format!("HTTP/1.1 {status}").as_bytes()))
        {
            let ended = self.child.try_wait().expect("a child");
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(120), "{ended:?} {}", log());
            std::thread::sleep(Duration::from_micros(500));
        }
        self.started_in = begun.elapsed();
    }

    /// The whole answer to a GET, `None` where there is none.
    pub fn try_get(&self, path: &str, headers: &str) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        let host = format!("Host: localhost:{}\r\nConnection: close", self.port);
        write!(stream, "GET {path} HTTP/1.1\r\n{host}\r\n{headers}\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(answer)
    }

    /// What it says to the session with this number, as it would say it on a connection that stays.
    pub fn answer(&self, number: u64) -> Vec<u8> {
        let cookie = format!("Cookie: {}={HANDLE}{number:035}\r\n", self.cookie);
        let answer = self.try_get("/api/me", &cookie).expect("an answer");
        let text = String::from_utf8(answer).expect("text");
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        text.replace("connection: close\r\n", "").into_bytes()
    }

    /// What wrk asks it for.
    pub fn questions(&self, sessions: u64) -> Questions<'_> {
        Questions { door: wrk::ME, port: self.port, cookie: &self.cookie, sessions }
    }

    /// CPU seconds so far.
    pub fn cpu_seconds(&self) -> f64 {
        process::cpu_seconds(self.child.id())
    }

    /// Resident memory in MiB: now, and at its highest.
    pub fn resident_mib(&self) -> (f64, f64) {
        process::resident_mib(self.child.id())
    }

    /// Empties the log, which would fill the disk.
    pub fn forget_log(&self) {
        let _ = fs::write(self.folder.path().join("log"), "");
    }
}

/// This program, unless `DOORWARD_BENCH_BARE` names another build of it: one for debugging is no measure of anything.
#[expect(clippy::disallowed_methods, reason = "whoever measures says what")]
fn bare_program() -> PathBuf {
    let named = std::env::var("DOORWARD_BENCH_BARE").ok().filter(|path| !path.is_empty());
    named.map_or_else(|| std::env::current_exe().expect("this program"), PathBuf::from)
}

fn start(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the program")
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
