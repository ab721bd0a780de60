//! `[pages]`: how the pages look. What the owner names is looked at here, and read by the room that shows it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::accent::Accent;
use crate::config::problem::{Wrong, in_words, quoted};
use crate::config::reader::Reader;

/// `[pages]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    /// The site's own name, in titles and above the card.
    pub title: String,
    /// The picture beside the name, and the icon of the tab. `None`: ours.
    pub logo: Option<PathBuf>,
    /// The colour of buttons, links and the focus. `None`: ours.
    pub accent: Option<Accent>,
    /// The folder whose templates and `custom.css` are taken instead of ours. `None`: ours alone.
    pub dir: Option<PathBuf>,
    /// Whether what changed in these files is shown from the next request on.
    pub reload: bool,
}

impl Default for Pages {
    fn default() -> Self {
        Self { title: "Doorward".to_owned(), logo: None, accent: None, dir: None, reload: false }
    }
}

/// A title longer than this breaks every page.
const LONGEST_TITLE: usize = 100;

/// What a logo may be, in bytes: it is fetched with the first page.
pub const LARGEST_LOGO: u64 = 512 * 1024;

/// The pictures that every browser shows.
const PICTURES: [&str; 3] = ["svg", "png", "webp"];

impl Pages {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader) -> Self {
        let title = reader.parse("pages.title", |text| match text.trim() {
            "" => Err(Wrong::new("is empty", "write the name of your site")),
            title if title.chars().count() > LONGEST_TITLE => {
                Err(Wrong::new(format!("is longer than {LONGEST_TITLE} characters"), "write a shorter name"))
            }
            title if title.chars().any(char::is_control) => {
                Err(Wrong::new("holds control characters", "write the name on one line"))
            }
            title => Ok(title.to_owned()),
        });
        Self {
            title: title.unwrap_or(Self::default().title),
            logo: checked(reader, "pages.logo", logo),
            accent: reader.parse("pages.accent", Accent::parse),
            dir: checked(reader, "pages.dir", folder),
            reload: reader.flag("pages.reload").unwrap_or_default(),
        }
    }
}

/// A path that holds against `check`.
fn checked(reader: &mut Reader, key: &str, check: fn(&Path) -> Result<(), Wrong>) -> Option<PathBuf> {
    let path = reader.path(key)?;
    match check(&path) {
        Ok(()) => Some(path),
        Err(wrong) => {
            reader.refuse(key, wrong);
            None
        }
    }
}

fn logo(path: &Path) -> Result<(), Wrong> {
    let shown = quoted(&path.display().to_string());
    let kind = path.extension().and_then(|extension| extension.to_str());
    if !kind.is_some_and(|kind| PICTURES.contains(&kind)) {
        return Err(Wrong::new(
            format!("{shown} is none of the pictures that every browser shows"),
            "name a file that ends in .svg, .png or .webp",
        ));
    }
    match fs::metadata(path) {
        Err(error) => Err(Wrong::new(
            format!("{shown} cannot be read: {}", in_words(&error)),
            "name a picture that is there, and that the account of Doorward may read",
        )),
        Ok(file) if !file.is_file() => Err(Wrong::new(format!("{shown} is a folder"), "name the picture in it")),
        Ok(file) if file.len() > LARGEST_LOGO => {
            let most = LARGEST_LOGO / 1024;
            Err(Wrong::new(format!("{shown} is larger than {most} kB"), "make it smaller; it is shown 28 points high"))
        }
        Ok(_) => Ok(()),
    }
}

fn folder(path: &Path) -> Result<(), Wrong> {
    let shown = quoted(&path.display().to_string());
    match fs::read_dir(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(Wrong::new(
            format!("{shown} is no folder that can be read: {}", in_words(&error)),
            format!("make one with `doorward pages export {}`, or take the line out", path.display()),
        )),
    }
}
