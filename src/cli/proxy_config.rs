//! `doorward proxy-config`: what a proxy in front of an app needs to be told so that it asks Doorward about each request.
//!
//! Printed for this very configuration. It names the app's host itself, never what a client claims; takes away what
//! clients forge, our cookie and our tokens before the app sees them; and lets Doorward answer the browser itself
//! whenever a request may not pass.

use std::path::PathBuf;

use minijinja::{Environment, context};
use url::{Host, Url};

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::config::Config;
use crate::config::problem::quoted;
use crate::config::server::{Listen, TrustedProxy};
use crate::login::return_to::{ReturnRules, ReturnTo};
use crate::web::cookies::Cookies;
use crate::web::guard::forwarded::IDENTITY;

const NGINX: &str = include_str!("../../assets/proxy/nginx.conf");
const CADDY: &str = include_str!("../../assets/proxy/Caddyfile");
const TRAEFIK: &str = include_str!("../../assets/proxy/traefik.yml");
const HAPROXY: &str = include_str!("../../assets/proxy/haproxy.cfg");
const LUA: &str = include_str!("../../assets/proxy/doorward.lua");

/// Headers that somebody outside may forge and that a proxy without patterns has to be told one by one.
const FORGED: [&str; 5] =
    ["X-Original-URL", "X-Original-Method", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Method-Override"];

/// `doorward proxy-config …`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which proxy
    #[arg(value_enum)]
    proxy: Proxy,
    /// The app's host as browsers type it, with the port where it is not the usual one
    #[arg(long, value_name = "HOST")]
    host: String,
    /// Where the proxy reaches the app
    #[arg(long, default_value = "http://127.0.0.1:8000", value_name = "URL", value_parser = upstream)]
    upstream: Url,
    /// Where the proxy reaches Doorward, where that is not where it listens
    #[arg(long, value_name = "URL", value_parser = upstream)]
    doorward: Option<Url>,
    /// The certificate chain of both hosts; HAProxy wants the key in the same file
    #[arg(long, value_name = "FILE", default_value = "/etc/ssl/certs/site.pem")]
    cert: PathBuf,
    /// Its private key
    #[arg(long, value_name = "FILE", default_value = "/etc/ssl/private/site.key")]
    key: PathBuf,
    /// Prints the script that HAProxy loads
    #[arg(long)]
    lua: bool,
    /// Where HAProxy finds that script
    #[arg(long, value_name = "FILE", default_value = "/etc/haproxy/doorward.lua")]
    lua_file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Proxy {
    Nginx,
    Caddy,
    Traefik,
    Haproxy,
}

fn upstream(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host());
    let url = url.filter(|url| url.path() == "/" && url.query().is_none() && url.username().is_empty());
    url.ok_or_else(|| "not an address that a proxy passes on to; write http://127.0.0.1:8000".to_owned())
}

/// Runs `doorward proxy-config …`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let config = context.config()?;
    if args.lua && args.proxy != Proxy::Haproxy {
        return Err(Failure::usage("--lua prints the script that HAProxy loads; the others need none")
            .hint("leave --lua out, or write proxy-config haproxy --lua"));
    }
    let scheme = config.public_url.as_url().scheme();
    let app = app_url(scheme, &args.host)?;
    let doorward = reached_at(&args, &config)?;
    for line in advice(&args, &config, &app) {
        talk(&format!("note: {line}"));
    }
    print(&rendered(&args, &config, &app, &doorward)?)
}

fn app_url(scheme: &str, host: &str) -> Result<Url, Failure> {
    let url = Url::parse(&format!("{scheme}://{host}/")).ok();
    let is_bare = |url: &Url| url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_bare = |url: &Url| is_bare(url) && url.username().is_empty() && matches!(url.host(), Some(Host::Domain(_)));
    // What ends up in a configuration may hold nothing that means something there.
    let is_plain = |url: &Url| {
        url.host_str().is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)))
    };
    url.filter(|url| is_bare(url) && is_plain(url)).ok_or_else(|| {
        Failure::usage(format!("--host {} is not the name of a host", quoted(host))).hint(
            "write it as browsers type it, with a port where it has one: app.example.com, or app.example.com:8443",
        )
    })
}

/// Where the proxy reaches us: as it was told, else where we listen.
fn reached_at(args: &Args, config: &Config) -> Result<String, Failure> {
    if let Some(url) = &args.doorward {
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    }
    match &config.server.listen {
        Listen::Tcp { host, port } => {
            // A proxy resolves names in ways of its own: an address means the same to all.
            let host = match host.as_str() {
                "localhost" | "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
                host if host.contains(':') => format!("[{host}]"),
                host => host.to_owned(),
            };
            Ok(format!("http://{host}:{port}"))
        }
        Listen::Unix(path) if args.proxy == Proxy::Nginx => Ok(format!("http://unix:{}:", path.display())),
        Listen::Unix(_) => {
            let what = "Doorward listens on a Unix socket, which this proxy cannot ask";
            Err(Failure::usage(what).hint("set server.listen to an address such as 127.0.0.1:3000"))
        }
    }
}

/// What else has to be so for this to work, and is not.
fn advice(args: &Args, config: &Config, app: &Url) -> Vec<String> {
    let mut lines = Vec::new();
    let own = config.public_url.as_url();
    let app_host = app.host_str().unwrap_or_default();
    let is_same_host = own.host_str() == app.host_str();
    let is_shared =
        config.sessions.cookie_domain.as_deref().is_some_and(|domain| {
            app_host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
    if !is_same_host && !is_shared {
        lines.push(format!(
            "browsers do not bring {app_host} the session of {}: set sessions.cookie_domain to the domain that both share \
             (it needs https)",
            config.public_url.authority()
        ));
    }
    if is_same_host && config.public_url.path().is_empty() {
        let (origin, authority) = (config.public_url.origin(), config.public_url.authority());
        lines.push(format!(
            "Doorward has all of {authority} for itself: set public_url to a path of it, {origin}/auth for example"
        ));
    }
    if ReturnTo::parse(app.as_str(), &ReturnRules::of(config)).is_none() {
        let origin = app.origin().ascii_serialization();
        let host = &args.host;
        lines.push(format!(
            "nobody can be sent back to {origin} after a sign-in: name {host} in one of gate.rules, with the port if it has one"
        ));
    }
    if args.proxy == Proxy::Traefik {
        lines.push(
            "Traefik passes Doorward's cookie and API tokens on to the app; put one that you do not trust that far behind \
             another proxy"
                .to_owned(),
        );
    }
    let is_near = args.doorward.is_none();
    if is_near && !config.server.trusted_proxies.contains(&TrustedProxy::Loopback) {
        lines.push("a proxy on this machine is not believed: add \"loopback\" to server.trusted_proxies".to_owned());
    }
    if !is_near {
        lines.push(
            "a proxy on another machine is believed only if its address stands in server.trusted_proxies".to_owned(),
        );
    }
    lines
}

fn rendered(args: &Args, config: &Config, app: &Url, doorward: &str) -> Result<String, Failure> {
    let text = match (args.proxy, args.lua) {
        (_, true) => LUA,
        (Proxy::Nginx, _) => NGINX,
        (Proxy::Caddy, _) => CADDY,
        (Proxy::Traefik, _) => TRAEFIK,
        (Proxy::Haproxy, _) => HAPROXY,
    };
    let url = config.public_url.as_url();
    let is_https = config.public_url.is_https();
    let is_same_host = url.host_str() == app.host_str();
    let port = app.port_or_known_default().unwrap_or(443);
    let authority = |url: &Url| match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let (cert, key) = (args.cert.display(), args.key.display());
    let certificate = match (args.proxy, is_https) {
        (Proxy::Nginx, true) => format!("    ssl_certificate {cert};\n    ssl_certificate_key {key};\n"),
        (Proxy::Caddy, true) => format!("\ttls {cert} {key}"),
        _ => String::new(),
    };
    let tls = if is_https { " ssl" } else { "" };
    let crt = if is_https { format!(" ssl crt {cert} alpn h2,http/1.1") } else { String::new() };
    let cookies = Cookies::new(&config.public_url, None).shared_with(config.sessions.cookie_domain.as_deref());
    let names: Vec<String> = IDENTITY.iter().map(|name| spelled(name.as_str())).collect();
    let forged: Vec<String> = FORGED.iter().map(|name| (*name).to_owned()).chain(names.iter().cloned()).collect();
    let environment = Environment::new();
    let values = context! {
        scheme => url.scheme(),
        own => config.public_url.authority(),
        own_name => url.host_str(),
        base => config.public_url.path(),
        app => authority(app),
        app_name => app.host_str(),
        and_app => if is_same_host { " !below_doorward" } else { "" },
        same_host => is_same_host,
        listen => format!("{port}{tls}"),
        bind => format!(":{port}{crt}"),
        certificate,
        cookie => cookies.session_name(),
        identity => names,
        forged,
        doorward,
        doorward_address => doorward.trim_start_matches("http://"),
        upstream => args.upstream.as_str().trim_end_matches('/'),
        upstream_address => args.upstream.as_str().trim_end_matches('/').trim_start_matches("http://"),
        lua => args.lua_file.display().to_string(),
    };
    let rendered = environment.render_str(text, values);
    rendered
        .map(|text| text + "\n")
        .map_err(|error| Failure::not_so(format!("the template of this proxy is broken: {error}")))
}

/// `remote-user` as people write it: `Remote-User`.
fn spelled(name: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}
