-- What admins' lists are sorted by, and what confirmations count. Same dialect as 0001.

-- When a user last signed in, as a job reads it from the record (a sign-in writes no user); 0 where it knows of no sign-in.
ALTER TABLE users ADD COLUMN signed_in_at BIGINT NOT NULL DEFAULT 0;
DROP INDEX users_by_name;
DROP INDEX users_by_login_name;
CREATE INDEX users_by_name
    ON users (provider_id, name_key, id, login_name_key, user_type, active, admin_locked, temporary_until, signed_in_at);
CREATE INDEX users_by_login_name
    ON users (provider_id, login_name_key, id, name_key, user_type, active, admin_locked, temporary_until, signed_in_at);
CREATE INDEX users_by_sign_in
    ON users (provider_id, signed_in_at, id, name_key, login_name_key, user_type, active, admin_locked, temporary_until);

-- Sessions of a provider, and those that an issuer opened, for confirmations that say how many end.
CREATE INDEX sessions_provider ON sessions (provider_id, expires_at);
CREATE INDEX sessions_issuer ON sessions (issuer_id, expires_at) WHERE issuer_id IS NOT NULL;
