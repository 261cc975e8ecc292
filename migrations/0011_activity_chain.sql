-- The record is sealed: each record has its place in the order of commits, and a hash that rests on all before it. Same
-- dialect as 0001. What is here already is sealed by the service, in small batches, when it runs.

-- Shows that this program wrote the record; what the version before wrote has none.
ALTER TABLE activity ADD COLUMN proof TEXT;

-- Apart from the records, which never change. `seq` has no gaps.
CREATE TABLE activity_seals (
    seq BIGINT PRIMARY KEY CHECK (seq > 0),
    activity_id TEXT NOT NULL UNIQUE,
    sealed_at BIGINT NOT NULL,
    hash TEXT NOT NULL
);

-- One row, which whoever seals holds: the last seal; up to which id everything is sealed but for what was slow to commit;
-- and the last seal that was removed by retention, with the moment before which nothing is kept.
CREATE TABLE activity_chain (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL,
    looked_to TEXT NOT NULL,
    pruned_seq BIGINT NOT NULL,
    pruned_hash TEXT NOT NULL,
    pruned_before BIGINT NOT NULL,
    CHECK (pruned_seq <= seq)
);
INSERT INTO activity_chain (id, seq, hash, looked_to, pruned_seq, pruned_hash, pruned_before) VALUES (1, 0, '', '', 0, '', 0);

-- A reference number leads to its record.
CREATE INDEX activity_reference ON activity (reference);

-- Handoffs that were refused before a trusted signature, apart from the record: few, and not for long.
CREATE TABLE refused_handoffs (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    reference TEXT NOT NULL,
    reason TEXT NOT NULL,
    address TEXT NOT NULL,
    browser TEXT NOT NULL
);
CREATE INDEX refused_handoffs_reference ON refused_handoffs (reference);
