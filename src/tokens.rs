//! API tokens: a user's credentials for programs.
//!
//! A token reads `dw_pat_` + 43 characters + 6 characters. The 43 are base62 and hold 256 random bits; the 6 are the
//! CRC-32 of everything before them, so that a slip of the pen or a scanner's guess is told from a token without
//! asking the store. Only a token's SHA-256 is kept.

use std::sync::Arc;
use std::time::Duration;

use crate::access::{Access, Decision};
use crate::audit::Audit;
use crate::clock::{Clock, Timestamp};
use crate::credential::Plain;
use crate::model::{EventKind, Origin, Scope, Token, User, UserId};
use crate::random::Random;
use crate::store::ended::Ended;
use crate::store::touched::Touched;
use crate::store::{Result, SharedStore, StoreError};

const PREFIX: &str = "dw_pat_";
const SECRET_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How exact [`Token::last_used_at`] is.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);

/// Whether `value` is meant to be a token of ours, good or not.
pub fn is_ours(value: &str) -> bool {
    value.starts_with(PREFIX)
}

const SWEEP_BATCH: u32 = 500;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a person's token lives unless they say otherwise, and how long at the most, in days.
pub const USUAL_DAYS: u32 = 90;
/// The most days that a person can ask for.
pub const MOST_DAYS: u32 = 366;

/// How many tokens one user can have.
pub const MOST_PER_USER: u32 = 100;

/// How long a token's name may be, in characters.
pub const LONGEST_NAME: usize = 100;

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The user has as many as anybody may.
    #[error("there are {MOST_PER_USER} tokens already")]
    TooMany,
    /// It must have a name that can be shown.
    #[error("a token needs a name of 1 to {LONGEST_NAME} characters, none of them a control character")]
    BadName,
    /// It must live for a day at least and not for too long.
    #[error("a token lives for 1 to {MOST_DAYS} days")]
    BadLife,
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What they will call it.
    pub name: String,
    /// What it may be used for.
    pub scope: Scope,
    /// How many days it shall live.
    pub days: u32,
}

/// The API tokens of all users.
#[derive(Clone)]
pub struct Tokens {
    store: SharedStore,
    touched: Arc<Touched>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    access: Access,
    /// Tokens that this instance revoked lately.
    revoked: Ended,
}

impl Tokens {
    /// Tokens in `store` whose users `access` lets in.
    pub fn new(store: SharedStore, clock: Arc<dyn Clock>, random: Arc<dyn Random>, access: Access) -> Self {
        let touched = Arc::new(Touched::new("token", TOUCH_INTERVAL));
        Self { store, touched, clock, random, access, revoked: Ended::default() }
    }

    /// Goes on where `before` stood: what it revoked lately stays so.
    pub fn take_over(&mut self, before: &Self) {
        self.revoked = before.revoked.clone();
    }

    /// Makes the token that a person asks for, within the bounds that hold for everybody.
    pub async fn create_own(
        &self,
        user_id: &UserId,
        wanted: Wanted,
    ) -> std::result::Result<(Plain, Token), TokenError> {
        let name = presentable(&wanted.name).ok_or(TokenError::BadName)?;
        if wanted.days == 0 || wanted.days > MOST_DAYS {
            return Err(TokenError::BadLife);
        }
        let (value, token) = self.minted(user_id.clone(), name, wanted.scope, DAY * wanted.days);
        if self.store.create_token(&token, MOST_PER_USER).await? {
            Ok((value, token))
        } else {
            Err(TokenError::TooMany)
        }
    }

    /// Whether `user` has as many tokens as anybody may make for themselves.
    pub async fn is_full(&self, user: &UserId) -> Result<bool> {
        Ok(self.store.tokens(Some(user), None, MOST_PER_USER).await?.len() >= MOST_PER_USER as usize)
    }

    /// Makes a token for `user_id` that lives for `life`. The value is not kept: show it now or never.
    pub async fn create(&self, user_id: UserId, name: String, scope: Scope, life: Duration) -> Result<(Plain, Token)> {
        let (value, token) = self.minted(user_id, name, scope, life);
        // An operator may make as many as they like.
        self.store.create_token(&token, u32::MAX).await?;
        Ok((value, token))
    }

    /// The same, kept by nobody yet.
    pub fn minted(&self, user_id: UserId, name: String, scope: Scope, life: Duration) -> (Plain, Token) {
        let value = mint(&*self.random);
        let now = self.clock.now();
        let last_four = value.reveal()[value.reveal().len() - 4..].to_owned();
        let hash = value.hashed();
        let (created_at, expires_at) = (now, now + life);
        let token = Token { hash, user_id, name, scope, last_four, created_at, expires_at, last_used_at: None };
        (value, token)
    }

    /// Who holds `value`. `None`: nobody, for whichever reason; an error says nothing about the token.
    pub async fn find(&self, value: &Plain) -> Result<Option<(Token, User)>> {
        if !is_well_formed(value.reveal()) {
            return Ok(None);
        }
        let hash = value.hashed();
        if self.revoked.holds(&hash) {
            return Ok(None);
        }
        let found = self.store.token_by_hash(&hash).await?;
        let now = self.clock.now();
        let Some((token, user)) = found.filter(|known| self.is_valid(known, now)) else { return Ok(None) };
        if token.last_used_at.is_none_or(|used| now.since(used) >= TOUCH_INTERVAL) {
            self.touch_later(&token, now);
        }
        Ok(Some((token, user)))
    }

    fn is_valid(&self, (token, user): &(Token, User), now: Timestamp) -> bool {
        now < token.expires_at
            && user.blocked_at.is_none()
            && matches!(self.access.decide(&user.identity), Decision::Allow(_))
    }

    fn touch_later(&self, token: &Token, now: Timestamp) {
        let (store, hash) = (Arc::clone(&self.store), token.hash);
        let write = async move { store.touch_token(&hash, now - TOUCH_INTERVAL, now).await };
        self.touched.note(hash, now, write);
    }

    /// The tokens of one user or of all, the newest first, expired ones included until they are swept.
    pub async fn list(&self, user: Option<&UserId>, limit: u32) -> Result<Vec<Token>> {
        self.store.tokens(user, None, limit).await
    }

    /// The same, those after `after`.
    pub async fn list_after(&self, user: Option<&UserId>, after: Option<&Token>, limit: u32) -> Result<Vec<Token>> {
        self.store.tokens(user, after.map(|token| (token.created_at, token.hash)), limit).await
    }

    /// The tokens that listings call `short`: one, or none.
    pub async fn named(&self, short: &str) -> Result<Vec<Token>> {
        self.store.tokens_named(short).await
    }

    /// Revokes the token that listings call `short`. How many there were.
    pub async fn revoke_named(&self, short: &str) -> Result<u64> {
        self.store.revoke_tokens_named(short, None).await
    }

    /// Revokes the token that listings call `short`, if it is `user`'s. Whether there was one.
    pub async fn revoke_own(&self, user: &UserId, short: &str) -> Result<bool> {
        let meant = self.named(short).await?;
        let is_done = self.store.revoke_tokens_named(short, Some(user)).await? > 0;
        self.revoked.note(meant.iter().filter(|token| token.user_id == *user).map(|token| token.hash));
        Ok(is_done)
    }

    /// The tokens of `user`, the newest first: all that there can be.
    pub async fn list_own(&self, user: &UserId) -> Result<Vec<Token>> {
        // An operator may have made more than a person can.
        self.list(Some(user), 4 * MOST_PER_USER).await
    }

    /// Revokes this very token: the one thing that whoever holds it may do to it.
    pub async fn revoke(&self, token: &Token) -> Result<()> {
        self.store.revoke_tokens_named(&token.hash.short(), Some(&token.user_id)).await.map(drop)
    }

    /// Revokes every token of `user`. How many there were.
    pub async fn revoke_all(&self, user: &UserId) -> Result<u64> {
        self.store.revoke_tokens_of(user).await
    }

    /// Revokes everybody's tokens, in small steps. How many there were.
    pub async fn revoke_everybodys(&self) -> Result<u64> {
        self.sweep_until(Timestamp::from_unix(i64::MAX)).await
    }

    /// Revokes once more what this instance revoked lately and the store still has: it has lost its last changes. How
    /// many there were.
    pub async fn revoke_again(&self, audit: &Audit) -> Result<usize> {
        let mut again = 0;
        for hash in self.revoked.all() {
            let Some((token, user)) = self.store.token_by_hash(&hash).await? else { continue };
            let id = token.hash.short();
            tracing::warn!(token.id = id, "the database forgot that a token was revoked");
            if self.store.revoke_tokens_named(&id, Some(&user.id)).await? > 0 {
                audit.note(EventKind::TokenRevoked, Some(&user.id), &Origin::default(), "forgotten", &id).await;
                again += 1;
            }
        }
        Ok(again)
    }

    /// Forgets tokens that have expired, in small steps. How many.
    pub async fn sweep(&self) -> Result<u64> {
        self.sweep_until(self.clock.now()).await
    }

    async fn sweep_until(&self, moment: Timestamp) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            let step = self.store.sweep_tokens(moment, SWEEP_BATCH).await?;
            forgotten += step;
            if step < u64::from(SWEEP_BATCH) {
                return Ok(forgotten);
            }
            tokio::task::yield_now().await;
        }
    }
}

/// `name` without blanks at its ends, if it can be shown in a list.
fn presentable(name: &str) -> Option<String> {
    let name = name.trim();
    // What turns the text around could make a list say something else.
    let is_plain = |c: char| !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let fits = (1..=LONGEST_NAME).contains(&name.chars().count()) && name.chars().all(is_plain);
    fits.then(|| name.to_owned())
}

/// A fresh token.
fn mint(random: &dyn Random) -> Plain {
    let mut token = PREFIX.to_owned();
    while token.len() < PREFIX.len() + SECRET_LENGTH {
        for byte in crate::random::bytes::<32>(random) {
            // 248 is the largest multiple of 62 in a byte: what lies above would favour the first letters.
            if byte < 248 && token.len() < PREFIX.len() + SECRET_LENGTH {
                token.push(char::from(BASE62[usize::from(byte % 62)]));
            }
        }
    }
    let checksum = checksum(&token);
    Plain::presented(token + &checksum)
}

/// Whether `value` has a token's form and its checksum holds: all that can be known without the store.
pub fn is_well_formed(value: &str) -> bool {
    let Some(rest) = value.strip_prefix(PREFIX) else { return false };
    if rest.len() != SECRET_LENGTH + CHECKSUM_LENGTH || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    let (body, given) = value.split_at(PREFIX.len() + SECRET_LENGTH);
    checksum(body) == given
}

fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}
