//! What is handed out: the same bytes from the same commit, and a Debian package that leaves nothing behind.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use crate::site::binary::{Ran, run};
use crate::site::demo::provider;
use crate::site::program::{PATIENCE, PAUSE, Program, free_port};
use crate::site::tiers::Tier;
use crate::site::visitors::Anonymous;

/// Packs `binary` into a fresh folder.
fn package(binary: &Path, umask: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = format!("umask {umask} && assets/package --target \"$TARGET\" --binary \"$BINARY\" \"$FOLDER\"");
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env("TARGET", format!("{}-unknown-linux-gnu", std::env::consts::ARCH));
    command.env("BINARY", binary).env("FOLDER", folder.path()).env("DPKG_DEB_FLAGS", "-Zgzip -z1");
    let ran = run(&mut command);
    assert_eq!(ran.code, 0, "{ran:#?}");
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().expect("a name")).collect();
    names.sort();
    names
}

#[test]
fn the_same_commit_makes_the_same_bytes() {
    // Whether the compiler does is another matter: here it is about what is packed around its work.
    let (one, other) = (package(Path::new("/bin/true"), "022"), package(Path::new("/bin/true"), "077"));
    let made = names(one.path());
    assert!(
        made.iter().any(|name| name.ends_with(".tar.gz")) && made.iter().any(|name| name.ends_with(".deb")),
        "{made:?}"
    );
    assert_eq!(made, names(other.path()));
    for name in &made {
        let read = |folder: &TempDir| fs::read(folder.path().join(name)).expect("a file");
        assert!(read(&one) == read(&other), "{name} differs");
    }
    let deb = made.iter().find(|name| name.ends_with(".deb")).expect("a Debian package");
    let maintainer = run(Command::new("dpkg-deb").arg("-f").arg(one.path().join(deb)).arg("Maintainer"));
    assert_eq!(maintainer.stdout.trim(), env!("CARGO_PKG_AUTHORS"), "{maintainer:#?}");
    let check = "sha256sum --check --strict SHA256SUMS-*";
    let checked = run(Command::new("bash").args(["-c", check]).current_dir(one.path()));
    assert_eq!(checked.code, 0, "{checked:#?}");
}

/// A Debian system that holds what its installation begins with and nothing else.
struct Tree {
    folder: TempDir,
}

impl Tree {
    fn fresh() -> Option<Self> {
        let pristine = Tier::Debian.here()?;
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        let copied =
            Command::new("cp").args(["-a", "--reflink=auto"]).arg(format!("{pristine}/.")).arg(folder.path()).status();
        assert!(copied.is_ok_and(|status| status.success()), "the tree cannot be copied");
        Some(Self { folder })
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside.trim_start_matches('/'))
    }

    fn command(&self, who: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.args(who).arg(self.folder.path()).args(arguments);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        run(&mut self.command(&[], arguments))
    }

    /// Every path that bears our name, what dpkg remembers of us left out.
    fn traces(&self) -> Vec<String> {
        let find =
            "find . -xdev -path ./proc -prune -o -path ./var/lib/dpkg -prune -o -name '*doorward*' -print | sort";
        let found = run(Command::new("bash").args(["-c", find]).current_dir(self.folder.path()));
        found.stdout.lines().map(str::to_owned).collect()
    }
}

/// The binary without what only a debugger reads.
fn stripped(folder: &Path) -> PathBuf {
    let file = folder.join("doorward");
    let done = Command::new("strip").arg("-o").arg(&file).arg(env!("CARGO_BIN_EXE_doorward")).status();
    assert!(done.is_ok_and(|status| status.success()), "strip is missing");
    file
}

#[tokio::test]
async fn a_person_signs_in_on_a_fresh_debian_and_a_purge_leaves_nothing() {
    let Some(tree) = Tree::fresh() else { return };
    assert_eq!(tree.traces(), Vec::<String>::new());
    let work = tempfile::tempdir().expect("a temporary folder");
    let made = package(&stripped(work.path()), "022");
    let deb = names(made.path()).into_iter().find(|name| name.ends_with(".deb")).expect("a package");
    fs::copy(made.path().join(&deb), tree.path("package.deb")).expect("the package");
    let installed = tree.run(&["dpkg", "--install", "/package.deb"]);
    assert_eq!(installed.code, 0, "{installed:#?}");
    assert!(installed.stdout.contains("not yet configured"), "{installed:#?}");
    fs::remove_file(tree.path("package.deb")).expect("it is not needed any more");
    for file in [
        "/usr/share/man/man1/doorward-users-list.1.gz",
        "/usr/share/bash-completion/completions/doorward",
        "/usr/share/doc/doorward/config.toml.example",
        "/usr/lib/systemd/system/doorward.socket",
    ] {
        assert!(tree.path(file).is_file(), "{file} is missing");
    }
    // What systemd would run, as whom.
    let unit = fs::read_to_string(tree.path("/usr/lib/systemd/system/doorward.service")).expect("the unit");
    let says = |key: &str| {
        let value = unit.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no {key}"));
        value.to_owned()
    };
    let start = says("ExecStart=");
    let start: Vec<&str> = start.split(' ').collect();
    let account = format!("--userspec={}:{}", says("User="), says("Group="));
    let port = free_port();
    let (_provider, config) = provider(port);
    let config = format!(
        "public_url = \"http://localhost:{port}\"\nserver.listen = \"localhost:{port}\"\n\
         database.url = \"sqlite:/var/lib/doorward/doorward.db\"\n{config}"
    );
    let file = tree.path("/etc/doorward/config.toml");
    fs::write(&file, config).expect("the configuration");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("its mode");
    let group = tree.run(&["getent", "group", "doorward"]).stdout;
    let group = group.split(':').nth(2).and_then(|id| id.parse().ok()).expect("the account has a group");
    chown(&file, Some(0), Some(group)).expect("only root gives away");
    let mut doorward = Program::start(&mut tree.command(&[&account], &start));
    let ada = Anonymous::at(&format!("http://localhost:{port}"));
    until_listening(port, &mut doorward);
    let profile = ada.follow_as("ada").await;
    assert!(profile.body.contains("ada@example.com"), "{profile:#?}\n{}", doorward.said());
    assert_eq!(doorward.terminate().code(), Some(0), "{}", doorward.said());
    let removed = tree.run(&["dpkg", "--remove", "doorward"]);
    assert_eq!(removed.code, 0, "{removed:#?}");
    assert!(!tree.path("/usr/bin/doorward").exists());
    assert!(tree.path("/var/lib/doorward/doorward.db").exists() && file.exists(), "a removal is no purge");
    let purged = tree.run(&["dpkg", "--purge", "doorward"]);
    assert_eq!(purged.code, 0, "{purged:#?}");
    assert_eq!(tree.traces(), Vec::<String>::new());
    assert_ne!(tree.run(&["getent", "passwd", "doorward"]).code, 0, "the account is still there");
}

fn until_listening(port: u16, program: &mut Program) {
    let deadline = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_err() {
        let ended = program.has_ended();
        assert!(ended.is_none() && Instant::now() < deadline, "nobody listens:\n{}", program.said());
        std::thread::sleep(PAUSE);
    }
}
