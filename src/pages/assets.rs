//! The files that pages refer to: style sheet, logo, icon, and those of the owner's. They are served under names that
//! hold a hash of what is in them, so that browsers may keep them for good. Knows no HTTP and reads no file.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};

/// How many bytes of a file's SHA-256 stand in its name.
const HASH_BYTES: usize = 8;

#[derive(RustEmbed)]
#[folder = "assets/public"]
struct Public;

/// The embedded public files.
#[derive(Clone, Copy, Debug)]
pub struct Assets;

/// One public file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// What is in it: the same memory, however many are waiting for it.
    pub bytes: Bytes,
    /// Its media type, for `Content-Type`.
    pub mime: &'static str,
    /// Whether it was asked for by its hashed name, so that the answer holds for ever (RFC 8246).
    pub immutable: bool,
}

impl Assets {
    /// Where the file `name` is served, below the path of `public_url`: `app.css` gives `/assets/app.<hash>.css`.
    /// `None`: there is no such file.
    pub fn path(name: &str) -> Option<String> {
        let file = Public::get(name)?;
        Some(format!("/assets/{}", hashed_name(name, &file.metadata.sha256_hash())))
    }

    /// The file that is served under `name`: its hashed name, or its plain one, as `/favicon.ico` is asked for.
    /// `None`: there is no such file, or its hash is an older one.
    pub fn file(name: &str) -> Option<Asset> {
        if let Some(file) = Public::get(name) {
            return Some(asset(name, file, false));
        }
        let plain = plain_name(name)?;
        let file = Public::get(&plain)?;
        // An old hash is not answered with new contents: a cache would keep them under the wrong name.
        (hashed_name(&plain, &file.metadata.sha256_hash()) == name).then(|| asset(&plain, file, true))
    }

    /// The plain names of all files.
    pub fn names() -> impl Iterator<Item = Cow<'static, str>> {
        Public::iter()
    }
}

/// A public file that does not lie in the binary: made of the configuration, or the owner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFile {
    plain: &'static str,
    hashed: String,
    bytes: Bytes,
}

impl OwnFile {
    /// `bytes` as the file `name`.
    pub fn new(name: &'static str, bytes: Vec<u8>) -> Self {
        let hashed = hashed_name(name, ring::digest::digest(&ring::digest::SHA256, &bytes).as_ref());
        Self { plain: name, hashed, bytes: bytes.into() }
    }

    /// Where it is served, below the path of `public_url`.
    pub fn path(&self) -> String {
        format!("/assets/{}", self.hashed)
    }

    /// Its media type.
    pub fn mime(&self) -> &'static str {
        mime(self.plain)
    }

    /// The file, if it is served under `name`: its hashed name, or its plain one.
    pub fn file(&self, name: &str) -> Option<Asset> {
        let immutable = name == self.hashed;
        let is_this = immutable || name == self.plain;
        is_this.then(|| Asset { bytes: self.bytes.clone(), mime: self.mime(), immutable })
    }
}

fn asset(name: &str, file: EmbeddedFile, immutable: bool) -> Asset {
    let bytes = match file.data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    Asset { bytes, mime: mime(name), immutable }
}

fn hashed_name(name: &str, sha256: &[u8]) -> String {
    let mut hash = String::with_capacity(2 * HASH_BYTES);
    for byte in sha256.iter().take(HASH_BYTES) {
        let _ = write!(hash, "{byte:02x}");
    }
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}.{hash}.{extension}"),
        None => format!("{name}.{hash}"),
    }
}

/// `app.<hash>.css` without the hash.
fn plain_name(hashed: &str) -> Option<String> {
    let (rest, extension) = hashed.rsplit_once('.')?;
    let (stem, hash) = rest.rsplit_once('.')?;
    let is_hash = hash.len() == 2 * HASH_BYTES && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| format!("{stem}.{extension}"))
}

fn mime(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("ico") => "image/x-icon",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
