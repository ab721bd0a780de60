//! Whether a start could listen where the configuration says. Somebody who is there already may be Doorward itself.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::check::Finding;
use crate::cli::failure::Failure;
use crate::config::Config;
use crate::config::server::Listen;
use crate::names::Names;
use crate::server::listen;

/// How long a connection to a port of this machine may take.
const KNOCK: Duration = Duration::from_millis(500);

/// What a start would meet at each place where connections are to be taken; nothing where that is well.
pub async fn taken(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(at("server.listen", &config.server.listen).await);
    if let Some(place) = &config.metrics.listen {
        found.extend(at("metrics.listen", place).await);
    }
    found
}

async fn at(key: &str, place: &Listen) -> Option<Finding> {
    let (host, port) = match place {
        Listen::Tcp { host, port } => (host, *port),
        Listen::Unix(path) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())?;
            let failure = Failure::unavailable(format!("{key}: there is no folder {}", folder.display()));
            return Some(failure.hint(format!("make it, or correct {key}")).into());
        }
    };
    let addresses = match Names::from_system().resolve(host).await {
        Ok(addresses) => addresses,
        Err(why) => return Some(Failure::unavailable(format!("{key}: {why}")).hint(correct(key)).into()),
    };
    if let Some(elsewhere) = elsewhere(key, host, &addresses) {
        return Some(elsewhere);
    }
    for address in addresses.into_iter().filter(|_| port != 0) {
        let knock = timeout(KNOCK, TcpStream::connect(SocketAddr::new(address, port))).await;
        if matches!(knock, Ok(Ok(_))) {
            return Some(Finding::warning(taken_by(key, port)));
        }
    }
    None
}

/// A failure where none of the addresses of `host` belongs to this machine.
pub fn elsewhere(key: &str, host: &str, addresses: &[IpAddr]) -> Option<Finding> {
    if addresses.is_empty() || addresses.iter().any(|address| listen::is_ours(*address)) {
        return None;
    }
    let all: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    let is = if all == [host] { String::new() } else { format!(" ({})", all.join(", ")) };
    let failure = Failure::unavailable(format!("{key}: {host}{is} is no address of this machine"));
    Some(failure.hint(correct(key)).into())
}

fn correct(key: &str) -> String {
    format!("in {key} write an address of this machine, localhost for itself alone, or [::] for every address it has")
}

/// The sentence for a port that somebody listens on.
fn taken_by(key: &str, port: u16) -> String {
    match listen::holder(port) {
        Some(holder) if holder.starts_with("doorward,") => {
            format!("port {port} is taken by {holder}: fine if that is this site, already running")
        }
        holder => {
            let holder = holder.map_or_else(|| listen::who_asks(port), |holder| format!(" by {holder}"));
            let also = if key == "server.listen" { " or --listen, and in public_url" } else { "" };
            format!(
                "port {port} is taken{holder}, and Doorward will not start: end that program, or choose another port \
                 with {key}{also}"
            )
        }
    }
}
