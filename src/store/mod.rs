//! What we remember.
//!
//! | part       | table                 | what                                             |
//! |------------|-----------------------|--------------------------------------------------|
//! | [`Users`]    | `users`, `doorward_identities` | the people, for the site and for us       |
//! | [`Sessions`] | `doorward_sessions`   | browsers that are signed in                      |
//! | [`Tokens`]   | `doorward_tokens`     | credentials of programs                          |
//! | [`Devices`]  | `doorward_devices`    | programs that wait for their person to let them in |
//! | [`Keys`]     | `doorward_keys`, `doorward_signing_keys` | what seals pending logins and signs assertions |
//! | [`Removal`]  | all of these, `doorward_blocks` | keeping people out, and forgetting them         |
//! | [`Audit`]    | `doorward_audit`      | what happened, while it is of interest           |
//!
//! Each method is a whole thought: atomic in itself, given `now`, ids and hashes from outside, confirmed only when it
//! is on disk. A store holds no policy: it does not know how long a session lives.

pub mod adoption;
pub mod batch;
pub mod ended;
mod error;
pub mod examined;
pub mod migrate;
pub mod mysql;
mod order;
pub mod recent;
pub mod short;
pub mod sqlite;
pub mod tombstone;
pub mod touched;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::error::{Refusal, StoreError};
use crate::clock::{Clock, Timestamp};
use crate::config::access::SignUp;
use crate::config::database::{Database, Place};
use crate::config::users::OnDelete;
use crate::credential::Hashed;
use crate::model::{Device, Event, EventKind, Identity, Recorded, Session, Token, User, UserId};
use crate::names::Names;
use crate::store::examined::AtHost;
use crate::store::mysql::Mysql;
use crate::store::sqlite::Sqlite;

/// What a store answers.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Everything that must be written at one sign-in.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// What the provider vouched for.
    pub identity: Identity,
    /// The session to open; its `user_id` is the subject.
    pub session: Session,
    /// The session that the browser presented, to be ended in the same breath.
    pub previous: Option<Hashed>,
    /// How many sessions the user keeps, this one among them: the oldest beyond are ended in the same breath.
    pub most_sessions: u32,
    /// Whether somebody without a row in `users` may get one.
    pub sign_up: SignUp,
    /// What is recorded of it, with it or not at all; its `user_id` is the subject.
    pub event: Event,
}

/// How a sign-in ended in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedIn {
    /// The user stands in `users`, the session is open.
    Opened(User),
    /// Nothing was written.
    Refused(Refusal),
}

/// The people.
#[async_trait]
pub trait Users: Send + Sync {
    /// Writes the user (row of `users` and our own), ends `previous`, opens the session: all or nothing.
    ///
    /// The row of `users` is found by id alone and refreshed; one that the site deleted is written again.
    async fn sign_in(&self, sign_in: &SignIn) -> Result<SignedIn>;
    /// The user with this id, if they ever signed in and their row still stands in `users`.
    async fn user(&self, id: &UserId) -> Result<Option<User>>;
    /// Users with this email, compared without case; many may share one.
    async fn users_by_email(&self, email: &str) -> Result<Vec<User>>;
    /// At most `limit` users in the order of their ids, those after `after`.
    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>>;
    /// The same, of those who are blocked alone.
    async fn blocked_users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>>;
}

/// Browsers that are signed in.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Who holds each of these handles, in the order of the handles, in one round trip. `None`: unknown, ended, or its
    /// user's row is gone from `users`. Says nothing of age or blocks: the caller judges.
    async fn sessions_by_handle(&self, handles: &[Hashed]) -> Result<Vec<Option<(Session, User)>>>;
    /// Notes that the session was used at `now`, if it was last seen before `seen_before`. Compare-and-set.
    async fn touch_session(&self, handle: &Hashed, seen_before: Timestamp, now: Timestamp) -> Result<()>;
    /// Ends the session. Whose it was, where there was one.
    async fn end_session(&self, handle: &Hashed) -> Result<Option<UserId>>;
    /// Ends every session whose [`Hashed::short`] is `short`, of one user or of all. How many there were.
    async fn end_sessions_named(&self, short: &str, user: Option<&UserId>) -> Result<u64>;
    /// Ends every session of the user but `kept`. How many there were.
    async fn end_sessions_of(&self, user: &UserId, kept: Option<&Hashed>) -> Result<u64>;
    /// At most `limit` sessions, the newest first, of one user or of all; ended ones are not kept. With `after`, those
    /// that come after the one that was opened then and has this handle.
    async fn sessions(
        &self,
        user: Option<&UserId>,
        after: Option<(Timestamp, Hashed)>,
        limit: u32,
    ) -> Result<Vec<Session>>;
    /// Every session whose [`Hashed::short`] is `short`.
    async fn sessions_named(&self, short: &str) -> Result<Vec<Session>>;
    /// How many sessions have not expired at `now` and were used after `idle_since`.
    async fn count_sessions(&self, now: Timestamp, idle_since: Timestamp) -> Result<u64>;
    /// Forgets at most `limit` sessions that expired before `now` or were last seen before `idle_since`. How many.
    async fn sweep_sessions(&self, now: Timestamp, idle_since: Timestamp, limit: u32) -> Result<u64>;
}

/// Credentials of programs.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// Keeps a new token. [`StoreError::Refused`] where its user is blocked or gone, in the same breath: a token made
    /// while somebody is put out must not wait for the day they are let in again. `false`: they have `most` already.
    async fn create_token(&self, token: &Token, most: u32) -> Result<bool>;
    /// Whose token this is. `None`: unknown, revoked, or its user's row is gone. Says nothing of age or blocks.
    async fn token_by_hash(&self, hash: &Hashed) -> Result<Option<(Token, User)>>;
    /// Notes that the token was used at `now`, if it was last used before `used_before` or never.
    async fn touch_token(&self, hash: &Hashed, used_before: Timestamp, now: Timestamp) -> Result<()>;
    /// The tokens of one user or of all, at most `limit`, the newest first. With `after`, those that come after the one
    /// that was created then and has this hash.
    async fn tokens(&self, user: Option<&UserId>, after: Option<(Timestamp, Hashed)>, limit: u32)
    -> Result<Vec<Token>>;
    /// Every token whose [`Hashed::short`] is `short`.
    async fn tokens_named(&self, short: &str) -> Result<Vec<Token>>;
    /// Revokes every token whose [`Hashed::short`] is `short`, of one user or of all. How many there were.
    async fn revoke_tokens_named(&self, short: &str, user: Option<&UserId>) -> Result<u64>;
    /// Revokes every token of the user, in one statement. How many there were.
    async fn revoke_tokens_of(&self, user: &UserId) -> Result<u64>;
    /// Forgets at most `limit` tokens that expired before `now`. How many.
    async fn sweep_tokens(&self, now: Timestamp, limit: u32) -> Result<u64>;
}

/// What became of a device's wish for its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// The token is kept.
    Done,
    /// Nobody let it in, or the token was taken already.
    Late,
    /// Its user has as many tokens as they may; it still waits.
    Full,
}

/// Programs that wait for their person to let them in (RFC 8628).
#[async_trait]
pub trait Devices: Send + Sync {
    /// Keeps a program that waits, unless `most` wait already, or `most_of_network` of those from its network. Whether
    /// it is kept. Programs that come at the same moment may each find the last place: the bound is there against
    /// thousands.
    async fn ask_device(&self, device: &Device, most: u32, most_of_network: u32) -> Result<bool>;
    /// The program under this code of a person's, decided or not, however old.
    async fn device_by_user_code(&self, user_code: &Hashed) -> Result<Option<Device>>;
    /// Notes what `user` decided, if nobody has and the code is good at `now`. Compare-and-set; whether it was noted, now
    /// or when they decided the same before.
    async fn decide_device(&self, user_code: &Hashed, user: &UserId, approved: bool, now: Timestamp) -> Result<bool>;
    /// The program that holds this code, decided or not, however old.
    async fn device_by_code(&self, code: &Hashed) -> Result<Option<Device>>;
    /// Notes that the program asked at `now` and must leave `pause` seconds before it asks again.
    async fn note_poll(&self, code: &Hashed, now: Timestamp, pause: u32) -> Result<()>;
    /// Takes the program away and keeps `token`, both or neither; only one that the token's user let in, who must be
    /// known, not blocked, and have fewer than `most` tokens. Of two that come at once one is served.
    async fn redeem_device(&self, code: &Hashed, token: &Token, most: u32) -> Result<Redeemed>;
    /// Forgets at most `limit` programs whose codes ended before this moment. How many.
    async fn sweep_devices(&self, before: Timestamp, limit: u32) -> Result<u64>;
}

/// A secret shared by all instances, kept in the database.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its number; each further key takes the next one.
    pub id: u32,
    /// Its 256 bits.
    pub secret: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}, …)", self.id)
    }
}

/// A key that signs assertions, shared by all instances.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its number; each further key takes the next one.
    pub number: u32,
    /// The key pair for ES256 in PKCS 8 (RFC 5958).
    pub pkcs8: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs; it is published before.
    pub signs_from: Timestamp,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({}, …)", self.number)
    }
}

/// Keys of ours.
#[async_trait]
pub trait Keys: Send + Sync {
    /// The keys that sign assertions, the newest first.
    async fn signing_keys(&self) -> Result<Vec<SigningKey>>;
    /// Keeps `key`, unless its number is taken: then whoever took it was quicker, and nothing changes.
    async fn add_signing_key(&self, key: &SigningKey) -> Result<()>;
    /// Forgets the keys whose numbers are below `number`. How many.
    async fn forget_signing_keys_before(&self, number: u32) -> Result<u64>;
    /// The keys that seal pending logins, the newest first. Where there is none, `fresh` becomes the first one, and
    /// of instances that start together one wins for all.
    async fn sealing_keys(&self, fresh: &[u8; 32], now: Timestamp) -> Result<Vec<Key>>;
    /// Keeps `key`, unless its number is taken: then whoever took it was quicker, and nothing changes.
    async fn add_sealing_key(&self, key: &Key) -> Result<()>;
    /// Forgets the keys whose ids are below `id`. How many.
    async fn forget_sealing_keys_before(&self, id: u32) -> Result<u64>;
}

/// What ended with a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many sessions.
    pub sessions: u64,
    /// How many tokens.
    pub tokens: u64,
}

/// How a deletion ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// Nothing is left of them but what was asked for.
    Done,
    /// Nobody is known by this id.
    Unknown,
    /// The site's own tables forbid it: what stands in the way, in words. Nothing was changed.
    Held(String),
}

/// Keeping people out, and forgetting them. Each is one transaction, its event recorded with it.
#[async_trait]
pub trait Removal: Send + Sync {
    /// Blocks the user from `event.at` on, unless they are blocked already, and ends their sessions and tokens. `None`:
    /// nobody ever signed in under this id. Whether their row still stands in `users` does not matter.
    async fn block_user(&self, id: &UserId, event: &Event) -> Result<Option<Ended>>;
    /// Lifts the block of the user, or the one that outlived the deletion of `issuer`'s subject of this name. Whether
    /// there was one.
    async fn unblock_user(&self, id: &UserId, issuer: Option<&str>, event: &Event) -> Result<bool>;
    /// Forgets the user: identity, sessions, tokens and what was recorded of them go, `event` stays, and so does their
    /// block, as a hash. Their row in `users` is treated as `on_delete` says.
    async fn delete_user(&self, id: &UserId, on_delete: OnDelete, event: &Event) -> Result<Deleted>;
}

/// Which events are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those about this user.
    pub user: Option<UserId>,
    /// Only those of this kind.
    pub kind: Option<EventKind>,
    /// Only those from this moment on.
    pub since: Option<Timestamp>,
    /// Only those with a lower number.
    pub before: Option<u64>,
}

/// What happened, while it is of interest.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Records an event, never twice. After an error it may stand there all the same.
    async fn record(&self, event: &Event) -> Result<()>;
    /// At most `limit` events, the newest first.
    async fn events(&self, filter: &EventFilter, limit: u32) -> Result<Vec<Recorded>>;
    /// Forgets that this person was refused. How many events there were.
    async fn forget_refusals_of(&self, user: &UserId) -> Result<u64>;
    /// Forgets at most `limit` events from before `moment`. How many.
    async fn sweep_events(&self, moment: Timestamp, limit: u32) -> Result<u64>;
}

/// The whole memory.
#[async_trait]
pub trait Store: Users + Sessions + Tokens + Devices + Keys + Removal + Audit {
    /// Makes the tables ready: creates the database where it may, adopts or creates `users`, runs our migrations under
    /// a lease, records `issuer` as the one that plain ids belong to, or finds that it is recorded. Safe to repeat.
    /// Every other method answers [`StoreError::Unavailable`] until this has succeeded once.
    async fn prepare(&self, issuer: Option<&str>) -> Result<()>;
    /// What [`Store::prepare`] would do, a line for each step; nothing where all is ready. It fails where that would, as
    /// far as looking tells.
    async fn plan(&self, issuer: Option<&str>) -> Result<Vec<String>>;
    /// What of the site's table of users works now and will fail somebody later, and before it is adopted what that
    /// means for the rows in it; a sentence for each.
    async fn warnings(&self) -> Result<Vec<String>>;
    /// A close look at the database, the account and the table of users, before or after [`Store::prepare`]; of several
    /// hosts at each.
    async fn examine(&self) -> Vec<AtHost>;
    /// Whether it can be asked: one cheap question.
    async fn check_readable(&self) -> Result<()>;
    /// Whether it takes changes, asked before a code that can be spent only once is spent.
    async fn check_writable(&self) -> Result<()>;
    /// How many connections lie idle, and how many are at work.
    fn connections(&self) -> (usize, usize);
    /// Lets go of what is open. Later calls answer [`StoreError::Unavailable`].
    async fn close(&self);
}

/// A store that can be shared.
pub type SharedStore = Arc<dyn Store>;

/// The store that `database` describes. Returns at once and asks nobody: [`Store::prepare`] does the work, and may be
/// tried again for as long as it answers [`StoreError::Unavailable`].
pub fn open(database: &Database, names: Names, clock: Arc<dyn Clock>) -> SharedStore {
    let table = database.users_table.clone();
    match &database.place {
        Place::Sqlite(path) => Arc::new(Sqlite::new(path.clone(), table, clock)),
        Place::Mysql(place) => Arc::new(Mysql::new(place.clone(), table, names, clock)),
    }
}
