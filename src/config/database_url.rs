//! A database in one line: `sqlite:doorward.db`, `mysql://user:password@host:3306/name`, with commas between hosts. The line
//! may hold a password, so no error repeats any of it.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::config::database::{Host, MAX_CONNECTIONS, Mysql, Place, Tls};
use crate::config::problem::Wrong;
use crate::config::secret::Secret;

const EXAMPLE: &str = "write mysql://user:password@host:3306/name, special characters percent-encoded, or in parts: \
                       host, user, password, name";

/// The other way, in which nothing needs to be encoded.
const IN_PARTS: &str = "or write the parts, host, user, password and name, where nothing is encoded";

/// Which database `text` means. A path is as it stands in the text.
pub fn parse(text: &str) -> Result<Place, Wrong> {
    match text.split_once(':') {
        Some(("sqlite", path)) => sqlite(path),
        Some((scheme, _)) if is_mysql(scheme) => mysql(text).map(Place::Mysql),
        Some(("postgres" | "postgresql", _)) => {
            Err(Wrong::new("is PostgreSQL, which is not supported", "use MySQL, MariaDB or SQLite"))
        }
        _ => Err(Wrong::new("begins neither with sqlite: nor with mysql://", EXAMPLE)),
    }
}

/// Python writes `mysql+pymysql://`, MariaDB's own tools `mariadb://`.
pub fn is_mysql(scheme: &str) -> bool {
    matches!(scheme, "mysql" | "mariadb") || scheme.starts_with("mysql+") || scheme.starts_with("mariadb+")
}

fn sqlite(path: &str) -> Result<Place, Wrong> {
    let remedy = "write sqlite:doorward.db or sqlite:/var/lib/doorward/doorward.db";
    match path {
        "" => Err(Wrong::new("names no file", remedy)),
        // How many slashes mean what differs from program to program.
        path if path.starts_with("//") => Err(Wrong::new("has slashes after sqlite:", remedy)),
        ":memory:" => Err(Wrong::new("would forget everybody when it ends", remedy)),
        path if path.contains(['?', '\0']) => {
            Err(Wrong::new("has parameters, which SQLite takes none of here", remedy))
        }
        path => Ok(Place::Sqlite(PathBuf::from(path))),
    }
}

fn mysql(text: &str) -> Result<Mysql, Wrong> {
    read(text).map_err(|wrong| match unescaped(text) {
        Some(found) => {
            let what = format!("holds a {found} before its last @, as a password does that is not percent-encoded");
            Wrong::new(what, format!("write %{:02X} for that {found}; {IN_PARTS}", u32::from(found)))
        }
        None => wrong,
    })
}

fn read(text: &str) -> Result<Mysql, Wrong> {
    let wrong = |what: &str| Wrong::new(what, EXAMPLE);
    // The parser skips line ends wherever they stand; behind the scheme one would hide from us where the password is.
    if !text.contains("://") {
        return Err(wrong("names no host"));
    }
    let (text, others) = split_hosts(text);
    let url = Url::parse(&text).map_err(|error| wrong(&format!("cannot be read as a URL: {error}")))?;
    let decoded = |part: &str, name: &str| {
        let decoded = percent_decode_str(part).decode_utf8().map(std::borrow::Cow::into_owned);
        decoded.map_err(|_| {
            let what = format!("has a {name} that is not UTF-8 text once its % are read as percent-encoding");
            Wrong::new(what, format!("write %25 for a % that means itself; {IN_PARTS}"))
        })
    };
    if url.fragment().is_some() {
        return Err(wrong("holds a #, behind which nothing counts"));
    }
    // SQLAlchemy's charset; ours is always utf8mb4.
    if url.query_pairs().any(|(name, _)| name != "charset") {
        return Err(Wrong::new("has parameters", "take them out; encryption is said by database.tls"));
    }
    let host = decoded(url.host_str().unwrap_or_default(), "host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let user = decoded(url.username(), "user name")?;
    let name = decoded(url.path().trim_start_matches('/'), "name")?;
    let others = others.iter().map(|text| further(text).ok_or_else(|| wrong("names a host that is none")));
    let others = others.collect::<Result<Vec<_>, _>>()?;
    let missing = [(&host, "host"), (&user, "user name"), (&name, "database")];
    if let Some((_, part)) = missing.into_iter().find(|(value, _)| value.is_empty()) {
        return Err(wrong(&format!("names no {part}")));
    }
    if name.contains('/') {
        return Err(wrong("names more than one database"));
    }
    let password = Secret::new(decoded(url.password().unwrap_or_default(), "password")?);
    let port = url.port().unwrap_or(3306);
    Ok(Mysql { host, port, others, user, password, name, tls: Tls::Auto, max_connections: MAX_CONNECTIONS })
}

/// What ends the hosts of a URL, where an @ comes after it: most likely it stands in the password, and what comes before is
/// taken for the host.
fn unescaped(text: &str) -> Option<char> {
    let (_, rest) = text.split_once("://")?;
    let at = rest.find(['/', '?', '#'])?;
    if rest[at..].contains('@') { rest[at..].chars().next() } else { None }
}

/// The line with its first host alone, and the further ones: no URL has more than one.
fn split_hosts(text: &str) -> (String, Vec<String>) {
    let begin = text.find("://").map_or(0, |at| at + 3);
    let end = text[begin..].find(['/', '?', '#']).map_or(text.len(), |at| begin + at);
    // The last @ ends the password, which may hold commas.
    let begin = text[begin..end].rfind('@').map_or(begin, |at| begin + at + 1);
    let mut hosts = text[begin..end].split(',').map(str::trim);
    let first = hosts.next().unwrap_or_default();
    (format!("{}{first}{}", &text[..begin], &text[end..]), hosts.map(str::to_owned).collect())
}

/// `host:3307`, the port being 3306 where there is none.
fn further(text: &str) -> Option<Host> {
    let url = Url::parse(&format!("mysql://{text}")).ok()?;
    let is_bare = url.username().is_empty() && url.path().is_empty() && url.query().is_none();
    let name = percent_decode_str(url.host_str().filter(|name| is_bare && !name.is_empty())?).decode_utf8().ok()?;
    let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some(Host { name, port: url.port().unwrap_or(3306) })
}

/// The same line without its password, for people to see.
pub fn masked(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return if text.starts_with("sqlite:") { text.to_owned() } else { "…".to_owned() };
    };
    // In a line that is taken no / stands before the host; in any other the password may hold whatever it likes.
    let is_read = mysql(text).is_ok();
    let end = rest.find(['/', '?', '#']).filter(|_| is_read).unwrap_or(rest.len());
    // The last @ ends the password, which may hold others.
    match rest[..end].rfind('@').map(|at| rest.split_at(at)) {
        Some((account, place)) if account.contains(':') => {
            let user = account.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:…{place}")
        }
        _ => text.to_owned(),
    }
}
