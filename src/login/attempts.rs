//! Sign-ins on their way through this instance: which are spent, how many are running.
//!
//! A pending login lies in the browser, so nothing there says that it was used. The provider refuses a code that comes
//! twice; whoever replays a callback here does not get as far as asking it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::login::pending::LIFETIME;

/// How many spent attempts are remembered. Each one was sealed by us and came back with its state; a flood of them
/// only makes us forget early what the provider refuses anyway.
const MAX_SPENT: usize = 16_384;

/// How often keys are read again because of a key that is not known.
const READ_KEYS: Duration = Duration::from_secs(10);

/// The attempts of one instance.
#[derive(Debug)]
pub struct Attempts {
    spent: Mutex<Spent>,
    keys_read_at: Mutex<Option<Instant>>,
    running: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Spent {
    labels: HashSet<String>,
    in_order: VecDeque<(Instant, String)>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { spent: Mutex::default(), keys_read_at: Mutex::default(), running: watch::Sender::new(0) }
    }
}

impl Attempts {
    /// Whether the attempt was used up here.
    pub fn is_spent(&self, label: &str) -> bool {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).labels.contains(label)
    }

    /// Uses the attempt up. `false`: somebody was faster.
    pub fn spend(&self, label: &str) -> bool {
        let now = Instant::now();
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |(when, _): &(Instant, String)| now.duration_since(*when) > LIFETIME + LIFETIME;
        while spent.in_order.len() >= MAX_SPENT || spent.in_order.front().is_some_and(is_over) {
            let Some((_, oldest)) = spent.in_order.pop_front() else { break };
            spent.labels.remove(&oldest);
        }
        let is_first = spent.labels.insert(label.to_owned());
        if is_first {
            spent.in_order.push_back((now, label.to_owned()));
        }
        is_first
    }

    /// Whether keys may be read again; if so, it is taken for done.
    pub fn may_read_keys(&self) -> bool {
        let mut read_at = self.keys_read_at.lock().unwrap_or_else(PoisonError::into_inner);
        let may = read_at.is_none_or(|read_at| read_at.elapsed() >= READ_KEYS);
        if may {
            *read_at = Some(Instant::now());
        }
        may
    }

    /// One more is running, until the guard is dropped.
    pub fn run(&self) -> Running {
        self.running.send_modify(|running| *running += 1);
        Running(self.running.clone())
    }

    /// How many are running.
    pub fn running(&self) -> usize {
        *self.running.borrow()
    }

    /// Waits until none is running.
    pub async fn all_done(&self) {
        // The sender lives as long as `self`, so the wait cannot fail.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }
}

/// A sign-in that is running.
#[derive(Debug)]
pub struct Running(watch::Sender<usize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}
