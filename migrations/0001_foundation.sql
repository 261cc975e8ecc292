-- The foundation: who there is, what they may, and what was done. One text for SQLite and PostgreSQL:
-- TEXT, BIGINT (instants in Unix milliseconds), BOOLEAN; ids are UUIDv7 text; hashes are base64url text.
-- Composite keys carry the provider along, so that no row can point at another agency's user.

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE providers (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('agency', 'operator')),
    code TEXT NOT NULL UNIQUE,
    code_folded TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    active BOOLEAN NOT NULL,
    unified_login TEXT NOT NULL CHECK (unified_login IN ('off', 'requested', 'on')),
    time_zone TEXT NOT NULL,
    contact TEXT,
    idle_minutes BIGINT CHECK (idle_minutes > 0),
    absolute_hours BIGINT CHECK (absolute_hours > 0),
    epoch BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (id, kind),
    CHECK (kind = 'agency' OR (unified_login = 'off' AND active))
);
CREATE UNIQUE INDEX providers_one_operator ON providers (kind) WHERE kind = 'operator';

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    provider_id TEXT NOT NULL,
    provider_kind TEXT NOT NULL,
    login_name TEXT NOT NULL,
    login_name_key TEXT NOT NULL,
    name TEXT NOT NULL,
    user_type TEXT NOT NULL CHECK (user_type IN ('Regular User', 'Provider Admin', 'Therap Admin')),
    active BOOLEAN NOT NULL,
    admin_locked BOOLEAN NOT NULL,
    password_hash TEXT NOT NULL,
    password_version BIGINT NOT NULL,
    temporary_until BIGINT,
    claims TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (provider_id, login_name_key),
    UNIQUE (id, provider_id),
    FOREIGN KEY (provider_id, provider_kind) REFERENCES providers (id, kind),
    CHECK ((user_type = 'Therap Admin') = (provider_kind = 'operator'))
);

-- One row for each user from birth, and one for each name that is nobody's while somebody guesses at it.
CREATE TABLE strikes (
    account TEXT PRIMARY KEY,
    user_id TEXT UNIQUE,
    provider_id TEXT,
    failures BIGINT NOT NULL CHECK (failures BETWEEN 0 AND 3),
    lapses_at BIGINT,
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id),
    CHECK ((user_id IS NULL) = (lapses_at IS NOT NULL)),
    CHECK ((user_id IS NULL) = (provider_id IS NULL))
);
CREATE INDEX strikes_lapse ON strikes (lapses_at) WHERE lapses_at IS NOT NULL;

CREATE TABLE strike_slots (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES strikes (account) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX strike_slots_account ON strike_slots (account);

CREATE TABLE single_use (
    purpose TEXT NOT NULL,
    issuer TEXT NOT NULL,
    hash TEXT NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (purpose, issuer, hash)
);
CREATE INDEX single_use_used_at ON single_use (used_at);

CREATE TABLE issuers (
    id TEXT PRIMARY KEY,
    issuer TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    origins TEXT NOT NULL,
    jwks TEXT,
    jwks_uri TEXT,
    last_good_jwks TEXT,
    client_id TEXT,
    acr TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    epoch BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    CHECK ((jwks IS NULL) <> (jwks_uri IS NULL))
);

CREATE TABLE handoff_ties (
    issuer_id TEXT NOT NULL REFERENCES issuers (id),
    provider_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    sub TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer_id, provider_id, sub),
    UNIQUE (issuer_id, provider_id, user_id),
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id)
);
CREATE INDEX handoff_ties_user ON handoff_ties (user_id);

CREATE TABLE handoffs (
    id TEXT PRIMARY KEY,
    handle_hash TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('pending', 'completed', 'failed')),
    issuer_id TEXT NOT NULL REFERENCES issuers (id),
    jti_hash TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_epoch BIGINT NOT NULL,
    provider_epoch BIGINT NOT NULL,
    issuer_epoch BIGINT NOT NULL,
    sub TEXT NOT NULL,
    deadline BIGINT NOT NULL,
    auth_time BIGINT NOT NULL,
    acr TEXT NOT NULL,
    amr TEXT,
    target TEXT,
    address TEXT NOT NULL,
    browser TEXT NOT NULL,
    reference TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (issuer_id, jti_hash),
    UNIQUE (id, provider_id, user_id),
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id)
);
CREATE INDEX handoffs_pending ON handoffs (deadline) WHERE state = 'pending';
CREATE INDEX handoffs_created_at ON handoffs (created_at);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    sid TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    provider_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_epoch BIGINT NOT NULL,
    provider_epoch BIGINT NOT NULL,
    issuer_id TEXT REFERENCES issuers (id),
    issuer_epoch BIGINT,
    handoff_id TEXT UNIQUE,
    method TEXT NOT NULL CHECK (method IN ('password', 'handoff')),
    acr TEXT NOT NULL,
    amr TEXT,
    auth_time BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT,
    idle_until BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    end_reason TEXT,
    address TEXT NOT NULL,
    browser TEXT NOT NULL,
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id),
    CHECK ((method = 'handoff') = (handoff_id IS NOT NULL)),
    CHECK ((method = 'handoff') = (issuer_id IS NOT NULL)),
    CHECK ((issuer_id IS NULL) = (issuer_epoch IS NULL)),
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX sessions_user ON sessions (user_id, created_at);
CREATE INDEX sessions_expires_at ON sessions (expires_at);
CREATE INDEX sessions_unused ON sessions (created_at) WHERE method = 'handoff' AND used_at IS NULL AND ended_at IS NULL;

CREATE TABLE pre_auths (
    id TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL UNIQUE,
    provider_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_epoch BIGINT NOT NULL,
    provider_epoch BIGINT NOT NULL,
    password_version BIGINT NOT NULL,
    auth_time BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id)
);
CREATE INDEX pre_auths_expires_at ON pre_auths (expires_at);

-- The lasting record. The application inserts and reads; it never changes or removes a row.
CREATE TABLE activity (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    provider_id TEXT REFERENCES providers (id),
    provider_code TEXT,
    user_id TEXT,
    login_name TEXT,
    name_hash TEXT,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    login_type TEXT CHECK (login_type IN ('Direct Login', 'Unified Login')),
    note TEXT,
    outcome TEXT NOT NULL CHECK (outcome IN ('success', 'refused', 'unfinished')),
    reason TEXT,
    address TEXT,
    browser TEXT,
    reference TEXT NOT NULL,
    session_id TEXT,
    handoff_id TEXT,
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id),
    CHECK (kind <> 'sign_in' OR login_type IS NOT NULL),
    CHECK (note IS NULL OR note <> 'Login initiated from Therap Services' OR login_type = 'Unified Login')
);
CREATE INDEX activity_provider ON activity (provider_id, id);
CREATE INDEX activity_user ON activity (user_id, id);
CREATE INDEX activity_handoff ON activity (handoff_id) WHERE handoff_id IS NOT NULL;
CREATE UNIQUE INDEX activity_one_success_a_session ON activity (session_id) WHERE kind = 'sign_in' AND outcome = 'success';
