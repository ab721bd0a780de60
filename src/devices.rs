//! Signing in from a terminal (RFC 8628): a program shows a short code, its person types it at a browser that is signed
//! in, the program receives a token.
//!
//! | step   | who                | leaves behind                                        |
//! |--------|--------------------|------------------------------------------------------|
//! | ask    | a program          | two codes, valid ten minutes: a long one for itself, a short one for its person |
//! | decide | a person signed in | yes or no                                            |
//! | poll   | the program        | a token, once                                        |
//!
//! The short code can be guessed at, so guessing is made useless: 20^8 codes, few of them valid at a time and none for
//! longer than ten minutes, and whoever is wrong too often must wait. A guess is only worth something to somebody who is
//! signed in, and then only lets a stranger's program in as themselves. What is worth more is to talk a person into
//! typing the attacker's code (RFC 8628, section 5.4): so the code is always typed, never in a link, and the page says
//! which machine asks, from where.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::credential::{Hashed, Plain};
use crate::model::{Device, DeviceState, Scope, Token, UserId};
use crate::random::{self, Random};
use crate::store::{Redeemed, Result, SharedStore};
use crate::tokens::{self, Tokens};

/// How long both codes are good for.
pub const LIFE: Duration = Duration::from_secs(10 * 60);

/// How many seconds a program leaves between two questions; more each time that it does not (RFC 8628, section 3.5).
pub const PAUSE: u32 = 5;

/// Consonants without those that look or sound like others or form words (RFC 8628, section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// How long a short code is, without its hyphen.
const LENGTH: usize = 8;

/// How many programs may wait at a time, of all and of one network: asking is free, so it must not fill the store.
const MOST: u32 = 1000;
const MOST_OF_NETWORK: u32 = 20;

/// How many wrong codes a user, and a network, may type within [`LIFE`] at one instance: with 20^8 codes a handful of
/// instances that count apart makes no difference.
const MOST_WRONG: u32 = 10;

/// How many of those who typed wrong codes are remembered at a time.
const MOST_REMEMBERED: usize = 10_000;

/// How long a machine's name may be, in characters.
const LONGEST_NAME: usize = 60;

const SWEEP_BATCH: u32 = 500;

/// The programs that wait.
#[derive(Clone)]
pub struct Devices {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    tokens: Tokens,
    wrong: Arc<Mutex<HashMap<String, Wrong>>>,
}

#[derive(Clone, Copy)]
struct Wrong {
    count: u32,
    since: Timestamp,
}

/// What a program is given when it asks.
pub struct Asked {
    /// What it asks with whether it may come in.
    pub code: Plain,
    /// What its person types: `BCDF-GHJK`.
    pub user_code: String,
}

/// What became of a code that a person typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// This program waits under it.
    Waiting(Device),
    /// None does: mistyped, too old, or decided already.
    Unknown,
    /// There were too many wrong ones; for this long none is looked at.
    TooMany(Duration),
}

/// What a program is told.
#[derive(Debug)]
pub enum Polled {
    /// Nobody has decided yet.
    Pending,
    /// It asks more often than it may.
    TooFast,
    /// The person said no.
    Denied,
    /// Its person said yes, and has as many tokens as anybody may: after one is revoked, it may ask again.
    Full,
    /// The code is too old.
    Expired,
    /// There is no such code, or its token was taken already.
    Unknown,
    /// The token, this once.
    Token(Plain, Token),
}

impl Devices {
    /// Goes on where `before` stood: who guessed codes has not guessed fewer.
    pub fn take_over(&mut self, before: &Self) {
        self.wrong = Arc::clone(&before.wrong);
    }

    /// Programs that wait in `store` for tokens of `tokens`.
    pub fn new(store: SharedStore, clock: Arc<dyn Clock>, random: Arc<dyn Random>, tokens: Tokens) -> Self {
        Self { store, clock, random, tokens, wrong: Arc::default() }
    }

    /// A program on `machine`, at `address`, wants a token of `scope`. `None`: too many wait already.
    pub async fn ask(&self, machine: &str, address: &str, scope: Scope) -> Result<Option<Asked>> {
        let (code, user_code, now) = (Plain::new(&*self.random), short_code(&*self.random), self.clock.now());
        let device = Device {
            code: code.hashed(),
            user_code: hashed(&user_code),
            machine: presentable(machine),
            address: address.to_owned(),
            network: network(address),
            scope,
            created_at: now,
            expires_at: now + LIFE,
            polled_at: None,
            pause: PAUSE,
            state: DeviceState::Pending,
        };
        // Behind a proxy that does not say, all have one address.
        let most_of_network = if address.is_empty() { MOST } else { MOST_OF_NETWORK };
        let is_kept = self.store.ask_device(&device, MOST, most_of_network).await?;
        Ok(is_kept.then(|| Asked { code, user_code: format!("{}-{}", &user_code[..4], &user_code[4..]) }))
    }

    /// What waits under the code that `user`, at `address`, typed.
    pub async fn typed(&self, text: &str, user: &UserId, address: &str) -> Result<Typed> {
        let now = self.clock.now();
        // Counted as wrong before it is looked up: a thousand guesses at once are not a thousand first ones.
        if let Err(wait) = self.count_wrong(user, address, now) {
            return Ok(Typed::TooMany(wait));
        }
        let found = match normal(text) {
            Some(user_code) => self.store.device_by_user_code(&hashed(&user_code)).await,
            None => Ok(None),
        };
        if !matches!(found, Ok(None)) {
            self.uncount(user, address);
        }
        let waiting = found?.filter(|device| device.state == DeviceState::Pending && now < device.expires_at);
        Ok(waiting.map_or(Typed::Unknown, Typed::Waiting))
    }

    /// `user` lets the program in that waits under the code, or turns it away. Whether one still waited.
    pub async fn decide(&self, device: &Device, user: &UserId, approved: bool) -> Result<bool> {
        self.store.decide_device(&device.user_code, user, approved, self.clock.now()).await
    }

    /// The program asks whether it may come in.
    pub async fn poll(&self, code: &Plain) -> Result<Polled> {
        let code = code.hashed();
        let Some(device) = self.store.device_by_code(&code).await? else { return Ok(Polled::Unknown) };
        let now = self.clock.now();
        if now >= device.expires_at {
            return Ok(Polled::Expired);
        }
        let pause = Duration::from_secs(device.pause.into());
        if device.polled_at.is_some_and(|polled| now.since(polled) < pause) {
            self.store.note_poll(&code, now, device.pause.saturating_add(PAUSE)).await?;
            return Ok(Polled::TooFast);
        }
        match device.state {
            DeviceState::Denied => Ok(Polled::Denied),
            DeviceState::Approved(user_id) => {
                let name = format!("Terminal on {}", device.machine);
                let life = Duration::from_secs(u64::from(tokens::USUAL_DAYS) * 24 * 60 * 60);
                let (value, token) = self.tokens.minted(user_id, name, device.scope, life);
                Ok(match self.store.redeem_device(&code, &token, tokens::MOST_PER_USER).await? {
                    Redeemed::Done => Polled::Token(value, token),
                    Redeemed::Late => Polled::Unknown,
                    Redeemed::Full => {
                        self.store.note_poll(&code, now, device.pause).await?;
                        Polled::Full
                    }
                })
            }
            DeviceState::Pending => {
                self.store.note_poll(&code, now, device.pause).await?;
                Ok(Polled::Pending)
            }
        }
    }

    /// Forgets programs that waited in vain, in small steps. How many.
    pub async fn sweep(&self) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            // For a while they are still told that their code is too old.
            let step = self.store.sweep_devices(self.clock.now() - LIFE, SWEEP_BATCH).await?;
            forgotten += step;
            if step < u64::from(SWEEP_BATCH) {
                return Ok(forgotten);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Counts a code of the user's and the network's as wrong. An error: how long they must wait, with nothing counted.
    fn count_wrong(&self, user: &UserId, address: &str, now: Timestamp) -> std::result::Result<(), Duration> {
        let mut wrong = self.wrong();
        wrong.retain(|_, wrong| now.since(wrong.since) < LIFE);
        let names = names(user, address);
        let full = names.iter().filter_map(|name| wrong.get(name).filter(|wrong| wrong.count >= MOST_WRONG));
        if let Some(wait) = full.map(|wrong| LIFE.saturating_sub(now.since(wrong.since))).max() {
            return Err(wait);
        }
        for name in names {
            // Whoever can make so many users has other ways.
            if wrong.len() < MOST_REMEMBERED || wrong.contains_key(&name) {
                wrong.entry(name).or_insert(Wrong { count: 0, since: now }).count += 1;
            }
        }
        Ok(())
    }

    /// It was not wrong after all.
    fn uncount(&self, user: &UserId, address: &str) {
        let mut wrong = self.wrong();
        for name in names(user, address) {
            if let Some(wrong) = wrong.get_mut(&name) {
                wrong.count = wrong.count.saturating_sub(1);
            }
        }
    }

    fn wrong(&self) -> MutexGuard<'_, HashMap<String, Wrong>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What wrong codes are counted by.
fn names(user: &UserId, address: &str) -> Vec<String> {
    let network = Some(network(address)).filter(|network| !network.is_empty()).map(|it| format!("network {it}"));
    [format!("user {user}")].into_iter().chain(network).collect()
}

/// What one client is counted by: its address, or for IPv6 the /64 that it lies in, since whoever has one address there
/// has all of them. What is no address counts as itself.
pub fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Ok(IpAddr::V4(address)) => address.to_string(),
        Err(_) => address.to_owned(),
    }
}

fn short_code(random: &dyn Random) -> String {
    let mut code = String::with_capacity(LENGTH);
    while code.len() < LENGTH {
        for byte in random::bytes::<16>(random) {
            // 240 is the largest multiple of 20 in a byte: what lies above would favour the first letters.
            if byte < 240 && code.len() < LENGTH {
                code.push(char::from(LETTERS[usize::from(byte % 20)]));
            }
        }
    }
    code
}

/// What was typed, as it was shown: in capitals, without blanks and hyphens. `None`: it was never shown.
fn normal(text: &str) -> Option<String> {
    let letters = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}'..='\u{2015}'));
    let code: String = letters.map(|c| c.to_ascii_uppercase()).take(LENGTH + 1).collect();
    (code.len() == LENGTH && code.bytes().all(|byte| LETTERS.contains(&byte))).then_some(code)
}

fn hashed(user_code: &str) -> Hashed {
    Plain::presented(user_code).hashed()
}

/// A machine's name as it may stand on a page and in a list: whoever asks chose it, and could make it say anything.
fn presentable(machine: &str) -> String {
    let is_plain = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let name: String = machine.chars().filter(is_plain).take(LONGEST_NAME).collect();
    let name = name.trim();
    if name.is_empty() { "an unnamed machine".to_owned() } else { name.to_owned() }
}
