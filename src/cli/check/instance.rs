//! Whether an instance runs here, whether browsers reach that very one, and what becomes of a request on the way: asked at
//! both ends by a question that only holders of the database's keys can put ([`crate::countersign`]).

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use tokio::time::timeout;

use crate::cli::check::{self, Finding, PATIENCE};
use crate::cli::knock::{self, Answer, Silence};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::config::server::Listen;
use crate::countersign::{self, Question};
use crate::login::sealing;
use crate::random::OsRandom;
use crate::server::listen;
use crate::store::Key;
use crate::web::paths::HEALTHZ;

/// An address that nobody has (RFC 5737): whoever believes that we come from there believes anything.
const FORGED_ADDRESS: &str = "203.0.113.66";

/// Headers that an honest visitor has no business sending.
const FORGED: [&str; 3] =
    ["Remote-User: doorward-doctor", "X-Auth-Request-Email: doctor@doorward.invalid", "X-Forwarded-Uri: /"];

/// How a request arrived, as the instance told it; see `/healthz`.
#[derive(Clone, Debug, Deserialize)]
struct Arrived {
    instance: String,
    peer: String,
    address: String,
    is_believed: bool,
    is_elsewhere: bool,
    host: Option<String>,
    scheme: Option<String>,
    identity: Vec<String>,
}

/// What came back from one end.
struct End {
    answer: Result<Answer, Silence>,
    /// How the request arrived; `None`: whoever answered is none of ours.
    arrived: Option<Arrived>,
}

/// What came back from both ends.
pub struct Seen {
    here: End,
    there: End,
    /// Whether there was anything to be recognised by.
    can_recognise: bool,
    /// Whether that is so new that an instance may not have read it yet.
    is_news: bool,
}

/// Asks where `config` listens and where browsers go.
pub async fn ask(config: &Config, keys: &[Key], ca_file: Option<PathBuf>) -> Seen {
    let path = config.public_url.join(HEALTHZ);
    let path = path.strip_prefix(&config.public_url.origin()).unwrap_or(HEALTHZ);
    let now = SystemClock.now();
    let question = Question::new(keys, &OsRandom, now);
    let header = |question: &Option<Question>| {
        question.as_ref().map(|question| format!("{}: {}", countersign::HEADER, question.to_header()))
    };
    let late = |_| Silence::Broken(std::io::Error::new(std::io::ErrorKind::TimedOut, "it took too long"));
    let plain: Vec<String> = header(&question).into_iter().collect();
    let here = timeout(PATIENCE, knock::where_it_listens(config, path, &plain));
    let wrong_scheme = if config.public_url.is_https() { "http" } else { "https" };
    let mut forged = plain.clone();
    forged.extend(FORGED.map(str::to_owned));
    forged.push(format!("X-Forwarded-For: {FORGED_ADDRESS}"));
    forged.push(format!("X-Forwarded-Proto: {wrong_scheme}"));
    let there = timeout(PATIENCE, knock::where_browsers_go(config, ca_file.as_deref(), path, &forged));
    let (here, there) = tokio::join!(here, there);
    let end = |answer: Result<Answer, Silence>| {
        let arrived = question
            .as_ref()
            .zip(answer.as_ref().ok())
            .and_then(|(question, answer)| recognised(answer, question, keys));
        End { answer, arrived }
    };
    Seen {
        here: end(here.map_err(late).and_then(|answer| answer)),
        there: end(there.map_err(late).and_then(|answer| answer)),
        can_recognise: question.is_some(),
        is_news: sealing::are_news(keys, now),
    }
}

fn recognised(answer: &Answer, question: &Question, keys: &[Key]) -> Option<Arrived> {
    let body = answer.json()?;
    let told = body.get("arrived")?.as_str()?;
    let is_ours = question.is_answered(keys, told, body.get("proof")?.as_str()?);
    if is_ours { serde_json::from_str(told).ok() } else { None }
}

fn place(listen: &Listen) -> String {
    match listen {
        Listen::Tcp { host, port } => format!("{host}:{port}"),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// Whether Doorward runs here, with this database.
pub fn here(seen: &check::Seen) -> Vec<Finding> {
    let Some(instance) = &seen.instance else { return Vec::new() };
    let place = place(&seen.config().server.listen);
    vec![match (&instance.here.answer, &instance.here.arrived) {
        (Err(silence @ (Silence::Connection(..) | Silence::Name(_))), _) => Finding::wrong(format!(
            "Doorward does not run here: {silence}"
        ))
        .hint("start it (doorward, or systemctl start doorward) and ask again; its log says why it ends, if it does"),
        (Err(silence), _) => Finding::wrong(format!("{place} does not answer as Doorward: {silence}"))
            .hint("another program may listen there, or Doorward runs with another configuration: restart it"),
        (Ok(_), Some(_)) => Finding::fine(format!("Doorward answers at {place}, on this database")),
        (Ok(answer), None) if !instance.can_recognise => Finding::skipped(format!(
            "{place} answers {}, and without a database that is ready nobody can tell who that is",
            harmless(&answer.line)
        )),
        (Ok(answer), None) if instance.is_news => not_yet(&place, answer),
        (Ok(answer), None) => Finding::wrong(format!(
            "what answers at {place} ({}) is not Doorward with this database",
            harmless(&answer.line)
        ))
        .hint(match &seen.config().server.listen {
            Listen::Tcp { port, .. } => match listen::holder(*port) {
                Some(holder) => {
                    format!("it is {holder}: end it, restart it with this configuration, or choose another port")
                }
                None => "end that program, restart it with this configuration, or choose another port".to_owned(),
            },
            Listen::Unix(_) => "restart Doorward with this configuration".to_owned(),
        }),
    }]
}

/// Right after `doorward keys rotate --sealing --now` nobody knows anybody.
fn not_yet(place: &str, answer: &Answer) -> Finding {
    let line = harmless(&answer.line);
    Finding::warning(format!("{place} answers {line}, and the key by which instances are known is not a minute old"))
        .hint("an instance that runs reads it within a minute: ask again then")
}

/// Whether `public_url` leads to the instance that runs here.
pub fn there(seen: &check::Seen) -> Vec<Finding> {
    let Some(instance) = &seen.instance else { return Vec::new() };
    let url = &seen.config().public_url;
    if instance.here.answer.is_err() {
        return vec![Finding::skipped("Doorward does not run here")];
    }
    let here = instance.here.arrived.as_ref().map(|arrived| arrived.instance.as_str());
    vec![match (&instance.there.answer, &instance.there.arrived) {
        (Err(Silence::Tls(why)), _) => Finding::wrong(format!("TLS with {url} fails: {why}")).hint(
            "browsers will refuse it as well: look at the certificate's names and dates and at its chain, in the proxy or \
             in [server]; --ca-file names an authority of your own",
        ),
        (Err(silence), _) => Finding::wrong(format!("{url} is not reached: {silence}")).hint(
            "start the proxy in front, look at DNS and firewall, or correct public_url; a network that does not lead back \
             to itself fails from here alone",
        ),
        (Ok(_), Some(there)) if Some(there.instance.as_str()) == here => {
            Finding::fine(format!("{url} leads to the instance that runs here"))
        }
        (Ok(_), Some(_)) => Finding::fine(format!("{url} leads to another instance on the same database")),
        (Ok(_), None) if !instance.can_recognise => {
            Finding::skipped("without a database that is ready nobody can tell who answers")
        }
        (Ok(answer), None) if instance.is_news => not_yet(&url.to_string(), answer),
        (Ok(answer), None) => {
            let to = answer.header("location").map(|to| format!(", to {}", harmless(to))).unwrap_or_default();
            Finding::wrong(format!("{url} leads to somebody else ({}{to})", harmless(&answer.line))).hint(format!(
                "let the proxy pass {}/ on to {}, path and headers as they are, or correct public_url",
                url.path(),
                place(&seen.config().server.listen)
            ))
        }
    }]
}

/// Whether browsers accept the certificate.
pub fn certificate(seen: &check::Seen) -> Vec<Finding> {
    let Some(instance) = &seen.instance else { return Vec::new() };
    if !seen.config().public_url.is_https() {
        return vec![Finding::skipped("public_url is plain http, for this machine alone")];
    }
    vec![match &instance.there.answer {
        Ok(Answer { is_own_certificate: true, .. }) => {
            Finding::warning("nobody vouches for the certificate (self-signed, or of an authority of your own): browsers ask each person")
                .hint("right for work on one machine; elsewhere get one that browsers know, or name the authority with --ca-file")
        }
        Ok(_) => Finding::fine("the certificate is good, by its names, its dates and who signed it"),
        Err(Silence::Tls(why)) => Finding::wrong(format!("{why}"))
            .hint("renew it, or have it made for the host of public_url"),
        Err(_) => Finding::skipped("public_url was not reached"),
    }]
}

/// Judges what a proxy made of a forged request; without one in between there is nothing to judge.
fn by_proxy(seen: &check::Seen, judge: impl Fn(&Arrived, SocketAddr) -> Finding) -> Vec<Finding> {
    let Some(instance) = &seen.instance else { return Vec::new() };
    let from = instance.there.answer.as_ref().ok().and_then(|answer| answer.from);
    vec![match (&instance.there.arrived, from) {
        (Some(arrived), Some(from)) if same(&arrived.peer, from) => {
            Finding::skipped("nobody stands between browsers and Doorward")
        }
        (Some(arrived), Some(from)) => judge(arrived, from),
        _ => Finding::skipped("public_url was not reached"),
    }]
}

fn same(peer: &str, from: SocketAddr) -> bool {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    peer.parse().is_ok_and(|peer| canonical(peer) == canonical(from))
}

/// Whether the proxy tells which host browsers ask for: otherwise pages are redirected to where they came from.
pub fn host(seen: &check::Seen) -> Vec<Finding> {
    let authority = seen.config().public_url.as_url().authority();
    by_proxy(seen, |arrived, _| {
        let host = harmless(arrived.host.as_deref().unwrap_or_default());
        if arrived.is_elsewhere {
            return Finding::wrong(format!(
                "pages go in circles: the proxy asks for the host {host:?}, and Doorward sends browsers on to {authority}"
            ))
            .hint(format!(
                "have the proxy pass the browser's Host on (nginx: proxy_set_header Host {authority};){}",
                if arrived.is_believed { "" } else { ", or name the proxy in server.trusted_proxies" }
            ));
        }
        Finding::fine(format!("the proxy asks for {host}"))
    })
}

/// Whether the proxy overwrites what a visitor says of the scheme.
pub fn scheme(seen: &check::Seen) -> Vec<Finding> {
    let ours = seen.config().public_url.as_url().scheme();
    by_proxy(seen, |arrived, _| match arrived.scheme.as_deref() {
        Some(scheme) if scheme == ours => Finding::fine(format!("the proxy says {ours}")),
        Some(scheme) => {
            let said = format!(
                "the proxy passes on X-Forwarded-Proto {:?} as a visitor made it up, and public_url is {ours}",
                harmless(scheme)
            );
            Finding::wrong(said).hint(format!("nginx: proxy_set_header X-Forwarded-Proto {ours};"))
        }
        None => Finding::warning("the proxy does not say which scheme browsers use").hint(format!(
            "nothing here depends on it, an app beside might; nginx: proxy_set_header X-Forwarded-Proto {ours};"
        )),
    })
}

/// Whether the proxy tells who its visitor is, and is believed, and believes nobody else.
pub fn address(seen: &check::Seen) -> Vec<Finding> {
    by_proxy(seen, |arrived, from| {
        let (told, ours) = (arrived.address.as_str(), from.ip().to_canonical().to_string());
        if told == FORGED_ADDRESS {
            return Finding::wrong("any visitor can pretend any address: the proxy passes their own X-Forwarded-For on, or a stranger's word is believed")
                .hint(
                    "have the proxy overwrite it (nginx: proxy_set_header X-Forwarded-For $remote_addr;), and name no \
                     more than your proxies in server.trusted_proxies",
                );
        }
        if !arrived.is_believed {
            return Finding::warning(format!(
                "the proxy at {} is not believed: everybody seems to come from it",
                harmless(&arrived.peer)
            ))
            .hint("name its address in server.trusted_proxies");
        }
        if told == ours {
            return Finding::fine(format!("the proxy says {ours}, and so it is"));
        }
        let peer = arrived.peer.parse::<SocketAddr>().map(|peer| peer.ip().to_canonical().to_string());
        if peer.is_ok_and(|peer| peer == told) || told.is_empty() {
            return Finding::warning("the proxy does not tell who its visitors are: everybody seems to come from it")
                .hint("nginx: proxy_set_header X-Forwarded-For $remote_addr;");
        }
        Finding::fine(format!("the proxy says {told}: another address than {ours} of this machine, as behind a NAT"))
    })
}

/// Whether a visitor can say who they are by the headers that tell apps so.
pub fn identity(seen: &check::Seen) -> Vec<Finding> {
    by_proxy(seen, |arrived, _| {
        if arrived.identity.is_empty() {
            return Finding::fine("the proxy takes forged identity headers out");
        }
        let said = format!(
            "the proxy passes on {} as a visitor made them up. Doorward does not listen to them; an app behind the same \
             proxy would",
            harmless(&arrived.identity.join(", "))
        );
        let finding = if seen.config().gate.rules.is_empty() { Finding::warning(said) } else { Finding::wrong(said) };
        finding.hint("have it take them out of every request (nginx: proxy_set_header Remote-User \"\";); `doorward proxy-config` prints how")
    })
}

/// A stranger's words, as a terminal can bear them.
fn harmless(text: &str) -> String {
    crate::cli::table::harmless(&text.chars().take(120).collect::<String>())
}
