-- When an app's request was answered: whoever comes back to it in the browser's history is told so.
ALTER TABLE interactions ADD COLUMN answered_at BIGINT;
