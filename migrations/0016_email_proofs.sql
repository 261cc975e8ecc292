-- E-mail addresses that are proven: by a mailed one-time link, or by an admin who checked. Same dialect as 0001.
CREATE TABLE email_links (
    id TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL UNIQUE,
    provider_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    address TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    FOREIGN KEY (user_id, provider_id) REFERENCES users (id, provider_id)
);
CREATE INDEX email_links_expires_at ON email_links (expires_at);
CREATE INDEX email_links_user ON email_links (user_id);

-- Whether an address is verified stands in the claims alone. Beside them: the address that an admin checked, and since when
-- the address stands as it does, where that is known.
ALTER TABLE users ADD COLUMN email_checked TEXT;
ALTER TABLE users ADD COLUMN email_at BIGINT;

-- The address that a link was mailed to: with another address of the user it is void. Absent of one that an operator handed over.
ALTER TABLE password_links ADD COLUMN email TEXT;

-- What a mail is where the first words of 'kind' do not say it, and whose mailbox, as a keyed hash. A program that knows neither
-- sends such a mail all the same.
ALTER TABLE mails ADD COLUMN about TEXT;
ALTER TABLE mails ADD COLUMN recipient TEXT;
CREATE INDEX mails_about ON mails (user_id, created_at) WHERE about IS NOT NULL;
CREATE INDEX mails_recipient ON mails (recipient, created_at) WHERE recipient IS NOT NULL;
