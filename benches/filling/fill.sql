-- What fills a database for a bench, in sets: rows such as the product writes, computed from their number, so
-- that two fillings of one size are alike but for their dates. For PostgreSQL alone.
CREATE SCHEMA bench;

-- How much there is to be; `ends_at` is the present of these data (Unix ms).
CREATE TABLE bench.size (
    providers BIGINT NOT NULL,
    users BIGINT NOT NULL,
    records BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    password_hash TEXT NOT NULL
);

-- A number from 0 up to 1, by lot: `lot` tells purposes apart.
CREATE FUNCTION bench.chance(n BIGINT, lot BIGINT) RETURNS DOUBLE PRECISION LANGUAGE SQL IMMUTABLE AS
$$ SELECT (hashint8extended(n, lot) & 4294967295) / 4294967296.0::DOUBLE PRECISION $$;

-- So many (at most fifteen) hexadecimal digits, by lot.
CREATE FUNCTION bench.digits(n BIGINT, lot BIGINT, count INT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
$$ SELECT lpad(to_hex(hashint8extended(n, lot) & ((1::BIGINT << 4 * count) - 1)), count, '0') $$;

CREATE FUNCTION bench.pick(words TEXT[], n BIGINT, lot BIGINT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
$$ SELECT words[1 + floor(cardinality(words) * bench.chance(n, lot))::INT] $$;

-- A UUIDv7 of a moment.
CREATE FUNCTION bench.id(at BIGINT, n BIGINT, lot BIGINT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
$$ SELECT (lpad(to_hex(at), 12, '0') || '7' || bench.digits(n, lot, 3) || 'a' || bench.digits(n, lot + 1000, 15))::UUID::TEXT $$;

-- Providers and users came to be in the three years before the year of the record.
CREATE FUNCTION bench.born(n BIGINT, lot BIGINT, ends_at BIGINT) RETURNS BIGINT LANGUAGE SQL IMMUTABLE AS
$$ SELECT ends_at - 31536000000 - floor(94608000000 * bench.chance(n, lot))::BIGINT $$;

CREATE FUNCTION bench.provider_id(p BIGINT, ends_at BIGINT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
$$ SELECT bench.id(bench.born(p, 1, ends_at), p, 1) $$;

CREATE FUNCTION bench.code(p BIGINT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
$$ SELECT bench.pick('{SUNRISE,HARBOR,MAPLE,CEDAR,BRIDGE,LAKEVIEW,HOPE,NORTHSTAR}', p, 2) || '-' || lpad(p::TEXT, 5, '0') $$;

CREATE FUNCTION bench.user_id(u BIGINT, ends_at BIGINT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
$$ SELECT bench.id(bench.born(u, 3, ends_at), u, 3) $$;

CREATE FUNCTION bench.first_name(u BIGINT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
$$ SELECT bench.pick('{Amina,Paul,Carla,Zoe,Noah,Lin,Omar,Ines,Jonas,Mara,Tariq,Ruth,Diego,Sana,Ivan,Keiko,Leila,Hugo,Nadia,Pedro}', u, 4) $$;

CREATE FUNCTION bench.last_name(u BIGINT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
$$ SELECT bench.pick('{Diallo,Okafor,Smith,Nguyen,Garcia,Kowalski,Haddad,Johnson,Petrov,Tanaka,Rossi,Andersen,Mbeki,Khan,Silva,Weber,Brown,Lopez,Novak,Ahmed,Jensen,Costa,Murphy,Sato,Ali}', u, 5) $$;

CREATE FUNCTION bench.login_name(u BIGINT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
$$ SELECT lower(bench.first_name(u) || '.' || bench.last_name(u)) || u::TEXT $$;

-- One provider has a twentieth of all users, ten have a twentieth together, the others at least one each.
CREATE FUNCTION bench.provider_of(u BIGINT, providers BIGINT, users BIGINT) RETURNS BIGINT LANGUAGE SQL IMMUTABLE AS
$$ SELECT CASE
    WHEN u <= users / 20 THEN 1
    WHEN u <= users / 10 THEN 2 + (u - users / 20 - 1) * 10 / (users / 10 - users / 20)
    WHEN u <= users / 10 + providers - 11 THEN 11 + u - users / 10
    ELSE 12 + floor((providers - 11) * power(bench.chance(u, 6), 1.5))::BIGINT END $$;

-- Who does it, of so many users. The largest provider has a fifth of the record.
CREATE FUNCTION bench.user_of(r BIGINT, users BIGINT) RETURNS BIGINT LANGUAGE SQL IMMUTABLE AS
$$ SELECT 1 + CASE WHEN bench.chance(r, 10) < 0.2 THEN floor(users / 20 * power(bench.chance(r, 11), 1.5))::BIGINT
    ELSE floor(users * bench.chance(r, 11))::BIGINT END $$;

-- A moment of the year, which has the rhythm of its days.
CREATE FUNCTION bench.moment(elapsed DOUBLE PRECISION, ends_at BIGINT) RETURNS BIGINT LANGUAGE SQL IMMUTABLE AS
$$ SELECT ends_at - 31536000000 + floor(elapsed - 0.8 * 13750987.083 * sin(elapsed / 13750987.083))::BIGINT $$;

CREATE FUNCTION bench.fill_providers(first BIGINT, last BIGINT) RETURNS VOID LANGUAGE SQL AS $$
    INSERT INTO providers (id, kind, code, code_folded, name, active, unified_login, time_zone, epoch, created_at)
    SELECT bench.provider_id(p, ends_at), 'agency', bench.code(p), lower(bench.code(p)),
        initcap(split_part(bench.code(p), '-', 1)) || bench.pick('{ Homes, Services, House, Community Living}', p, 7) || ' ' || p,
        p % 100 <> 99, CASE WHEN p % 50 = 7 THEN 'requested' WHEN p % 3 = 0 THEN 'off' ELSE 'on' END,
        bench.pick('{America/New_York,America/Chicago,America/Denver,America/Los_Angeles}', p, 8), 1, bench.born(p, 1, ends_at)
    FROM generate_series(first, last) p, bench.size;
    INSERT INTO unified_login_steps (id, provider_id, at, step, actor, note)
    SELECT bench.id(at, p, 9), bench.provider_id(p, ends_at), at, 'requested', 'admin ' || bench.login_name(p), 'Please switch it on.'
    FROM (SELECT p, ends_at, ends_at - floor(7776000000 * bench.chance(p, 9))::BIGINT AS at
        FROM generate_series(first, last) p, bench.size WHERE p % 50 = 7) x;
$$;

CREATE FUNCTION bench.fill_users(first BIGINT, last BIGINT) RETURNS VOID LANGUAGE SQL AS $$
    INSERT INTO users (id, provider_id, provider_kind, login_name, login_name_key, name, user_type, active, admin_locked,
        password_hash, password_version, temporary_until, claims, epoch, created_at, name_key)
    SELECT bench.user_id(u, ends_at), bench.provider_id(bench.provider_of(u, providers, users), ends_at), 'agency',
        bench.login_name(u), bench.login_name(u), bench.first_name(u) || ' ' || bench.last_name(u),
        CASE WHEN u = 1 OR bench.chance(u, 20) < 0.01 THEN 'Provider Admin' ELSE 'Regular User' END,
        u = 1 OR bench.chance(u, 21) < 0.95, u <> 1 AND bench.chance(u, 22) < 0.0002, password_hash, 1,
        CASE WHEN u % 50 = 0 THEN ends_at + 604800000 END,
        CASE WHEN u % 2 = 0 THEN '{"email":"' || bench.login_name(u) || '@example.org"}' ELSE '{}' END, 1,
        bench.born(u, 3, ends_at), lower(bench.first_name(u) || ' ' || bench.last_name(u))
    FROM generate_series(first, last) u, bench.size;
    INSERT INTO strikes (account, user_id, provider_id, failures)
    SELECT bench.user_id(u, ends_at), bench.user_id(u, ends_at), bench.provider_id(bench.provider_of(u, providers, users), ends_at),
        CASE WHEN u <> 1 AND bench.chance(u, 23) < 0.002 THEN 3 WHEN bench.chance(u, 24) < 0.02 THEN 1 ELSE 0 END
    FROM generate_series(first, last) u, bench.size;
$$;

CREATE FUNCTION bench.fill_activity(first BIGINT, last BIGINT) RETURNS VOID LANGUAGE SQL AS $$
    INSERT INTO activity (id, at, provider_id, provider_code, user_id, login_name, name_hash, actor, kind, login_type, note,
        outcome, reason, address, browser, reference, session_id, handoff_id)
    SELECT bench.id(at, r, 30), at, bench.provider_id(p, ends_at), bench.code(p),
        CASE WHEN known THEN bench.user_id(u, ends_at) END,
        CASE WHEN known THEN bench.login_name(u) WHEN NOT stranger THEN 'nobody' || u END,
        CASE WHEN stranger THEN translate(encode(sha256(u::TEXT::BYTEA), 'base64'), '+/=', '-_') END,
        CASE WHEN stranger THEN 'stranger' WHEN kind IN ('account_unlocked', 'user_changed', 'password_reset', 'user_created')
            THEN 'admin ' || bench.login_name(1) WHEN kind = 'account_locked' THEN 'system' ELSE 'user' END,
        kind,
        CASE WHEN kind <> 'sign_in' THEN NULL WHEN unified THEN 'Unified Login' ELSE 'Direct Login' END,
        CASE WHEN kind = 'sign_in' AND unified THEN 'Login initiated from Therap Services' WHEN kind = 'user_changed' THEN 'name'
            WHEN kind = 'consent_given' THEN 'Reports: openid profile' END,
        CASE WHEN kind <> 'sign_in' OR k < 0.600 THEN 'success' WHEN k BETWEEN 0.655 AND 0.660 THEN 'unfinished' ELSE 'refused' END,
        CASE WHEN kind = 'account_locked' THEN 'three_wrong_passwords' WHEN kind <> 'sign_in' OR k < 0.600 THEN NULL
            WHEN k < 0.640 THEN 'wrong_password' WHEN k < 0.650 THEN 'unknown_user' WHEN k < 0.655 THEN 'unknown_user'
            ELSE 'temporary_password' END,
        '203.0.' || r % 113 || '.' || r % 251,
        bench.pick('{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}', r, 31),
        upper(bench.digits(r, 34, 4) || '-' || bench.digits(r, 35, 4)),
        CASE WHEN (kind = 'sign_in' AND k < 0.600) OR kind = 'logout' THEN bench.id(at, r, 32) END,
        CASE WHEN kind = 'sign_in' AND unified THEN bench.id(at, r, 33) END
    -- Each step is fenced off by its OFFSET, or the planner would write everything out into everything.
    FROM (
        SELECT z.*, k NOT BETWEEN 0.640 AND 0.655 AS known, k BETWEEN 0.640 AND 0.650 AS stranger,
            k NOT BETWEEN 0.600 AND 0.650 AND p % 3 <> 0 AND (bench.chance(r, 13) < 0.55 OR k BETWEEN 0.650 AND 0.655) AS unified,
            CASE WHEN k < 0.660 THEN 'sign_in' WHEN k < 0.940 THEN 'logout' WHEN k < 0.955 THEN 'session_ended'
                WHEN k < 0.965 THEN 'consent_given' WHEN k < 0.975 THEN 'password_changed' WHEN k < 0.980 THEN 'password_updated'
                WHEN k < 0.985 THEN 'account_locked' WHEN k < 0.990 THEN 'account_unlocked' WHEN k < 0.995 THEN 'user_changed'
                WHEN k < 0.998 THEN 'password_reset' ELSE 'user_created' END AS kind
        FROM (
            SELECT y.*, bench.provider_of(u, providers, users) AS p
            FROM (
                -- Every fiftieth user never signs in.
                SELECT w.*, w.any_user - (w.any_user % 50 = 0)::INT AS u
                FROM (
                    SELECT r, bench.user_of(r, users) AS any_user, bench.chance(r, 12) AS k,
                        bench.moment(31536000000.0::DOUBLE PRECISION * r / records, ends_at) AS at, providers, users, ends_at
                    FROM generate_series(first, last) r, bench.size OFFSET 0
                ) w OFFSET 0
            ) y OFFSET 0
        ) z OFFSET 0
    ) x;
$$;

-- Apps, and logouts that some of them did not take.
CREATE FUNCTION bench.fill_clients(first BIGINT, last BIGINT) RETURNS VOID LANGUAGE SQL AS $$
    INSERT INTO clients (id, client_id, metadata, enabled, epoch, revision, created_at)
    SELECT bench.id(ends_at - c, c, 40), 'app-' || c, '{"client_name":"App ' || c || '"}', TRUE, 1, 1, ends_at - c
    FROM generate_series(first, last) c, bench.size;
    INSERT INTO logout_deliveries (client, sid, user_id, state, attempts, next_at, created_at, settled_at, last_error)
    SELECT bench.id(ends_at - c, c, 40), bench.id(ends_at - d, c * 10000 + d, 41), bench.user_id(d, ends_at),
        CASE d % 100 WHEN 0 THEN 'waiting' WHEN 1 THEN 'given_up' ELSE 'delivered' END, 3, ends_at - d, ends_at - 60000 - d,
        CASE d % 100 WHEN 0 THEN NULL ELSE ends_at - d END, CASE WHEN d % 100 < 2 THEN 'the app answered 503' END
    FROM generate_series(first, last) c, generate_series(1, 2000) d, bench.size;
$$;

CREATE FUNCTION bench.fill_issuers(first BIGINT, last BIGINT) RETURNS VOID LANGUAGE SQL AS $$
    INSERT INTO issuers (id, issuer, display_name, origins, jwks, acr, enabled, epoch, revision, created_at)
    SELECT bench.id(ends_at - i, i, 50), 'https://sender' || i || '.example.net', 'Sender ' || i,
        '["https://sender' || i || '.example.net"]', '{"keys":[]}', '{}', TRUE, 1, 1, ends_at - i
    FROM generate_series(first, last) i, bench.size;
$$;

-- Who looks at all of it.
CREATE FUNCTION bench.fill_operators(first BIGINT, last BIGINT) RETURNS VOID LANGUAGE SQL AS $$
    INSERT INTO users (id, provider_id, provider_kind, login_name, login_name_key, name, user_type, active, admin_locked,
        password_hash, password_version, claims, epoch, created_at, name_key)
    SELECT bench.id(ends_at - o, o, 60), p.id, p.kind, 'operator' || o, 'operator' || o, 'Operator ' || o, 'Therap Admin', TRUE, FALSE,
        password_hash, 1, '{}', 1, ends_at - o, 'operator ' || o
    FROM generate_series(first, last) o, bench.size, providers p WHERE p.kind = 'operator';
    INSERT INTO strikes (account, user_id, provider_id, failures)
    SELECT u.id, u.id, u.provider_id, 0 FROM users u WHERE u.user_type = 'Therap Admin';
$$;

-- Live sessions, each with a family of refresh tokens of one of the apps and an access token.
CREATE FUNCTION bench.hash(n BIGINT, what TEXT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS
$$ SELECT translate(encode(sha256((what || n)::BYTEA), 'base64'), '+/=', '-_') $$;

CREATE FUNCTION bench.fill_sessions(first BIGINT, last BIGINT) RETURNS VOID LANGUAGE SQL AS $$
    INSERT INTO sessions (id, sid, secret_hash, provider_id, user_id, user_epoch, provider_epoch, method, acr, amr, auth_time,
        created_at, used_at, idle_until, expires_at, address, browser)
    SELECT bench.id(ends_at - s, s, 70), bench.id(ends_at - s, s, 71), bench.hash(s, 'session '),
        bench.provider_id(bench.provider_of(u, providers, users), ends_at), bench.user_id(u, ends_at), 1, 1, 'password',
        'urn:therap-connect:acr:password', '["pwd"]', ends_at - s, ends_at - s, ends_at - s, ends_at + 86400000, ends_at + 86400000,
        '203.0.' || s % 113 || '.' || s % 251, 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
    FROM (SELECT s, 1 + s % users AS u, providers, users, ends_at FROM generate_series(first, last) s, bench.size OFFSET 0) x;
    INSERT INTO families (id, client, client_epoch, provider_id, user_id, user_epoch, provider_epoch, sid, offline, scope, resources,
        acr, amr, auth_time, generation, refresh_hash, created_at, expires_at)
    SELECT bench.id(ends_at - s, s, 72), bench.id(ends_at - c, c, 40), 1,
        bench.provider_id(bench.provider_of(u, providers, users), ends_at), bench.user_id(u, ends_at), 1, 1,
        bench.id(ends_at - s, s, 71), FALSE, 'openid profile email', '', 'urn:therap-connect:acr:password', '["pwd"]', ends_at - s, 1,
        bench.hash(s, 'refresh '), ends_at - s, ends_at + 86400000
    FROM (SELECT s, 1 + s % 100 AS c, 1 + s % users AS u, providers, users, ends_at
        FROM generate_series(first, last) s, bench.size OFFSET 0) x;
    INSERT INTO access_tokens (hash, family_id, client, client_epoch, scope, audience, created_at, expires_at)
    SELECT bench.hash(s, 'access '), bench.id(ends_at - s, s, 72), bench.id(ends_at - 1 - s % 100, 1 + s % 100, 40), 1,
        'openid profile email', '', ends_at - s, ends_at + 86400000
    FROM generate_series(first, last) s, bench.size;
$$;
