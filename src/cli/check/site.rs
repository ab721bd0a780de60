//! What the configuration says by itself: its warnings, its names, its certificate, the address that the provider must know.

use std::net::IpAddr;

use tokio::time::timeout;

use crate::cli::check::{Finding, PATIENCE, Seen, place};
use crate::cli::failure::Failure;
use crate::config::Config;
use crate::config::server::{Listen, Tls};
use crate::names::Names;
use crate::pages::Pages;
use crate::server::tls;
use crate::web::paths::CALLBACK;

const LISTEN: &str = "server.listen";

/// A name that the configuration holds.
pub struct Name {
    key: &'static str,
    host: String,
    addresses: Result<Vec<IpAddr>, String>,
}

/// The configuration holds, or nobody would be here; what there is to say about it.
pub fn configuration(seen: &Seen) -> Vec<Finding> {
    let loaded = &seen.loaded;
    if loaded.warnings.is_empty() {
        let from = loaded.file.as_ref().map(|file| file.display().to_string());
        let from = from.unwrap_or_else(|| "environment and command line, without a file".to_owned());
        return vec![Finding::fine(from)];
    }
    loaded.warnings.iter().map(Finding::warning).collect()
}

/// The addresses of every name that the configuration holds.
pub async fn resolve(config: &Config, names: &Names) -> Vec<Name> {
    let mut wanted = vec![("public_url", config.public_url.as_url().host_str().unwrap_or_default().to_owned())];
    if let Listen::Tcp { host, .. } = &config.server.listen {
        wanted.push((LISTEN, host.clone()));
    }
    let mut found = Vec::new();
    for (key, host) in wanted {
        let addresses = match timeout(PATIENCE, names.resolve(&host)).await {
            Ok(addresses) => addresses.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no address for {host}: no name server answers")),
        };
        found.push(Name { key, host, addresses });
    }
    found
}

/// Whether every name has an address.
pub fn names(seen: &Seen) -> Vec<Finding> {
    let judge = |Name { key, host, addresses }: &Name| match addresses {
        Ok(addresses) => {
            // Browsers go wherever they like; connections are taken here or nowhere.
            if let Some(elsewhere) = place::elsewhere(key, host, addresses).filter(|_| *key == LISTEN) {
                return elsewhere;
            }
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            Finding::fine(format!("{key}: {host} is {}", addresses.join(", ")))
        }
        Err(why) => {
            let remedy = "give the name an address (an A or AAAA record, or a line in /etc/hosts of this machine)";
            Finding::wrong(format!("{key}: {why}")).hint(format!("{remedy}, or correct {key}"))
        }
    };
    seen.names.iter().map(judge).collect()
}

/// Which redirect URI the provider must know, and whether the file from Google's console lists it.
pub fn redirect_uri(seen: &Seen) -> Vec<Finding> {
    let config = seen.config();
    let redirect_uri = config.public_url.join(CALLBACK);
    let registered = config.provider.as_ref().and_then(|provider| provider.registered_redirect_uris.as_ref());
    let said = format!("redirect URI to register: {redirect_uri}");
    vec![match registered {
        Some(uris) if uris.contains(&redirect_uri) => Finding::fine(format!("{said} (the client's file lists it)")),
        // The console may know it by now; the configuration's own warning says what to do.
        Some(_) => Finding::fine(format!("{said} (the client's file does not list it)")),
        None => Finding::fine(said),
    }]
}

/// Whether the certificate and the key hold that the configuration names; one of our own is made when it is needed.
pub fn certificate_files(seen: &Seen) -> Vec<Finding> {
    match &seen.config().server.tls {
        Tls::Files { cert, key } => match tls::from_files((tls::CERT, cert), (tls::KEY, key)) {
            Ok(_) => vec![Finding::fine(format!("{} and its key fit together", cert.display()))],
            Err(error) => vec![Failure::configuration(error.to_string()).into()],
        },
        Tls::SelfSigned(_) => vec![Finding::skipped("server.tls is \"self-signed\": made when it is needed")],
        Tls::Off => vec![Finding::skipped("Doorward itself speaks plain http here")],
    }
}

/// What is wrong with the owner's own pages, a warning for each: ours stand in their place. Nothing where nothing is.
pub fn pages(seen: &Seen) -> Vec<Finding> {
    let warning =
        |flaw: String| Finding::warning(format!("{flaw}; ours is used in its place: mend the file, or delete it"));
    Pages::flaws(&seen.config().pages).into_iter().map(warning).collect()
}
