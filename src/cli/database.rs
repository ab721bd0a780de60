//! The configured database, opened for one command. It may be in use by a running server: a command is one more
//! instance, which leaves when it is done.

use std::sync::Arc;

use crate::access::Access;
use crate::audit::Audit;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::table::harmless;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::config::database::Place;
use crate::model::User;
use crate::names::Names;
use crate::random::OsRandom;
use crate::sessions::Sessions;
use crate::store::{self, SharedStore, StoreError};
use crate::tokens::Tokens;
use crate::users::Users;

/// What a command can do with the database.
pub struct Opened {
    /// The people.
    pub users: Users,
    /// Their browsers.
    pub sessions: Sessions,
    /// Their programs.
    pub tokens: Tokens,
    /// What happened to them.
    pub audit: Audit,
    /// The issuer of the configured provider.
    pub issuer: Option<String>,
    store: SharedStore,
}

/// Reads the configuration and opens its database, made ready for this version.
pub async fn open(context: &Context) -> Result<Opened, Failure> {
    let (config, store) = unprepared(context)?;
    if let Place::Sqlite(file) = &config.database.place
        && !file.exists()
        && file.parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir())
    {
        let message = format!("there is no database {} yet: nobody has been let in from here", file.display());
        return Err(Failure::not_so(message).hint(
            "the first start of doorward makes it; if yours lies elsewhere, run this in its folder, or name its \
             configuration with --config",
        ));
    }
    let issuer = config.provider.as_ref().map(|provider| provider.issuer.clone());
    if let Err(error) = store.prepare(issuer.as_deref()).await {
        store.close().await;
        return Err(error.into());
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let access = Access::new(config.access);
    let users = Users::new(Arc::clone(&store), Arc::clone(&clock), config.users.on_delete);
    let audit = Audit::new(Arc::clone(&store), Arc::clone(&clock), &config.audit);
    let sessions = Sessions::new(Arc::clone(&store), Arc::clone(&clock), access.clone(), config.sessions);
    let tokens = Tokens::new(Arc::clone(&store), clock, Arc::new(OsRandom), access);
    Ok(Opened { users, sessions, tokens, audit, issuer, store })
}

/// Reads the configuration and opens its database as it is.
pub fn unprepared(context: &Context) -> Result<(Config, SharedStore), Failure> {
    let config = context.config()?;
    let store = store::open(&config.database, Names::from_system(), Arc::new(SystemClock));
    Ok((config, store))
}

impl Opened {
    /// The one user whom `text` means: an id, else an email.
    pub async fn the_user(&self, text: &str) -> Result<User, Failure> {
        let mut meant = self.users.meant_by(text).await?;
        match meant.len() {
            1 => Ok(meant.remove(0)),
            0 => {
                let message = format!("nobody who has signed in has the id or the email {}", harmless(text));
                Err(Failure::not_so(message)
                    .hint("`doorward users list` prints both; whoever is missing signs in once"))
            }
            several => {
                let ids: Vec<_> = meant.iter().map(|user| harmless(user.id.as_str())).collect();
                let message = format!("{several} users have the email {}: {}", harmless(text), ids.join(", "));
                Err(Failure::not_so(message).hint("name one of them by the id"))
            }
        }
    }

    /// Lets go of the database.
    pub async fn close(self) {
        self.store.close().await;
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::ReadOnly(_) => Self::unavailable(error.to_string()),
            StoreError::Schema(_) => Self::configuration(error.to_string()),
            StoreError::Refused(_) => Self::not_so(error.to_string()),
        }
    }
}
