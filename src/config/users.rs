//! `[users]`: what becomes of people's rows.

use crate::config::reader::Reader;

/// `[users]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// What becomes of the row in the table of users when an account is deleted.
    pub on_delete: OnDelete,
}

/// What becomes of somebody's row in the table of users when their account is deleted. Our own tables forget them in
/// each case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDelete {
    /// The row stays under its id, so that the site's own tables still find it; email, name and picture go.
    #[default]
    Anonymise,
    /// The row goes; a foreign key of the site's may forbid that, or delete what hangs on it.
    Delete,
    /// The row stays as it is.
    Keep,
}

impl OnDelete {
    /// The word in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Anonymise => "anonymise",
            Self::Delete => "delete",
            Self::Keep => "keep",
        }
    }
}

impl Users {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader) -> Self {
        let words = [OnDelete::Anonymise, OnDelete::Delete, OnDelete::Keep].map(|word| (word.word(), word));
        Self { on_delete: reader.word("users.on_delete", &words).unwrap_or_default() }
    }
}
