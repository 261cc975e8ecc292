-- Lists that stay quick with ten million records and fifty thousand users in one provider. Same dialect as 0001.

-- Every way along which the record is walked carries what filters ask for, so that a walk reads an index and nothing else.
-- Wider, but one fewer for each sign-in: the last sign-in is found on activity_of_user.
CREATE INDEX activity_of_provider ON activity (provider_id, id, at, kind, outcome, login_type);
CREATE INDEX activity_of_user ON activity (user_id, id, at, kind, outcome, login_type);
DROP INDEX activity_provider;
DROP INDEX activity_user;
DROP INDEX activity_sign_ins;

DROP INDEX activity_strangers;
DROP INDEX activity_refusals;
DROP INDEX activity_changes;
CREATE INDEX activity_strangers ON activity (provider_id, id, at, kind, outcome, login_type) WHERE name_hash IS NOT NULL;
CREATE INDEX activity_refusals ON activity (provider_id, id, at, kind, outcome, login_type) WHERE outcome <> 'success';
CREATE INDEX activity_changes ON activity (provider_id, kind, id, at, outcome, login_type) WHERE kind NOT IN ('sign_in', 'logout');
-- Whom a trusted issuer named, and who is not here. SQLite takes it only where it holds `user_id`, too.
CREATE INDEX activity_named ON activity (provider_id, login_name, id, at, kind, outcome, login_type, user_id)
    WHERE user_id IS NULL AND login_name IS NOT NULL;

DROP INDEX activity_all_strangers;
DROP INDEX activity_all_refusals;
DROP INDEX activity_all_changes;
CREATE INDEX activity_all_strangers ON activity (id, at, kind, outcome, login_type) WHERE name_hash IS NOT NULL;
CREATE INDEX activity_all_refusals ON activity (id, at, kind, outcome, login_type) WHERE outcome <> 'success';
CREATE INDEX activity_all_changes ON activity (kind, id, at, outcome, login_type) WHERE kind NOT IN ('sign_in', 'logout');

-- The same for the users of a provider, in the two orders of their list.
DROP INDEX users_by_name;
DROP INDEX users_by_login_name;
CREATE INDEX users_by_name
    ON users (provider_id, name_key, id, login_name_key, user_type, active, admin_locked, temporary_until);
CREATE INDEX users_by_login_name
    ON users (provider_id, login_name_key, id, name_key, user_type, active, admin_locked, temporary_until);

-- Logouts that apps have not taken: few among those that they have.
CREATE INDEX logout_deliveries_not_taken ON logout_deliveries (client, next_at)
    WHERE state = 'given_up' OR state = 'waiting' AND attempts > 0;
