//! Answers that are given again for a moment, where the operator has accepted that.
//!
//! Off unless `sessions.cache` says otherwise. An answer is kept from the moment at which it was asked for, so that what
//! another instance ends is refused here no later than that much afterwards. Whatever this instance changes makes it
//! forget everything, what is still under way included. Only who was known is kept, never that somebody was not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::credential::Hashed;
use crate::model::{Session, User};

/// How many answers are kept; a kilobyte each, roughly.
const MOST: usize = 10_000;

/// What was answered lately.
#[derive(Debug)]
pub struct Recent {
    keep: Duration,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<Hashed, (Instant, Session, User)>,
    /// How often everything was forgotten.
    round: u64,
}

/// A question on its way to the store.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    asked: Instant,
    round: u64,
}

/// Forgets everything when it is dropped: when a change is done, and also where whoever asked for it hung up.
pub struct Forgetting<'a>(&'a Recent);

impl Recent {
    /// Keeps each answer for `keep`; none at all where that is zero.
    pub fn new(keep: Duration) -> Self {
        Self { keep, kept: Arc::default() }
    }

    /// The same answers for as long as `keep` says from now on: what is changed by whoever still goes by the time before is
    /// forgotten here, too.
    pub fn lasting(&self, keep: Duration) -> Self {
        Self { keep, kept: Arc::clone(&self.kept) }
    }

    /// What was answered for `handle`, if that may be said again.
    pub fn answer(&self, handle: &Hashed) -> Option<(Session, User)> {
        if self.keep.is_zero() {
            return None;
        }
        let kept = self.kept();
        let (asked, session, user) = kept.answers.get(handle)?;
        (asked.elapsed() < self.keep).then(|| (session.clone(), user.clone()))
    }

    /// Notes that the store is about to be asked.
    pub fn ask(&self) -> Question {
        Question { asked: Instant::now(), round: if self.keep.is_zero() { 0 } else { self.kept().round } }
    }

    /// Keeps what the store said to `question`, unless everything was forgotten since: it may have been read before the
    /// change.
    pub fn keep(&self, question: Question, session: &Session, user: &User) {
        if self.keep.is_zero() {
            return;
        }
        let mut kept = self.kept();
        if kept.round != question.round {
            return;
        }
        if kept.answers.len() >= MOST {
            kept.answers.retain(|_, (asked, ..)| asked.elapsed() < self.keep);
        }
        if kept.answers.len() < MOST {
            kept.answers.insert(session.handle, (question.asked, session.clone(), user.clone()));
        }
    }

    /// Forgets everything now, and again when what this returns is dropped: around a change.
    pub fn forget(&self) -> Forgetting<'_> {
        self.forget_now();
        Forgetting(self)
    }

    /// Also where nothing is kept by now: others may keep what the same changes end.
    fn forget_now(&self) {
        let mut kept = self.kept();
        kept.round += 1;
        kept.answers.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        self.0.forget_now();
    }
}
