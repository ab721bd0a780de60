//! A moment as people speak of it: near ones by their distance, far ones by their date.

use serde::Serialize;

use crate::clock::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Beyond this many days a date says more than a distance.
const FAR: i64 = 45;

/// A moment, for the page and for machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// `5 minutes ago`, `in 12 days`, `21 November 2026`.
    pub words: String,
    /// The attribute `datetime`: RFC 3339 in UTC.
    pub datetime: String,
}

impl Moment {
    /// `then`, spoken of at `now`.
    pub fn new(then: Timestamp, now: Timestamp) -> Self {
        let ahead = then.unix().saturating_sub(now.unix());
        let words = match ahead {
            _ if ahead.abs() >= FAR * DAY => date(then),
            ..=0 => past(-ahead),
            _ => format!("in {}", distance(ahead)),
        };
        Self { words, datetime: then.to_string() }
    }
}

fn past(seconds: i64) -> String {
    match seconds {
        ..MINUTE => "just now".to_owned(),
        _ => format!("{} ago", distance(seconds)),
    }
}

fn distance(seconds: i64) -> String {
    let counted = |count: i64, unit: &str| if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") };
    match seconds {
        _ if seconds < MINUTE => "less than a minute".to_owned(),
        _ if seconds < HOUR => counted(seconds / MINUTE, "minute"),
        _ if seconds < DAY => counted(seconds / HOUR, "hour"),
        _ => counted(seconds / DAY, "day"),
    }
}

fn date(moment: Timestamp) -> String {
    let date = chrono::DateTime::from_timestamp(moment.unix(), 0);
    date.map_or_else(|| moment.to_string(), |date| date.format("%-d %B %Y").to_string())
}
