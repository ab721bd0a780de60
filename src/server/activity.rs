//! What a connection is doing: since when it asks nothing, and how long it may.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::server::connection::Patience;

/// How long a connection asks nothing before what it holds is freed.
pub const DOZE: Duration = Duration::from_millis(100);

/// When a connection last asked for something.
#[derive(Debug)]
pub struct Activity {
    requests: Mutex<Requests>,
    /// Whether all that was written has left.
    is_flushed: AtomicBool,
    /// Hears that nothing more is to be asked here.
    let_go: Notify,
}

#[derive(Debug)]
struct Requests {
    /// Those that are being answered.
    running: usize,
    /// When the last one was answered; `None` before the first.
    idle_since: Option<Instant>,
    /// Whether another one may follow the last.
    goes_on: bool,
}

/// What becomes of a connection of HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing before this moment.
    Until(Instant),
    /// It waits for a request and needs nothing for that.
    Doze,
    /// Nobody reads our answer.
    Unread,
    /// It had its time for a request.
    Over,
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}

impl Activity {
    /// Nothing yet.
    pub fn new() -> Self {
        let requests = Mutex::new(Requests { running: 0, idle_since: None, goes_on: false });
        Self { requests, is_flushed: AtomicBool::new(true), let_go: Notify::new() }
    }

    /// Until when the connection may ask nothing. `None`: it never asked anything in all the time it had.
    pub fn deadline(&self, patience: &Patience) -> Option<Instant> {
        let requests = self.requests();
        if requests.running > 0 {
            Some(Instant::now() + patience.idle)
        } else {
            Some(requests.idle_since? + patience.idle)
        }
    }

    /// What becomes of a connection that hyper has had since `begun` and whose first request must come before `bound`.
    pub fn rest(&self, patience: &Patience, begun: Instant, bound: Instant) -> Rest {
        let now = Instant::now();
        let until = |moment: Instant, otherwise: Rest| if now < moment { Rest::Until(moment) } else { otherwise };
        let requests = self.requests();
        if requests.running > 0 {
            return Rest::Until(now + DOZE);
        }
        let Some(since) = requests.idle_since else { return until(bound, Rest::Over) };
        if !self.is_flushed() {
            return if now < since + patience.idle { Rest::Until(now + DOZE) } else { Rest::Unread };
        }
        let end = since + patience.headers.min(patience.idle);
        // With nothing answered since it woke, it has begun a request and does not go on.
        if requests.goes_on && since >= begun && now < end {
            return until((since + DOZE).min(end), Rest::Doze);
        }
        until(end, Rest::Over)
    }

    /// When the last request was answered; `None` before the first.
    pub fn idle_since(&self) -> Option<Instant> {
        self.requests().idle_since
    }

    /// Whether all that was written has left.
    pub fn is_flushed(&self) -> bool {
        self.is_flushed.load(Ordering::Relaxed)
    }

    /// Notes whether all that was written has left.
    pub fn note_flushed(&self, is_flushed: bool) {
        self.is_flushed.store(is_flushed, Ordering::Relaxed);
    }

    /// Waits until an answer is the last.
    pub async fn let_go(&self) {
        self.let_go.notified().await;
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered, for as long as this lives.
#[derive(Debug)]
pub struct Busy(Arc<Activity>);

impl Busy {
    /// A request on the connection of `activity`; whether another one may follow.
    pub fn with(activity: &Arc<Activity>, goes_on: bool) -> Self {
        let mut requests = activity.requests();
        requests.running += 1;
        requests.goes_on = goes_on;
        drop(requests);
        Self(Arc::clone(activity))
    }

    /// Nothing more is to be asked after this one.
    pub fn is_the_last(&self) {
        self.0.let_go.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut requests = self.0.requests();
        requests.running -= 1;
        requests.idle_since = Some(Instant::now());
    }
}
