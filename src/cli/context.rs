//! What every command is given: the flags that stand for settings, and the environment as it was at the start.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::failure::Failure;
use crate::config::log;
use crate::config::problem::Wrong;
use crate::config::sources::Sources;
use crate::config::{self, Config, Loaded};

/// Settings that can be given on the command line of any command, before it or after.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct Flags {
    /// The configuration file; ./config.toml is read without being asked for
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What browsers type to reach this site
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<String>,
    /// Where to take connections: localhost:3000, an address with port, unix:/path
    #[arg(long, global = true, value_name = "PLACE")]
    pub listen: Option<String>,
    /// The database, sqlite:FILE or mysql://…; a password is better kept in a file, the command line is for all to see
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// How much to write down: error, warn, info, debug, trace
    #[arg(long, global = true, value_name = "LEVEL", value_parser = level)]
    pub log_level: Option<String>,
}

fn level(text: &str) -> Result<String, String> {
    let wrong = |wrong: Wrong| format!("{}; {}", wrong.what, wrong.remedy);
    log::directives(text).map(|_| text.to_owned()).map_err(wrong)
}

/// What a command needs to know of the world outside.
#[derive(Clone)]
pub struct Context {
    /// What the command line says.
    pub flags: Flags,
    /// The environment: names and values. May hold secrets.
    pub environment: Vec<(String, String)>,
    /// The names of variables of ours whose values are not text.
    garbled: Vec<String>,
}

impl Context {
    /// Takes in the command line and the environment.
    pub fn new(flags: Flags, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let (mut known, mut garbled) = (Vec::new(), Vec::new());
        for (name, value) in environment {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => known.push((name, value)),
                Err(_) if name.starts_with(config::sources::PREFIX) => garbled.push(name),
                Err(_) => {}
            }
        }
        Self { flags, environment: known, garbled }
    }

    /// The configuration with what there is to say about it; a provider may be missing.
    pub fn load(&self) -> Result<Loaded, Failure> {
        Ok(config::load(&self.sources())?)
    }

    /// The configuration alone, for commands that are typed many times a day: what there is to say about it is said
    /// by `serve` and `config`. A provider may be missing.
    pub fn config(&self) -> Result<Config, Failure> {
        Ok(self.load()?.config)
    }

    /// The configuration of a site that people can sign in to: as [`Self::load`], and there is a provider.
    pub fn load_for_serving(&self) -> Result<Loaded, Failure> {
        let loaded = self.load()?;
        if loaded.config.provider.is_none() { Err(no_provider(&loaded)) } else { Ok(loaded) }
    }

    fn sources(&self) -> Sources {
        let flag = |key: &str, flag: &str, value: &Option<String>| {
            value.clone().map(|value| config::sources::Flag { key: key.to_owned(), flag: flag.to_owned(), value })
        };
        let flags = [
            flag("public_url", "--public-url", &self.flags.public_url),
            flag("server.listen", "--listen", &self.flags.listen),
            flag("database.url", "--database-url", &self.flags.database_url),
            flag("log.level", "--log-level", &self.flags.log_level),
        ];
        Sources {
            file: self.flags.config.clone(),
            folder: PathBuf::new(),
            flags: flags.into_iter().flatten().collect(),
            environment: self.environment.clone(),
            garbled: self.garbled.clone(),
            takes_tutorial_variables: true,
        }
    }
}

/// Nobody can sign in yet: what is so, and the three ways on.
fn no_provider(loaded: &Loaded) -> Failure {
    let read = match &loaded.file {
        Some(file) => format!("{} names no provider", file.display()),
        None => "there is no configuration file".to_owned(),
    };
    // A variable that is misspelt may be all there is.
    let noticed: String = loaded.warnings.iter().map(|warning| format!("\n{warning}")).collect();
    Failure::configuration(format!(
        "nobody can sign in: {read}. Three ways on:\n  \
         doorward demo                   see it work now, with a pretend provider and nothing to set up\n  \
         doorward init                   answer a few questions and have config.toml written\n  \
         doorward --config config.toml   serve your site; config.toml.example shows how such a file begins\n\
         Whoever has GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET and the MYSQL_ variables of the tutorials set needs no \
         file{noticed}"
    ))
}
