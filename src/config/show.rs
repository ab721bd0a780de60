//! The configuration as it was understood: each key with its value and where it comes from, secrets as `…`.

use std::fmt::Write as _;

use figment::value::Value;

use crate::config::database_url;
use crate::config::keys::{KEYS, Key};
use crate::config::reader::{Reader, last};

/// A key, its value as TOML, and who said it. Secrets are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `sessions.idle`
    pub key: String,
    /// `"7d"`; a secret is `"…"`.
    pub value: String,
    /// `config.toml:12`, `DOORWARD_SESSIONS__IDLE`, `default`
    pub origin: String,
}

/// Every key that has a value, in the order of the list of keys. `public_url` is the address that holds where none was
/// said; `provider` the name of the provider, if there is one.
pub fn settings(reader: &Reader, public_url: &str, provider: Option<&str>) -> Vec<Setting> {
    let is_mysql_in_parts = !reader.is_said("database.url") && !reader.is_said("database.url_file");
    let is_mysql_in_parts = is_mysql_in_parts && reader.is_said("database.name");
    let mut settings = Vec::new();
    for (key, name) in
        KEYS.iter().flat_map(|key| spelled(key, reader, provider).into_iter().map(move |name| (key, name)))
    {
        if let Some(value) = reader.value(&name) {
            let origin = reader.origin(&name).unwrap_or_default();
            settings.push(Setting { value: shown(key, &value), origin, key: name });
            continue;
        }
        let is_of_another_way = match key.name {
            "database.url" => is_mysql_in_parts || reader.is_said("database.url_file"),
            "database.host" | "database.port" => !is_mysql_in_parts,
            _ => false,
        };
        let default = match key.name {
            "public_url" => Some(format!("{public_url:?}")),
            "server.trusted_proxies" if is_socket_file(reader) => Some(r#"["loopback", "unix"]"#.to_owned()),
            _ if key.name.starts_with("providers.") && provider != Some("google") => default_of_others(key, provider),
            _ => key.default.map(str::to_owned),
        };
        if let Some(value) = default.filter(|_| !is_of_another_way) {
            settings.push(Setting { key: name, value, origin: "default".to_owned() });
        }
    }
    settings
}

/// The settings as a TOML file in sections, each line with its origin.
pub fn toml(settings: &[Setting]) -> String {
    let mut text = String::new();
    let mut section = "";
    for setting in settings {
        let (here, _) = setting.key.rsplit_once('.').unwrap_or_default();
        if here != section {
            section = here;
            let _ = writeln!(text, "\n[{section}]");
        }
        let origin = setting.origin.escape_debug();
        let _ = writeln!(text, "{} = {}  # {origin}", last(&setting.key), setting.value);
    }
    text
}

/// Whether connections come through a file, whose proxy is believed without being named.
fn is_socket_file(reader: &Reader) -> bool {
    reader.value("server.listen").is_some_and(|place| place.as_str().is_some_and(|place| place.starts_with("unix:")))
}

/// The names that stand for `key`: one for most, one for each group.
fn spelled(key: &Key, reader: &Reader, provider: Option<&str>) -> Vec<String> {
    match key.name.split_once(".*") {
        None => vec![key.name.to_owned()],
        Some(("providers", _)) => provider.iter().map(|provider| key.name.replace('*', provider)).collect(),
        Some((section, _)) => reader.names(section).iter().map(|name| key.name.replace('*', name)).collect(),
    }
}

/// What holds for an issuer that we know nothing of.
fn default_of_others(key: &Key, provider: Option<&str>) -> Option<String> {
    match last(key.name) {
        "issuer" | "prompt" => None,
        "label" => provider.map(|provider| format!("{provider:?}")),
        "picture_hosts" => Some("[]".to_owned()),
        _ => key.default.map(str::to_owned),
    }
}

fn shown(key: &Key, value: &Value) -> String {
    let value = match value {
        Value::String(_, text) if key.name == "database.url" => toml_edit::Value::from(database_url::masked(text)),
        _ if key.is_secret => toml_edit::Value::from("…"),
        value => literal(value),
    };
    value.to_string().trim().to_owned()
}

fn literal(value: &Value) -> toml_edit::Value {
    match value {
        Value::String(_, text) => toml_edit::Value::from(text.as_str()),
        Value::Bool(_, flag) => toml_edit::Value::from(*flag),
        Value::Num(_, number) => match number.to_i128().and_then(|number| i64::try_from(number).ok()) {
            Some(number) => toml_edit::Value::from(number),
            None => toml_edit::Value::from(number.to_f64().unwrap_or_default()),
        },
        Value::Array(_, entries) => toml_edit::Value::from_iter(entries.iter().map(literal)),
        Value::Dict(_, fields) => {
            let fields = fields.iter().map(|(name, field)| (name.as_str(), literal(field)));
            toml_edit::Value::from(toml_edit::InlineTable::from_iter(fields))
        }
        Value::Char(..) | Value::Empty(..) => toml_edit::Value::from("…"),
    }
}
