//! `doorward init`: asks little and leaves a `config.toml` that works, readable by its owner alone. Never writes over a
//! file without being told to; says what to do next.

mod database;
mod questions;
mod text;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cli::check::{self, Finding, Outcome};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::init::questions::Questions;
use crate::cli::init::text::{Answers, Client};
use crate::cli::output::talk;
use crate::config::problem::Wrong;
use crate::config::public_url::PublicUrl;
use crate::config::sources::{Flag, Sources};
use crate::config::{self, Loaded, apps, client_json, file};
use crate::web::paths::CALLBACK;

/// Where Google hands out clients.
const CONSOLE: &str = "https://console.cloud.google.com/auth/clients";

/// The file that a typed secret is kept in.
const SECRET_FILE: &str = "google-secret";

/// `doorward init`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file that Google's console downloads for the client; one in this folder is found by itself
    #[arg(long, value_name = "FILE", conflicts_with_all = ["client_id", "client_secret_file"])]
    client_json: Option<PathBuf>,
    /// The client's id, where there is no such file
    #[arg(long, value_name = "ID", requires = "client_secret_file")]
    client_id: Option<String>,
    /// A file that holds the client's secret and nothing else
    #[arg(long, value_name = "FILE", requires = "client_id")]
    client_secret_file: Option<PathBuf>,
    /// The address of the site's own program, http://localhost:8000: people return there, and it may ask /api/me
    #[arg(long, value_name = "ORIGIN")]
    app: Option<String>,
    /// Asks nothing: what is not said is found, or left at its default
    #[arg(long, short)]
    yes: bool,
    /// Writes over files that are there
    #[arg(long)]
    force: bool,
}

/// Runs `doorward init`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let path = context.flags.config.clone().unwrap_or_else(|| PathBuf::from("config.toml"));
    if path.exists() && !args.force {
        return Err(is_there(&path));
    }
    if let Some(app) = &args.app {
        // Said once here, where the file that would be written holds it three times.
        let wrong = |wrong: Wrong| Failure::usage(format!("--app {}", wrong.what)).hint(wrong.remedy);
        apps::origin(app.trim_end_matches('/')).map_err(wrong)?;
    }
    let folder = file::folder_of(&path);
    let mut questions = Questions::new(args.yes);
    let said = context.flags.public_url.as_deref().map(parsed).transpose()?;
    let listen = context.flags.listen.clone();
    let default = said.clone().or_else(|| at_port(listen.as_deref()?)).unwrap_or_else(default_public_url);
    let client = client(&args, &folder, &default.join(CALLBACK), &mut questions)?;
    let public_url = said.unwrap_or_else(|| listed(&client, &default).unwrap_or(default));
    let database = database::choose(context.flags.database_url.as_deref(), &mut questions).await?;
    let secret_file = folder.join(SECRET_FILE);
    let secret = match &client {
        Client::Typed { secret, .. } => Some(draft(&secret_file, &format!("{secret}\n"))?),
        _ => None,
    };
    let text = text::config(&Answers { client, public_url, listen, database, app: args.app }, &folder);
    let config = draft(&path, &text)?;
    // Nothing that is there is touched before all of it is known to hold.
    let loaded = read_back(config.path(), &path, secret.as_ref().map(NamedTempFile::path))?;
    keep(config, &path, args.force)?;
    if let Some(secret) = secret {
        keep(secret, &secret_file, args.force)?;
    }
    next(&path, &loaded).await
}

fn is_there(path: &Path) -> Failure {
    let message = format!("{} is there already, and was left as it is", path.display());
    Failure::not_so(message).hint("--force writes over it; --config OTHER.toml writes elsewhere")
}

/// Our name and secret at the provider: as the flags say, else in a file of this folder, else as somebody answers.
/// `redirect_uri` is the one that a new client would need.
fn client(args: &Args, folder: &Path, redirect_uri: &str, questions: &mut Questions) -> Result<Client, Failure> {
    if let Some(path) = &args.client_json {
        return google_file(path);
    }
    if let (Some(id), Some(secret_file)) = (&args.client_id, &args.client_secret_file) {
        return Ok(Client::InFiles { id: id.clone(), secret_file: secret_file.clone() });
    }
    let found = files_from_google(folder);
    match found.as_slice() {
        [only] => {
            talk(&format!("found the client's file {}", only.display()));
            return google_file(only);
        }
        [] => {}
        several if !questions.are_possible() => {
            let names: Vec<_> = several.iter().map(|path| path.display().to_string()).collect();
            let message = format!("there are several files of clients: {}", names.join(", "));
            return Err(Failure::usage(message).hint("name one of them with --client-json"));
        }
        several => {
            for path in several {
                talk(&format!("found {}", path.display()));
            }
        }
    }
    if !questions.are_possible() {
        let message = "no client is named, and there is no file from Google's console in this folder";
        let hint = "write --client-json FILE, or --client-id ID --client-secret-file FILE; clients are made at ";
        return Err(Failure::usage(message).hint(format!("{hint}{CONSOLE}")));
    }
    let secret_file = folder.join(SECRET_FILE);
    if secret_file.exists() && !args.force {
        return Err(is_there(&secret_file));
    }
    talk(&format!("Doorward needs a client of Google's, made once at {CONSOLE}"));
    talk(&format!("of the type \"Web application\", with the redirect URI {redirect_uri}"));
    let answer = questions.ask("The file that the console downloads, or the client id", None)?;
    if !answer.ends_with(".json") && !Path::new(&answer).is_file() {
        let secret = questions.ask_secret("The client secret (it is not shown)")?;
        return Ok(Client::Typed { id: answer, secret });
    }
    google_file(Path::new(&answer))
}

fn google_file(path: &Path) -> Result<Client, Failure> {
    let client = client_json::read(path).map_err(|wrong| Failure::configuration(wrong.what).hint(wrong.remedy))?;
    Ok(Client::GoogleFile { path: path.to_owned(), redirect_uris: client.redirect_uris })
}

/// The files in `folder` that came from Google's console, in the order of their names.
fn files_from_google(folder: &Path) -> Vec<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    let mut found: Vec<PathBuf> = entries.unwrap_or_default();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "json") && client_json::read(path).is_ok());
    found.sort();
    // As it would be typed here.
    found.iter().map(|path| path.strip_prefix(".").unwrap_or(path).to_owned()).collect()
}

/// What browsers will type, as said.
fn parsed(text: &str) -> Result<PublicUrl, Failure> {
    PublicUrl::parse(text).map_err(|error| Failure::usage(format!("--public-url {error}")).hint(error.remedy()))
}

fn default_public_url() -> PublicUrl {
    config::Config::default().public_url
}

/// What browsers will type where we listen at a port of `place`.
fn at_port(place: &str) -> Option<PublicUrl> {
    let port: u16 = place.rsplit_once(':')?.1.parse().ok()?;
    PublicUrl::parse(&format!("http://localhost:{port}")).ok()
}

/// What browsers will type, as the client's file was made for: the default where that is on its list.
fn listed(client: &Client, default: &PublicUrl) -> Option<PublicUrl> {
    let Client::GoogleFile { redirect_uris, .. } = client else { return None };
    if redirect_uris.contains(&default.join(CALLBACK)) {
        return Some(default.clone());
    }
    redirect_uris.iter().find_map(|uri| PublicUrl::parse(uri.strip_suffix(CALLBACK)?).ok())
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::not_so(format!("{} cannot be written: {error}", path.display()))
        .hint("run this in a folder that you may write to, or name a file in one with --config")
}

/// A file beside `path` that only its owner may read; it is gone unless it is kept.
fn draft(path: &Path, text: &str) -> Result<NamedTempFile, Failure> {
    let failed = |error: io::Error| not_written(path, &error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut draft =
        tempfile::Builder::new().prefix(".doorward-").suffix(".toml").tempfile_in(folder).map_err(failed)?;
    draft.write_all(text.as_bytes()).and_then(|()| draft.as_file().sync_all()).map_err(failed)?;
    Ok(draft)
}

/// Gives `draft` the name it was written for.
fn keep(draft: NamedTempFile, path: &Path, force: bool) -> Result<(), Failure> {
    let named = if force { draft.persist(path) } else { draft.persist_noclobber(path) };
    named.map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => is_there(path),
        _ => not_written(path, &error.error),
    })?;
    let who = if cfg!(unix) { ", which only you may read" } else { "" };
    talk(&format!("wrote {}{who}", path.display()));
    Ok(())
}

/// Reads `draft` as a server will read `path`, with the secret in `secret` where it has no name yet.
fn read_back(draft: &Path, path: &Path, secret: Option<&Path>) -> Result<Loaded, Failure> {
    let flags = secret.map(|secret| Flag {
        key: "providers.google.client_secret_file".to_owned(),
        flag: SECRET_FILE.to_owned(),
        value: std::path::absolute(secret).unwrap_or_else(|_| secret.to_owned()).display().to_string(),
    });
    let sources = Sources { file: Some(draft.to_owned()), flags: flags.into_iter().collect(), ..Sources::default() };
    config::load(&sources).map_err(|mut problems| {
        for problem in &mut problems.0 {
            problem.origin = format!("nothing was written to {}", path.display());
            problem.line = None;
        }
        problems.into()
    })
}

/// Says what to do now, and what of it is done already.
async fn next(path: &Path, loaded: &Loaded) -> Result<(), Failure> {
    for warning in &loaded.warnings {
        talk(&format!("warning: {warning}"));
    }
    for Finding { outcome, found, .. } in check::database(&loaded.config).await {
        match outcome {
            Outcome::Fine => talk(&found),
            Outcome::Warning => talk(&format!("warning: {found}")),
            Outcome::Failure(_) => talk(&format!("not yet right: {found}")),
            Outcome::Skipped => {}
        }
    }
    let redirect_uri = loaded.config.public_url.join(CALLBACK);
    let registered = loaded.config.provider.as_ref().and_then(|provider| provider.registered_redirect_uris.as_ref());
    let is_listed = registered.is_some_and(|uris| uris.contains(&redirect_uri));
    let listed = if is_listed { "the client's file lists it: done" } else { CONSOLE };
    let config = if path == Path::new("config.toml") { String::new() } else { format!(" --config {}", path.display()) };
    talk(&format!(
        "\nNext:\n  1. Google must know this redirect URI, letter for letter: {redirect_uri}\n     ({listed})\n  \
         2. doorward{config} config check\n  3. doorward{config}\n     and open {}/",
        loaded.config.public_url
    ));
    Ok(())
}
