//! Our own HTTPS, with the real binary: a certificate of its own that stays, or the operator's files; and plain http nowhere
//! that a password's neighbour could read along.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::doctor::as_somebody;
use crate::site::binary::{self, Binary, PROVIDER_AWAY};
use crate::site::program::{PATIENCE, Program, free_port};
use crate::site::visitors::{Anonymous, Visitor};
use crate::wrong_turns;

const KEPT: &str = "doorward-self-signed.pem";

/// A site with a certificate of its own, and what the start said of it.
fn self_signed(rest: &str) -> Binary {
    Binary::serve_https(free_port(), &format!("server.tls = \"self-signed\"\n{rest}"), |_| ())
}

/// The fingerprint that the last start told a person to compare.
fn told(site: &Binary) -> String {
    site.program.wait_for("the fingerprint", |line| {
        let (_, rest) = line.split_once("fingerprint")?;
        let hex = |letter: char| letter.is_ascii_hexdigit() || letter == ':';
        let start = rest.find(|letter: char| letter.is_ascii_hexdigit())?;
        let rest = &rest[start..];
        Some(rest[..rest.find(|letter| !hex(letter)).unwrap_or(rest.len())].to_owned())
    })
}

/// SHA-256 of a certificate, as browsers show it.
fn fingerprint(pem: &str) -> String {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    let digest = ring::digest::digest(&ring::digest::SHA256, &certificate);
    let mut text = String::new();
    for byte in digest.as_ref() {
        let _ = write!(text, "{}{byte:02X}", if text.is_empty() { "" } else { ":" });
    }
    text
}

/// Lays a certificate for localhost and its key into `folder`; the certificate.
fn lay_files(folder: &Path, cert: &str, key: &str) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(folder.join(cert), made.cert.pem()).expect("a file");
    fs::write(folder.join(key), made.signing_key.serialize_pem()).expect("a file");
    made.cert.pem()
}

#[tokio::test]
async fn a_certificate_of_its_own_is_kept_and_is_the_one_that_was_told() {
    let mut site = self_signed(PROVIDER_AWAY);
    let file = site.folder.path().join(KEPT);
    told(&site);
    let first = fs::read_to_string(&file).expect("it is kept beside the configuration");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    assert_eq!(told(&site), fingerprint(&first));
    // A client that believes this certificate alone is answered: it is the one that is shown.
    let browser = Anonymous::believing(&site.public_url, &first);
    assert_eq!(browser.get("readyz").await.status, 200);
    assert_eq!(site.run(&["healthcheck"]).code, 0);

    assert_eq!(site.program.terminate().code(), Some(0));
    site.start_again();
    assert_eq!(fs::read_to_string(&file).expect("a file"), first, "an exception in a browser is worth keeping");
    assert_eq!(told(&site), fingerprint(&first));
    assert_eq!(browser.get("readyz").await.status, 200);
}

/// Where systemd keeps the configuration's folder from the service, and says where else it may write.
#[test]
fn a_service_keeps_a_certificate_of_its_own_in_its_state_directory_unless_one_is_beside_the_configuration() {
    let (folder, state, port) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"), free_port());
    let site = format!("public_url = \"https://localhost:{port}\"\nserver.listen = \"localhost:{port}\"\n");
    binary::configure(folder.path(), &format!("{site}server.tls = \"self-signed\"\n{PROVIDER_AWAY}"));
    let command = |arguments: &[&str]| {
        let mut command = binary::command(folder.path());
        command.args(["--config", "config.toml"]).args(arguments);
        command.env("STATE_DIRECTORY", format!("{}:/nowhere", state.path().display()));
        command
    };
    let (beside, kept) = (folder.path().join(KEPT), state.path().join(KEPT));
    let run = || {
        let mut program = Program::start(&mut command(&[]));
        program.wait_for("the start", |line| line.contains("Doorward is at").then_some(()));
        assert_eq!(binary::run(&mut command(&["healthcheck"])).code, 0);
        assert_eq!(program.terminate().code(), Some(0));
    };
    run();
    assert!(kept.exists() && !beside.exists());
    fs::rename(&kept, &beside).expect("a file");
    let first = fs::read_to_string(&beside).expect("a file");
    run();
    assert!(!kept.exists(), "whoever has an exception in a browser keeps it");
    assert_eq!(fs::read_to_string(&beside).expect("a file"), first);
}

/// As the Debian package has it: the configuration is root's.
#[test]
fn where_a_certificate_of_its_own_cannot_be_kept_the_ways_out_are_said() {
    let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
    let shut = folder.path().join("etc");
    fs::create_dir(&shut).expect("a folder");
    let site = format!("public_url = \"https://localhost:{port}\"\nserver.listen = \"localhost:{port}\"\n");
    let config = format!("{site}server.tls = \"self-signed\"\n{PROVIDER_AWAY}");
    binary::configure(folder.path(), "");
    fs::write(shut.join("doorward.toml"), config).expect("a file");
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o555)).expect("its mode");
    let mut command = binary::command(folder.path());
    let ran = binary::run(as_somebody(command.args(["--config", "etc/doorward.toml"]), folder.path()));
    assert_eq!(ran.code, 78, "{ran:#?}");
    for words in
        ["server.tls: etc/doorward-self-signed.pem cannot be written", "StateDirectory=doorward", "server.cert"]
    {
        assert!(ran.stderr.contains(words), "{words}: {ran:#?}");
    }
}

#[tokio::test]
async fn a_sign_in_over_its_own_certificate_leaves_a_cookie_for_https_alone() {
    let provider = wrong_turns::provider().await;
    let site = self_signed(&wrong_turns::google(&provider));
    told(&site);
    let pem = fs::read_to_string(site.folder.path().join(KEPT)).expect("a file");
    let browser = Anonymous::believing(&site.public_url, &pem);
    let last = browser.follow("login").await;
    assert_eq!(last.status, 200, "{last:#?}\n{}", site.program.said());
    let names: Vec<_> = browser.cookies().into_keys().collect();
    assert_eq!(names, ["__Host-doorward"], "{last:#?}");
    assert_eq!(browser.get("api/me").await.status, 200);
}

#[tokio::test]
async fn the_operators_files_are_shown_and_a_key_of_another_certificate_is_refused_by_name() {
    let config = format!("server.cert = \"site.pem\"\nserver.key = \"site.key\"\n{PROVIDER_AWAY}");
    let mut shown = String::new();
    let site = Binary::serve_https(free_port(), &config, |folder| shown = lay_files(folder, "site.pem", "site.key"));
    let browser = Anonymous::believing(&site.public_url, &shown);
    assert_eq!(browser.get("readyz").await.status, 200);
    assert!(!site.folder.path().join(KEPT).exists());
    assert_eq!(site.run(&["healthcheck"]).code, 0);

    lay_files(site.folder.path(), "other.pem", "site.key");
    let again = binary::run(binary::command(site.folder.path()).args(["config", "check", "--offline"]));
    assert_ne!(again.code, 0, "{again:#?}");
    assert!(
        again.stderr.contains("site.key")
            && again.stderr.contains("another key than that of the certificate in site.pem"),
        "{again:#?}"
    );
}

#[test]
fn plain_http_is_for_loopback_and_for_a_proxy_that_ends_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |config: &str| {
        binary::configure(folder.path(), &format!("{config}\n{PROVIDER_AWAY}"));
        binary::run(binary::command(folder.path()).args(["config", "check", "--offline"]))
    };
    let refused = check("public_url = \"http://login.example.com\"");
    assert_eq!(refused.code, 78, "{refused:#?}");
    assert!(refused.stderr.contains("public_url") && refused.stderr.contains("https"), "{refused:#?}");
    for fine in [
        "public_url = \"http://localhost:3000\"",
        "public_url = \"https://login.example.com\"\nserver.listen = \"127.0.0.1:3000\"",
    ] {
        let ran = check(fine);
        assert_eq!(ran.code, 0, "{fine}: {ran:#?}");
    }
}

/// What a client says first that knows TLS up to `version` (its second byte) and one way to encipher (RFC 5246, section
/// 7.4.1.2), and the kind of record that comes back: 22 goes on with the handshake, 21 is a refusal.
fn answer_to(port: u16, version: u8, cipher: [u8; 2]) -> u8 {
    // x25519 and P-256; points as they are; ECDSA with SHA-256.
    let extensions =
        [&[0, 10, 0, 6, 0, 4, 0, 29, 0, 23][..], &[0, 11, 0, 2, 1, 0], &[0, 13, 0, 4, 0, 2, 4, 3]].concat();
    let length = u8::try_from(extensions.len()).expect("few");
    let hello = [&[3, version][..], &[7; 32], &[0, 0, 2], &cipher, &[1, 0, 0, length], &extensions].concat();
    let length = u8::try_from(hello.len()).expect("few");
    let record = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &hello].concat();
    let mut line = TcpStream::connect(("localhost", port)).expect("it listens");
    line.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    line.write_all(&record).expect("it listens");
    let mut kind = [0];
    line.read_exact(&mut kind).expect("an answer");
    kind[0]
}

#[test]
fn old_tls_and_ciphers_that_keep_no_secret_afterwards_are_refused() {
    let site = self_signed(PROVIDER_AWAY);
    let ecdhe_with_gcm = [0xc0, 0x2b];
    assert_eq!(answer_to(site.port, 3, ecdhe_with_gcm), 22, "TLS 1.2 is spoken");
    for version in [0, 1, 2] {
        assert_eq!(answer_to(site.port, version, ecdhe_with_gcm), 21, "3.{version} is older");
    }
    for (cipher, name) in [
        ([0x00, 0x9c], "RSA, AES-GCM"),
        ([0x00, 0x2f], "RSA, AES-CBC"),
        ([0xc0, 0x09], "ECDHE, AES-CBC"),
        ([0xc0, 0x07], "ECDHE, RC4"),
        ([0x00, 0x02], "nothing is enciphered"),
    ] {
        assert_eq!(answer_to(site.port, 3, cipher), 21, "{name}");
    }
}
