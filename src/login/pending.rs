//! A login that left for the provider: sealed in the browser's own cookie, valid ten minutes.
//!
//! A stranger who only asks for `/login` must not be able to fill a table, so the browser keeps what we must know when
//! it comes back. It is sealed with AES-256-GCM under a key that all instances share, and bound to its label: a value
//! that was changed, moved to another cookie or made by somebody else does not open.
//!
//! Sealed value, before base64url: version (1 byte), key id (4), nonce (12), then encrypted: state (32), nonce (32),
//! verifier (32), provider (16), moment of the beginning (8), a mark where the person must prove anew who they are (0 or 1),
//! where to return (the rest); then the tag (16).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};

use crate::clock::Timestamp;
use crate::login::{SealedPendingLogin, sealing};
use crate::random::{self, Random};
use crate::store::Key;

/// How long a person may take at the provider.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// How far ahead of ours the clock of the instance that began may run.
const SKEW: Duration = Duration::from_secs(60);

/// How much a sealed value may hold, in characters: no honest one comes near.
const MAX_SEALED: usize = 4096;

const VERSION: u8 = 1;
const PURPOSE: &str = "doorward pending login 1";
const HEADER: usize = 1 + 4 + NONCE_LEN;
const SECRET: usize = 32;
const FINGERPRINT: usize = 16;
const MOMENT: usize = 8;

/// Stands before where to return, and never in an address.
const MUST_PROVE: u8 = 1;

/// A random value of 256 bits that goes out as 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce256([u8; SECRET]);

impl Nonce256 {
    fn new(random: &dyn Random) -> Self {
        Self(random::bytes(random))
    }

    /// The value as it travels: 43 unreserved characters.
    pub fn encoded(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// A login that was begun and has not come back.
#[derive(Clone)]
pub struct PendingLogin {
    /// Ties the answer to this browser (RFC 6749, section 10.12).
    pub state: Nonce256,
    /// Ties the ID token to this login (OpenID Connect Core 1.0, section 3.1.2.1).
    pub nonce: Nonce256,
    /// Ties the code to this login (RFC 7636).
    pub verifier: Nonce256,
    /// Which provider and client it went to.
    pub provider: [u8; FINGERPRINT],
    /// When it was begun.
    pub begun_at: Timestamp,
    /// Whether the person was to show anew who they are, and `auth_time` must say so.
    pub must_prove: bool,
    /// Where the person wanted to go, unchecked: rules may have changed meanwhile.
    pub return_to: Option<String>,
}

impl PendingLogin {
    /// A login at `provider`, begun at `now`, with fresh secrets.
    pub fn begin(random: &dyn Random, provider: [u8; FINGERPRINT], now: Timestamp, return_to: Option<String>) -> Self {
        let (state, nonce, verifier) = (Nonce256::new(random), Nonce256::new(random), Nonce256::new(random));
        Self { state, nonce, verifier, provider, begun_at: now, must_prove: false, return_to }
    }

    /// Whether it can still be finished at `now`.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now <= self.begun_at + LIFETIME && self.begun_at <= now + SKEW
    }

    /// Seals it with that of `keys` whose turn it is. `None` where there is no key.
    pub fn seal(&self, keys: &[Key], random: &dyn Random) -> Option<SealedPendingLogin> {
        let key = sealing::sealing(keys, self.begun_at)?;
        let label = label(&self.state.encoded());
        let nonce: [u8; NONCE_LEN] = random::bytes(random);
        let mut content = self.to_bytes();
        let aad = Aad::from(bound_to(&label, key.id));
        let nonce_once = Nonce::assume_unique_for_key(nonce);
        cipher(key).seal_in_place_append_tag(nonce_once, aad, &mut content).ok()?;
        let mut value = vec![VERSION];
        value.extend(key.id.to_be_bytes());
        value.extend(nonce);
        value.extend(content);
        Some(SealedPendingLogin { label, value: URL_SAFE_NO_PAD.encode(value) })
    }

    /// Opens `sealed` with whichever of `keys` sealed it, if that could still seal when it was begun.
    pub fn open(sealed: &SealedPendingLogin, keys: &[Key]) -> Result<Self, NotOpened> {
        if sealed.value.len() > MAX_SEALED {
            return Err(NotOpened::Broken);
        }
        let value = URL_SAFE_NO_PAD.decode(&sealed.value).map_err(|_| NotOpened::Broken)?;
        let (header, content) = value.split_at_checked(HEADER).ok_or(NotOpened::Broken)?;
        let (version, rest) = header.split_first().ok_or(NotOpened::Broken)?;
        let (id, nonce) = rest.split_first_chunk::<4>().ok_or(NotOpened::Broken)?;
        if *version != VERSION {
            return Err(NotOpened::Broken);
        }
        let id = u32::from_be_bytes(*id);
        let key = keys.iter().find(|key| key.id == id).ok_or(NotOpened::UnknownKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOpened::Broken)?;
        let mut content = content.to_vec();
        let aad = Aad::from(bound_to(&sealed.label, id));
        let opened = cipher(key).open_in_place(nonce, aad, &mut content).map_err(|_| NotOpened::Broken)?;
        let pending = Self::from_bytes(opened).ok_or(NotOpened::Broken)?;
        // The label is what the answer's state was matched against.
        let is_right =
            label(&pending.state.encoded()) == sealed.label && sealing::may_have_sealed(keys, key, pending.begun_at);
        if is_right { Ok(pending) } else { Err(NotOpened::Broken) }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let return_to = self.return_to.as_deref().unwrap_or_default();
        let mut bytes =
            Vec::with_capacity(3 * SECRET + FINGERPRINT + MOMENT + 1 + return_to.len() + AES_256_GCM.tag_len());
        for secret in [self.state, self.nonce, self.verifier] {
            bytes.extend(secret.0);
        }
        bytes.extend(self.provider);
        bytes.extend(self.begun_at.unix().to_be_bytes());
        bytes.extend(self.must_prove.then_some(MUST_PROVE));
        bytes.extend(return_to.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (state, bytes) = bytes.split_first_chunk()?;
        let (nonce, bytes) = bytes.split_first_chunk()?;
        let (verifier, bytes) = bytes.split_first_chunk()?;
        let (provider, bytes) = bytes.split_first_chunk()?;
        let (begun_at, return_to) = bytes.split_first_chunk::<MOMENT>()?;
        let (must_prove, return_to) = match return_to.split_first() {
            Some((&MUST_PROVE, rest)) => (true, rest),
            _ => (false, return_to),
        };
        let return_to = std::str::from_utf8(return_to).ok()?;
        Some(Self {
            state: Nonce256(*state),
            nonce: Nonce256(*nonce),
            verifier: Nonce256(*verifier),
            provider: *provider,
            begun_at: Timestamp::from_unix(i64::from_be_bytes(*begun_at)),
            must_prove,
            return_to: Some(return_to.to_owned()).filter(|address| !address.is_empty()),
        })
    }
}

/// Why a sealed value gives no pending login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// Changed, moved, cut, never ours, or sealed with a key when its time was over.
    Broken,
    /// Sealed with a key that is not at hand: perhaps newer than those we read.
    UnknownKey,
}

/// Which provider and client a login belongs to: 16 bytes of a hash, so that the cookie stays short.
pub fn fingerprint(issuer: &str, client_id: &str) -> [u8; FINGERPRINT] {
    let both = [issuer.as_bytes(), b"\0", client_id.as_bytes()].concat();
    let mut short = [0; FINGERPRINT];
    short.copy_from_slice(&digest(&SHA256, &both).as_ref()[..FINGERPRINT]);
    short
}

/// The label of the attempt with this `state`: ten characters of lower-case base32 of its hash. It tells attempts
/// apart and gives nothing of the state away.
pub fn label(state: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = digest(&SHA256, state.as_bytes());
    let mut bits = [0; 8];
    bits.copy_from_slice(&digest.as_ref()[..8]);
    let bits = u64::from_be_bytes(bits);
    (0..10).map(|place| char::from(ALPHABET[(bits >> (59 - 5 * place)) as usize & 31])).collect()
}

fn bound_to(label: &str, key_id: u32) -> Vec<u8> {
    format!("{PURPOSE}\0{VERSION}\0{key_id}\0{label}").into_bytes()
}

fn cipher(key: &Key) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key.secret).expect("an AES-256 key has 32 bytes"))
}
