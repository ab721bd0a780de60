//! Our own HTTPS, with the real binary: a certificate of its own that stays, or the operator's files; and plain http nowhere
//! that a password's neighbour could read along.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::site::binary::{self, Binary, PROVIDER_AWAY};
use crate::site::program::free_port;
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

#[tokio::test]
async fn a_sign_in_over_its_own_certificate_leaves_a_cookie_for_https_alone() {
    let provider = wrong_turns::provider().await;
    let site = self_signed(&wrong_turns::google(&provider));
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
    assert!(again.stderr.contains("site.key") && again.stderr.contains("does not go with"), "{again:#?}");
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
