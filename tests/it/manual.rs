//! What shells and man(1) are told, made from the command line as it is.

use std::fs;
use std::process::Command;

use crate::site::binary::{command, run};

#[test]
fn every_shell_is_told_every_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(command(folder.path()).args(["completions", shell]));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{shell}: {ran:#?}");
        for word in ["serve", "healthcheck", "proxy-config", "revoke", "--public-url"] {
            // Some write the dashes elsewhere.
            assert!(ran.stdout.contains(word.trim_start_matches("--")), "{shell}: {word}");
        }
    }
    let unknown = run(command(folder.path()).args(["completions", "tea"]));
    assert_eq!(unknown.code, 2, "{unknown:#?}");
}

#[test]
fn bash_takes_its_completions() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = run(command(folder.path()).args(["completions", "bash"])).stdout;
    fs::write(folder.path().join("doorward.bash"), script).expect("the script");
    let ask = "source ./doorward.bash; COMP_WORDS=(doorward us); COMP_CWORD=1; _doorward doorward us doorward; \
               echo \"${COMPREPLY[@]}\"";
    let told = Command::new("bash").args(["--norc", "-c", ask]).current_dir(folder.path()).output().expect("bash");
    let (out, err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert_eq!(out.trim(), "users", "{err}");
}

#[test]
fn there_is_a_page_for_every_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let main = run(command(folder.path()).args(["manual"]));
    assert_eq!(main.code, 0, "{main:#?}");
    for word in [".TH doorward 1", "EXIT STATUS", "SIGHUP", "doorward\\-users(1)"] {
        assert!(main.stdout.contains(word), "{word}: {}", main.stdout);
    }
    let written = run(command(folder.path()).args(["manual", "pages"]));
    assert_eq!((written.code, written.stdout.as_str()), (0, ""), "{written:#?}");
    let page = |name: &str| fs::read_to_string(folder.path().join("pages").join(name)).expect(name);
    assert_eq!(page("doorward.1"), main.stdout);
    assert!(page("doorward-users-list.1").contains("json"));
    assert!(page("doorward-config-check.1").contains("offline"));
}
