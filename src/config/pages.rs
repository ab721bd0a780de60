//! `[pages]`: how the pages look.

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
