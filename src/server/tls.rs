//! Our own HTTPS: certificate files of the operator's, or a certificate made here for work on one machine.
//!
//! A self-signed certificate is what the tutorials call adhoc: browsers warn once and then keep their exception, so it
//! is kept in a file beside the configuration and used again until it nears its end.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};

use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::config::problem::in_words;
use crate::config::server::Tls;
use crate::server::expiry;

/// The key of the configuration that names the file of the certificate.
pub const CERT: &str = "server.cert";
/// And of the key.
pub const KEY: &str = "server.key";
/// That of one made here.
const SELF_SIGNED: &str = "server.tls";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a certificate of ours is valid; browsers refuse more than 825 days.
const VALID_FOR: Duration = Duration::from_secs(800 * 24 * 60 * 60);

/// How long before its end it is replaced.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The line of the kept file that tells the end of validity in seconds since 1970.
const VALID_UNTIL: &str = "# valid until: ";

/// A certificate chain with its key, ready to serve.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What the TLS handshake uses.
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the first certificate, as browsers show it: `AB:CD:…`.
    pub fingerprint: String,
    /// Until when it is valid, where that could be read.
    pub ends_at: Option<Timestamp>,
}

/// Why there is no certificate to serve.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{key}: {} cannot be {verb}: {why}; {remedy}", path.display())]
    File {
        /// The key that names it.
        key: &'static str,
        /// Which.
        path: PathBuf,
        /// What was to be done with it: read, written.
        verb: &'static str,
        /// Why.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A file is not what it should be.
    #[error("{key}: {} {what}; {remedy}", path.display())]
    Content {
        /// The key that names it.
        key: &'static str,
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// No certificate could be made.
    #[error("no certificate could be made: {0}")]
    Making(#[from] rcgen::Error),
}

impl TlsError {
    fn content(key: &'static str, path: &Path, what: impl Into<String>, remedy: &'static str) -> Self {
        Self::Content { key, path: path.to_owned(), what: what.into(), remedy }
    }

    fn file(key: &'static str, path: &Path, verb: &'static str, error: &io::Error) -> Self {
        let remedy = if key == SELF_SIGNED {
            "let the account of Doorward read and write it and its folder, give it a place under systemd with \
             StateDirectory=doorward, or name files of yours with server.cert and server.key instead"
        } else {
            "name a file that the account of Doorward may use"
        };
        Self::File { key, path: path.to_owned(), verb, why: in_words(error), remedy }
    }
}

/// The certificate that `config` asks for: `None` where we speak plain http.
pub fn certificate(config: &Config, clock: &dyn Clock) -> Result<Option<Certificate>, TlsError> {
    match &config.server.tls {
        Tls::Off => Ok(None),
        Tls::Files { cert, key } => from_files((CERT, cert), (KEY, key)).map(Some),
        Tls::SelfSigned(file) => {
            let host = config.public_url.as_url().host_str().unwrap_or("localhost");
            self_signed(host, file, clock).map(Some)
        }
    }
}

/// The certificate that a server of `config` shows first; `None` where it speaks plain http.
pub fn own_certificate(config: &Config) -> Result<Option<CertificateDer<'static>>, TlsError> {
    let (key, file) = match &config.server.tls {
        Tls::Off => return Ok(None),
        Tls::Files { cert, .. } => (CERT, cert),
        Tls::SelfSigned(file) => (SELF_SIGNED, file),
    };
    chain(key, file).map(|chain| chain.into_iter().next())
}

/// A client that believes `own` and nothing else, to ask our own server whether it is alive.
pub fn client_for(own: CertificateDer<'static>) -> ClientConfig {
    let verifier = Arc::new(OnlyThis { own, provider: Arc::new(rustls::crypto::ring::default_provider()) });
    ClientConfig::builder().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
}

/// Compares certificates byte by byte: no authority, name or date is asked, the proof of the key is.
#[derive(Debug)]
struct OnlyThis {
    own: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OnlyThis {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *shown == self.own {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::General("the server shows another certificate than the one configured".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The certificate chain in `cert` with the key in `key`, both PEM; they may be the same file.
/// Each comes with the configuration's key for it.
pub fn from_files(
    (cert_key, cert): (&'static str, &Path),
    (key_key, key): (&'static str, &Path),
) -> Result<Certificate, TlsError> {
    let chain = chain(cert_key, cert)?;
    let no_key = |what| TlsError::content(key_key, key, what, "name the file with the certificate's private key");
    let key_der = PrivateKeyDer::from_pem_slice(&read(key_key, key)?).map_err(|error| match error {
        pem::Error::NoItemsFound => no_key("holds no private key (a line -----BEGIN PRIVATE KEY-----)"),
        _ => no_key("holds a key that was cut off or changed"),
    })?;
    let (fingerprint, ends_at) = (fingerprint(&chain[0]), expiry::not_after(&chain[0]));
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key_der).map_err(|error| {
            let cert = cert.display();
            let what = match error {
                rustls::Error::InconsistentKeys(_) => {
                    format!("holds another key than that of the certificate in {cert}")
                }
                error => format!("and the certificate in {cert} cannot be served: {error}"),
            };
            TlsError::content(key_key, key, what, "name the certificate and the private key it was made with")
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Certificate { config: Arc::new(config), fingerprint, ends_at })
}

/// A certificate of our own for `host`, `localhost` and the loopback addresses: the one kept in `file`, or a new one that
/// is kept there, readable by its owner alone.
pub fn self_signed(host: &str, file: &Path, clock: &dyn Clock) -> Result<Certificate, TlsError> {
    let now = clock.now();
    let kept = match fs::read_to_string(file) {
        Ok(text) => match valid_until(&text) {
            Some(until) => now + RENEW_BEFORE < until,
            None => {
                let what = "was not made by Doorward, and is left alone";
                let remedy = "move it away, or name it and its key with server.cert and server.key instead";
                return Err(TlsError::content(SELF_SIGNED, file, what, remedy));
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(TlsError::file(SELF_SIGNED, file, "read", &error)),
    };
    if !kept {
        let written = write_private(file, &make(host, now)?);
        written.map_err(|error| TlsError::file(SELF_SIGNED, file, "written", &error))?;
    }
    from_files((SELF_SIGNED, file), (SELF_SIGNED, file))
}

fn chain(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong =
        |what| TlsError::content(key, file, what, "name the file with the certificate and its chain, as issued");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(key, file)?)
        .collect::<Result<_, _>>()
        .map_err(|_| wrong("holds a certificate that was cut off or changed"))?;
    if chain.is_empty() {
        return Err(wrong("holds no certificate (a line -----BEGIN CERTIFICATE-----)"));
    }
    Ok(chain)
}

fn make(host: &str, now: Timestamp) -> Result<String, TlsError> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = host.trim_matches(['[', ']']);
    if !names.iter().any(|name| name == host) {
        names.insert(0, host.to_owned());
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, format!("{host} (self-signed by Doorward)"));
    // A day early, for clocks that are behind.
    params.not_before = date(now - DAY);
    params.not_after = date(now + VALID_FOR);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let until = (now + VALID_FOR).unix();
    Ok(format!(
        "# Made by doorward for local work; delete this file to get another.\n{VALID_UNTIL}{until}\n{}{}",
        certificate.pem(),
        key.serialize_pem()
    ))
}

fn date(moment: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(moment.unix()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

fn valid_until(text: &str) -> Option<Timestamp> {
    let seconds = text.lines().find_map(|line| line.strip_prefix(VALID_UNTIL))?;
    seconds.trim().parse().ok().map(Timestamp::from_unix)
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    digest.as_ref().iter().enumerate().fold(String::new(), |mut text, (at, byte)| {
        let colon = if at == 0 { "" } else { ":" };
        let _ = write!(text, "{colon}{byte:02X}");
        text
    })
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::file(key, path, "read", &error))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    io::Write::write_all(&mut options.open(path)?, text.as_bytes())
}
