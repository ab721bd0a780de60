//! The real binary as a child process: what a person starts, with a configuration of the test's own and nothing of
//! this machine's environment.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use crate::site::program::{PATIENCE, PAUSE, Program, free_port};

/// A provider that is not there, for what needs none to answer.
pub const PROVIDER_AWAY: &str = r#"
[providers.away]
issuer = "http://127.0.0.1:9"
client_id = "client"
client_secret = "secret"
"#;

/// A running `doorward`.
pub struct Binary {
    /// What browsers type, without a slash at the end.
    pub public_url: String,
    /// Where it listens.
    pub port: u16,
    /// The process.
    pub program: Program,
    /// Where it runs: its configuration and its database lie here.
    pub folder: TempDir,
}

impl Binary {
    /// Writes `rest` below a `public_url` and a `listen` on a free port, starts `doorward`, and waits until it answers.
    pub fn serve(rest: &str) -> Self {
        Self::serve_on(free_port(), rest)
    }

    /// As [`Binary::serve`], on a port that others were told beforehand.
    pub fn serve_on(port: u16, rest: &str) -> Self {
        Self::start(format!("http://localhost:{port}"), port, rest, |_| ())
    }

    /// As [`Binary::serve_on`], with files that `prepare` lays into the folder.
    pub fn serve_with(port: u16, rest: &str, prepare: impl FnOnce(&Path)) -> Self {
        Self::start(format!("http://localhost:{port}"), port, rest, prepare)
    }

    /// As [`Binary::serve_on`], by a shell that first does `limits`.
    pub fn serve_within(limits: &str, port: u16, rest: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let public_url = format!("http://localhost:{port}");
        configure(
            folder.path(),
            &format!("public_url = \"{public_url}\"\nserver.listen = \"localhost:{port}\"\n{rest}"),
        );
        let mut command = Command::new("/bin/sh");
        let script = format!("{limits}; exec \"$0\" --config config.toml");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_doorward")]).current_dir(folder.path()).env_clear();
        let mut binary = Self { public_url, port, program: Program::start(&mut command), folder };
        binary.wait_until_listening();
        binary
    }

    /// As [`Binary::serve_on`], on https with a certificate that `rest` names and that `prepare` may lay into the folder.
    pub fn serve_https(port: u16, rest: &str, prepare: impl FnOnce(&Path)) -> Self {
        Self::start(format!("https://localhost:{port}"), port, rest, prepare)
    }

    /// A site behind a proxy on the port `proxy`, which passes what lies below `path` on.
    pub fn below(path: &str, proxy: u16, rest: &str) -> Self {
        Self::start(format!("http://localhost:{proxy}{path}"), free_port(), rest, |_| ())
    }

    /// A site that browsers reach at `public_url` by way of a proxy.
    pub fn behind(public_url: &str, rest: &str) -> Self {
        Self::start(public_url.to_owned(), free_port(), rest, |_| ())
    }

    fn start(public_url: String, port: u16, rest: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = format!("public_url = \"{public_url}\"\nserver.listen = \"localhost:{port}\"\n{rest}");
        configure(folder.path(), &config);
        prepare(folder.path());
        let program = Program::start(command(folder.path()).arg("--config").arg("config.toml"));
        let mut binary = Self { public_url, port, program, folder };
        binary.wait_until_listening();
        binary
    }

    fn wait_until_listening(&mut self) {
        let port = self.port;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = self.program.has_ended();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "nobody listens ({ended:?}):\n{}",
                self.program.said()
            );
            thread::sleep(PAUSE);
        }
    }

    /// Starts it again where it was, after it has ended.
    pub fn start_again(&mut self) {
        self.program = Program::start(command(self.folder.path()).arg("--config").arg("config.toml"));
        self.wait_until_listening();
    }

    /// Runs a further command with the same configuration beside the one that serves.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(command(self.folder.path()).args(["--config", "config.toml"]).args(arguments))
    }
}

/// Writes the `config.toml` of `folder`, for nobody else to read.
pub fn configure(folder: &Path, config: &str) {
    let file = folder.join("config.toml");
    fs::write(&file, config).expect("the configuration");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
}

/// What a command left.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; -1 where a signal ended it.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl Ran {
    /// stdout as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self:#?}"))
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("what is printed is UTF-8");
    Ran { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

/// `doorward` in `folder`, with an empty environment: the one that was built beside the tests, or the one that
/// `DOORWARD_TEST_EXECUTABLE` names.
pub fn command(folder: &Path) -> Command {
    let executable = env::var_os("DOORWARD_TEST_EXECUTABLE").unwrap_or_else(|| env!("CARGO_BIN_EXE_doorward").into());
    let mut command = Command::new(executable);
    command.current_dir(folder).env_clear();
    command
}
