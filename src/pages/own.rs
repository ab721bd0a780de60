//! The owner's files: templates and `custom.css` from `[pages] dir`, and the logo. Read whole, by names that the folder
//! itself lists: nothing that a visitor asks for ever becomes a path. Writes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::config::pages::{LARGEST_LOGO, Pages};
use crate::config::problem::in_words;
use crate::pages::assets::OwnFile;
use crate::pages::look::Flaw;

/// The owner's style sheet, which is loaded after ours.
pub const CUSTOM_STYLE: &str = "custom.css";

/// Far more than any template or style sheet holds; they are kept in memory.
const LARGEST_FILE: u64 = 1024 * 1024;

/// What the owner's files held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The templates by name.
    pub templates: BTreeMap<String, String>,
    /// `custom.css`
    pub style: Option<OwnFile>,
    /// The logo.
    pub logo: Option<OwnFile>,
    /// What could not be read. A template among them stays as it was.
    pub flaws: Vec<Flaw>,
}

impl Own {
    /// Reads what `config` names.
    pub fn read(config: &Pages) -> Self {
        let mut own = Self::default();
        if let Some(dir) = &config.dir {
            own.read_folder(dir);
        }
        if let Some(path) = &config.logo {
            match (logo_name(path), read(path, LARGEST_LOGO)) {
                (Some(name), Ok(bytes)) => own.logo = Some(OwnFile::new(name, bytes)),
                (None, _) => own.flaws.push(Flaw::of_file(path, "is no .svg, .png or .webp")),
                (_, Err(what)) => own.flaws.push(Flaw::of_file(path, what)),
            }
        }
        own
    }

    /// The names of the files that were taken.
    pub fn names(&self) -> Vec<&str> {
        let style = self.style.as_ref().map(|_| CUSTOM_STYLE);
        self.templates.keys().map(String::as_str).chain(style).collect()
    }

    fn read_folder(&mut self, dir: &Path) {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => return self.flaws.push(Flaw::of_file(dir, unread(&error))),
        };
        let mut names: Vec<_> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        for name in names {
            // Editors keep copies beside a file, under names that begin with a dot or a number sign.
            let is_template = name.ends_with(".html") && !name.starts_with(['.', '#']);
            let path = dir.join(&name);
            if !(is_template || name == CUSTOM_STYLE) || path.is_dir() {
                continue;
            }
            match text(&path) {
                Ok(text) if is_template => drop(self.templates.insert(name, text)),
                Ok(text) => self.style = Some(OwnFile::new(CUSTOM_STYLE, text.into_bytes())),
                Err(what) => {
                    self.flaws.push(Flaw { template: is_template.then_some(name), ..Flaw::of_file(&path, what) })
                }
            }
        }
    }
}

/// The logo's name at the address it is served under.
fn logo_name(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()? {
        "svg" => Some("logo.svg"),
        "png" => Some("logo.png"),
        "webp" => Some("logo.webp"),
        _ => None,
    }
}

fn text(path: &Path) -> Result<String, String> {
    let text = String::from_utf8(read(path, LARGEST_FILE)?).map_err(|_| "is not UTF-8 text".to_owned())?;
    // An editor that is just writing leaves a file empty for a moment, and an empty page helps nobody.
    let is_style = path.extension().is_some_and(|extension| extension == "css");
    if text.trim().is_empty() && !is_style { Err("is empty".to_owned()) } else { Ok(text) }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| unread(&error))?;
    // The size is bounded while it is read: what a file says of itself may change, and a pipe says nothing.
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| unread(&error))?;
    if bytes.len() as u64 > most { Err(format!("is larger than {} kB", most / 1024)) } else { Ok(bytes) }
}

fn unread(error: &io::Error) -> String {
    format!("cannot be read: {}", in_words(error))
}
