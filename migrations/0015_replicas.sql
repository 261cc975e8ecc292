-- The replicas that run, each with a keyed digest of what must be the same at all of them: `doctor` compares. Same dialect
-- as 0001. A row is a sign of life, given again each minute, and goes when it is not.
CREATE TABLE replicas (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    version TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    settings TEXT NOT NULL
);
CREATE INDEX replicas_expires_at ON replicas (expires_at);
