//! Keys of the scripted provider: RSA, made once per process, the same in every run.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use rsa::rand_core::{CryptoRng, RngCore};
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use serde_json::{Value, json};

/// The DER that stands before a SHA-256 or SHA-384 in a signature (RFC 8017, section 9.2).
const SHA256: &[u8] = &[0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
const SHA384: &[u8] = &[0x30, 0x41, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0, 4, 0x30];

/// One of three keys.
#[derive(Clone, Copy, Debug)]
pub struct Key(usize);

impl Key {
    /// The key with this number, 0 to 2.
    pub fn numbered(number: usize) -> Self {
        Self(number)
    }

    /// Its id in the key set.
    pub fn id(self) -> String {
        format!("key-{}", self.0)
    }

    fn private(self) -> &'static RsaPrivateKey {
        static KEYS: [OnceLock<RsaPrivateKey>; 3] = [const { OnceLock::new() }; 3];
        KEYS[self.0]
            .get_or_init(|| RsaPrivateKey::new(&mut Repeatable { seed: self.0 as u64, count: 0 }, 2048).expect("a key"))
    }

    /// The public half, as a key set holds it.
    pub fn public(self) -> Value {
        let number = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let (n, e) = (number(self.private().n().to_bytes_be()), number(self.private().e().to_bytes_be()));
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id(), "n": n, "e": e })
    }

    /// The modulus alone: what a careless verifier might take for an HMAC key.
    pub fn modulus(self) -> Vec<u8> {
        self.private().n().to_bytes_be()
    }

    /// A JWT with this header and these claims; RS384 where the header says so, RS256 otherwise.
    pub fn sign(self, header: &Value, claims: &Value) -> String {
        let input = signing_input(header, claims);
        let (algorithm, prefix) =
            if header["alg"] == "RS384" { (&digest::SHA384, SHA384) } else { (&digest::SHA256, SHA256) };
        let hash = digest::digest(algorithm, input.as_bytes());
        let scheme = Pkcs1v15Sign { hash_len: Some(hash.as_ref().len()), prefix: prefix.into() };
        let signature = self.private().sign(scheme, hash.as_ref()).expect("a signature");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Header and claims as they are signed.
pub fn signing_input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// A JWT signed by HMAC with `secret`.
pub fn sign_hs256(secret: &[u8], claims: &Value) -> String {
    let input = signing_input(&json!({ "alg": "HS256", "kid": Key(0).id() }), claims);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, input.as_bytes())))
}

/// Bytes that look random and are the same in every run.
struct Repeatable {
    seed: u64,
    count: u64,
}

impl RngCore for Repeatable {
    fn next_u32(&mut self) -> u32 {
        rsa::rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rsa::rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            self.count += 1;
            let input = [self.seed.to_le_bytes(), self.count.to_le_bytes()].concat();
            let block = digest::digest(&digest::SHA256, &input);
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Repeatable {}
