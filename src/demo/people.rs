//! Who one can be at the pretend provider: a few people, each with something that a site has to cope with.

use rust_embed::RustEmbed;

/// The pretend provider's own files: templates, style sheet, pictures.
#[derive(RustEmbed)]
#[folder = "assets/demo"]
pub(crate) struct Files;

/// Somebody one can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their word in our addresses.
    pub key: &'static str,
    /// Their subject: as long as Google's are, and never another's.
    pub subject: &'static str,
    /// Their whole name.
    pub name: &'static str,
    /// The first part of it.
    pub given_name: &'static str,
    /// The last part of it.
    pub family_name: &'static str,
    /// Their address.
    pub email: &'static str,
    /// Whether the address is known to be theirs.
    pub email_verified: bool,
    /// Whether there is a picture of them.
    pub has_picture: bool,
    /// What is remarkable about them, for whoever tries a site out.
    pub note: Option<&'static str>,
}

impl Person {
    /// The path of their picture, if there is one.
    pub fn picture(&self) -> Option<String> {
        self.has_picture.then(|| format!("/pictures/{}.svg", self.key))
    }
}

/// Everybody one can be.
pub const PEOPLE: &[Person] = &[
    Person {
        key: "ada",
        subject: "110000000000000001815",
        name: "Ada Lovelace",
        given_name: "Ada",
        family_name: "Lovelace",
        email: "ada@example.com",
        email_verified: true,
        has_picture: true,
        note: None,
    },
    Person {
        key: "grace",
        subject: "110000000000000001906",
        name: "Grace Hopper",
        given_name: "Grace",
        family_name: "Hopper",
        email: "grace@example.com",
        email_verified: true,
        has_picture: false,
        note: Some("Has no picture"),
    },
    Person {
        key: "maryam",
        subject: "110000000000000000950",
        name: "مريم الأسطرلابي",
        given_name: "مريم",
        family_name: "الأسطرلابي",
        email: "maryam@example.com",
        email_verified: true,
        has_picture: true,
        note: Some("Has a name that runs from right to left"),
    },
    Person {
        key: "victor",
        subject: "110000000000000001890",
        name: "Victor Lustig",
        given_name: "Victor",
        family_name: "Lustig",
        email: "victor@example.com",
        email_verified: false,
        has_picture: true,
        note: Some("Never proved that this address is his, so the site must turn him away"),
    },
];

/// The person who is `key` in our addresses.
pub fn by_key(key: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.key == key)
}
