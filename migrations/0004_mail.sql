-- Mail that waits to be sent, and what asks for it. Same dialect as 0001.

-- What is sealed may hold a one-time link, or what a stranger typed; it goes as soon as it is settled.
CREATE TABLE mails (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('asked', 'reset_link', 'password_changed', 'password_reset')),
    user_id TEXT,
    sealed TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'given_up')),
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    good_until BIGINT NOT NULL,
    settled_at BIGINT,
    last_error TEXT
);
CREATE INDEX mails_due ON mails (next_at) WHERE state = 'waiting';
CREATE INDEX mails_over ON mails (good_until);
CREATE INDEX mails_links ON mails (user_id, created_at) WHERE kind = 'reset_link';
