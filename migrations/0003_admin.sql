-- The people who run it: what their lists are searched and sorted by, how two admins at one thing are told apart, and
-- the way of a Unified Login request. Same dialect as 0001.

-- The person's name in small letters; a program of the version before leaves it empty, and its rows are found by login name.
ALTER TABLE users ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
-- Grows with every change of the data that a form shows.
ALTER TABLE users ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE providers ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
UPDATE users SET name_key = LOWER(name);
CREATE INDEX users_by_name ON users (provider_id, name_key, id, login_name_key);
CREATE INDEX users_by_login_name ON users (provider_id, login_name_key, id, name_key);

-- Every step of a provider's Unified Login: asked for, withdrawn, approved, declined, switched.
CREATE TABLE unified_login_steps (
    id TEXT PRIMARY KEY,
    provider_id TEXT NOT NULL REFERENCES providers (id),
    at BIGINT NOT NULL,
    step TEXT NOT NULL CHECK (step IN ('requested', 'withdrawn', 'approved', 'declined', 'switched_on', 'switched_off')),
    actor TEXT NOT NULL,
    note TEXT
);
CREATE INDEX unified_login_steps_provider ON unified_login_steps (provider_id, id);
CREATE INDEX providers_waiting ON providers (id) WHERE unified_login = 'requested';

-- What is looked for in the record: a user's last sign-in, tries on names that are nobody's, refusals, and the changes
-- that are few among many sign-ins.
CREATE INDEX activity_sign_ins ON activity (user_id, at) WHERE kind = 'sign_in' AND outcome = 'success';
CREATE INDEX activity_strangers ON activity (provider_id, id) WHERE name_hash IS NOT NULL;
CREATE INDEX activity_refusals ON activity (provider_id, id) WHERE outcome <> 'success';
CREATE INDEX activity_changes ON activity (provider_id, kind, id) WHERE kind NOT IN ('sign_in', 'logout');

-- The admins among a provider's users, and who is password locked.
CREATE INDEX users_admins ON users (provider_id, login_name_key) WHERE user_type = 'Provider Admin';
CREATE INDEX strikes_locked ON strikes (provider_id) WHERE failures >= 3;

-- The same for the operator, who looks across providers.
CREATE INDEX activity_all_strangers ON activity (id) WHERE name_hash IS NOT NULL;
CREATE INDEX activity_all_refusals ON activity (id) WHERE outcome <> 'success';
CREATE INDEX activity_all_changes ON activity (kind, id) WHERE kind NOT IN ('sign_in', 'logout');

-- One-time links by which a person sets a password without having one: the secret's digest, and what it rests on.
CREATE TABLE password_links (
    id TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL UNIQUE,
    provider_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_epoch BIGINT NOT NULL,
    password_version BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id)
);
CREATE INDEX password_links_expires_at ON password_links (expires_at);
