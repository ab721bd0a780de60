//! Signs ID tokens, with a key that lives as long as the demo. ES256, since a key for it is made in no time.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// A signature algorithm of RFC 7518, section 3.1.
pub const ALGORITHM: &str = "ES256";

/// A key of one's own.
pub struct Signer {
    key: EcdsaKeyPair,
    entropy: SystemRandom,
    id: String,
}

impl Signer {
    /// A fresh key.
    pub fn new() -> io::Result<Self> {
        let entropy = SystemRandom::new();
        let refused = |_| io::Error::other("a key could not be made");
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &entropy).map_err(refused)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &entropy)
            .map_err(|_| io::Error::other("a key could not be read back"))?;
        let id = encode(&sha256(key.public_key().as_ref())[..9]);
        Ok(Self { key, entropy, id })
    }

    /// The public key, as a set of one (RFC 7517, section 5).
    pub fn key_set(&self) -> Value {
        // An uncompressed point: a byte 4, then 32 bytes of x and of y (SEC 1, section 2.3.3).
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": ALGORITHM, "kid": self.id, "x": encode(x), "y": encode(y),
        }] })
    }

    /// `claims` as a signed token in compact form (RFC 7515, section 7.1).
    pub fn sign(&self, claims: &Value) -> io::Result<String> {
        let header = json!({ "typ": "JWT", "alg": ALGORITHM, "kid": self.id });
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let refused = |_| io::Error::other("a token could not be signed");
        let signature = self.key.sign(&self.entropy, signed.as_bytes()).map_err(refused)?;
        Ok(format!("{signed}.{}", encode(signature.as_ref())))
    }
}

/// base64url without padding, as all of JOSE and PKCE write bytes.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}
