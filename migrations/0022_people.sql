-- Users as other systems know them, and the order in which they were changed. Same dialect as 0001. Both stand apart from
-- `users`: a large table gets no unique index while people sign in.

-- What an HR system calls a user. Nobody else of the provider has it.
CREATE TABLE external_ids (
    user_id TEXT PRIMARY KEY,
    provider_id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    UNIQUE (provider_id, external_id),
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id)
);

-- The last change of each user by its place in the record (`activity_seals.seq`), so in the order of commits. Made from the
-- record by the service as that is sealed. Who has no row was not changed since this table is there.
CREATE TABLE user_changes (
    user_id TEXT PRIMARY KEY,
    provider_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id)
);
CREATE INDEX user_changes_provider ON user_changes (provider_id, seq);

-- Up to which place the record is in it.
INSERT INTO settings (name, value) SELECT 'user changes are known to', CAST(seq AS TEXT) FROM activity_chain;
