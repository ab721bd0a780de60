//! The people who signed in, for those who ask about them, keep them out or forget them.
//!
//! Remembering somebody is part of signing in and happens in [`crate::login`].

use std::sync::Arc;

use crate::audit;
use crate::clock::Clock;
use crate::config::users::OnDelete;
use crate::model::{EventKind, Origin, User, UserId};
use crate::store::{Deleted, Ended, Result, SharedStore};

/// How many rows one question to the store brings while people are searched.
const PAGE: u32 = 500;

/// All users.
#[derive(Clone)]
pub struct Users {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    on_delete: OnDelete,
}

/// Which users are asked for; domains are compared whole, without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those with this address.
    pub email: Option<String>,
    /// Only those with an address at this domain.
    pub domain: Option<String>,
    /// Only those of this hosted domain.
    pub hosted_domain: Option<String>,
    /// Only those who are blocked.
    pub is_blocked: bool,
}

impl Filter {
    fn takes(&self, user: &User) -> bool {
        let identity = &user.identity;
        let domain = identity.email.rsplit_once('@').map(|(_, domain)| domain);
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| found.is_some_and(|found| found.eq_ignore_ascii_case(wanted)))
        };
        is(&self.email, Some(&identity.email))
            && is(&self.domain, domain)
            && is(&self.hosted_domain, identity.hosted_domain.as_deref())
            && (!self.is_blocked || user.blocked_at.is_some())
    }
}

impl Users {
    /// The users in `store`; rows of deleted ones are treated as `on_delete` says.
    pub fn new(store: SharedStore, clock: Arc<dyn Clock>, on_delete: OnDelete) -> Self {
        Self { store, clock, on_delete }
    }

    /// What becomes of the row in the table of users when somebody is deleted.
    pub const fn on_delete(&self) -> OnDelete {
        self.on_delete
    }

    /// Those whom an operator means by `text`: the user with that id, else all with that email.
    pub async fn meant_by(&self, text: &str) -> Result<Vec<User>> {
        match self.store.user(&UserId::new(text)).await? {
            Some(user) => Ok(vec![user]),
            None => self.store.users_by_email(text).await,
        }
    }

    /// At most `limit` users in the order of their ids, those after `after`, and whether there are more. Reads by key,
    /// page by page, so that neither a million users nor a rare filter makes a single question long.
    pub async fn list(&self, filter: &Filter, after: Option<&UserId>, limit: usize) -> Result<(Vec<User>, bool)> {
        let mut found: Vec<User> = Vec::new();
        if let Some(email) = &filter.email {
            // In the order of the ids, as the store promises.
            found = self.store.users_by_email(email).await?;
            found.retain(|user| filter.takes(user) && after.is_none_or(|after| user.id > *after));
            let is_all = found.len() <= limit;
            found.truncate(limit);
            return Ok((found, !is_all));
        }
        let mut after = after.cloned();
        loop {
            let page = match filter.is_blocked {
                true => self.store.blocked_users(after.as_ref(), PAGE).await?,
                false => self.store.users(after.as_ref(), PAGE).await?,
            };
            let is_last = page.len() < PAGE as usize;
            after = page.last().map(|user| user.id.clone());
            found.extend(page.into_iter().filter(|user| filter.takes(user)));
            if found.len() > limit {
                found.truncate(limit);
                return Ok((found, true));
            }
            if is_last {
                return Ok((found, false));
            }
        }
    }

    /// Keeps the user out from now on, on every instance, and ends their sessions and tokens. `note` is recorded with
    /// it. `None`: nobody ever signed in under this id.
    pub async fn block(&self, id: &UserId, origin: &Origin, note: &str) -> Result<Option<Ended>> {
        let event = audit::event(&*self.clock, EventKind::Block, Some(id), origin, "", note);
        let ended = self.store.block_user(id, &event).await?;
        if ended.is_some() {
            audit::tell(&event);
        }
        Ok(ended)
    }

    /// Lets the user in again, or a deleted one of `issuer`'s whose block outlived them. Whether they were blocked.
    pub async fn unblock(&self, id: &UserId, issuer: Option<&str>, origin: &Origin) -> Result<bool> {
        let event = audit::event(&*self.clock, EventKind::Unblock, Some(id), origin, "", "");
        let was_blocked = self.store.unblock_user(id, issuer, &event).await?;
        if was_blocked {
            audit::tell(&event);
        }
        Ok(was_blocked)
    }

    /// Forgets that somebody was refused who never became a user. How many events there were.
    pub async fn forget_stranger(&self, id: &UserId) -> Result<u64> {
        self.store.forget_refusals_of(id).await
    }

    /// Forgets the user: identity, sessions, tokens and all that was recorded of them but this. Their row in the table
    /// of users is treated as the configuration says; a block of theirs stays.
    pub async fn delete(&self, id: &UserId, origin: &Origin) -> Result<Deleted> {
        // Whence it came is personal too, unless it was the operator.
        let origin = Origin { address: String::new(), ..origin.clone() };
        let event = audit::event(&*self.clock, EventKind::Deletion, Some(id), &origin, self.on_delete.word(), "");
        let deleted = self.store.delete_user(id, self.on_delete, &event).await?;
        if deleted == Deleted::Done {
            audit::tell(&event);
        }
        Ok(deleted)
    }
}
