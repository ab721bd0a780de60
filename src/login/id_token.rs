//! Whether an ID token holds (OpenID Connect Core 1.0, section 3.1.3.7).
//!
//! The library checks signature, issuer, audience, expiry and nonce. It leaves to us: an exact issuer, `azp`, `nbf`,
//! bounds for `iat`, `at_hash`, a leeway, and numbers that are no times. Those are checked here on the very bytes whose
//! signature the library verifies. Either layer alone can refuse; both must agree.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use openidconnect::{
    AccessToken, AccessTokenHash, ClaimsVerificationError, ClientId, ClientSecret, IssuerUrl, Nonce,
    SignatureVerificationError,
};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::login::identity::{Claims, subject};

/// How far the clocks may differ.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// How far ahead of our clock a token may have been issued.
const IAT_AHEAD: Duration = Duration::from_secs(60);

/// How long ago a token may have been issued: it comes straight from the token endpoint.
const IAT_BEHIND: Duration = Duration::from_secs(600);

/// 9999-12-31T23:59:59Z: what lies beyond is no time but an attempt at an overflow.
const LAST_MOMENT: f64 = 253_402_300_799.0;

/// What a token must say to be for us.
pub struct Expected<'a> {
    /// The issuer as configured.
    pub issuer: &'a IssuerUrl,
    /// Our name at the provider.
    pub client_id: &'a ClientId,
    /// Our secret: the key of HMAC signatures, where the operator allows them.
    pub client_secret: &'a ClientSecret,
    /// The signature algorithms that the operator allows.
    pub algorithms: &'a [CoreJwsSigningAlgorithm],
    /// What we sent along with the browser.
    pub nonce: &'a str,
    /// The present moment.
    pub now: Timestamp,
}

/// Why a token does not hold. Sentences for the log.
#[derive(Debug)]
pub enum Fault {
    /// Signed with a key that is not among those we know; newer ones may hold it.
    UnknownKey,
    /// Only its times are wrong.
    ClockSkew(String),
    /// Anything else.
    Bad(String),
}

/// The claims of `token`, if it holds.
pub fn verify(
    token: &CoreIdToken,
    keys: &CoreJsonWebKeySet,
    access_token: &AccessToken,
    expected: &Expected<'_>,
) -> Result<Claims, Fault> {
    let (header, claims) = read(&token.to_string()).ok_or_else(|| bad("it cannot be read"))?;
    check_header(&header, expected).map_err(bad)?;
    check_length(token).map_err(bad)?;
    check_claims(&claims, expected).map_err(bad)?;
    let times = check_times(&claims, expected.now)?;
    let verifier = verifier(keys, expected);
    let nonce = Nonce::new(expected.nonce.to_owned());
    let verified = token.claims(&verifier, &nonce).map_err(|error| fault(&error, header.contains_key("kid")))?;
    if let Some(named) = verified.access_token_hash() {
        let actual = token
            .signing_alg()
            .and_then(|alg| Ok((alg, token.signing_key(&verifier)?)))
            .ok()
            .and_then(|(alg, key)| AccessTokenHash::from_token(access_token, alg, key).ok());
        if actual.as_ref() != Some(named) {
            return Err(bad("at_hash belongs to another access token"));
        }
    }
    // Judged last, so that a clock that is wrong is told apart from a token that is.
    times.map_err(Fault::ClockSkew)?;
    Ok(claims)
}

/// The claims in `token`, which nobody has verified: good for a sentence about a failure, for nothing else.
pub fn unverified_claims(token: &str) -> Option<Claims> {
    read(token).map(|(_, claims)| claims)
}

fn bad(why: impl Into<String>) -> Fault {
    Fault::Bad(why.into())
}

fn read(token: &str) -> Option<(Claims, Claims)> {
    let part = |part: &str| match serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()? {
        Value::Object(claims) => Some(claims),
        _ => None,
    };
    let mut parts = token.split('.');
    Some((part(parts.next()?)?, part(parts.next()?)?))
}

/// The header names an allowed algorithm and asks for nothing that we do not understand. Keys that it carries or
/// points at (`jwk`, `jku`, `x5c`, `x5u`) are never looked at.
fn check_header(header: &Claims, expected: &Expected<'_>) -> Result<(), String> {
    let algorithm = header.get("alg").cloned().unwrap_or_default();
    let algorithm: Option<CoreJwsSigningAlgorithm> = serde_json::from_value(algorithm).ok();
    if !algorithm.is_some_and(|algorithm| expected.algorithms.contains(&algorithm)) {
        return Err("its signature algorithm is not allowed".to_owned());
    }
    if header.contains_key("crit") {
        return Err("it demands an extension that is not understood (crit)".to_owned());
    }
    Ok(())
}

/// An HMAC has the length of its hash (RFC 7518, section 3.2). The library takes that for granted and panics otherwise.
fn check_length(token: &CoreIdToken) -> Result<(), &'static str> {
    let length = match token.signing_alg() {
        Ok(CoreJwsSigningAlgorithm::HmacSha256) => 32,
        Ok(CoreJwsSigningAlgorithm::HmacSha384) => 48,
        Ok(CoreJwsSigningAlgorithm::HmacSha512) => 64,
        _ => return Ok(()),
    };
    let text = token.to_string();
    let signature = text.rsplit('.').next().and_then(|signature| URL_SAFE_NO_PAD.decode(signature).ok());
    if signature.is_some_and(|signature| signature.len() == length) { Ok(()) } else { Err("its signature is wrong") }
}

fn check_claims(claims: &Claims, expected: &Expected<'_>) -> Result<(), String> {
    let is = |claim: &str, value: &str| claims.get(claim).and_then(Value::as_str) == Some(value);
    let client_id = expected.client_id.as_str();
    if !is("iss", expected.issuer.as_str()) {
        return Err("iss is not the configured issuer".to_owned());
    }
    // A further audience could pass the token on and be somebody at our door (OpenID Connect Core 1.0, 3.1.3.7, 3).
    let is_for_us = match claims.get("aud") {
        Some(Value::Array(audiences)) => {
            !audiences.is_empty() && audiences.iter().all(|audience| audience == client_id)
        }
        audience => audience.and_then(Value::as_str) == Some(client_id),
    };
    if !is_for_us {
        return Err("aud is not this client alone".to_owned());
    }
    if claims.contains_key("azp") && !is("azp", client_id) {
        return Err("azp is another client".to_owned());
    }
    if !is("nonce", expected.nonce) {
        return Err("nonce is not the one of this login".to_owned());
    }
    if subject(claims).is_none() {
        return Err("sub is not 1 to 255 printable ASCII characters".to_owned());
    }
    Ok(())
}

/// The outer error: something that should be a time is none. The inner one: the times do not fit our clock.
fn check_times(claims: &Claims, now: Timestamp) -> Result<Result<(), String>, Fault> {
    let expires = moment(claims, "exp")?.ok_or_else(|| bad("exp is missing"))?;
    let issued = moment(claims, "iat")?.ok_or_else(|| bad("iat is missing"))?;
    let not_before = moment(claims, "nbf")?;
    if now >= expires + LEEWAY {
        return Ok(Err(format!("it expired at {expires}, here it is {now}")));
    }
    if issued > now + IAT_AHEAD || issued < now - IAT_BEHIND {
        return Ok(Err(format!("it was issued at {issued}, here it is {now}")));
    }
    if not_before.is_some_and(|not_before| not_before > now + LEEWAY) {
        return Ok(Err(format!("it is not valid yet, here it is {now}")));
    }
    Ok(Ok(()))
}

/// When the person showed the provider who they are, where it says so.
pub fn auth_time(claims: &Claims) -> Result<Option<Timestamp>, String> {
    moment(claims, "auth_time").map_err(|_| "auth_time is no time".to_owned())
}

/// The claim as a moment; fractions are cut (RFC 7519, section 2, `NumericDate`).
fn moment(claims: &Claims, claim: &str) -> Result<Option<Timestamp>, Fault> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST_MOMENT).contains(seconds));
    #[expect(clippy::cast_possible_truncation, reason = "between zero and the year 9999")]
    let moment = seconds.map(|seconds| Timestamp::from_unix(seconds as i64));
    moment.map(Some).ok_or_else(|| bad(format!("{claim} is no time")))
}

fn verifier<'a>(keys: &CoreJsonWebKeySet, expected: &Expected<'_>) -> CoreIdTokenVerifier<'a> {
    let now = chrono::DateTime::from_timestamp((expected.now - LEEWAY).unix(), 0).unwrap_or_default();
    CoreIdTokenVerifier::new_confidential_client(
        expected.client_id.clone(),
        expected.client_secret.clone(),
        expected.issuer.clone(),
        keys.clone(),
    )
    .set_allowed_algs(expected.algorithms.iter().cloned())
    .set_time_fn(move || now)
}

/// The library's error in our words: its own ones quote the token.
fn fault(error: &ClaimsVerificationError, has_kid: bool) -> Fault {
    use SignatureVerificationError as Signature;
    match error {
        ClaimsVerificationError::Expired(_) => Fault::ClockSkew("it has expired".to_owned()),
        ClaimsVerificationError::SignatureVerification(signature) => match signature {
            Signature::NoMatchingKey => Fault::UnknownKey,
            // Without a key id the only key was tried; the provider may have changed it.
            Signature::CryptoError(_) if !has_kid => Fault::UnknownKey,
            Signature::CryptoError(_) => bad("its signature is wrong"),
            Signature::AmbiguousKeyId(_) => bad("it names no key and the provider has several"),
            Signature::DisallowedAlg(_) | Signature::UnsupportedAlg(_) => bad("its signature algorithm is not allowed"),
            Signature::NoSignature => bad("it is not signed"),
            _ => bad("its signature cannot be verified"),
        },
        ClaimsVerificationError::InvalidIssuer(_) => bad("iss is not the configured issuer"),
        ClaimsVerificationError::InvalidAudience(_) => bad("aud is not this client alone"),
        ClaimsVerificationError::InvalidNonce(_) => bad("nonce is not the one of this login"),
        _ => bad("its form is not supported"),
    }
}
