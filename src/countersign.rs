//! How an operator's command and a running instance recognise each other over the network: both can read the same
//! database, and in it the keys that seal pending logins.
//!
//! The command asks with a question that only a holder of a key can make; whoever cannot make one gets the answer that
//! everybody gets, so nothing can be learnt by asking. The answer proves in turn that the other end holds a key, and is
//! bound to the question and to what is told with it: nobody between the two can make it up. A question is good for a
//! minute; one that was overheard tells whoever repeats it how their own request arrived, and no more.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::clock::Timestamp;
use crate::random::{self, Random};
use crate::store::Key;

/// The request header that holds the question.
pub const HEADER: &str = "doorward-countersign";

/// By how many seconds the question may be older or younger than our clock says.
const SKEW: i64 = 60;

const PURPOSE: &[u8] = b"doorward countersign 1";

/// What somebody asks to be recognised by.
#[derive(Clone, PartialEq, Eq)]
pub struct Question {
    moment: i64,
    nonce: [u8; 16],
    tag: Vec<u8>,
}

impl Question {
    /// A fresh one, made with the oldest of `keys`: the one that every instance has read, a minute after a change at the latest. `None`: there is none.
    pub fn new(keys: &[Key], random: &dyn Random, now: Timestamp) -> Option<Self> {
        let key = keys.iter().min_by_key(|key| key.id)?;
        let (moment, nonce) = (now.unix(), random::bytes(random));
        let tag = hmac::sign(&derived(key), &asked(moment, &nonce)).as_ref().to_vec();
        Some(Self { moment, nonce, tag })
    }

    /// The question as it travels.
    pub fn to_header(&self) -> String {
        format!("{}.{}.{}", self.moment, URL_SAFE_NO_PAD.encode(self.nonce), URL_SAFE_NO_PAD.encode(&self.tag))
    }

    /// The question in `header`, if one of `keys` made it and it is fresh at `now`.
    pub fn read(header: &str, keys: &[Key], now: Timestamp) -> Option<Self> {
        let mut parts = header.splitn(3, '.');
        let moment: i64 = parts.next()?.parse().ok()?;
        let nonce: [u8; 16] = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?.try_into().ok()?;
        let tag = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        if moment.checked_sub(now.unix())?.abs() > SKEW {
            return None;
        }
        let is_right = |key: &Key| hmac::verify(&derived(key), &asked(moment, &nonce), &tag).is_ok();
        keys.iter().any(is_right).then_some(Self { moment, nonce, tag })
    }

    /// The proof that whoever tells `told` in answer holds one of `keys`; empty where there is none.
    pub fn answer(&self, keys: &[Key], told: &str) -> String {
        let key =
            keys.iter().find(|key| hmac::verify(&derived(key), &asked(self.moment, &self.nonce), &self.tag).is_ok());
        key.map(|key| URL_SAFE_NO_PAD.encode(hmac::sign(&derived(key), &self.answered(told)))).unwrap_or_default()
    }

    /// Whether `proof` shows that `told` is the answer of somebody who holds one of `keys`.
    pub fn is_answered(&self, keys: &[Key], told: &str, proof: &str) -> bool {
        let Ok(proof) = URL_SAFE_NO_PAD.decode(proof) else { return false };
        keys.iter().any(|key| hmac::verify(&derived(key), &self.answered(told), &proof).is_ok())
    }

    fn answered(&self, told: &str) -> Vec<u8> {
        [b"answer\0".as_slice(), &self.tag, told.as_bytes()].concat()
    }
}

fn asked(moment: i64, nonce: &[u8; 16]) -> Vec<u8> {
    [b"question\0".as_slice(), &moment.to_be_bytes(), nonce].concat()
}

/// A key of its own: what seals must not sign.
fn derived(key: &Key) -> hmac::Key {
    let sealing = hmac::Key::new(hmac::HMAC_SHA256, &key.secret);
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&sealing, PURPOSE).as_ref())
}
