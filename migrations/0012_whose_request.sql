-- For whom an app's request waits: who was signed in when it began, if anybody was.
ALTER TABLE interactions ADD COLUMN user_id TEXT;
