//! Why a store does not do what it is asked: it cannot answer, or it does not let somebody in.

/// Why a store could not answer. None of these says anything about who is signed in.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or did not answer in time; asking again later may help.
    #[error("the database cannot be asked: {0}")]
    Unavailable(String),
    /// It answers questions but takes no changes: read-only, or its disk is full.
    #[error("the database takes no changes: {0}")]
    ReadOnly(String),
    /// Its tables are not ready for this version of Doorward.
    #[error("{0}")]
    Schema(String),
    /// It refused a statement for a reason that asking again will not mend.
    #[error("the database refused: {0}")]
    Refused(String),
}

impl StoreError {
    /// Whether it may mend by itself.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// A stable word for logs, metrics and tests.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "store_unavailable",
            Self::ReadOnly(_) => "store_read_only",
            Self::Schema(_) => "store_schema",
            Self::Refused(_) => "store_refused",
        }
    }
}

/// Why a person who proved who they are is still not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The operator blocked them.
    #[error("the operator has blocked this user")]
    Blocked,
    /// They have no row in `users`, and the site takes in nobody new.
    #[error("{table} has no row of this person, and access.sign_up lets in only people who have one")]
    Newcomer {
        /// The table.
        table: String,
    },
    /// A row of `users` has an id that the database takes for theirs although its bytes differ.
    #[error("the row `{existing}` of {table} equals this subject to the database, but not byte by byte")]
    SimilarId {
        /// The table.
        table: String,
        /// The id in that row.
        existing: String,
    },
    /// The row with their id belongs to somebody known by another issuer or subject.
    #[error("the row with this id belongs to another identity")]
    Claimed,
    /// The column `id` cannot hold this subject.
    #[error("the column id of {table} holds {width} characters, the subject has {length}")]
    IdTooLong {
        /// The table.
        table: String,
        /// How many characters the column takes.
        width: usize,
        /// How many the subject has.
        length: usize,
    },
    /// Another unique key of the site's table stands in the way, `UNIQUE(email)` most often.
    #[error("the unique key {key} of {table} already holds this person's value in another row")]
    UniqueKey {
        /// The table.
        table: String,
        /// The key's name, as the database calls it.
        key: String,
    },
}

impl Refusal {
    /// A stable word for logs, metrics and tests.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Newcomer { .. } => "newcomer",
            Self::SimilarId { .. } => "similar_id",
            Self::Claimed => "id_claimed",
            Self::IdTooLong { .. } => "id_too_long",
            Self::UniqueKey { .. } => "unique_key",
        }
    }
}

/// Why a token is not kept whose user is not let in any more.
pub fn ownerless() -> StoreError {
    StoreError::Refused("the token's user is blocked, or gone".to_owned())
}
