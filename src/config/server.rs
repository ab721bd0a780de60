//! `[server]`: where we listen and whom we believe.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::problem::{Wrong, quoted};
use crate::config::reader::Reader;
use crate::config::secret;

/// `[server]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where connections are taken.
    pub listen: Listen,
    /// Whether we speak TLS ourselves.
    pub tls: Tls,
    /// Whose `X-Forwarded-*` we believe.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// How many connections are served at once; further ones wait in the system's queue.
    pub max_connections: usize,
    /// How long everything is served after we were told to end, while `/readyz` says that we will.
    pub shutdown_delay: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: Listen::Tcp { host: "localhost".to_owned(), port: 3000 },
            tls: Tls::Off,
            trusted_proxies: vec![TrustedProxy::Loopback],
            max_connections: 20_000,
            shutdown_delay: Duration::ZERO,
        }
    }
}

/// A place to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `localhost:3000`: every address the name has; or `127.0.0.1:3000`, `[::]:3000`.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port; 0 lets the system choose.
        port: u16,
    },
    /// `unix:/run/doorward.sock`
    Unix(PathBuf),
}

impl Listen {
    /// Whether nobody could listen at both places at once, as far as the words tell.
    pub fn collides_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix(path), Self::Unix(other)) => path == other,
            (Self::Tcp { host, port }, Self::Tcp { host: other, port: theirs }) => {
                port == theirs && *port != 0 && (overlap(host, other) || overlap(other, host))
            }
            _ => false,
        }
    }
}

/// Whether an address of `host` is among those of `other`.
fn overlap(host: &str, other: &str) -> bool {
    match (host.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(IpAddr::V4(all))) if all.is_unspecified() => one.is_ipv4(),
        // Every address of version 6 means every address of version 4 as well, unless the system was told otherwise.
        (_, Ok(all)) if all.is_unspecified() => true,
        (Ok(one), Ok(other)) => one == other,
        (Ok(IpAddr::V4(one)), Err(_)) => one == Ipv4Addr::LOCALHOST && other.eq_ignore_ascii_case("localhost"),
        (Ok(IpAddr::V6(one)), Err(_)) => one.is_loopback() && other.eq_ignore_ascii_case("localhost"),
        _ => host.eq_ignore_ascii_case(other),
    }
}

/// Our own TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain http: for this machine alone, or behind a proxy that ends TLS.
    Off,
    /// A certificate of our own, for work on one machine, kept in this file.
    SelfSigned(PathBuf),
    /// The operator's certificate chain and key, PEM.
    Files {
        /// The chain, our certificate first.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// Whoever restarts us waits for it each time.
const LONGEST_DELAY: Duration = Duration::from_secs(10 * 60);

/// Where a certificate of our own is kept.
const SELF_SIGNED: &str = "doorward-self-signed.pem";

/// Somebody whose forwarded headers are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// `loopback`: 127.0.0.0/8 and ::1.
    Loopback,
    /// `unix`: whoever comes through our Unix socket.
    Unix,
    /// `10.0.0.0/8`, or one address.
    Net(IpNet),
}

impl Server {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader) -> Self {
        let mut server = Self::default();
        server.listen = match reader.parse("server.listen", listen) {
            Some(Listen::Unix(path)) => Listen::Unix(reader.resolved("server.listen", &path)),
            Some(tcp) => tcp,
            None => server.listen,
        };
        server.tls = tls(reader);
        let said = reader.list("server.trusted_proxies", trusted_proxy);
        if matches!(server.listen, Listen::Unix(_)) {
            // Whoever comes through the file is a proxy, and pages would be redirected for ever if it were not believed.
            server.trusted_proxies.push(TrustedProxy::Unix);
            if said.as_ref().is_some_and(|said| !said.contains(&TrustedProxy::Unix)) {
                reader.notes.warn(
                    "server.trusted_proxies lacks \"unix\", and server.listen is a socket file: the proxy that comes \
                     through it is not believed, and may be sent in circles",
                );
            }
        }
        server.trusted_proxies = said.unwrap_or(server.trusted_proxies);
        let is_everybody = |proxy: &TrustedProxy| matches!(proxy, TrustedProxy::Net(net) if net.prefix_len() == 0);
        if server.trusted_proxies.iter().any(is_everybody) {
            reader.notes.warn("server.trusted_proxies believes everybody: whoever reaches us can pretend any address");
        }
        let most = reader.number("server.max_connections", 1, 1_000_000);
        server.max_connections = most.unwrap_or(server.max_connections);
        server.shutdown_delay = reader.duration("server.shutdown_delay").unwrap_or(server.shutdown_delay);
        if server.shutdown_delay > LONGEST_DELAY {
            let what = "is longer than ten minutes, and each restart would take as long";
            reader
                .refuse("server.shutdown_delay", Wrong::new(what, "write 10m or less; 10s is much for most balancers"));
        }
        server
    }
}

fn tls(reader: &mut Reader) -> Tls {
    let word = reader.word("server.tls", &[("off", false), ("self-signed", true)]);
    let (cert, key) = (reader.path("server.cert"), reader.path("server.key"));
    match (word, cert, key) {
        (Some(true), None, None) => Tls::SelfSigned(reader.kept("server.tls", SELF_SIGNED)),
        (None, Some(cert), Some(key)) => {
            if secret::is_world_readable(&key) {
                reader.notes.warn(secret::exposed(&key));
            }
            Tls::Files { cert, key }
        }
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            let what = "is set beside a certificate of your own";
            reader.refuse("server.tls", Wrong::new(what, "keep server.cert and server.key, or keep server.tls"));
            Tls::Off
        }
        (None, Some(_), None) if !reader.is_said("server.key") && !reader.is_misspelt("server.key") => {
            reader.refuse_beside(
                "server.key",
                &["server.cert"],
                Wrong::new("is missing beside server.cert", "name the file with its private key"),
            );
            Tls::Off
        }
        (None, None, Some(_)) if !reader.is_said("server.cert") && !reader.is_misspelt("server.cert") => {
            reader.refuse_beside(
                "server.cert",
                &["server.key"],
                Wrong::new("is missing beside server.key", "name the file with the certificate"),
            );
            Tls::Off
        }
        _ => Tls::Off,
    }
}

/// A place to listen from what the operator wrote.
pub fn listen(text: &str) -> Result<Listen, Wrong> {
    let wrong = |remedy: &str| Wrong::new(format!("{} is no place to listen", quoted(text)), remedy.to_owned());
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" => Err(wrong("write unix:/run/doorward.sock")),
            path => Ok(Listen::Unix(PathBuf::from(path))),
        };
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Listen::Tcp { host: address.ip().to_string(), port: address.port() });
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(wrong("write a name or an address and a port, such as localhost:3000"));
    };
    let Ok(port) = port.parse() else {
        return Err(wrong("end it with a port from 0 to 65535, such as localhost:3000"));
    };
    if host.is_empty() {
        return Err(wrong("write [::]:3000 for every address of this machine, localhost:3000 for itself alone"));
    }
    if host.contains([':', '[', ']']) {
        return Err(wrong("write an IPv6 address in brackets, such as [::1]:3000"));
    }
    if !host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return Err(wrong("write a name or an address and a port and nothing more, such as localhost:3000"));
    }
    Ok(Listen::Tcp { host: host.to_owned(), port })
}

fn trusted_proxy(text: &str) -> Result<TrustedProxy, Wrong> {
    match text {
        "loopback" => return Ok(TrustedProxy::Loopback),
        "unix" => return Ok(TrustedProxy::Unix),
        _ => {}
    }
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    net.map(TrustedProxy::Net).map_err(|_| {
        let remedy = "write an address, a network such as 10.0.0.0/8, \"loopback\" or \"unix\"";
        Wrong::new(format!("{} is neither an address nor a network", quoted(text)), remedy)
    })
}
