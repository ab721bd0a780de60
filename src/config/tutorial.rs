//! The variables that the tutorials use, so that whoever followed one can start Doorward beside it. They fill only what
//! neither the file nor a variable of our own nor a flag says, and what they fill is said.

use crate::config::database_url;
use crate::config::keys;
use crate::config::problem::Notes;
use crate::config::sources::{Entry, Layer};

/// The parts of a database, and the tutorials' names for them.
const PARTS: [(&str, &str); 5] = [
    ("database.host", "MYSQL_HOST"),
    ("database.port", "MYSQL_PORT"),
    ("database.user", "MYSQL_USER"),
    ("database.password", "MYSQL_PASSWORD"),
    ("database.name", "MYSQL_DB"),
];

/// What the tutorials' variables in `environment` add to `said`.
pub fn entries(environment: &[(String, String)], said: &[Entry], notes: &mut Notes) -> Vec<Entry> {
    let variables = Variables { environment, said };
    let mut entries = variables.client();
    entries.extend(variables.database(notes));
    for entry in &entries {
        notes.warn(format!("{} is taken from {}", entry.key, entry.place.origin));
    }
    entries
}

struct Variables<'a> {
    environment: &'a [(String, String)],
    said: &'a [Entry],
}

impl Variables<'_> {
    /// The value of a variable; an empty one counts as not set, a password excepted.
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty() || name == "MYSQL_PASSWORD")
    }

    fn is_said(&self, key: &str) -> bool {
        self.said.iter().any(|entry| entry.key == key)
    }

    /// `GOOGLE_CLIENT_ID` and `GOOGLE_CLIENT_SECRET`, unless people sign in elsewhere.
    fn client(&self) -> Vec<Entry> {
        let is_other = |key: &str| key.starts_with("providers.") && !format!("{key}.").starts_with("providers.google.");
        if self.said.iter().any(|entry| is_other(&entry.key)) {
            return Vec::new();
        }
        let fill = |name: &str, key: &str, ways: &[&str]| {
            let is_said = ways.iter().any(|way| self.is_said(&format!("providers.google.{way}")));
            let value = self.get(name).filter(|_| !is_said)?;
            Some(Entry::text(format!("providers.google.{key}"), value, Layer::Tutorial, name))
        };
        let id = fill("GOOGLE_CLIENT_ID", "client_id", &["client_id", "client_json"]);
        let ways = ["client_secret", "client_secret_file", "client_json"];
        // A secret alone makes no provider: the variable may be there for another program.
        let has_id = id.is_some() || self.is_said("providers.google.client_id");
        let secret = fill("GOOGLE_CLIENT_SECRET", "client_secret", &ways).filter(|_| has_id);
        id.into_iter().chain(secret).collect()
    }

    /// `DATABASE_URL`, else the `MYSQL_` variables.
    fn database(&self, notes: &mut Notes) -> Vec<Entry> {
        let is_in_parts = self.said.iter().any(|entry| is_part(&entry.key));
        if self.is_said("database.url") || self.is_said("database.url_file") {
            return Vec::new();
        }
        if let Some(url) = self.get("DATABASE_URL").filter(|_| !is_in_parts) {
            // The variable is everybody's; a database of another kind is another program's.
            if is_ours(url) {
                return vec![Entry::text("database.url", url, Layer::Tutorial, "DATABASE_URL")];
            }
            notes.warn("DATABASE_URL is not taken: it is neither sqlite:FILE nor mysql://…");
        }
        // Some of these names are common; only a host or a database tells that they are meant.
        if !is_in_parts && self.get("MYSQL_HOST").or_else(|| self.get("MYSQL_DB")).is_none() {
            return Vec::new();
        }
        let fill = |(key, name): &(&str, &str)| {
            let is_password_said = *key == "database.password" && self.is_said("database.password_file");
            let value = self.get(name).filter(|_| !self.is_said(key) && !is_password_said)?;
            // Kubernetes sets MYSQL_PORT to tcp://10.0.0.1:3306 where a service is called mysql.
            let is_invented = *key == "database.port" && value.contains("://");
            (!is_invented).then(|| Entry::text(*key, value, Layer::Tutorial, *name))
        };
        PARTS.iter().filter_map(fill).collect()
    }
}

fn is_part(key: &str) -> bool {
    debug_assert!(PARTS.iter().all(|(part, _)| keys::find(part).is_some()), "a part is missing from the list of keys");
    key == "database.password_file" || PARTS.iter().any(|(part, _)| *part == key)
}

fn is_ours(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.map_or_else(|| url.starts_with("sqlite:"), database_url::is_mysql)
}
