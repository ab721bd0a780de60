//! Browsers that are signed in: find, touch, end.
//!
//! A session has two ends: it is not used for `idle`, or it has lived for `lifetime`. Its use is noted at most once a
//! minute and off the request's path, so that asking who somebody is costs one read. Opening one is part of signing
//! in and happens in [`crate::login`].

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::access::{Access, Decision};
use crate::audit::Audit;
use crate::clock::{Clock, Timestamp};
use crate::config::sessions::Sessions as Limits;
use crate::credential::{Hashed, Plain};
use crate::metrics;
use crate::model::{EventKind, Origin, Session, User, UserId};
use crate::store::batch::Batch;
use crate::store::ended::Ended;
use crate::store::recent::{Forgetting, Recent};
use crate::store::touched::Touched;
use crate::store::{Result, SharedStore};

/// How exact [`Session::last_seen_at`] is.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);

/// How many rows one statement of the sweep removes, so that it holds no lock for long.
const SWEEP_BATCH: u32 = 200;

/// How long the database is left alone between two such statements, so that a long sweep delays nobody's check.
const SWEEP_PAUSE: Duration = Duration::from_millis(10);

/// How many rows one question to the store brings while sessions are searched.
const PAGE: u32 = 500;

/// How many browsers one user can be signed in with; a sign-in beyond ends the oldest.
pub const MOST_PER_USER: u32 = 50;

/// How many of one user are looked at: whoever signed in before there was a bound may have more.
const MOST_LISTED: u32 = 4 * MOST_PER_USER;

/// How long after a sign-in a browser may do what must not be done from one that was left open.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// How many ended sessions one question to the store is about.
const AT_ONCE: usize = 256;

/// How many ended sessions are remembered while the store cannot be told.
const MOST_OWED: usize = 100_000;

/// The sessions of all users.
#[derive(Clone)]
pub struct Sessions {
    store: SharedStore,
    lookups: Batch,
    recent: Arc<Recent>,
    touched: Arc<Touched>,
    clock: Arc<dyn Clock>,
    access: Access,
    limits: Limits,
    /// Sessions whose end the store has not been told of.
    owed: Arc<Mutex<HashSet<Hashed>>>,
    /// Sessions that this instance ended lately.
    ended: Ended,
}

/// Which sessions are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this user.
    pub user: Option<UserId>,
    /// Only those that were opened from this address.
    pub address: Option<String>,
    /// Only those that were not used for as long as this.
    pub idle_for: Option<Duration>,
}

impl Filter {
    fn takes(&self, session: &Session, now: Timestamp) -> bool {
        self.address.as_ref().is_none_or(|address| session.address == *address)
            && self.idle_for.is_none_or(|idle| now.since(session.last_seen_at) >= idle)
    }
}

impl Sessions {
    /// Sessions in `store` that live as long as `limits` say and whose users `access` lets in. Must be called within
    /// a Tokio runtime.
    pub fn new(store: SharedStore, clock: Arc<dyn Clock>, access: Access, limits: Limits) -> Self {
        let (lookups, recent) = (Batch::over(Arc::clone(&store)), Arc::new(Recent::new(limits.cache)));
        let touched = Arc::new(Touched::new("session", TOUCH_INTERVAL));
        let (owed, ended) = (Arc::default(), Ended::default());
        Self { store, lookups, recent, touched, clock, access, limits, owed, ended }
    }

    /// Goes on where `before` stood: what the store has not been told yet is not forgotten, and a sign-out that was under way
    /// there is known here.
    pub fn take_over(&mut self, before: &Self) {
        self.owed = Arc::clone(&before.owed);
        self.recent = Arc::new(before.recent.lasting(self.limits.cache));
        self.ended = before.ended.clone();
    }

    /// How long a session opened now may live.
    pub const fn lifetime(&self) -> Duration {
        self.limits.lifetime
    }

    /// Who holds `handle`. `None`: nobody, for whichever reason; an error says nothing about the session.
    pub async fn find(&self, handle: &Plain) -> Result<Option<(Session, User)>> {
        let handle = handle.hashed();
        if self.owed().contains(&handle) || self.ended.holds(&handle) {
            return Ok(None);
        }
        let is_touched = |session: &Session, now: Timestamp| now.since(session.last_seen_at) < TOUCH_INTERVAL;
        let now = self.clock.now();
        let again = self.recent.answer(&handle).filter(|known| is_touched(&known.0, now));
        let again = again.filter(|known| self.is_valid(known, now));
        if !self.limits.cache.is_zero() {
            metrics::session_cache(again.is_some());
        }
        if again.is_some() {
            return Ok(again);
        }
        let question = self.recent.ask();
        let found = self.lookups.session(handle).await?;
        let now = self.clock.now();
        let Some((session, user)) = found.filter(|known| self.is_valid(known, now)) else { return Ok(None) };
        if is_touched(&session, now) {
            self.recent.keep(question, &session, &user);
        } else {
            self.touch_later(&session, now);
        }
        Ok(Some((session, user)))
    }

    fn is_valid(&self, (session, user): &(Session, User), now: Timestamp) -> bool {
        now < session.expires_at
            && now < session.last_seen_at + self.limits.idle
            && now < session.created_at + self.limits.lifetime
            && user.blocked_at.is_none()
            && matches!(self.access.decide(&user.identity), Decision::Allow(_))
    }

    fn touch_later(&self, session: &Session, now: Timestamp) {
        let (store, handle) = (Arc::clone(&self.store), session.handle);
        let write = async move { store.touch_session(&handle, now - TOUCH_INTERVAL, now).await };
        self.touched.note(handle, now, write);
    }

    /// How long ago `session` was opened.
    pub fn age(&self, session: &Session) -> Duration {
        self.clock.now().since(session.created_at)
    }

    /// Forgets what may be said again for a moment (`sessions.cache`), now and when what this returns is dropped: around
    /// whatever may end a session of this instance's.
    pub fn forget_recent(&self) -> Forgetting<'_> {
        self.recent.forget()
    }

    /// Ends the session. Whose it was, where there was one.
    pub async fn end(&self, handle: &Plain) -> Result<Option<UserId>> {
        self.end_by(&handle.hashed()).await
    }

    async fn end_by(&self, handle: &Hashed) -> Result<Option<UserId>> {
        let _forgetting = self.recent.forget();
        let user = self.store.end_session(handle).await?;
        self.ended.note(user.is_some().then_some(*handle));
        Ok(user)
    }

    /// Ends the session as soon as the store can be told. This instance refuses it from now on, the others from then.
    pub fn end_later(&self, handle: &Plain) {
        let _forgetting = self.recent.forget();
        let mut owed = self.owed();
        if owed.len() < MOST_OWED {
            owed.insert(handle.hashed());
        }
    }

    /// Tells the store of the ends it has not been told of. How many are still owed.
    pub async fn settle(&self, audit: &Audit) -> usize {
        let owed: Vec<Hashed> = self.owed().iter().copied().collect();
        for handle in owed {
            let Ok(user) = self.end_by(&handle).await else { break };
            self.owed().remove(&handle);
            if let Some(user) = user {
                let (origin, session) = (Origin::default(), handle.short());
                audit.note(EventKind::Logout, Some(&user), &origin, "owed", &session).await;
            }
        }
        self.owed().len()
    }

    /// Ends once more what this instance ended lately and the store says is open: it has lost its last changes. How many
    /// there were.
    pub async fn end_again(&self, audit: &Audit) -> Result<usize> {
        let mut again = 0;
        for handles in self.ended.all().chunks(AT_ONCE) {
            for (session, user) in self.store.sessions_by_handle(handles).await?.into_iter().flatten() {
                tracing::warn!(session.id = session.handle.short(), "the database forgot that a session was ended");
                if self.store.end_session(&session.handle).await?.is_some() {
                    let (origin, id) = (Origin::default(), session.handle.short());
                    audit.note(EventKind::SessionRevoked, Some(&user.id), &origin, "forgotten", &id).await;
                    again += 1;
                }
            }
        }
        Ok(again)
    }

    fn owed(&self) -> std::sync::MutexGuard<'_, HashSet<Hashed>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session that listings call `short`. How many there were.
    pub async fn end_named(&self, short: &str) -> Result<u64> {
        let sessions = self.named(short).await?;
        self.note_ended(sessions, self.store.end_sessions_named(short, None)).await
    }

    /// The sessions that listings call `short`: one, or none.
    pub async fn named(&self, short: &str) -> Result<Vec<Session>> {
        self.store.sessions_named(short).await
    }

    /// Ends a session that was listed. Whether it was still there.
    pub async fn end_listed(&self, session: &Session) -> Result<bool> {
        Ok(self.end_by(&session.handle).await?.is_some())
    }

    /// At most `limit` sessions that have not ended, the newest first, those after `after`; and whether there are more.
    /// Reads by key, page by page.
    pub async fn search(&self, filter: &Filter, after: Option<&Session>, limit: usize) -> Result<(Vec<Session>, bool)> {
        let now = self.clock.now();
        let mut found: Vec<Session> = Vec::new();
        let mut after = after.map(|session| (session.created_at, session.handle));
        loop {
            let page = self.store.sessions(filter.user.as_ref(), after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            after = page.last().map(|session| (session.created_at, session.handle));
            let alive = |session: &Session| now < session.expires_at && now < session.last_seen_at + self.limits.idle;
            found.extend(page.into_iter().filter(|session| alive(session) && filter.takes(session, now)));
            if found.len() > limit {
                found.truncate(limit);
                return Ok((found, true));
            }
            if is_last {
                return Ok((found, false));
            }
        }
    }

    /// Ends the session that listings call `short`, if it is `user`'s. Whether there was one.
    pub async fn end_own(&self, user: &UserId, short: &str) -> Result<bool> {
        let mut sessions = self.named(short).await?;
        sessions.retain(|session| session.user_id == *user);
        Ok(self.note_ended(sessions, self.store.end_sessions_named(short, Some(user))).await? > 0)
    }

    /// Ends every session of `user`. How many there were.
    pub async fn end_all(&self, user: &UserId) -> Result<u64> {
        let sessions = self.store.sessions(Some(user), None, MOST_LISTED).await?;
        self.note_ended(sessions, self.store.end_sessions_of(user, None)).await
    }

    /// Ends every session of the one whose `kept` is, but that one. How many there were.
    pub async fn end_others(&self, kept: &Session) -> Result<u64> {
        let mut sessions = self.store.sessions(Some(&kept.user_id), None, MOST_LISTED).await?;
        sessions.retain(|session| session.handle != kept.handle);
        self.note_ended(sessions, self.store.end_sessions_of(&kept.user_id, Some(&kept.handle))).await
    }

    /// Ends everybody's sessions, in small steps. How many there were.
    pub async fn end_everybodys(&self) -> Result<u64> {
        let _forgetting = self.recent.forget();
        let end_of_time = Timestamp::from_unix(i64::MAX);
        let mut ended = 0;
        loop {
            let step = self.store.sweep_sessions(end_of_time, end_of_time, SWEEP_BATCH).await?;
            ended += step;
            if step < u64::from(SWEEP_BATCH) {
                return Ok(ended);
            }
        }
    }

    /// Remembers that `sessions` are ended, once `ending` has done it.
    async fn note_ended(&self, sessions: Vec<Session>, ending: impl Future<Output = Result<u64>>) -> Result<u64> {
        let _forgetting = self.recent.forget();
        let count = ending.await?;
        self.ended.note(sessions.into_iter().map(|session| session.handle));
        Ok(count)
    }

    /// Whether the person showed so lately who they are that they may do what a browser left open must not.
    pub fn is_fresh(&self, session: &Session) -> bool {
        session.proved_at.is_some_and(|then| self.clock.now().since(then) <= FRESH)
    }

    /// The sessions of one user or of all that have not ended, the newest first.
    pub async fn list(&self, user: Option<&UserId>, limit: u32) -> Result<Vec<Session>> {
        let now = self.clock.now();
        let sessions = self.store.sessions(user, None, limit).await?;
        let alive = |session: &Session| now < session.expires_at && now < session.last_seen_at + self.limits.idle;
        Ok(sessions.into_iter().filter(alive).collect())
    }

    /// The sessions of `user` that have not ended, the newest first: all that there can be.
    pub async fn list_own(&self, user: &UserId) -> Result<Vec<Session>> {
        self.list(Some(user), MOST_LISTED).await
    }

    /// How many are open, of all instances together.
    pub async fn count(&self) -> Result<u64> {
        let now = self.clock.now();
        self.store.count_sessions(now, now - self.limits.idle).await
    }

    /// Forgets sessions that have ended, in small steps. How many.
    pub async fn sweep(&self) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            let now = self.clock.now();
            let step = self.store.sweep_sessions(now, now - self.limits.idle, SWEEP_BATCH).await?;
            forgotten += step;
            if step < u64::from(SWEEP_BATCH) {
                return Ok(forgotten);
            }
            tokio::time::sleep(SWEEP_PAUSE).await;
        }
    }
}
