//! What is left of somebody who was blocked and then deleted: enough to know them again when they come back, and nothing
//! that tells who they were.

use ring::digest::{SHA256, digest};

/// The hash that stands for `issuer`'s `subject`.
pub fn of(issuer: &str, subject: &str) -> [u8; 32] {
    // The length keeps the two apart: no other pair gives the same bytes.
    let mut bytes = (issuer.len() as u64).to_be_bytes().to_vec();
    bytes.extend_from_slice(issuer.as_bytes());
    bytes.extend_from_slice(subject.as_bytes());
    digest(&SHA256, &bytes).as_ref().try_into().expect("SHA-256 gives 32 bytes")
}
