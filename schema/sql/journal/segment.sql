-- One journal segment (流水): a file of its own, written by one process, read by many, never changed once closed.
-- Every row of inputs and events carries the running BLAKE3 hash over all rows before it.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE inputs (
    seq         INTEGER PRIMARY KEY NOT NULL,
    at          INTEGER NOT NULL,            -- microseconds since 1970 UTC
    lost_before INTEGER NOT NULL,            -- entries that a full spool had to drop just before this one
    json        TEXT NOT NULL,
    chain       BLOB NOT NULL
);

CREATE TABLE events (
    seq       INTEGER PRIMARY KEY NOT NULL,  -- over all segments
    input_seq INTEGER NOT NULL,
    id        TEXT NOT NULL,
    call      TEXT,
    callseq   INTEGER NOT NULL,
    json      TEXT NOT NULL,
    chain     BLOB NOT NULL
);

CREATE TABLE snapshots (
    seq       INTEGER PRIMARY KEY NOT NULL,  -- the state after this input
    event_seq INTEGER NOT NULL,              -- and its last event
    chain     BLOB NOT NULL,                 -- the link there: reading goes on from here
    at        INTEGER NOT NULL,
    build     TEXT NOT NULL,
    json      TEXT NOT NULL,
    hash      BLOB NOT NULL                  -- over this row
);
