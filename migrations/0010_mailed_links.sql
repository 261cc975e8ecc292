-- A link that was mailed on somebody's own request works only while the provider allows it. Same dialect as 0001.
ALTER TABLE password_links ADD COLUMN mailed BOOLEAN NOT NULL DEFAULT FALSE;
