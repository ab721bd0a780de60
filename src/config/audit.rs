//! `[audit]`: how long the record of what happened is kept.

use std::time::Duration;

use crate::config::problem::Wrong;
use crate::config::reader::Reader;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Shorter, and whoever looks after a weekend finds nothing.
const SHORTEST: Duration = DAY;

/// Far from where times overflow.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// `[audit]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// How long an event is kept; a day at least.
    pub retention: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Self { retention: 90 * DAY }
    }
}

impl Audit {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader) -> Self {
        let audit = reader.duration("audit.retention").map_or_else(Self::default, |retention| Self { retention });
        if audit.retention < SHORTEST {
            reader.refuse("audit.retention", Wrong::new("is shorter than a day", "write 1d or more"));
        }
        if audit.retention > LONGEST {
            reader.refuse("audit.retention", Wrong::new("is longer than a hundred years", "write less"));
        }
        audit
    }
}
