-- What a directory such as Entra ID or Okta says of a user over SCIM, and no column of `users` holds. Same dialect as 0001.
-- It stands apart: who was never changed by a directory has no row.

CREATE TABLE provisioned_users (
    user_id TEXT PRIMARY KEY,
    provider_id TEXT NOT NULL,
    -- How the directory writes what we keep once: which e-mail address is meant, and the like; one JSON object.
    written TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    -- Since when the user is not there for directories. The account stays, deactivated, and so does the record.
    deleted_at BIGINT,
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id)
);
CREATE INDEX provisioned_users_deleted ON provisioned_users (provider_id) WHERE deleted_at IS NOT NULL;

-- The users of a provider in the order in which they came: pages by number, to which new users are added at the end.
CREATE INDEX users_by_age ON users (provider_id, id);
