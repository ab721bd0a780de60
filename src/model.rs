//! The nouns of the house. No behaviour beyond what a noun can say of itself, no I/O.

use std::fmt;

use crate::clock::Timestamp;
use crate::credential::Hashed;

/// The key of a row in `users`: the provider's `sub`. Compared byte by byte, case and all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(String);

impl UserId {
    /// The user with this id, known or not.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as it stands in the database.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a provider vouched for at a sign-in, already checked and cut to size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider's name in the configuration, `google`.
    pub provider: String,
    /// The issuer, byte for byte as configured (OpenID Connect Core 1.0, section 2, `iss`).
    pub issuer: String,
    /// The subject: 1 to 255 ASCII characters, case-sensitive (`sub`).
    pub subject: String,
    /// The address, which is never a key.
    pub email: String,
    /// Whether the provider says that the address is the person's.
    pub email_verified: bool,
    /// What the person is called, at most 255 characters.
    pub name: Option<String>,
    /// Where the picture lies, at most 2,048 characters.
    pub picture: Option<String>,
    /// Google's `hd`: the Workspace domain, as signed.
    pub hosted_domain: Option<String>,
}

/// A person who has signed in at least once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The key of their row in `users`.
    pub id: UserId,
    /// What the provider said of them last.
    pub identity: Identity,
    /// When they first signed in.
    pub created_at: Timestamp,
    /// When they last signed in.
    pub last_login_at: Timestamp,
    /// Since when the operator keeps them out.
    pub blocked_at: Option<Timestamp>,
}

/// One browser of one user, from sign-in to sign-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The hash of the handle in the cookie.
    pub handle: Hashed,
    /// Whose it is.
    pub user_id: UserId,
    /// When it was opened: the moment of the sign-in.
    pub created_at: Timestamp,
    /// When it was last used, exact to a minute.
    pub last_seen_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// When the person last showed the provider who they are, as far as is known: a provider that remembers them may have
    /// let them through at `created_at` without asking.
    pub proved_at: Option<Timestamp>,
    /// The browser's address at the sign-in.
    pub address: String,
    /// What the browser called itself, at most 256 characters.
    pub user_agent: String,
}

/// What a token may be used for. Each word includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To show who its user is.
    Me,
    /// To read the lists of their sessions and tokens as well.
    Account,
}

impl Scope {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 2] = [Self::Me, Self::Account];

    /// The word for it, as RFC 6749, section 3.3, forms such words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Me => "me",
            Self::Account => "account",
        }
    }

    /// The scope with this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An API token: a user's credential for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The hash of the token.
    pub hash: Hashed,
    /// Whose it is.
    pub user_id: UserId,
    /// What the person calls it.
    pub name: String,
    /// What it may be used for.
    pub scope: Scope,
    /// The last four characters, to tell tokens apart by.
    pub last_four: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, exact to a minute.
    pub last_used_at: Option<Timestamp>,
}

/// Where a sign-in came from, for the list of one's sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Browser {
    /// The client's address as far as it is known.
    pub address: String,
    /// The `User-Agent` header, as sent.
    pub user_agent: String,
    /// The request's name, as in the log.
    pub request_id: String,
    /// What the provider is told of the trace that the request belongs to.
    pub traceparent: String,
}

/// What can happen to somebody's access, in the words of log and table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A sign-in that succeeded.
    Login,
    /// A person whom the provider vouched for was not let in.
    Refusal,
    /// A browser signed itself out.
    Logout,
    /// A session was ended from elsewhere.
    SessionRevoked,
    /// A token was made.
    TokenCreated,
    /// A token was revoked.
    TokenRevoked,
    /// Somebody let a terminal in as themselves.
    TerminalApproved,
    /// Somebody turned a terminal away.
    TerminalDenied,
    /// The operator keeps somebody out from now on.
    Block,
    /// The operator does so no longer.
    Unblock,
    /// An account was deleted.
    Deletion,
    /// Something that only another version of Doorward has a word for.
    Other,
}

impl EventKind {
    /// Every kind that has a word.
    pub const ALL: [Self; 11] = [
        Self::Login,
        Self::Refusal,
        Self::Logout,
        Self::SessionRevoked,
        Self::TokenCreated,
        Self::TokenRevoked,
        Self::TerminalApproved,
        Self::TerminalDenied,
        Self::Block,
        Self::Unblock,
        Self::Deletion,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refusal => "refusal",
            Self::Logout => "logout",
            Self::SessionRevoked => "session_revoked",
            Self::TokenCreated => "token_created",
            Self::TokenRevoked => "token_revoked",
            Self::TerminalApproved => "terminal_approved",
            Self::TerminalDenied => "terminal_denied",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Deletion => "deletion",
            Self::Other => "other",
        }
    }

    /// The kind that `word` names.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Whose hand is behind a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Actor {
    /// The person whom it is about, or somebody who has their credentials.
    #[default]
    Person,
    /// Whoever runs the site, at its keyboard.
    Operator,
}

impl Actor {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Operator => "operator",
        }
    }
}

/// Whence a change comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Whose hand it is.
    pub actor: Actor,
    /// The request's name; empty where there was no request.
    pub request_id: String,
    /// The client's address as far as it is known.
    pub address: String,
}

impl Origin {
    /// The operator's keyboard.
    pub const fn operator() -> Self {
        Self { actor: Actor::Operator, request_id: String::new(), address: String::new() }
    }
}

/// Something that happened to somebody's access. Holds no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Whom it is about, where that is known; for a refusal the subject, whether or not it is a user.
    pub user_id: Option<UserId>,
    /// Whence it came.
    pub origin: Origin,
    /// Why, as a stable word; empty where the kind says it all.
    pub reason: String,
    /// Which session or token, or why in words; one line.
    pub detail: String,
}

/// An event in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its place in the record: later ones have higher numbers.
    pub number: u64,
    /// What happened.
    pub event: Event,
}

/// A program that waits for its person to let it in (RFC 8628).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The hash of what the program holds.
    pub code: Hashed,
    /// The hash of what the person types.
    pub user_code: Hashed,
    /// What the program calls the machine it runs on.
    pub machine: String,
    /// Where it asked from.
    pub address: String,
    /// The network that this lies in: see [`crate::devices::network`].
    pub network: String,
    /// What the token shall be good for.
    pub scope: Scope,
    /// When it asked.
    pub created_at: Timestamp,
    /// When both codes end.
    pub expires_at: Timestamp,
    /// When it last asked whether it may come in.
    pub polled_at: Option<Timestamp>,
    /// How many seconds it must leave between two such questions.
    pub pause: u32,
    /// What the person decided.
    pub state: DeviceState,
}

/// What a person decided about a program that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Nothing yet.
    Pending,
    /// This user lets it in.
    Approved(UserId),
    /// It is turned away.
    Denied,
}

impl DeviceState {
    /// The state that a store keeps as a word and who decided. What it does not know lets nobody in.
    pub fn read(word: &str, user_id: Option<UserId>) -> Self {
        match (word, user_id) {
            ("pending", _) => Self::Pending,
            ("approved", Some(user_id)) => Self::Approved(user_id),
            _ => Self::Denied,
        }
    }
}
