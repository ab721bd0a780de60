//! Many askers, one question.
//!
//! While one round trip to the database is under way, the handles of the requests that arrive wait together and leave
//! as the next one. Alone, a request waits for nobody; under load the database sees a few large point reads in place
//! of thousands. Nothing is remembered between two questions: an answer is as fresh as a read of one's own, since its
//! question left after the asker came. Askers are told apart by the whole hash, so nobody gets another's answer.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use crate::credential::Hashed;
use crate::model::{Session, User};
use crate::store::{Result, SharedStore, StoreError};

/// How many handles leave together at the most.
const LARGEST: usize = 256;

/// How many askers may wait; whoever comes then is told at once to come again.
const QUEUE: usize = 4096;

/// How long an asker waits, the question before theirs included.
const PATIENCE: Duration = Duration::from_millis(1400);

type Known = Option<(Session, User)>;

struct Ask {
    handle: Hashed,
    answer: oneshot::Sender<Result<Known>>,
}

/// Asks the store for sessions, many at a time.
#[derive(Clone, Debug)]
pub struct Batch {
    asks: mpsc::Sender<Ask>,
}

impl Batch {
    /// Asks `store`. Must be called within a Tokio runtime; its task ends with the last clone.
    pub fn over(store: SharedStore) -> Self {
        let (asks, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(answer_all(store, waiting));
        Self { asks }
    }

    /// Who holds `handle`, as [`crate::store::Sessions::sessions_by_handle`] says it.
    pub async fn session(&self, handle: Hashed) -> Result<Known> {
        let (answer, answered) = oneshot::channel();
        let too_busy = |_| StoreError::Unavailable("too many requests wait for it".to_owned());
        self.asks.try_send(Ask { handle, answer }).map_err(too_busy)?;
        let stopped = |_| StoreError::Unavailable("it was closed".to_owned());
        let late = |_| StoreError::Unavailable("it did not answer in time".to_owned());
        // Questions leave one after the other: whoever waits for the one before waits no longer than for their own.
        tokio::time::timeout(PATIENCE, answered).await.map_err(late)?.map_err(stopped)?
    }
}

async fn answer_all(store: SharedStore, mut waiting: mpsc::Receiver<Ask>) {
    let mut asks = Vec::with_capacity(LARGEST);
    let mut handles = Vec::with_capacity(LARGEST);
    while waiting.recv_many(&mut asks, LARGEST).await > 0 {
        asks.retain(|ask: &Ask| !ask.answer.is_closed());
        asks.sort_unstable_by_key(|ask| ask.handle);
        handles.clear();
        handles.extend(asks.iter().map(|ask| ask.handle));
        handles.dedup();
        if handles.is_empty() {
            continue;
        }
        // This task answers everybody, so a defect met by one question must not end it.
        let asked = AssertUnwindSafe(store.sessions_by_handle(&handles)).catch_unwind().await;
        let defect = |_| Err(StoreError::Unavailable("asking it met a defect of ours".to_owned()));
        match asked.unwrap_or_else(defect) {
            Ok(known) => hand_out(&handles, known, &mut asks),
            Err(error) => asks.drain(..).for_each(|ask| ask.tell(Err(error.clone()))),
        }
    }
}

/// Gives each of `asks` what is `known` of its handle. Both are in the order of the handles; most are asked for once, and
/// their answer is handed on as it is.
fn hand_out(handles: &[Hashed], known: Vec<Known>, asks: &mut Vec<Ask>) {
    let mut asks = asks.drain(..).peekable();
    for (handle, known) in handles.iter().zip(known) {
        while let Some(ask) = asks.next_if(|ask| ask.handle == *handle) {
            let is_last = asks.peek().is_none_or(|next| next.handle != *handle);
            if is_last {
                ask.tell(Ok(known));
                break;
            }
            ask.tell(Ok(known.clone()));
        }
    }
}

impl Ask {
    fn tell(self, answer: Result<Known>) {
        // Whoever hung up meanwhile needs no answer.
        let _ = self.answer.send(answer);
    }
}
