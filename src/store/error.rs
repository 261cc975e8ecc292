//! What can go wrong between us and the database, whichever it is.

/// What can go wrong between us and the database. For our own code; people see a reference number.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It was late before the commit: nothing was written.
    #[error("the deadline passed before the commit")]
    Late,
    /// The database kept a statement waiting until its time-out: rolled back.
    #[error("the database did not answer in time: {0}")]
    Stalled(String),
    /// Two transactions stood in each other's way, however often they were tried.
    #[error("two transactions stood in each other's way: {0}")]
    Contended(String),
    /// No connection can be had: why, and what to do. Nothing was written.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The database broke the connection, or can take nothing. A commit under way may or may not have happened.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The server takes no writes at the moment: nothing was written.
    #[error("the database is read-only: {0}")]
    ReadOnly(String),
    /// A pooler parted what belongs to one session.
    #[error("a pooler gives each transaction any connection: set database.pooling = \"transaction\" ({0})")]
    Parted(String),
    /// The database refused or returned what it never should.
    #[error("the database does not fit this program: {0}")]
    Unexpected(String),
    /// A stored value makes no sense.
    #[error("a stored value is damaged: {0}")]
    Damaged(String),
    /// The work took itself back, as a rehearsal does: nothing was written.
    #[error("the work was taken back")]
    Withdrawn,
    /// The database said nothing at all for too long. A commit under way may or may not have happened.
    #[error("the database does not answer")]
    Silent,
    /// What the act rested on was taken away meanwhile (G28): nothing was written.
    #[error("the permission for this was taken away meanwhile; nothing was written")]
    NoAuthority,
    /// As much is remembered of one issuer as may be (G2).
    #[error("too many assertions of one issuer are remembered")]
    Full,
    /// The task that held the transaction died.
    #[error("the transaction's task died")]
    TaskDied,
}

impl Error {
    /// Whether nothing was written for a reason that may be gone already: two stood in each other's way, or the
    /// connection was made while the server was read-only.
    pub(super) const fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::Contended(_) | Self::ReadOnly(_))
    }

    /// Whether the connection is of no use any more.
    pub(super) const fn ends_connection(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::ReadOnly(_))
    }
}
