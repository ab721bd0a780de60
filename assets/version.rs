//! Tells the program which commit it is built from and for which kind of machine; cargo runs it before each build.
//!
//! A build for work on Doorward itself is told no commit: it would be compiled anew after each. `DOORWARD_COMMIT` says it
//! where there is no repository, in a container or an archive.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    tell("rerun-if-changed=assets/version.rs");
    tell("rerun-if-env-changed=DOORWARD_COMMIT");
    tell(&format!("rustc-env=DOORWARD_TARGET={}", told("TARGET").unwrap_or_default()));
    let is_release = told("PROFILE").as_deref() == Some("release");
    let commit = told("DOORWARD_COMMIT").or_else(|| if is_release { commit() } else { Some("development".to_owned()) });
    tell(&format!("rustc-env=DOORWARD_COMMIT={}", commit.as_deref().unwrap_or("unknown")));
}

/// An instruction for cargo.
#[expect(clippy::print_stdout, reason = "that is how cargo listens")]
fn tell(instruction: &str) {
    println!("cargo::{instruction}");
}

fn told(name: &str) -> Option<String> {
    env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty())
}

/// The commit of the repository that this is the top of; not of one that somebody unpacked an archive into.
fn commit() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let here = Path::new(&told("CARGO_MANIFEST_DIR")?).canonicalize().ok()?;
    if Path::new(&top).canonicalize().ok()? != here {
        return None;
    }
    // Grows with every commit, checkout and amendment.
    tell(&format!("rerun-if-changed={}", git(&["rev-parse", "--git-path", "logs/HEAD"])?));
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}
