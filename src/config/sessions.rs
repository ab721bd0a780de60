//! `[sessions]`: how long a sign-in lasts.

use std::time::Duration;

use crate::config::problem::Wrong;
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
}

impl Default for Sessions {
    fn default() -> Self {
        Self { idle: 7 * DAY, lifetime: 30 * DAY, persistent: true }
    }
}

/// A session that ends sooner would end while a person reads a page; its last use is kept to the minute.
const SHORTEST: Duration = Duration::from_secs(5 * 60);

/// Longer than anybody keeps a browser, and far from where times overflow.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Sessions {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader) -> Self {
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
                humantime::format_duration(sessions.lifetime),
                humantime::format_duration(sessions.idle)
            );
            reader.refuse(key, Wrong::new(what, "make sessions.lifetime at least as long as sessions.idle"));
        }
        sessions.persistent = reader.flag("sessions.persistent").unwrap_or(sessions.persistent);
        sessions
    }
}
