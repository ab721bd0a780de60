//! `[groups]`: names for several people, for rules of the gate and for the apps behind it.

use std::collections::BTreeMap;

use crate::config::access::{domain, email};
use crate::config::problem::{Wrong, quoted};
use crate::config::reader::Reader;

/// How an entry begins that is the id of a user.
const ID: &str = "id:";

/// Each group's name and whom it holds, in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups(pub BTreeMap<String, Vec<Member>>);

/// An entry of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// One address, in lower case: `ada@example.com`.
    Email(String),
    /// Everyone of a Google Workspace domain, by the signed `hd` claim; lower case: `example.com`.
    HostedDomain(String),
    /// The user whose row has this id: `id:110169484474386276334`.
    Id(String),
}

impl Groups {
    /// Takes the section from what was said.
    pub fn read(reader: &mut Reader) -> Self {
        let mut groups = BTreeMap::new();
        for name in reader.names("groups") {
            let key = format!("groups.{name}");
            if !is_name(&name) {
                let what = format!("{} is no name for a group", quoted(&name));
                reader.refuse(&key, Wrong::new(what, "use letters, digits, - and _: apps get a list with commas"));
            }
            if let Some(members) = reader.list(&key, member) {
                groups.insert(name, members);
            }
        }
        Self(groups)
    }
}

/// `name`, if it is a group's.
pub fn known(name: &str, groups: &Groups) -> Result<String, Wrong> {
    if groups.0.contains_key(name) {
        return Ok(name.to_owned());
    }
    let remedy = format!("add groups.{} = [\"ada@example.com\"], or name another group", name.escape_debug());
    Err(Wrong::new(format!("there is no group {}", quoted(name)), remedy))
}

fn is_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn member(text: &str) -> Result<Member, Wrong> {
    if let Some(id) = text.strip_prefix(ID) {
        let is_id = !id.is_empty() && id.chars().all(|c| c.is_ascii_graphic());
        let wrong =
            || Wrong::new(format!("{} is no id", quoted(text)), "write id: and what `doorward users list` prints");
        return if is_id { Ok(Member::Id(id.to_owned())) } else { Err(wrong()) };
    }
    if text.contains('@') { email(text).map(Member::Email) } else { domain(text).map(Member::HostedDomain) }
}
