-- What an import made, by user: a temporary password is shown only while it is still that user's. And the preview that
-- began an import: sent twice, it begins one. Rows of older programs have neither.
ALTER TABLE imports ADD COLUMN attempt TEXT;
CREATE UNIQUE INDEX imports_attempt ON imports (owner, provider_id, attempt);
ALTER TABLE import_rows ADD COLUMN user_id TEXT;
