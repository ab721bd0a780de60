//! The command line as a person or a script meets it: what goes where, and with which exit code.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use crate::site::binary::{PROVIDER_AWAY, Ran, command, run};

fn folder(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.toml");
    fs::write(&file, config).expect("the configuration");
    // As an operator keeps it: what others may read is warned of.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    }
    folder
}

fn doorward(folder: &Path, arguments: &[&str]) -> Ran {
    run(command(folder).args(arguments))
}

/// What would end the start is said by the check.
#[test]
fn a_certificate_that_cannot_be_used_is_found_by_the_check() {
    let config = "public_url = \"https://localhost:3000\"\nserver.cert = \"site.crt\"\nserver.key = \"site.key\"\n\
                  [providers.google]\nclient_id = \"1.apps.googleusercontent.com\"\nclient_secret = \"s\"\n";
    let folder = folder(config);
    let check = || doorward(folder.path(), &["config", "check", "--offline"]);
    let missing = check();
    assert!(missing.code == 78 && missing.stderr.contains("site.crt"), "{missing:#?}");
    let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (one, other) = (make(), make());
    fs::write(folder.path().join("site.crt"), one.cert.pem()).expect("a file");
    fs::write(folder.path().join("site.key"), one.cert.pem()).expect("a file");
    let no_key = check();
    assert!(no_key.code == 78 && no_key.stderr.contains("site.key"), "{no_key:#?}");
    fs::write(folder.path().join("site.key"), other.signing_key.serialize_pem()).expect("a file");
    assert_eq!(check().code, 78, "the key of another certificate");
    fs::write(folder.path().join("site.key"), one.signing_key.serialize_pem()).expect("a file");
    let fine = check();
    assert!(fine.code == 0 && fine.stdout.starts_with("configuration is fine"), "{fine:#?}");
}

#[test]
fn without_a_provider_the_answer_is_78_and_three_ways_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for arguments in [&[][..], &["serve"], &["config", "check"]] {
        let ran = doorward(folder.path(), arguments);
        assert_eq!(ran.code, 78, "{ran:#?}");
        assert_eq!(ran.stdout, "");
        for way in ["doorward demo", "--config", "config.toml.example", "GOOGLE_CLIENT_ID"] {
            assert!(ran.stderr.contains(way), "{way}: {ran:#?}");
        }
    }
}

#[test]
fn config_check_says_that_all_is_fine_and_what_to_register() {
    let folder = folder(&format!("public_url = \"http://localhost:3000/auth\"\n{PROVIDER_AWAY}"));
    let ran = doorward(folder.path(), &["config", "check", "--offline"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stdout.starts_with("configuration is fine\n"), "{ran:#?}");
    assert!(ran.stdout.contains("http://localhost:3000/auth/login/callback"), "{ran:#?}");
}

#[test]
fn config_check_says_everything_that_is_wrong_and_ends_with_78() {
    let folder = folder("[sessions]\nidle = \"7 dayz\"\nlifetme = \"1d\"\n");
    let ran = doorward(folder.path(), &["config", "check"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (78, ""), "{ran:#?}");
    let expected = "config.toml:2: sessions.idle: \"7 dayz\" is not a duration; write 12h or 7d";
    assert!(ran.stderr.contains(expected) && ran.stderr.contains("config.toml:3: sessions.lifetme"), "{ran:#?}");
}

#[test]
fn the_file_can_be_named_before_and_after_the_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("other.toml"), "pages.title = \"Elsewhere\"\n").expect("the configuration");
    for arguments in [["--config", "other.toml", "config", "show"], ["config", "show", "--config", "other.toml"]] {
        let ran = doorward(folder.path(), &arguments);
        assert_eq!(ran.code, 0, "{ran:#?}");
        assert!(ran.stdout.contains("title = \"Elsewhere\"  # other.toml:1"), "{ran:#?}");
    }
    let ran = doorward(folder.path(), &["config", "show", "--config", "absent.toml"]);
    assert_eq!(ran.code, 78, "{ran:#?}");
    assert!(ran.stderr.contains("absent.toml: cannot be read"), "{ran:#?}");
}

#[test]
fn flags_and_variables_reach_the_configuration_and_secrets_are_not_shown() {
    let folder = folder(PROVIDER_AWAY);
    let mut doorward = command(folder.path());
    doorward.args(["--listen", "localhost:4000", "config", "show"]);
    doorward.args(["--database-url", "mysql://root:canary-1@localhost/d", "--log-level=warn"]);
    doorward.env("DOORWARD_PROVIDERS__AWAY__CLIENT_SECRET", "canary-2").env("DOORWARD_SESSIONS__IDLE", "2d");
    let ran = run(&mut doorward);
    assert_eq!(ran.code, 0, "{ran:#?}");
    for line in [
        "listen = \"localhost:4000\"  # --listen",
        "level = \"warn\"  # --log-level",
        "idle = \"2d\"  # DOORWARD_SESSIONS__IDLE",
        "public_url = \"http://localhost:4000\"  # default",
    ] {
        assert!(ran.stdout.lines().any(|found| found == line), "{line}: {ran:#?}");
    }
    assert!(!ran.stdout.contains("canary") && !ran.stderr.contains("canary"), "{ran:#?}");
}

#[test]
fn what_is_typed_wrongly_ends_with_2_and_help_and_version_are_answers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for arguments in [
        &["frobnicate"][..],
        &["--frobnicate"],
        &["config"],
        &["sessions"],
        &["config", "check", "extra"],
        &["--log-level", "loud"],
    ] {
        let ran = doorward(folder.path(), arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {ran:#?}");
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
    }
    let version = doorward(folder.path(), &["--version"]);
    let told = version.stdout.trim().strip_prefix(concat!("doorward ", env!("CARGO_PKG_VERSION"), " ("));
    let told = told.and_then(|told| told.strip_suffix(')')).and_then(|told| told.split_once(", "));
    let (commit, target) = told.unwrap_or_else(|| panic!("{version:#?}"));
    assert!(version.code == 0 && !commit.is_empty(), "{version:#?}");
    assert!(target.starts_with(std::env::consts::ARCH) && target.contains(std::env::consts::OS), "{version:#?}");
    let help = doorward(folder.path(), &["--help"]);
    assert_eq!(help.code, 0);
    for word in
        ["serve", "demo", "config", "healthcheck", "migrate", "users", "sessions", "tokens", "openapi", "--config"]
    {
        assert!(help.stdout.contains(word), "{word}: {}", help.stdout);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_nobody_takes_does_not_panic() {
    let folder = folder(PROVIDER_AWAY);
    let full = || File::options().write(true).open("/dev/full").expect("/dev/full");
    let ran = run(command(folder.path()).args(["config", "show"]).stdout(full()));
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("the output could not be written"), "{ran:#?}");
    let silent = command(folder.path()).args(["config", "check"]).stderr(full()).stdout(Stdio::null()).status();
    assert_eq!(silent.expect("the binary starts").code(), Some(69), "the provider is away");
    // A pipe whose reader has gone, as after `… | head`.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let piped = command(folder.path()).args(["config", "show"]).stdout(writer).stderr(Stdio::piped()).output();
    let piped = piped.expect("the binary starts");
    assert_eq!((piped.status.code(), piped.stderr.as_slice()), (Some(0), &b""[..]), "{piped:?}");
}

#[cfg(unix)]
#[test]
fn a_variable_of_ours_that_is_not_text_is_refused_and_named() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = folder(PROVIDER_AWAY);
    let mut doorward = command(folder.path());
    doorward.args(["config", "check"]).env("DOORWARD_PAGES__TITLE", OsStr::from_bytes(b"a\xff"));
    let ran = run(doorward.env("OTHER", OsStr::from_bytes(b"\xff")));
    assert_eq!(ran.code, 78, "{ran:#?}");
    assert!(ran.stderr.contains("DOORWARD_PAGES__TITLE: is not UTF-8 text"), "{ran:#?}");
}
