-- The third door: the OpenID Provider. Signing keys, clients, and what clients were given. Same dialect as 0001.

-- A key's state is read off its dates and those of its algorithm's other keys (model::signing_key): announced until
-- signs_from, signing while it is the newest that may, verifying until verifies_until, which is open while it has no
-- successor, retired from then on, or from retired_at, when somebody took it back. Of no use, a private half is emptied.
CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    alg TEXT NOT NULL CHECK (alg IN ('RS256', 'PS256', 'ES256', 'EdDSA')),
    generation BIGINT NOT NULL CHECK (generation > 0),
    public_jwk TEXT NOT NULL,
    sealed_jwk TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    signs_from BIGINT NOT NULL,
    verifies_until BIGINT,
    retired_at BIGINT,
    UNIQUE (alg, generation)
);

CREATE TABLE clients (
    id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL UNIQUE,
    metadata TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    epoch BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE client_secrets (
    id TEXT PRIMARY KEY,
    client TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX client_secrets_client ON client_secrets (client);

CREATE TABLE consents (
    user_id TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    client TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    scope TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client),
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id)
);
CREATE INDEX consents_client ON consents (client);

-- An authorization request that waits for a person: a sign-in, an update, a consent. Bound to the browser that first
-- comes with it.
CREATE TABLE interactions (
    id TEXT PRIMARY KEY,
    handle_hash TEXT NOT NULL UNIQUE,
    browser_hash TEXT,
    client TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    request TEXT NOT NULL,
    consented_by TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX interactions_client ON interactions (client);
CREATE INDEX interactions_expires_at ON interactions (expires_at);

-- Everything that came of one authorization: at most one live refresh token, and the access tokens born of it. The
-- epochs are those it was born under (G9); without `offline` it lives no longer than its session's `sid`.
CREATE TABLE families (
    id TEXT PRIMARY KEY,
    client TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    client_epoch BIGINT NOT NULL,
    provider_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_epoch BIGINT NOT NULL,
    provider_epoch BIGINT NOT NULL,
    issuer_id TEXT REFERENCES issuers (id),
    issuer_epoch BIGINT,
    sid TEXT NOT NULL,
    offline BOOLEAN NOT NULL,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    claims TEXT,
    acr TEXT NOT NULL,
    amr TEXT,
    auth_time BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    refresh_hash TEXT,
    previous_hash TEXT,
    rotated_at BIGINT,
    sealed_answer TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoke_reason TEXT,
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id),
    CHECK ((issuer_id IS NULL) = (issuer_epoch IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoke_reason IS NULL))
);
CREATE INDEX families_client ON families (client);
CREATE INDEX families_user ON families (user_id, id);
CREATE INDEX families_provider ON families (provider_id, id);
CREATE INDEX families_issuer ON families (issuer_id, id) WHERE issuer_id IS NOT NULL;
CREATE INDEX families_sid ON families (sid, id);
CREATE INDEX families_expires_at ON families (expires_at);
CREATE INDEX families_answers ON families (rotated_at) WHERE sealed_answer IS NOT NULL;

-- A code names the family that its redemption will make, so that a second redemption finds what to revoke.
CREATE TABLE codes (
    hash TEXT PRIMARY KEY,
    family_id TEXT NOT NULL UNIQUE,
    client TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    client_epoch BIGINT NOT NULL,
    provider_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_epoch BIGINT NOT NULL,
    provider_epoch BIGINT NOT NULL,
    issuer_id TEXT REFERENCES issuers (id),
    issuer_epoch BIGINT,
    sid TEXT NOT NULL,
    session_expires_at BIGINT NOT NULL,
    redirect_uri TEXT NOT NULL,
    code_challenge TEXT,
    nonce TEXT,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    claims TEXT,
    acr TEXT NOT NULL,
    amr TEXT,
    auth_time BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    redeemed_at BIGINT,
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id),
    CHECK ((issuer_id IS NULL) = (issuer_epoch IS NULL))
);
CREATE INDEX codes_client ON codes (client);
CREATE INDEX codes_expires_at ON codes (expires_at);

-- `hash` is of the opaque token, or of a JWT's `jti`. Without a family it is the client's own (client_credentials).
CREATE TABLE access_tokens (
    hash TEXT PRIMARY KEY,
    family_id TEXT REFERENCES families (id) ON DELETE CASCADE,
    client TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    client_epoch BIGINT NOT NULL,
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX access_tokens_family ON access_tokens (family_id) WHERE family_id IS NOT NULL;
CREATE INDEX access_tokens_client ON access_tokens (client);
CREATE INDEX access_tokens_expires_at ON access_tokens (expires_at);

-- The outbox of logouts (R4). Whatever ends something leaves one note in its transaction, however much it ends; a job
-- turns notes into deliveries, one for each client that was signed in under a `sid`. `cursor` is how far it has come,
-- `passes` how often it has yet to go through, `due_at` when.
CREATE TABLE logout_notes (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('session', 'user', 'provider', 'issuer')),
    subject TEXT NOT NULL,
    cursor TEXT NOT NULL,
    passes BIGINT NOT NULL CHECK (passes > 0),
    due_at BIGINT NOT NULL
);
CREATE INDEX logout_notes_due_at ON logout_notes (due_at);

CREATE TABLE logout_deliveries (
    client TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    sid TEXT NOT NULL,
    user_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'given_up')),
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    settled_at BIGINT,
    last_error TEXT,
    PRIMARY KEY (client, sid),
    CHECK ((state = 'waiting') = (settled_at IS NULL))
);
CREATE INDEX logout_deliveries_waiting ON logout_deliveries (next_at) WHERE state = 'waiting';
CREATE INDEX logout_deliveries_of_client ON logout_deliveries (client, next_at) WHERE state = 'waiting';
CREATE INDEX logout_deliveries_settled ON logout_deliveries (settled_at) WHERE settled_at IS NOT NULL;

CREATE INDEX sessions_sid ON sessions (sid);
