//! A value handed out once and remembered only as a hash.
//!
//! A session's handle and an API token are 256 random bits; a plain SHA-256 of them is enough to keep, since nobody
//! can search that space. Comparing happens on the hash, so timing tells nothing of the value.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::random::{self, Random};

/// What the browser or the program holds. Prints as `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Plain(String);

impl Plain {
    /// 256 fresh random bits as 43 characters of base64url.
    pub fn new(random: &dyn Random) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random::bytes::<32>(random)))
    }

    /// A value that somebody presented, however it looks.
    pub fn presented(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, to be put into a cookie or shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What we remember of it.
    pub fn hashed(&self) -> Hashed {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.0.as_bytes());
        Hashed(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain(…)")
    }
}

/// The SHA-256 of a [`Plain`]: all that a store ever sees.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hashed([u8; 32]);

impl Hashed {
    /// The hash that a store kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes, to be kept by a store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A name to speak of it by, in listings and logs: the first 16 hexadecimal digits, which admit nobody.
    pub fn short(&self) -> String {
        self.0[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hashed({}…)", self.short())
    }
}
