//! The people who signed in, for those who ask about them.
//!
//! Remembering somebody is part of signing in and happens in [`crate::login`].

use crate::model::{User, UserId};
use crate::store::{Result, SharedStore};

/// All users.
#[derive(Clone)]
pub struct Users {
    store: SharedStore,
}

impl Users {
    /// The users in `store`.
    pub fn new(store: SharedStore) -> Self {
        Self { store }
    }

    /// Those whom an operator means by `text`: the user with that id, else all with that email.
    pub async fn meant_by(&self, text: &str) -> Result<Vec<User>> {
        match self.store.user(&UserId::new(text)).await? {
            Some(user) => Ok(vec![user]),
            None => self.store.users_by_email(text).await,
        }
    }

    /// At most `limit` users in the order of their ids, those after `after`.
    pub async fn list(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>> {
        self.store.users(after, limit).await
    }
}
