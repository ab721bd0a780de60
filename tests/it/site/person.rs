//! The Rust of `docs/gate.md`, as it stands there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

/// Who is asking, as the claims of the assertion, or `None`. `now` is in seconds since 1970.
pub fn person(assertion: &str, keys: &str, issuer: &str, audience: &str, now: i64) -> Option<Value> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let (head, body) = signed.split_once('.')?;
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let header: Value = serde_json::from_slice(&bytes(head)?).ok()?;
    let keys: Value = serde_json::from_str(keys).ok()?;
    let key = keys["keys"].as_array()?.iter().find(|key| key["kid"] == header["kid"])?;
    let point = [vec![4], bytes(key["x"].as_str()?)?, bytes(key["y"].as_str()?)?].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed.as_bytes(), &bytes(signature)?).ok()?;
    let claims: Value = serde_json::from_slice(&bytes(body)?).ok()?;
    let holds = header["alg"] == "ES256" && claims["iss"] == issuer && claims["aud"] == audience;
    (holds && claims["exp"].as_i64()? > now).then_some(claims)
}
