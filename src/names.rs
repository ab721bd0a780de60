//! From a host's name to its addresses.
//!
//! A static binary cannot use the C library's resolver: it would load plugins of whatever system it runs on. Names are
//! asked of the servers in `/etc/resolv.conf`; `/etc/hosts` counts where there is one, and `localhost` is always this
//! machine (RFC 6761). The files are read once, and again when a lookup fails and they may have changed since: a
//! laptop that moves to another network must not need a restart.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// How long what the system's files said is believed without looking again, even when lookups fail.
const REREAD_AFTER: Duration = Duration::from_secs(5);

/// Asks for addresses. Clones share one resolver and its cache.
#[derive(Clone)]
pub struct Names {
    current: Arc<RwLock<Reading>>,
}

/// A resolver and when the files it was made from were read.
struct Reading {
    resolver: Option<TokioResolver>,
    read_at: Instant,
}

impl Reading {
    /// Reads the system's files; missing or broken ones leave a resolver that knows less.
    fn now() -> Self {
        let system = TokioResolver::builder_tokio();
        // Without name servers `/etc/hosts` still counts.
        let bare = || {
            TokioResolver::builder_with_config(
                ResolverConfig::from_parts(None, Vec::new(), Vec::new()),
                TokioRuntimeProvider::default(),
            )
        };
        let mut builder = system.unwrap_or_else(|_| bare());
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Self { resolver: builder.build().ok(), read_at: Instant::now() }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

impl Names {
    /// A resolver by the system's configuration; usable even where there is none.
    pub fn from_system() -> Self {
        Self { current: Arc::new(RwLock::new(Reading::now())) }
    }

    /// Every address that `host` has, the literal itself where it is an address. At least one, or an error that
    /// names the host.
    pub async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = literal.parse() {
            return Ok(vec![address]);
        }
        if is_this_machine(host) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        match ask(self.resolver(), host).await {
            Ok(addresses) => Ok(addresses),
            Err(_) if self.reread() => ask(self.resolver(), host).await,
            Err(error) => Err(error),
        }
    }

    fn resolver(&self) -> Option<TokioResolver> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).resolver.clone()
    }

    /// Reads the files again, unless that was done a moment ago. Whether it was done.
    fn reread(&self) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let is_due = current.read_at.elapsed() >= REREAD_AFTER;
        if is_due {
            *current = Reading::now();
        }
        is_due
    }
}

/// `localhost` and what lies under it, whatever a name server says: a remote answer would send what is meant for this
/// machine elsewhere.
fn is_this_machine(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

async fn ask(resolver: Option<TokioResolver>, host: &str) -> io::Result<Vec<IpAddr>> {
    let unknown = |why: String| io::Error::new(io::ErrorKind::NotFound, format!("no address for {host}: {why}"));
    let resolver = resolver.ok_or_else(|| unknown("no resolver could be made".to_owned()))?;
    let answer = resolver.lookup_ip(host).await.map_err(|error| match error.to_string() {
        // What follows in the resolver's words is the question over again.
        said if said.contains("no records found") => {
            unknown("no name server that was asked knows this name".to_owned())
        }
        said => unknown(said),
    })?;
    let addresses: Vec<IpAddr> = answer.iter().collect();
    if addresses.is_empty() { Err(unknown("it has none".to_owned())) } else { Ok(addresses) }
}
