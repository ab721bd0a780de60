//! `[sessions]`: how long a sign-in lasts.

use std::time::Duration;

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
