//! Secrets of the operator: read once, never shown.

use std::io::Read;
use std::path::Path;
use std::{fmt, fs, io};

use crate::config::problem::{Wrong, in_words};

/// A secret from the configuration. Prints as `…`, whatever it holds.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `value` from being shown.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one who must present it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A file larger than this holds no secret of ours.
const LARGEST: u64 = 64 * 1024;

/// The secret in a file of its own. One line end at the end is the editor's, not the secret's.
pub fn read(path: &Path) -> Result<Secret, Wrong> {
    let text = read_text(path)?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if text.contains('\n') {
        return Err(Wrong::new(format!("{} holds several lines", path.display()), "leave only the secret in it"));
    }
    Ok(Secret::new(text))
}

/// A small text file, without the byte order mark that some editors begin it with.
pub fn read_text(path: &Path) -> Result<String, Wrong> {
    let shown = path.display();
    let bytes = match read_up_to(path, LARGEST) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            return Err(Wrong::new(format!("{shown} is larger than 64 KiB"), "name a file that holds nothing else"));
        }
        Err(error) => {
            return Err(Wrong::new(
                format!("{shown} cannot be read: {}", in_words(&error)),
                "name a file that may be read",
            ));
        }
    };
    let not_text = |_| Wrong::new(format!("{shown} is not UTF-8 text"), "save it again as UTF-8");
    let text = String::from_utf8(bytes).map_err(not_text)?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// What stands in the file, `None` where that is more than `most` bytes. A device or a pipe does not say how much it
/// holds, so the bytes are counted as they come.
pub fn read_up_to(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= most))
}

/// Whether everybody on this machine may read the file; only Unix can say.
#[cfg(unix)]
pub fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o004 != 0)
}

/// Whether everybody on this machine may read the file; only Unix can say.
#[cfg(not(unix))]
pub fn is_world_readable(_path: &Path) -> bool {
    false
}

/// The sentence for a file that everybody may read though it holds a secret.
pub fn exposed(path: &Path) -> String {
    let path = path.display();
    format!("{path} holds a secret and everybody on this machine may read it; chmod o-r {path} ends that")
}
