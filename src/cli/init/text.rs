//! The text of the configuration that `doorward init` writes: what was answered, and beside it in comments what people
//! want next.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::init::SECRET_FILE;
use crate::cli::init::database::Choice;
use crate::config::public_url::PublicUrl;
use crate::web::paths::CALLBACK;

/// What is known.
pub struct Answers {
    /// Our name and secret at Google.
    pub client: Client,
    /// What browsers type.
    pub public_url: PublicUrl,
    /// Where to take connections, where that was said.
    pub listen: Option<String>,
    /// Where people are remembered.
    pub database: Choice,
    /// The site's own program, as an origin.
    pub app: Option<String>,
}

/// Our name and secret at Google.
pub enum Client {
    /// In the file that Google's console downloads.
    GoogleFile {
        /// The file.
        path: PathBuf,
        /// The redirect URIs that it lists.
        redirect_uris: Vec<String>,
    },
    /// The secret in a file of its own.
    InFiles {
        /// The id.
        id: String,
        /// The file.
        secret_file: PathBuf,
    },
    /// Typed just now.
    Typed {
        /// The id.
        id: String,
        /// The secret.
        secret: String,
    },
}

/// The configuration, for a file in `folder`.
pub fn config(answers: &Answers, folder: &Path) -> String {
    let sections = [
        head(&answers.public_url),
        server(&answers.public_url, answers.listen.as_deref()),
        provider(&answers.client, folder),
        database(&answers.database),
        apps(answers.app.as_deref()),
        ACCESS.to_owned(),
    ];
    sections.concat()
}

/// `text` as TOML.
fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string().trim().to_owned()
}

fn head(public_url: &PublicUrl) -> String {
    format!(
        "# Who may sign in here, and where that is remembered. `doorward config check` says what is wrong with this \
         file,\n# `doorward config show` what holds; config.toml.example shows every key there is.\n\n\
         # What browsers type. People come back to this address with {CALLBACK} behind it, and Google must know\n\
         # that redirect URI letter for letter: {}\npublic_url = {}\n",
        public_url.join(CALLBACK),
        quoted(&public_url.to_string())
    )
}

/// Only where the default does not do.
fn server(public_url: &PublicUrl, said: Option<&str>) -> String {
    let (port, authority) = (public_url.port(), public_url.authority());
    let host = authority.strip_suffix(&format!(":{port}")).unwrap_or(&authority);
    let usual = "localhost:3000".to_owned();
    let found = if public_url.is_loopback() { format!("{host}:{port}") } else { usual.clone() };
    let listen = said.map_or(found, str::to_owned);
    if public_url.is_loopback() && !public_url.is_https() && listen == usual {
        return String::new();
    }
    let mut text = "\n[server]\n".to_owned();
    if !public_url.is_loopback() {
        text += "# Doorward speaks plain http here, to the proxy in front of it that speaks https to browsers.\n";
    }
    let _ = writeln!(text, "listen = {}", quoted(&listen));
    if public_url.is_loopback() && public_url.is_https() {
        text += "# A certificate of our own making, for work on this machine: the browser asks once whether you trust \
                 it.\ntls = \"self-signed\"\n";
    }
    text
}

fn provider(client: &Client, folder: &Path) -> String {
    let mut text = "\n[providers.google]\n".to_owned();
    let mut path = |key: &str, path: &Path| {
        let path = from_folder(path, folder);
        let _ = writeln!(text, "{key} = {}", quoted(&path.display().to_string()));
    };
    match client {
        Client::GoogleFile { path: json, .. } => {
            path("client_json", json);
            text += "# The file from Google's console. It holds a secret: keep it out of Git and of the web server's \
                     folder.\n";
        }
        Client::InFiles { id, secret_file } => {
            path("client_secret_file", secret_file);
            let _ = writeln!(text, "client_id = {}", quoted(id));
        }
        Client::Typed { id, .. } => {
            let _ = writeln!(text, "client_id = {}", quoted(id));
            text += "# The secret is kept apart, in a file of its own.\n";
            let _ = writeln!(text, "client_secret_file = {}", quoted(SECRET_FILE));
        }
    }
    text
}

/// `path` as it is said in a file that lies in `folder`: what lies elsewhere, whole.
fn from_folder(path: &Path, folder: &Path) -> PathBuf {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (path, folder) = (whole(path), whole(folder_or_here(folder)));
    path.strip_prefix(&folder).map(Path::to_owned).unwrap_or(path)
}

fn folder_or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn database(choice: &Choice) -> String {
    let mut text = "\n[database]\n".to_owned();
    match choice {
        Choice::Sqlite => {
            text += "# A file beside this one. For MySQL: mysql://user:password@localhost:3306/name\nurl = \"sqlite:doorward.db\"\n"
        }
        Choice::Url(url) => {
            let _ = writeln!(text, "url = {}", quoted(url));
        }
        Choice::Xampp(name) => {
            text += "# XAMPP's own account has no password; give it one before anybody else can reach this machine.\n\
                     host = \"localhost\"\nuser = \"root\"\npassword = \"\"\n";
            let _ = writeln!(text, "name = {}", quoted(name));
        }
    }
    text += "# People stand in the table users(id, email, name, picture): yours where you have one, else a new one.\n\
             # users_table = \"users\"\n";
    text
}

fn apps(app: Option<&str>) -> String {
    let heading = "\n[apps]\n# Your own program: where a sign-in ends, and whose pages may be returned to and may ask \
                   /api/me.\n";
    match app {
        Some(app) => {
            let app = app.trim_end_matches('/');
            let home = quoted(&format!("{app}/"));
            format!("{heading}home = {home}\nafter_logout = {home}\norigins = [{}]\n", quoted(app))
        }
        None => format!("{heading}# home = \"http://localhost:8000/\"\n# origins = [\"http://localhost:8000\"]\n"),
    }
}

const ACCESS: &str = "\n[access]\n# Everyone with a verified email may sign in, unless a list here narrows that.\n\
                      # emails = [\"you@example.com\"]\n# email_domains = [\"example.com\"]\n";
