//! Whose use was noted lately, so that it is noted once, however many requests bring the same credential at once.
//!
//! When many tabs wake up together, every request finds its session not used for long. A note for each would take the
//! connections that the answers wait for; so there is one for each credential, and few are under way at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock::Timestamp;
use crate::credential::Hashed;
use crate::store::Result;

/// How many notes are under way at a time.
const AT_ONCE: usize = 4;

/// How many credentials are remembered; some hundred bytes each. Where more are in use, some are noted twice.
const MOST: usize = 16_384;

/// Credentials of one kind.
#[derive(Debug)]
pub struct Touched {
    what: &'static str,
    interval: Duration,
    noted: Mutex<HashMap<Hashed, Timestamp>>,
    turns: Semaphore,
}

impl Touched {
    /// The use of a `what` is noted once in `interval`.
    pub fn new(what: &'static str, interval: Duration) -> Self {
        Self { what, interval, noted: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }

    /// Lets `write` note the use of `hash` at `now`, off the caller's path, unless that was done or begun already.
    pub fn note(
        self: &Arc<Self>,
        hash: Hashed,
        now: Timestamp,
        write: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        if !self.begin(hash, now) {
            return;
        }
        let touched = Arc::clone(self);
        tokio::spawn(async move {
            let _turn = touched.turns.acquire().await;
            if let Err(error) = write.await {
                // Whoever asks next tries again.
                touched.noted().remove(&hash);
                tracing::debug!(reason = error.reason(), "the use of a {} was not noted", touched.what);
            }
        });
    }

    fn begin(&self, hash: Hashed, now: Timestamp) -> bool {
        let mut noted = self.noted();
        if noted.get(&hash).is_some_and(|then| now.since(*then) < self.interval) {
            return false;
        }
        if noted.len() >= MOST {
            noted.retain(|_, then| now.since(*then) < self.interval);
            if noted.len() >= MOST {
                noted.clear();
            }
        }
        noted.insert(hash, now);
        true
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<Hashed, Timestamp>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
