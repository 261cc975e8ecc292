-- Whether a provider's users may set a forgotten password by a mailed link. Allowed, as it was before anybody could choose.
ALTER TABLE providers ADD COLUMN reset_by_mail BOOLEAN NOT NULL DEFAULT TRUE;
