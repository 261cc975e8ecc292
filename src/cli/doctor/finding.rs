//! What one check of `doctor` says.

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Ok,
    /// Nothing is wrong yet, or it is not ours to mend.
    Note,
    Wrong,
}

impl Level {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Wrong => "wrong",
        }
    }
}

/// What one check found: beyond `Ok`, `detail` says what is the matter and what to do next.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) check: String,
    pub(super) level: Level,
    pub(super) detail: String,
}

impl Finding {
    /// `Err` says what is wrong and how to fix it.
    pub(super) fn of(check: impl Into<String>, found: Result<String, String>) -> Self {
        let (level, detail) = match found {
            Ok(detail) => (Level::Ok, detail),
            Err(cure) => (Level::Wrong, cure),
        };
        Self { check: check.into(), level, detail }
    }

    pub(super) fn note(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check: check.into(), level: Level::Note, detail: detail.into() }
    }
}
