//! What is kept shorter than it is: from the short name of a hash to the hashes that bear it, from a word to a scope.

use crate::model::Scope;

/// All hashes whose [`crate::credential::Hashed::short`] is one name: a stretch of the primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first of them.
    pub first: [u8; 32],
    /// The last of them.
    pub last: [u8; 32],
}

impl Range {
    /// The hashes called `short`; `None` where it is no such name.
    pub fn named(short: &str) -> Option<Self> {
        if short.len() != 16 || !short.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let start = u64::from_str_radix(short, 16).ok()?.to_be_bytes();
        let (mut first, mut last) = ([0; 32], [0xff; 32]);
        first[..8].copy_from_slice(&start);
        last[..8].copy_from_slice(&start);
        Some(Self { first, last })
    }
}

/// The scope with this word. One that a newer version wrote is taken for the narrowest there is.
pub fn scope(word: &str) -> Scope {
    Scope::named(word).unwrap_or(Scope::Me)
}
