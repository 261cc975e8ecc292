-- What programs created under a key of their own (`Idempotency-Key`), so that a repeat gets the same answer. Same dialect
-- as 0001. The answer is sealed: it may hold a temporary password or a client secret.
CREATE TABLE idempotency_keys (
    client TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    key_hash TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    sealed_answer TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (client, key_hash)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
