//! The keys that seal pending logins: shared by all instances through the store, and changed without losing a sign-in.
//!
//! Instances look once a minute. A new key seals after three, when each has read it; the one before it opens what was begun
//! until then. So a key that leaked is worth nothing a quarter of an hour after the change, or within a minute where somebody
//! says so.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::login::pending;
use crate::random::{self, Random};
use crate::store::{Key, SharedStore, StoreError};

/// How often an instance looks, at the latest.
const LOOK: Duration = Duration::from_secs(60);

/// From when after its making a key seals. One that no other is there beside seals at once.
pub const AHEAD: Duration = Duration::from_secs(180);

/// For how long after that its predecessor may still have sealed: clocks differ, and an instance may have read late.
const OVERLAP: Duration = Duration::from_secs(120);

/// The id of the key that the first instance makes.
const FIRST: u32 = 1;

/// A key as `doorward keys list --sealing` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealingKeyStatus {
    /// Its number.
    pub id: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it may seal: at once where none before it is left.
    pub seals_from: Timestamp,
    /// Whether it seals now.
    pub is_sealing: bool,
}

/// The keys, as far as they were read.
pub struct SealingKeys {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    held: RwLock<Arc<[Key]>>,
}

impl SealingKeys {
    /// Those in `store`, of which none is read yet.
    pub fn new(store: SharedStore, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { store, clock, random, held: RwLock::new(Arc::from([])) }
    }

    /// Knows what `before` knew.
    pub fn take_over(&self, before: &Self) {
        self.hold(before.at_hand());
    }

    /// The keys as they were read last; none where they never were.
    pub fn at_hand(&self) -> Arc<[Key]> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the keys and keeps them; the first instance of all makes one.
    pub async fn read(&self) -> Result<Arc<[Key]>, StoreError> {
        let fresh = random::bytes(&*self.random);
        let now = self.clock.now();
        let keys: Arc<[Key]> = in_use(self.store.sealing_keys(&fresh, now).await?, now).into();
        self.hold(Arc::clone(&keys));
        Ok(keys)
    }

    /// All keys, the newest first.
    pub async fn list(&self) -> Result<Vec<SealingKeyStatus>, StoreError> {
        let keys = self.read().await?;
        let eldest = keys.iter().map(|key| key.id).min();
        let sealing = sealing(&keys, self.clock.now()).map(|key| key.id);
        let status = |key: &Key| SealingKeyStatus {
            id: key.id,
            created_at: key.created_at,
            seals_from: if Some(key.id) == eldest { key.created_at } else { key.created_at + AHEAD },
            is_sealing: Some(key.id) == sealing,
        };
        Ok(keys.iter().map(status).collect())
    }

    /// Makes a new key. It seals in three minutes, and keys that can open nothing any more are forgotten; or it seals
    /// `at_once` and all others are forgotten: sign-ins that are under way then have to be begun again. The new key.
    pub async fn rotate(&self, at_once: bool) -> Result<SealingKeyStatus, StoreError> {
        let (keys, now) = (self.read().await?, self.clock.now());
        let id = keys.iter().map(|key| key.id).max().unwrap_or_default() + 1;
        let fresh = Key { id, secret: random::bytes(&*self.random), created_at: now };
        self.store.add_sealing_key(&fresh).await?;
        if !self.read().await?.contains(&fresh) {
            let words =
                "another change of the keys of pending logins was quicker; look at them and repeat it if need be";
            return Err(StoreError::Refused(words.to_owned()));
        }
        let oldest = if at_once { id } else { keys.iter().map(|key| key.id).min().unwrap_or(id) };
        self.store.forget_sealing_keys_before(oldest).await?;
        let gone = || StoreError::Refused("the new key is not there any more: somebody else removed it".to_owned());
        self.list().await?.into_iter().find(|key| key.id == id).ok_or_else(gone)
    }

    fn hold(&self, keys: Arc<[Key]>) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

/// Those of `keys` that a sign-in under way at `now` may need; the others are as good as forgotten.
pub fn in_use(keys: Vec<Key>, now: Timestamp) -> Vec<Key> {
    let is_needed: Vec<_> = keys.iter().map(|key| may_have_sealed(&keys, key, now - pending::LIFETIME)).collect();
    keys.into_iter().zip(is_needed).filter(|(_, is_needed)| *is_needed).map(|(key, _)| key).collect()
}

/// Whether instances that run may not have read any of `keys` yet: all were made within the last minute, and not by the
/// first instance for itself.
pub fn are_news(keys: &[Key], now: Timestamp) -> bool {
    !keys.is_empty() && keys.iter().all(|key| key.id != FIRST && now < key.created_at + LOOK)
}

/// Which of `keys` seals at `now`. `None`: there is no key.
pub fn sealing(keys: &[Key], now: Timestamp) -> Option<&Key> {
    let newest = keys.iter().filter(|key| key.created_at + AHEAD <= now).max_by_key(|key| key.id);
    newest.or_else(|| keys.iter().min_by_key(|key| key.id))
}

/// Whether `key`, one of `keys`, may have sealed what was begun at `begun_at`: not when its successor had long taken over.
pub fn may_have_sealed(keys: &[Key], key: &Key, begun_at: Timestamp) -> bool {
    let successor = keys.iter().filter(|other| other.id > key.id).min_by_key(|other| other.id);
    successor.is_none_or(|successor| begun_at <= successor.created_at + AHEAD + OVERLAP)
}
