-- Imports of users as stored jobs: who began them can open their reports again for a day. Same dialect as 0001. What the
-- file said and what came of each row is sealed, for it names people and holds temporary passwords.
CREATE TABLE imports (
    id TEXT PRIMARY KEY,
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    rows_total BIGINT NOT NULL,
    rows_done BIGINT NOT NULL,
    sealed_plan TEXT NOT NULL,
    alive_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX imports_running ON imports (owner, provider_id) WHERE state = 'running';
CREATE INDEX imports_owner ON imports (owner, provider_id, created_at);
CREATE INDEX imports_expires_at ON imports (expires_at);
CREATE TABLE import_rows (
    import_id TEXT NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    sealed_result TEXT NOT NULL,
    PRIMARY KEY (import_id, place)
);
