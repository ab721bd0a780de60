//! The signed word of ours that tells an app behind the gate who is asking.
//!
//! An app that checks it (RFC 7515, RFC 7519) need not trust whoever stands between us and it. It is signed with ES256 by
//! a key that all instances share, is meant for one app's origin alone, and holds for five minutes.
//!
//! Signing is the dearest step of the gate, so what was signed for a credential and an app is used for a minute, unless
//! what it says has changed meanwhile. That never lets anybody in: who may pass is judged before, at each request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::clock::{Clock, Timestamp};
use crate::credential::Hashed;
use crate::model::User;
use crate::random;
use crate::store::{Result, SharedStore, SigningKey, StoreError};

/// How long an assertion holds.
pub const LIFE: Duration = Duration::from_secs(300);

/// How long it is used again for the same credential and app.
const REUSE: Duration = Duration::from_secs(60);

/// How old our knowledge of the keys may grow.
const RELOAD: Duration = Duration::from_secs(60);

/// How long a new key is published before it signs: longer than instances and apps keep what they read.
const AHEAD: Duration = Duration::from_secs(600);

/// How long a key is published after another signs in its place.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How many credentials' assertions are kept at the most.
const MOST_KEPT: usize = 10_000;

/// Who an assertion speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The hash of the session's handle or of the token.
    pub credential: Hashed,
    /// The session's name, as listings show it; `None` for a token.
    pub session: Option<&'a str>,
    /// The user.
    pub user: &'a User,
    /// Their groups.
    pub groups: &'a [&'a str],
}

/// A key as `doorward keys list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// `kid`: the thumbprint of the public key (RFC 7638).
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// Whether it is the one that signs now.
    pub is_signing: bool,
}

struct Signer {
    kept: SigningKey,
    pair: EcdsaKeyPair,
    id: String,
}

/// The keys as they were read.
struct Keys {
    read_at: Timestamp,
    /// The newest first.
    signers: Vec<Signer>,
}

struct Signed {
    audience: String,
    at: Timestamp,
    /// Whom it speaks of, and the number of the key that signed it.
    user: User,
    groups: Vec<String>,
    key: u32,
    text: Arc<str>,
}

/// Signs, and publishes the keys to check by.
pub struct Assertions {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    issuer: String,
    keys: RwLock<Option<Arc<Keys>>>,
    /// Whoever reads the keys; the others wait for it.
    reading: tokio::sync::Mutex<()>,
    signed: Mutex<HashMap<Hashed, Vec<Signed>>>,
}

impl Assertions {
    /// Signs as `issuer`, our public URL, with the keys in `store`.
    pub fn new(store: SharedStore, clock: Arc<dyn Clock>, issuer: String) -> Self {
        let (keys, signed) = (RwLock::default(), Mutex::default());
        Self { store, clock, issuer, keys, reading: tokio::sync::Mutex::default(), signed }
    }

    /// What tells the app at `audience`, its origin, who `subject` is: a JWT in compact form.
    pub async fn sign(&self, subject: Subject<'_>, audience: &str) -> Result<Arc<str>> {
        let now = self.clock.now();
        let keys = self.keys(now).await?;
        let signer = keys.signing(now).ok_or_else(|| refused("no key that signs is among them"))?;
        let key = signer.kept.number;
        if let Some(text) = self.signed_before(&subject, audience, key, now) {
            return Ok(text);
        }
        let text: Arc<str> = self.signed_now(&subject, audience, signer, now)?.into();
        let (user, groups) = (subject.user.clone(), subject.groups.iter().map(|group| (*group).to_owned()).collect());
        let signed = Signed { audience: audience.to_owned(), at: now, user, groups, key, text: Arc::clone(&text) };
        self.keep(subject.credential, signed, now);
        Ok(text)
    }

    fn signed_before(&self, subject: &Subject<'_>, audience: &str, key: u32, now: Timestamp) -> Option<Arc<str>> {
        let kept = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |signed: &&Signed| {
            let is_young = signed.at <= now && now.since(signed.at) < REUSE;
            let says_the_same = signed.key == key && signed.user == *subject.user && signed.groups == *subject.groups;
            signed.audience == audience && is_young && says_the_same
        };
        kept.get(&subject.credential)?.iter().find(is_it).map(|signed| Arc::clone(&signed.text))
    }

    fn keep(&self, credential: Hashed, signed: Signed, now: Timestamp) {
        let mut kept = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT && !kept.contains_key(&credential) {
            kept.retain(|_, apps| apps.iter().any(|signed| now.since(signed.at) < REUSE));
            if kept.len() >= MOST_KEPT {
                // More people than that in one minute: they are signed for anew.
                kept.clear();
            }
        }
        let apps = kept.entry(credential).or_default();
        apps.retain(|old| old.audience != signed.audience && now.since(old.at) < REUSE);
        apps.push(signed);
    }

    fn signed_now(&self, subject: &Subject<'_>, audience: &str, signer: &Signer, now: Timestamp) -> Result<String> {
        let identity = &subject.user.identity;
        let mut claims = json!({
            "iss": self.issuer,
            "aud": audience,
            "sub": subject.user.id.as_str(),
            "email": identity.email,
            "name": identity.name,
            "hd": identity.hosted_domain,
            "groups": subject.groups,
            "iat": now.unix(),
            "exp": (now + LIFE).unix(),
            "sid": subject.session,
        });
        if let Some(claims) = claims.as_object_mut() {
            // What is not known is left out, as in an ID token (OpenID Connect Core 1.0, section 5.3.2).
            claims.retain(|_, value| !value.is_null());
        }
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": signer.id });
        let text = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = signer.pair.sign(&random::for_signatures(), text.as_bytes());
        let signature = signature.map_err(|_| refused("one of them does not sign"))?;
        Ok(format!("{text}.{}", encode(signature.as_ref())))
    }

    /// The public keys: those that sign, that will, and that did until lately (RFC 7517, section 5).
    pub async fn key_set(&self) -> Result<Value> {
        let now = self.clock.now();
        let keys = self.keys(now).await?;
        let described: Vec<Value> = keys.published(now).map(Signer::described).collect();
        Ok(json!({ "keys": described }))
    }

    /// All keys, the newest first.
    pub async fn list(&self) -> Result<Vec<KeyStatus>> {
        let now = self.clock.now();
        let keys = self.read(now).await?;
        let signing = keys.signing(now).map(|signer| signer.kept.number);
        let status = |signer: &Signer| KeyStatus {
            id: signer.id.clone(),
            created_at: signer.kept.created_at,
            signs_from: signer.kept.signs_from,
            is_signing: Some(signer.kept.number) == signing,
        };
        Ok(keys.signers.iter().map(status).collect())
    }

    /// Makes a new key that signs in ten minutes, when every app has had time to read it, or `at_once`; keys that signed
    /// last more than a week ago are forgotten. The new key.
    pub async fn rotate(&self, at_once: bool) -> Result<KeyStatus> {
        let now = self.clock.now();
        let keys = self.read(now).await?;
        let number = keys.signers.first().map_or(1, |newest| newest.kept.number + 1);
        let signs_from = if at_once { now } else { now + AHEAD };
        let fresh = SigningKey { number, pkcs8: fresh_pair()?, created_at: now, signs_from };
        self.store.add_signing_key(&fresh).await?;
        if let Some(oldest) = keys.published(now).last() {
            self.store.forget_signing_keys_before(oldest.kept.number).await?;
        }
        let list = self.list().await?;
        let id = Signer::new(fresh)?.id;
        let ours = list.into_iter().find(|key| key.id == id);
        ours.ok_or_else(|| refused("another rotation was quicker; look at them and rotate again if need be"))
    }

    /// The keys, read again where what we know has grown old. While the store is away the old ones serve on.
    async fn keys(&self, now: Timestamp) -> Result<Arc<Keys>> {
        let known = || self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        let is_fresh = |keys: &Arc<Keys>| keys.read_at <= now && now.since(keys.read_at) < RELOAD;
        if let Some(keys) = known().filter(is_fresh) {
            return Ok(keys);
        }
        let _reading = self.reading.lock().await;
        match known() {
            Some(keys) if is_fresh(&keys) => Ok(keys),
            None => self.read(now).await,
            Some(keys) => match self.read(now).await {
                Err(error) if error.is_temporary() => Ok(keys),
                read => read,
            },
        }
    }

    /// Reads the keys; where there is none yet, makes the first one.
    async fn read(&self, now: Timestamp) -> Result<Arc<Keys>> {
        let mut kept = self.store.signing_keys().await?;
        if kept.is_empty() {
            let first = SigningKey { number: 1, pkcs8: fresh_pair()?, created_at: now, signs_from: now };
            self.store.add_signing_key(&first).await?;
            // Of instances that start together one made it.
            kept = self.store.signing_keys().await?;
        }
        let signers = kept.into_iter().map(Signer::new).collect::<Result<Vec<_>>>()?;
        let keys = Arc::new(Keys { read_at: now, signers });
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&keys));
        Ok(keys)
    }
}

impl Keys {
    /// The newest key that may sign at `now`.
    fn signing(&self, now: Timestamp) -> Option<&Signer> {
        // A clock that was set back finds the first key not signing yet: better it than none.
        self.signers.iter().find(|signer| signer.kept.signs_from <= now).or_else(|| self.signers.last())
    }

    /// Every key that an app may still meet, or soon, the newest first.
    fn published(&self, now: Timestamp) -> impl Iterator<Item = &Signer> {
        let successors = std::iter::once(None).chain(self.signers.iter().map(|newer| Some(newer.kept.signs_from)));
        let is_met = move |successor: Option<Timestamp>| successor.is_none_or(|signs_from| now < signs_from + KEPT);
        self.signers.iter().zip(successors).filter(move |(_, successor)| is_met(*successor)).map(|(signer, _)| signer)
    }
}

impl Signer {
    fn new(kept: SigningKey) -> Result<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &kept.pkcs8, &random::for_signatures())
            .map_err(|_| refused("one of them cannot be read"))?;
        let (x, y) = coordinates(&pair);
        // RFC 7638, section 3: the required members in alphabetical order, without spaces.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let id = encode(digest(&SHA256, members.as_bytes()).as_ref());
        Ok(Self { kept, pair, id })
    }

    fn described(&self) -> Value {
        let (x, y) = coordinates(&self.pair);
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": x, "y": y })
    }
}

/// The point in base64url: a byte 4, then 32 bytes of x and of y (SEC 1, section 2.3.3).
fn coordinates(pair: &EcdsaKeyPair) -> (String, String) {
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    (encode(x), encode(y))
}

fn fresh_pair() -> Result<Vec<u8>> {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random::for_signatures());
    document.map(|document| document.as_ref().to_vec()).map_err(|_| refused("a fresh one could not be made"))
}

fn refused(what: &str) -> StoreError {
    StoreError::Refused(format!("the keys of assertions cannot be used: {what}"))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
