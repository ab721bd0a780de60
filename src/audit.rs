//! What happened to people's access: a line in the log at once, a row in the store while it is of interest.
//!
//! A sign-in, a block and a deletion are recorded in the transaction that makes them, so that none is confirmed without
//! its row. Everything else is done first and recorded after: a record that cannot be written is a line in the log, and
//! undoes nothing. Attempts of people whom no provider vouched for are in the log alone: strangers write nothing into
//! the store.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::audit::Audit as Limits;
use crate::model::{Event, EventKind, Origin, Recorded, UserId};
use crate::store::{EventFilter, Result, SharedStore};

const SWEEP_BATCH: u32 = 500;

/// What a reason may hold, in characters; the store's columns take as much.
const MOST_REASON: usize = 64;
const MOST_DETAIL: usize = 512;
const MOST_ADDRESS: usize = 255;

/// The record of what happened.
#[derive(Clone)]
pub struct Audit {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    retention: Duration,
}

impl Audit {
    /// The record in `store`, kept as long as `limits` say.
    pub fn new(store: SharedStore, clock: Arc<dyn Clock>, limits: &Limits) -> Self {
        Self { store, clock, retention: limits.retention }
    }

    /// Writes `event` into the log and keeps it. A store that cannot take it is no reason to fail for what was done.
    pub async fn record(&self, event: &Event) {
        tell(event);
        self.keep(event).await;
    }

    /// Records something that happened now; see [`Self::event`].
    pub async fn note(&self, kind: EventKind, user: Option<&UserId>, origin: &Origin, reason: &str, detail: &str) {
        self.record(&self.event(kind, user, origin, reason, detail)).await;
    }

    /// Keeps `event`, whose line in the log somebody else writes.
    pub async fn keep(&self, event: &Event) {
        if let Err(error) = self.store.record(event).await {
            let (kind, reason) = (event.kind.word(), error.reason());
            tracing::warn!(event = kind, reason, "an event stands in this log alone: {error}");
        }
    }

    /// Something that happened now. `reason` is a stable word, `detail` says more; both may be empty.
    pub fn event(
        &self,
        kind: EventKind,
        user_id: Option<&UserId>,
        origin: &Origin,
        reason: &str,
        detail: &str,
    ) -> Event {
        event(&*self.clock, kind, user_id, origin, reason, detail)
    }

    /// The last that happened to `user`, the newest first.
    pub async fn of(&self, user: &UserId, limit: u32) -> Result<Vec<Recorded>> {
        let filter = EventFilter { user: Some(user.clone()), ..EventFilter::default() };
        self.store.events(&filter, limit).await
    }

    /// What happened, the newest first.
    pub async fn list(&self, filter: &EventFilter, limit: u32) -> Result<Vec<Recorded>> {
        self.store.events(filter, limit).await
    }

    /// Forgets what is older than the configured time, in small steps. How many.
    pub async fn sweep(&self) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            let step = self.store.sweep_events(self.clock.now() - self.retention, SWEEP_BATCH).await?;
            forgotten += step;
            if step < u64::from(SWEEP_BATCH) {
                return Ok(forgotten);
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Something that happened now. `reason` is a stable word, `detail` says more; both may be empty. What strangers had a
/// hand in is cut to what the store takes and loses what could forge a line or steer a terminal.
pub fn event(
    clock: &dyn Clock,
    kind: EventKind,
    user_id: Option<&UserId>,
    origin: &Origin,
    reason: &str,
    detail: &str,
) -> Event {
    Event {
        at: clock.now(),
        kind,
        user_id: user_id.cloned(),
        origin: Origin { address: plain(&origin.address, MOST_ADDRESS), ..origin.clone() },
        reason: plain(reason, MOST_REASON),
        detail: plain(detail, MOST_DETAIL),
    }
}

/// `text` in one line, without control characters and changes of direction, at most `most` characters long.
fn plain(text: &str, most: usize) -> String {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).take(most).collect()
}

/// The line in the log.
pub fn tell(event: &Event) {
    let Event { kind, user_id, origin, reason, detail, .. } = event;
    let user = user_id.as_ref().map(UserId::as_str).unwrap_or_default();
    let (by, request_id, address) = (origin.actor.word(), origin.request_id.as_str(), origin.address.as_str());
    let happened = match kind {
        EventKind::Login => "signed in",
        EventKind::Refusal => "a sign-in was refused",
        EventKind::Logout => "signed out",
        EventKind::SessionRevoked => "a session was ended",
        EventKind::TokenCreated => "a token was created",
        EventKind::TokenRevoked => "a token was revoked",
        EventKind::TerminalApproved => "a terminal was let in",
        EventKind::TerminalDenied => "a terminal was turned away",
        EventKind::Block => "a user was blocked",
        EventKind::Unblock => "a user is not blocked any more",
        EventKind::Deletion => "an account was deleted",
        EventKind::Other => "something happened",
    };
    tracing::info!(event = kind.word(), user.id = user, by, reason, detail, request_id, address, "{happened}");
}
