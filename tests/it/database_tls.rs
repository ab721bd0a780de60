//! What goes to a database elsewhere is encrypted, and only to the right one.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use doorward::config::database::{Database as Config, Place, Tls};
use doorward::names::Names;
use doorward::store::{self, StoreError};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::site::databases::{Database, Server};
use crate::site::wire::{Fault, Moment, Wire};
use crate::store::{ADA, ISSUER, clock, first_sign_in};

/// A server whose certificate names `host`, and the authority's certificate; `None` where MariaDB is not installed.
fn encrypted_server(host: &str, folder: &tempfile::TempDir) -> Option<(Server, PathBuf)> {
    let key = || KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, key()).expect("an authority");
    let server_key = key();
    let certificate = CertificateParams::new([host.to_owned()]).expect("parameters");
    let certificate = certificate.signed_by(&server_key, &authority).expect("a certificate");
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a disk");
        path
    };
    let ca_file = file("ca.pem", authority.pem());
    let certificate = file("server.pem", certificate.pem());
    let server_key = file("server-key.pem", server_key.serialize_pem());
    let options = [("ssl-ca", &ca_file), ("ssl-cert", &certificate), ("ssl-key", &server_key)];
    let options = options.map(|(name, path)| format!("--{name}={}", path.display()));
    Some((Server::start_with(options.to_vec())?, ca_file))
}

/// Makes the database ready by this way.
async fn prepare(database: &Database, host: &str, port: u16, tls: Tls) -> Result<(), StoreError> {
    let mut place = database.place();
    (place.host, place.port, place.tls) = (host.to_owned(), port, tls);
    let config = Config { place: Place::Mysql(place), users_table: "users".to_owned() };
    let store = store::open(&config, Names::from_system(), clock());
    store.prepare(Some(ISSUER)).await?;
    store.sign_in(&first_sign_in(ADA, 1)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_spoken_to_in_cipher_and_only_if_its_certificate_is_good() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some((server, ca_file)) = encrypted_server("localhost", &folder) else { return };
    let database = server.database().await;
    let place = database.place();
    let wire = Wire::to(SocketAddr::new(place.host.parse().expect("an address"), place.port)).await;
    let port = wire.address.port();
    let known = || Tls::On { ca_file: Some(ca_file.clone()) };

    wire.set(Moment::Packet(usize::MAX), Fault::CutBefore);
    prepare(&database, "127.0.0.1", port, Tls::Off).await.expect("plain, as was asked");
    assert!(wire.heard("doorward_sessions") > 0, "the wire hears what is plain");
    database.run(&["delete from doorward_sessions"]).await;

    for (host, tls, why) in [
        ("localhost", Tls::On { ca_file: None }, "the public roots do not know it"),
        ("127.0.0.1", known(), "the certificate is for another name"),
    ] {
        let answer = prepare(&database, host, place.port, tls).await;
        let Err(StoreError::Schema(sentence)) = answer else { panic!("{why}: {answer:?}") };
        assert!(sentence.contains("certificate") && sentence.contains("[database] tls"), "{sentence}");
    }

    prepare(&database, "localhost", place.port, known()).await.expect("encrypted");
    database.run(&["delete from doorward_sessions", "alter user root@localhost require ssl"]).await;
    let refused = prepare(&database, "localhost", place.port, Tls::Off).await;
    assert!(refused.is_err(), "the server now insists");
    prepare(&database, "localhost", place.port, known()).await.expect("so it was encrypted");
}
