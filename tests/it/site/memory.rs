//! A store that lives in memory and fails when it is told to: for tests of a sign-in, which must not depend on how a
//! real store is made to fail.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use doorward::clock::Timestamp;
use doorward::config::users::OnDelete;
use doorward::credential::Hashed;
use doorward::model::{Device, Event, Recorded, Session, Token, User, UserId};
use doorward::store::examined::{AtHost, Examined};
use doorward::store::{
    Audit, Deleted, Devices, Ended, EventFilter, Key, Keys, Redeemed, Refusal, Removal, Result, Sessions, SignIn,
    SignedIn, SigningKey, Store, StoreError, Tokens, Users,
};

/// What a sign-in needs of a store, and no more: the other questions are answered as by an empty one.
#[derive(Default)]
pub struct Memory {
    inner: Mutex<Inner>,
    key_questions: AtomicUsize,
    broken: Mutex<Option<&'static str>>,
}

#[derive(Default)]
struct Inner {
    users: HashMap<UserId, User>,
    sessions: HashMap<Hashed, Session>,
    keys: Vec<Key>,
    failing: Option<StoreError>,
    refusal: Option<Refusal>,
    events: Vec<Event>,
}

impl Memory {
    /// Every question fails like this from now on; `None`: none does.
    pub fn fail(&self, error: Option<StoreError>) {
        self.inner().failing = error;
    }

    /// Nobody is let in from now on.
    pub fn refuse(&self, refusal: Refusal) {
        self.inner().refusal = Some(refusal);
    }

    /// This question panics from now on; `None`: none does.
    pub fn break_down(&self, question: Option<&'static str>) {
        *self.broken.lock().expect("nobody panics with it in hand") = question;
    }

    fn may_break(&self, question: &str) {
        let broken = *self.broken.lock().expect("nobody panics with it in hand");
        assert!(broken != Some(question), "made up by a test");
    }

    /// The keys that seal pending logins.
    pub fn keys(&self) -> Vec<Key> {
        self.inner().keys.clone()
    }

    /// Puts `keys` in place of those it has.
    pub fn set_keys(&self, keys: Vec<Key>) {
        self.inner().keys = keys;
    }

    /// Everybody who signed in.
    pub fn everybody(&self) -> Vec<User> {
        self.inner().users.values().cloned().collect()
    }

    /// Every session that is open.
    pub fn open_sessions(&self) -> Vec<Session> {
        self.inner().sessions.values().cloned().collect()
    }

    /// Everything that was recorded.
    pub fn events(&self) -> Vec<Event> {
        self.inner().events.clone()
    }

    /// How often it was asked for the sealing keys.
    pub fn key_questions(&self) -> usize {
        self.key_questions.load(Ordering::SeqCst)
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no test panicked here")
    }

    fn working(&self) -> Result<std::sync::MutexGuard<'_, Inner>> {
        let inner = self.inner();
        match &inner.failing {
            Some(error) => Err(error.clone()),
            None => Ok(inner),
        }
    }
}

#[async_trait]
impl Users for Memory {
    async fn sign_in(&self, sign_in: &SignIn) -> Result<SignedIn> {
        let mut inner = self.working()?;
        if let Some(refusal) = &inner.refusal {
            return Ok(SignedIn::Refused(refusal.clone()));
        }
        let (id, now) = (UserId::new(&sign_in.identity.subject), sign_in.session.created_at);
        let created_at = inner.users.get(&id).map_or(now, |user| user.created_at);
        let identity = sign_in.identity.clone();
        let user = User { id: id.clone(), identity, created_at, last_login_at: now, blocked_at: None };
        inner.users.insert(id, user.clone());
        if let Some(previous) = &sign_in.previous {
            inner.sessions.remove(previous);
        }
        inner.sessions.insert(sign_in.session.handle, sign_in.session.clone());
        inner.events.push(sign_in.event.clone());
        Ok(SignedIn::Opened(user))
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>> {
        Ok(self.working()?.users.get(id).cloned())
    }

    async fn users_by_email(&self, _: &str) -> Result<Vec<User>> {
        Ok(Vec::new())
    }

    async fn users(&self, _: Option<&UserId>, _: u32) -> Result<Vec<User>> {
        Ok(Vec::new())
    }

    async fn blocked_users(&self, _: Option<&UserId>, _: u32) -> Result<Vec<User>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Sessions for Memory {
    async fn sessions_by_handle(&self, handles: &[Hashed]) -> Result<Vec<Option<(Session, User)>>> {
        self.may_break("sessions_by_handle");
        let inner = self.working()?;
        let find = |handle: &Hashed| {
            let session = inner.sessions.get(handle)?.clone();
            let user = inner.users.get(&session.user_id)?.clone();
            Some((session, user))
        };
        Ok(handles.iter().map(find).collect())
    }

    async fn touch_session(&self, _: &Hashed, _: Timestamp, _: Timestamp) -> Result<()> {
        Ok(())
    }

    async fn end_session(&self, handle: &Hashed) -> Result<Option<UserId>> {
        Ok(self.working()?.sessions.remove(handle).map(|session| session.user_id))
    }

    async fn end_sessions_named(&self, _: &str, _: Option<&UserId>) -> Result<u64> {
        Ok(0)
    }

    async fn end_sessions_of(&self, _: &UserId, _: Option<&Hashed>) -> Result<u64> {
        Ok(0)
    }

    async fn sessions(&self, _: Option<&UserId>, _: Option<(Timestamp, Hashed)>, _: u32) -> Result<Vec<Session>> {
        self.may_break("sessions");
        Ok(Vec::new())
    }

    async fn sessions_named(&self, _: &str) -> Result<Vec<Session>> {
        Ok(Vec::new())
    }

    async fn count_sessions(&self, _: Timestamp, _: Timestamp) -> Result<u64> {
        Ok(0)
    }

    async fn sweep_sessions(&self, _: Timestamp, _: Timestamp, _: u32) -> Result<u64> {
        Ok(0)
    }
}

#[async_trait]
impl Tokens for Memory {
    async fn create_token(&self, _: &Token, _: u32) -> Result<bool> {
        Ok(true)
    }

    async fn token_by_hash(&self, _: &Hashed) -> Result<Option<(Token, User)>> {
        Ok(None)
    }

    async fn touch_token(&self, _: &Hashed, _: Timestamp, _: Timestamp) -> Result<()> {
        Ok(())
    }

    async fn tokens(&self, _: Option<&UserId>, _: Option<(Timestamp, Hashed)>, _: u32) -> Result<Vec<Token>> {
        Ok(Vec::new())
    }

    async fn tokens_named(&self, _: &str) -> Result<Vec<Token>> {
        Ok(Vec::new())
    }

    async fn revoke_tokens_named(&self, _: &str, _: Option<&UserId>) -> Result<u64> {
        Ok(0)
    }

    async fn revoke_tokens_of(&self, _: &UserId) -> Result<u64> {
        Ok(0)
    }

    async fn sweep_tokens(&self, _: Timestamp, _: u32) -> Result<u64> {
        Ok(0)
    }
}

#[async_trait]
impl Devices for Memory {
    async fn ask_device(&self, _: &Device, _: u32, _: u32) -> Result<bool> {
        Ok(false)
    }

    async fn device_by_user_code(&self, _: &Hashed) -> Result<Option<Device>> {
        Ok(None)
    }

    async fn decide_device(&self, _: &Hashed, _: &UserId, _: bool, _: Timestamp) -> Result<bool> {
        Ok(false)
    }

    async fn device_by_code(&self, _: &Hashed) -> Result<Option<Device>> {
        Ok(None)
    }

    async fn note_poll(&self, _: &Hashed, _: Timestamp, _: u32) -> Result<()> {
        Ok(())
    }

    async fn redeem_device(&self, _: &Hashed, _: &Token, _: u32) -> Result<Redeemed> {
        Ok(Redeemed::Late)
    }

    async fn sweep_devices(&self, _: Timestamp, _: u32) -> Result<u64> {
        Ok(0)
    }
}

#[async_trait]
impl Keys for Memory {
    async fn sealing_keys(&self, fresh: &[u8; 32], now: Timestamp) -> Result<Vec<Key>> {
        self.key_questions.fetch_add(1, Ordering::SeqCst);
        let mut inner = self.working()?;
        if inner.keys.is_empty() {
            inner.keys.push(Key { id: 1, secret: *fresh, created_at: now });
        }
        Ok(inner.keys.clone())
    }

    async fn add_sealing_key(&self, key: &Key) -> Result<()> {
        let mut inner = self.working()?;
        if inner.keys.iter().all(|kept| kept.id != key.id) {
            inner.keys.insert(0, key.clone());
        }
        Ok(())
    }

    async fn forget_sealing_keys_before(&self, id: u32) -> Result<u64> {
        let mut inner = self.working()?;
        let before = inner.keys.len();
        inner.keys.retain(|key| key.id >= id);
        Ok((before - inner.keys.len()) as u64)
    }

    async fn signing_keys(&self) -> Result<Vec<SigningKey>> {
        Ok(Vec::new())
    }

    async fn add_signing_key(&self, _: &SigningKey) -> Result<()> {
        Ok(())
    }

    async fn forget_signing_keys_before(&self, _: u32) -> Result<u64> {
        Ok(0)
    }
}

#[async_trait]
impl Removal for Memory {
    async fn block_user(&self, _: &UserId, _: &Event) -> Result<Option<Ended>> {
        Ok(None)
    }

    async fn unblock_user(&self, _: &UserId, _: Option<&str>, _: &Event) -> Result<bool> {
        Ok(false)
    }

    async fn delete_user(&self, _: &UserId, _: OnDelete, _: &Event) -> Result<Deleted> {
        Ok(Deleted::Unknown)
    }
}

#[async_trait]
impl Audit for Memory {
    async fn record(&self, event: &Event) -> Result<()> {
        self.working()?.events.push(event.clone());
        Ok(())
    }

    async fn events(&self, _: &EventFilter, _: u32) -> Result<Vec<Recorded>> {
        Ok(Vec::new())
    }

    async fn forget_refusals_of(&self, _: &UserId) -> Result<u64> {
        Ok(0)
    }

    async fn sweep_events(&self, _: Timestamp, _: u32) -> Result<u64> {
        Ok(0)
    }
}

#[async_trait]
impl Store for Memory {
    async fn examine(&self) -> Vec<AtHost> {
        vec![AtHost { host: String::new(), found: Ok(Examined::default()) }]
    }

    async fn prepare(&self, _: Option<&str>) -> Result<()> {
        Ok(())
    }

    async fn plan(&self, _issuer: Option<&str>) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn warnings(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn check_readable(&self) -> Result<()> {
        match self.working() {
            Err(StoreError::ReadOnly(_)) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn check_writable(&self) -> Result<()> {
        self.working().map(drop)
    }

    fn connections(&self) -> (usize, usize) {
        (0, 0)
    }

    async fn close(&self) {}
}
