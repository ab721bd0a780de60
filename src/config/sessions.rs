//! `[sessions]`: how long a sign-in lasts.

use std::time::Duration;

use url::Host;

use crate::config::access::host;
use crate::config::problem::{Wrong, quoted};
use crate::config::public_url::PublicUrl;
use crate::config::reader::Reader;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `[sessions]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// How long a session lives without being used; five minutes at least.
    pub idle: Duration,
    /// How long a session lives at the most, used or not.
    pub lifetime: Duration,
    /// Whether it outlives the closing of the browser.
    pub persistent: bool,
    /// For how long an instance may go on admitting somebody whom another has signed out; zero: not at all.
    pub cache: Duration,
    /// The domain whose hosts all get the session's cookie; `None`: the host of `public_url` alone.
    pub cookie_domain: Option<String>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { idle: 7 * DAY, lifetime: 30 * DAY, persistent: true, cache: Duration::ZERO, cookie_domain: None }
    }
}

/// A session that ends sooner would end while a person reads a page; its last use is kept to the minute.
const SHORTEST: Duration = Duration::from_secs(5 * 60);

/// Whoever is signed out must not come in for longer than that, whatever it saves.
const LONGEST_CACHE: Duration = Duration::from_secs(60);

/// Longer than anybody keeps a browser, and far from where times overflow.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Sessions {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader, public_url: &PublicUrl) -> Self {
        let mut sessions = Self::default();
        let is_whole = ["sessions.idle", "sessions.lifetime"].map(|key| {
            let said = reader.is_said(key);
            let duration = reader.duration(key);
            let target = if key == "sessions.idle" { &mut sessions.idle } else { &mut sessions.lifetime };
            *target = duration.unwrap_or(*target);
            !said || duration.is_some()
        });
        if sessions.idle < SHORTEST {
            reader.refuse("sessions.idle", Wrong::new("is shorter than five minutes", "write 5m or more"));
        }
        if sessions.lifetime > LONGEST {
            reader.refuse("sessions.lifetime", Wrong::new("is longer than a hundred years", "write less"));
        }
        if is_whole == [true, true] && sessions.lifetime < sessions.idle {
            let key = if reader.is_said("sessions.lifetime") { "sessions.lifetime" } else { "sessions.idle" };
            let what = format!(
                "a session would end after {} though it may rest for {}",
                in_units(sessions.lifetime),
                in_units(sessions.idle)
            );
            reader.refuse(key, Wrong::new(what, "make sessions.lifetime at least as long as sessions.idle"));
        }
        sessions.cache = reader.duration("sessions.cache").unwrap_or(sessions.cache);
        if sessions.cache > LONGEST_CACHE {
            let what = "would admit people long after they were signed out elsewhere";
            reader.refuse("sessions.cache", Wrong::new(what, "write 1m or less; 2s spares nearly as much"));
        }
        sessions.persistent = reader.flag("sessions.persistent").unwrap_or(sessions.persistent);
        sessions.cookie_domain = reader.parse("sessions.cookie_domain", |text| cookie_domain(text, public_url));
        sessions
    }
}

/// A length of time as an operator writes it: `40d`, where the days of the calendar would be a month and nine of them.
fn in_units(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m"), (1, "s")];
    let (length, unit) = units.into_iter().find(|(length, _)| seconds.is_multiple_of(*length)).unwrap_or((1, "s"));
    format!("{}{unit}", seconds / length)
}

/// A domain that the host of `public_url` lies in and that belongs to one owner.
fn cookie_domain(text: &str, public_url: &PublicUrl) -> Result<String, Wrong> {
    let wrong = |what: &str, remedy: &str| Err(Wrong::new(format!("{} {what}", quoted(text)), remedy));
    let Ok(domain) = host(text.strip_prefix('.').unwrap_or(text)) else {
        return wrong("is not a domain", "write example.com to share the session with app.example.com and the like");
    };
    if !public_url.is_https() {
        let remedy =
            "write https:// in public_url, or take the line out; on one machine all ports share cookies anyway";
        return wrong("would share the session over plain http", remedy);
    }
    let Some(Host::Domain(host)) = public_url.as_url().host() else {
        return wrong("cannot be the domain of an address", "give public_url a name, or take the line out");
    };
    let is_above = host.strip_suffix(&domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if !is_above {
        return wrong("is not a domain that the host of public_url lies in", "browsers would not keep the cookie");
    }
    if psl::suffix_str(&domain) == Some(domain.as_str()) {
        let remedy = "write a domain of your own; browsers would not keep the cookie";
        return wrong("belongs to many owners (publicsuffix.org)", remedy);
    }
    Ok(domain)
}
