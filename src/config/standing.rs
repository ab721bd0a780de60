//! What stands until a restart: listeners, the database, and what cookies and the provider's return depend on. Pure.

use crate::config::Config;
use crate::config::server::Tls;

/// Puts into `read`, which was read again, what cannot change while `running` is in force. The keys that differ, as the
/// operator knows them.
pub fn keep(running: &Config, read: &mut Config) -> Vec<&'static str> {
    let mut kept = Vec::new();
    let mut hold = |is_changed: bool, key: &'static str| {
        if is_changed {
            kept.push(key);
        }
        is_changed
    };
    if hold(read.public_url != running.public_url, "public_url") {
        read.public_url = running.public_url.clone();
    }
    if hold(read.server.listen != running.server.listen, "server.listen") {
        read.server.listen = running.server.listen.clone();
    }
    // Another certificate is taken over; that there is one at all belongs to the address.
    if hold((read.server.tls == Tls::Off) != (running.server.tls == Tls::Off), "server.tls") {
        read.server.tls = running.server.tls.clone();
    }
    if hold(read.server.max_connections != running.server.max_connections, "server.max_connections") {
        read.server.max_connections = running.server.max_connections;
    }
    let issuer = |config: &Config| config.provider.as_ref().map(|one| (one.name.clone(), one.issuer.clone()));
    if hold(issuer(read) != issuer(running), "providers") {
        read.provider = running.provider.clone();
    }
    if hold(read.database != running.database, "database") {
        read.database = running.database.clone();
    }
    // It is part of the cookie's name: everybody would be signed out in the middle of what they do.
    if hold(read.sessions.cookie_domain != running.sessions.cookie_domain, "sessions.cookie_domain") {
        read.sessions.cookie_domain = running.sessions.cookie_domain.clone();
    }
    if hold(read.log != running.log, "log") {
        read.log = running.log.clone();
    }
    if hold(read.metrics != running.metrics, "metrics.listen") {
        read.metrics = running.metrics.clone();
    }
    kept
}
