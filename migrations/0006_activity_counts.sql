-- Sign-ins counted by day, out of the index alone: of a provider, and of all. Same dialect as 0001.

-- The kind stands in them too, because SQLite else looks it up row by row.
CREATE INDEX activity_counts ON activity (provider_id, at, login_type, outcome, kind) WHERE kind = 'sign_in';
CREATE INDEX activity_all_counts ON activity (at, login_type, outcome, kind) WHERE kind = 'sign_in';
