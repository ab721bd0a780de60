//! The file that Google's console downloads for a client: its id, its secret, and the redirect URIs it knows.

use std::path::Path;

use serde_json::Value;

use crate::config::problem::Wrong;
use crate::config::secret::{self, Secret};

/// What we take from the file.
pub struct ClientJson {
    /// `client_id`
    pub client_id: String,
    /// `client_secret`
    pub client_secret: Secret,
    /// `redirect_uris` as far as the file has them.
    pub redirect_uris: Vec<String>,
    /// Whether it is a client for programs on a person's own machine (`installed`), not for a site (`web`).
    pub is_for_desktops: bool,
}

/// Reads the file. No error repeats what stands in it.
pub fn read(path: &Path) -> Result<ClientJson, Wrong> {
    const REMEDY: &str = "download it again: Google Auth Platform, Clients, your client, download JSON";
    let shown = path.display();
    let wrong = |what: &str| Wrong::new(format!("{shown} {what}"), REMEDY);
    let text = secret::read_text(path)?;
    let json: Value = serde_json::from_str(&text)
        .map_err(|error| wrong(&format!("is not JSON, at line {} column {}", error.line(), error.column())))?;
    let Some((client, is_for_desktops)) =
        json.get("web").map(|web| (web, false)).or_else(|| json.get("installed").map(|installed| (installed, true)))
    else {
        return Err(wrong("is not a client of Google's: it holds neither \"web\" nor \"installed\""));
    };
    let text = |name: &str| client.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let client_id = text("client_id").ok_or_else(|| wrong("holds no client_id"))?.to_owned();
    let client_secret = text("client_secret").ok_or_else(|| wrong("holds no client_secret"))?;
    let redirect_uris = client.get("redirect_uris").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let redirect_uris = redirect_uris.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(ClientJson { client_id, client_secret: Secret::new(client_secret), redirect_uris, is_for_desktops })
}
