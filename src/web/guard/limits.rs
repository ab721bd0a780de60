//! How often one client may knock where each knock costs us something: a sign-in begun, an answer of the provider, a token
//! that is none, a terminal that asks.
//!
//! A client is its address as far as it is told by those whom we trust, an IPv6 one together with its /64. Loopback and
//! whoever has no address are not counted: that is this machine, or a proxy that does not say for whom it speaks, and
//! one stranger must not use up what all behind it need. Each instance counts for itself.
//!
//! Counted by the generic cell rate algorithm (ITU-T I.371): one moment for each client, and no more clients than
//! fifty thousand. Where there are more, all are forgotten: it is a brake, not a wall.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::limits::Limits as Config;
use crate::devices;

/// How many clients are remembered at a time, for each kind of knock: some five megabytes.
const MOST_CLIENTS: usize = 50_000;

const MINUTE: i64 = 60_000;

/// The brakes of one instance.
#[derive(Debug)]
pub struct Limits {
    /// Sign-ins begun.
    pub sign_ins: Brake,
    /// Answers of the provider.
    pub callbacks: Brake,
    /// Terminals that ask to be let in.
    pub terminals: Brake,
    /// Bearer tokens that are none.
    pub bad_tokens: Brake,
    config: Config,
}

impl Limits {
    /// As `config` says. An answer of the provider belongs to a sign-in, so there may be as many.
    pub fn new(config: &Config) -> Self {
        let (sign_ins, bad_tokens) = (config.sign_ins_per_minute, config.bad_tokens_per_minute);
        Self {
            sign_ins: Brake::new(sign_ins),
            callbacks: Brake::new(sign_ins),
            terminals: Brake::new(sign_ins),
            bad_tokens: Brake::new(bad_tokens),
            config: *config,
        }
    }

    /// Whether these are the limits that `config` sets.
    pub fn are(&self, config: &Config) -> bool {
        self.config == *config
    }
}

/// So many knocks a minute for each client, and as many at once.
#[derive(Debug)]
pub struct Brake {
    /// How many milliseconds one knock costs; zero: no brake.
    cost: i64,
    /// How many may be owed.
    most: i64,
    /// Until when each client has knocked in advance, in milliseconds since 1970.
    clients: Mutex<HashMap<String, i64>>,
}

impl Brake {
    /// A brake that lets `per_minute` pass; zero: all of them.
    pub fn new(per_minute: u32) -> Self {
        let cost = MINUTE.checked_div(i64::from(per_minute)).unwrap_or(0);
        Self { cost, most: cost * i64::from(per_minute), clients: Mutex::default() }
    }

    /// The client at `address` knocks. An error: how long it has to wait, and nothing is counted.
    pub fn knock(&self, address: &str, now: Timestamp) -> Result<(), Duration> {
        self.judge(address, now, true)
    }

    /// Whether the client at `address` would be let pass if it knocked.
    pub fn look(&self, address: &str, now: Timestamp) -> Result<(), Duration> {
        self.judge(address, now, false)
    }

    fn judge(&self, address: &str, now: Timestamp, counts: bool) -> Result<(), Duration> {
        if self.cost == 0 || !is_counted(address) {
            return Ok(());
        }
        let now = now.unix().saturating_mul(1000);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = devices::network(address);
        let spent = clients.get(&client).copied().unwrap_or(now).max(now) + self.cost;
        if let Ok(wait) = u64::try_from(spent - now - self.most)
            && wait > 0
        {
            return Err(Duration::from_millis(wait));
        }
        if counts {
            if clients.len() >= MOST_CLIENTS && !clients.contains_key(&client) {
                clients.retain(|_, spent| *spent > now);
                if clients.len() >= MOST_CLIENTS {
                    clients.clear();
                }
            }
            clients.insert(client, spent);
        }
        Ok(())
    }

    /// How many clients are remembered.
    pub fn clients(&self) -> usize {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn is_counted(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|address| !address.to_canonical().is_loopback())
}
