//! Whether the site's own table of users can be ours too, and what of a person fits into it.
//!
//! The table stays as it is: what it cannot hold is left out. Only what would make a sign-in fail is a reason to
//! refuse the table, and then before anything is written.

use std::fmt;

use crate::model::Identity;
use crate::store::{Result, StoreError};

/// Google's subjects have 21 digits: a narrower key can hold nobody.
const NARROWEST_ID: usize = 21;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Characters.
    Text,
    /// Bytes.
    Bytes,
    /// Anything else: numbers, times, lists of words.
    Other,
}

/// A column as the database describes it.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name as it was written.
    pub name: String,
    /// Its type in the database's words.
    pub type_name: String,
    /// What it holds.
    pub holds: Holds,
    /// How many characters it takes, where there is a limit.
    pub width: Option<usize>,
    /// How many bytes it takes, where that is a limit of its own.
    pub octets: Option<usize>,
    /// Whether it takes no value at all.
    pub is_nullable: bool,
    /// Whether a row can be inserted without naming it.
    pub has_default: bool,
    /// Whether the database computes it.
    pub is_generated: bool,
    /// Its character set, where the database speaks of such.
    pub charset: Option<String>,
    /// Its collation, likewise.
    pub collation: Option<String>,
}

impl Column {
    /// `text` cut to what the column takes.
    fn cut(&self, text: &str) -> String {
        let mut cut: String = text.chars().take(self.width.unwrap_or(usize::MAX)).collect();
        let mut end = cut.len().min(self.octets.unwrap_or(usize::MAX));
        while !cut.is_char_boundary(end) {
            end -= 1;
        }
        cut.truncate(end);
        cut
    }

    /// `text` if the column takes all of it.
    fn whole(&self, text: &str) -> Option<String> {
        Some(self.cut(text)).filter(|cut| cut == text)
    }

    /// What stands in the column where there is nothing to say.
    fn nothing(&self) -> Option<String> {
        if self.is_nullable { None } else { Some(String::new()) }
    }
}

/// A unique key of the site's table that is not about the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueKey {
    /// What the database calls it.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
}

/// A table of users that we may write to.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// Its name, unquoted.
    pub table: String,
    /// The key.
    pub id: Column,
    /// The names of the unique keys that consist of the id alone, at least one.
    pub id_keys: Vec<String>,
    /// Further unique keys, which may turn somebody away.
    pub unique_keys: Vec<UniqueKey>,
    /// Where the address goes, if anywhere.
    pub email: Option<Column>,
    /// Where the name goes, if anywhere.
    pub name: Option<Column>,
    /// Where the picture goes, if anywhere.
    pub picture: Option<Column>,
}

impl Adopted {
    /// The table with these columns; `id_keys` are its unique keys that consist of `id` alone.
    ///
    /// [`StoreError::Schema`] names the column that stands in the way, and the way out.
    pub fn new(table: &str, columns: Vec<Column>, id_keys: Vec<String>) -> Result<Self> {
        let take = |name: &str| columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).cloned();
        let writable = |name: &str| take(name).filter(|column| !column.is_generated && column.holds != Holds::Other);
        let refuse = |why: String| Err(unusable(table, &why));
        let Some(id) = take("id") else { return refuse("has no column id".to_owned()) };
        if id.holds == Holds::Other || id.is_generated {
            let type_name = &id.type_name;
            return refuse(format!("keeps its id as {type_name}, which cannot hold a provider's subject"));
        }
        if id_keys.is_empty() {
            return refuse("has an id that is neither its primary key nor unique by itself".to_owned());
        }
        if let Some(width) = id.width.filter(|width| *width < NARROWEST_ID) {
            return refuse(format!("has an id of {width} characters, and a provider's subject needs {NARROWEST_ID}"));
        }
        let ours = ["id", "email", "name", "picture"];
        let is_ours = |column: &&Column| {
            ours.iter().any(|name| column.name.eq_ignore_ascii_case(name)) && column.holds != Holds::Other
        };
        let in_the_way =
            |column: &&Column| !column.is_nullable && !column.has_default && !column.is_generated && !is_ours(column);
        if let Some(column) = columns.iter().find(in_the_way) {
            let name = &column.name;
            return refuse(format!("has a column {name} that must not be empty and has no default"));
        }
        let (email, name, picture) = (writable("email"), writable("name"), writable("picture"));
        let (table, unique_keys) = (table.to_owned(), Vec::new());
        Ok(Self { table, id, id_keys, unique_keys, email, name, picture })
    }

    /// The same with the table's `unique_keys`, of which those with the id in them can be in nobody's way.
    pub fn with_unique_keys(self, unique_keys: Vec<UniqueKey>) -> Self {
        let has_id = |key: &UniqueKey| key.columns.iter().any(|column| column.eq_ignore_ascii_case(&self.id.name));
        let unique_keys = unique_keys.into_iter().filter(|key| !has_id(key)).collect();
        Self { unique_keys, ..self }
    }

    /// What works now and will fail somebody later, a sentence for each.
    pub fn warnings(&self) -> Vec<String> {
        let table = &self.table;
        let warning = |UniqueKey { name, columns }: &UniqueKey| {
            let columns = columns.join(", ");
            // Such a key is part of the table; SQLite knows no statement that takes it out.
            let remedy = if name.starts_with("sqlite_autoindex_") {
                "make the table again without it".to_owned()
            } else {
                format!("remove it: ALTER TABLE {table} DROP INDEX {name}")
            };
            format!(
                "the unique key {name} of the table {table} takes each {columns} once: whoever comes second with the \
                 same one cannot sign in. Doorward leaves it alone; where nothing of yours needs it, {remedy}"
            )
        };
        self.unique_keys.iter().map(warning).collect()
    }

    /// The columns to write beside the id and what goes into them, cut to fit: a name loses its end, an address or a
    /// picture that does not fit whole is left out, since half of one leads elsewhere. `held` is `identity` in those
    /// characters that the columns can hold.
    pub fn values(&self, identity: &Identity, held: &Identity) -> Vec<(&Column, Option<String>)> {
        let email = self.email.as_ref().map(|column| {
            let email = Some(&held.email).filter(|email| **email == identity.email);
            (column, email.and_then(|email| column.whole(email)))
        });
        let name = self.name.as_ref().map(|column| (column, held.name.as_deref().map(|name| column.cut(name))));
        let picture = self.picture.as_ref().map(|column| {
            let picture = held.picture.as_deref().filter(|picture| Some(*picture) == identity.picture.as_deref());
            (column, picture.and_then(|picture| column.whole(picture)))
        });
        let all = [email, name, picture].into_iter().flatten();
        all.map(|(column, value)| (column, value.or_else(|| column.nothing()))).collect()
    }

    /// The columns beside the id and what stands in them once nobody is to be recognised there. An address that must
    /// stand there is one that can never be written to (RFC 2606, section 2), and differs for each `id`, since it may
    /// have to be unique.
    pub fn blanks(&self, id: &str) -> Vec<(&Column, Option<String>)> {
        let digest = ring::digest::digest(&ring::digest::SHA256, id.as_bytes());
        let name: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let address = format!("{name}@deleted.invalid");
        let email = self.email.as_ref().map(|column| match column.is_nullable {
            true => (column, None),
            false => (column, column.whole(&address).or_else(|| column.nothing())),
        });
        let others = [&self.name, &self.picture].into_iter().flatten().map(|column| (column, column.nothing()));
        email.into_iter().chain(others).collect()
    }
}

/// What adopting the table means.
impl fmt::Display for Adopted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "use the table {} as it is", self.table)?;
        let all = [("email", &self.email), ("name", &self.name), ("picture", &self.picture)];
        for (name, _) in all.iter().filter(|(_, column)| column.is_none()) {
            write!(f, ", without {name}")?;
        }
        Ok(())
    }
}

/// Says what adopting a table that holds people means for them.
pub fn takes_over(table: &str) -> String {
    format!(
        "the table {table} holds rows already: whoever signs in takes over the row whose id is the provider's number for \
         them (`sub`), and its email, name and picture become theirs. That is right where a sign-in with the same \
         provider filled the table, as the tutorials' does; ids of your own making keep apart with [database] \
         users_table = \"members\""
    )
}

/// Says that the table of users was there and is not any more.
pub fn gone(table: &str) -> StoreError {
    StoreError::Schema(format!("the table {table} is gone: restore it, or restart Doorward, which creates it anew"))
}

/// Says that the table of users cannot be used, why, and what to do.
pub fn unusable(table: &str, why: &str) -> StoreError {
    StoreError::Schema(format!(
        "the table {table} {why}. It is left as it is; let Doorward make a table of its own under another name: \
         [database] users_table = \"members\" names one"
    ))
}
