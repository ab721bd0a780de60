//! Where connections are taken.

use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket};

use crate::config::server::Listen;
use crate::names::Names;

/// How many connections the system keeps waiting for us, where it keeps as many (Linux: `net.core.somaxconn`). Beyond
/// that it drops what they say first, and they try again only after a second.
const BACKLOG: u32 = 4096;

/// How many free ports are tried where a name has several addresses.
const FREE_PORTS_TRIED: u32 = 5;

/// `EAFNOSUPPORT`: the system was started without IPv6 (errno(3)).
#[cfg(target_os = "linux")]
const NO_SUCH_FAMILY: i32 = 97;

/// A place where connections arrive.
#[derive(Debug)]
pub enum Listener {
    /// An address and a port.
    Tcp(TcpListener),
    /// A socket in the file system.
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
    /// The same, made by whoever started us, who keeps the file.
    #[cfg(unix)]
    Handed(tokio::net::UnixListener),
}

/// Why we cannot listen there.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The name has no address.
    #[error("{source}")]
    Name {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Somebody is there already, or we may not.
    #[error("{place} cannot be listened on: {source}")]
    Bind {
        /// Where.
        place: String,
        /// Why.
        source: io::Error,
    },
}

impl ListenError {
    /// Whether another program listens there.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }

    /// What to do about it, where `key` of the configuration named the place.
    pub fn remedy(&self, key: &str) -> String {
        let Self::Bind { source, .. } = self else {
            return format!("correct {key}, or write an address there, such as 127.0.0.1:3000");
        };
        match source.kind() {
            io::ErrorKind::AddrInUse => {
                format!("another program listens there: end it, or choose another place with {key}")
            }
            io::ErrorKind::AddrNotAvailable => {
                format!("{key} must be an address of this machine, localhost, or [::] for all that it has")
            }
            io::ErrorKind::PermissionDenied => format!(
                "the account that runs Doorward may not use that: choose a port from 1024 on, or a folder of its own, with \
                 {key}; under systemd AmbientCapabilities=CAP_NET_BIND_SERVICE allows the ports below"
            ),
            io::ErrorKind::NotFound => format!("make the folder first, or name another with {key}"),
            io::ErrorKind::AlreadyExists => format!("move the file away, or name another with {key}"),
            _ => format!("choose another place with {key}"),
        }
    }
}

/// Listens on every address that `listen` has. Of a name with several, those that this machine lacks are left out; port
/// 0 becomes one free port for all of them.
pub async fn bind(listen: &Listen, names: &Names) -> Result<Vec<Listener>, ListenError> {
    match listen {
        Listen::Tcp { host, port } => bind_tcp(host, *port, names).await,
        #[cfg(unix)]
        Listen::Unix(path) => {
            let place = || format!("unix:{}", path.display());
            bind_unix(path)
                .map(|listener| vec![listener])
                .map_err(|source| ListenError::Bind { place: place(), source })
        }
        #[cfg(not(unix))]
        Listen::Unix(path) => {
            let source = io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets");
            Err(ListenError::Bind { place: format!("unix:{}", path.display()), source })
        }
    }
}

async fn bind_tcp(host: &str, port: u16, names: &Names) -> Result<Vec<Listener>, ListenError> {
    let addresses = names.resolve(host).await.map_err(|source| ListenError::Name { host: host.to_owned(), source })?;
    let mut tries = if port == 0 { FREE_PORTS_TRIED } else { 1 };
    loop {
        tries -= 1;
        match bind_all(host, port, &addresses) {
            // A port that is free at one address may be taken at another.
            Err(error) if error.is_taken() && tries > 0 => {}
            bound => return bound,
        }
    }
}

fn bind_all(host: &str, port: u16, addresses: &[IpAddr]) -> Result<Vec<Listener>, ListenError> {
    let mut listeners: Vec<Listener> = Vec::new();
    let mut port = port;
    let mut absent = io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address");
    for address in addresses {
        let address = SocketAddr::new(*address, port);
        match listen_at(address) {
            Ok(listener) => {
                port = listener.local_addr().map_or(port, |bound| bound.port());
                listeners.push(Listener::Tcp(listener));
            }
            // A machine without IPv6 still has a localhost.
            Err(error) if matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported) => {
                absent = error;
            }
            #[cfg(target_os = "linux")]
            Err(error) if error.raw_os_error() == Some(NO_SUCH_FAMILY) => absent = error,
            Err(source) => return Err(ListenError::Bind { place: address.to_string(), source }),
        }
    }
    if listeners.is_empty() {
        return Err(ListenError::Bind { place: format!("{host}:{port}"), source: absent });
    }
    Ok(listeners)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait for connections of the last run to be forgotten.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(unix)]
fn bind_unix(path: &Path) -> io::Result<Listener> {
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixStream;

    // Connecting to an ordinary file is refused as well, and that one is not ours to remove.
    if std::fs::symlink_metadata(path).is_ok_and(|file| !file.file_type().is_socket()) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is there"));
    }
    match UnixStream::connect(path) {
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there")),
        // Left behind by a run that was killed.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
        Err(_) => {}
    }
    tokio::net::UnixListener::bind(path).map(Listener::Unix)
}

impl Listener {
    /// A TCP socket that somebody else listens on already.
    pub fn of_tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Self::Tcp)
    }

    /// A socket in the file system that somebody else listens on already.
    #[cfg(unix)]
    pub fn of_unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener).map(Self::Handed)
    }

    /// The address, for those that have one.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Self::Unix(_) | Self::Handed(_) => None,
        }
    }

    /// The file of a Unix socket, to be removed at the end.
    #[cfg(unix)]
    pub fn socket_file(&self) -> Option<PathBuf> {
        match self {
            Self::Tcp(_) | Self::Handed(_) => None,
            Self::Unix(listener) => listener.local_addr().ok()?.as_pathname().map(Path::to_owned),
        }
    }
}

/// Whether one of this machine's own addresses is meant: no other can be bound to.
pub fn is_ours(address: IpAddr) -> bool {
    match std::net::UdpSocket::bind((address, 0)) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::AddrNotAvailable,
    }
}

/// How a person finds out who listens on `port` where [`holder`] does not know: a program of another account's.
pub fn who_asks(port: u16) -> String {
    if cfg!(target_os = "linux") {
        format!(" (by whom, `ss -ltnp 'sport = :{port}'` tells root)")
    } else {
        String::new()
    }
}

/// Which program listens on TCP `port` of this machine, as far as this system tells: `mysqld (process 4711)`.
#[cfg(target_os = "linux")]
pub fn holder(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| listening_inode(table, port))?;
    let socket = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find_map(|process| {
        let mut files = std::fs::read_dir(format!("/proc/{process}/fd")).ok()?.flatten();
        files.find(|file| std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket.as_str()))?;
        let name = std::fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
        Some(format!("{}, process {process}", name.trim()))
    })
}

/// Which program listens on TCP `port` of this machine: not told by this system.
#[cfg(not(target_os = "linux"))]
pub fn holder(_port: u16) -> Option<String> {
    None
}

/// The inode of the socket that listens on `port`, in a table of proc(5).
#[cfg(target_os = "linux")]
fn listening_inode(table: &str, port: u16) -> Option<String> {
    const LISTENING: &str = "0A";
    std::fs::read_to_string(table).ok()?.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (address, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
        let listens = *state == LISTENING && address.ends_with(&format!(":{port:04X}"));
        listens.then(|| (*inode).to_owned())
    })
}
