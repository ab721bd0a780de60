//! `[pages]`: how the pages look.

use crate::config::problem::Wrong;
use crate::config::reader::Reader;

/// `[pages]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    /// The site's own name, in titles and above the card.
    pub title: String,
}

impl Default for Pages {
    fn default() -> Self {
        Self { title: "Doorward".to_owned() }
    }
}

/// A title longer than this breaks every page.
const LONGEST_TITLE: usize = 100;

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
        Self { title: title.unwrap_or(Self::default().title) }
    }
}
