//! What this instance ended lately. A database that fails over may lose its last commits, and an end with them: whoever
//! was signed out would be signed in again. The instance that was told goes on refusing, and tells the database again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::credential::Hashed;

/// For how long an end is remembered: a failover is over by then.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// How many are remembered; some ten megabytes. Those beyond are ended all the same.
const MOST: usize = 100_000;

/// The hashes of what was ended. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Ended(Arc<Mutex<HashMap<Hashed, Instant>>>);

impl Ended {
    /// Remembers that these were ended just now, in the database too.
    pub fn note(&self, hashes: impl IntoIterator<Item = Hashed>) {
        let now = Instant::now();
        let mut kept = self.kept();
        for hash in hashes {
            if kept.len() >= MOST {
                kept.retain(|_, since| now - *since < KEPT);
            }
            if kept.len() < MOST {
                kept.insert(hash, now);
            }
        }
    }

    /// Whether this was ended, whatever the database says.
    pub fn holds(&self, hash: &Hashed) -> bool {
        self.kept().contains_key(hash)
    }

    /// All that are remembered. The oldest are forgotten by this.
    pub fn all(&self) -> Vec<Hashed> {
        let mut kept = self.kept();
        kept.retain(|_, since| since.elapsed() < KEPT);
        kept.keys().copied().collect()
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Hashed, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
