//! Unguessable bytes.
//!
//! Nothing else in the house asks the operating system for entropy, so that tests can repeat a run.

use std::sync::atomic::{AtomicU64, Ordering};

/// Gives bytes that nobody can foresee.
pub trait Random: Send + Sync {
    /// Fills all of `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// `N` fresh bytes.
pub fn bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut fresh = [0; N];
    random.fill(&mut fresh);
    fresh
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for entropy")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("a system without entropy cannot keep anybody's session safe");
    }
}

/// Entropy for signatures with ECDSA, of which ring takes the operating system's alone.
pub fn for_signatures() -> impl ring::rand::SecureRandom + Clone + Send + Sync {
    ring::rand::SystemRandom::new()
}

/// A generator that gives the same bytes for the same seed; for tests only.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    blocks: AtomicU64,
}

impl SeededRandom {
    /// A generator for `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed, blocks: AtomicU64::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(ring::digest::SHA256_OUTPUT_LEN) {
            let block = self.blocks.fetch_add(1, Ordering::SeqCst);
            let mut input = [0; 16];
            input[..8].copy_from_slice(&self.seed.to_le_bytes());
            input[8..].copy_from_slice(&block.to_le_bytes());
            let digest = ring::digest::digest(&ring::digest::SHA256, &input);
            chunk.copy_from_slice(&digest.as_ref()[..chunk.len()]);
        }
    }
}
