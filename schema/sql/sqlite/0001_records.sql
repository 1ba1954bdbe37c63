-- Copies made from the journal: they can be made again by folding it from the start.
-- Times are microseconds since 1970 UTC. Same tables and names as schema/sql/postgres.
CREATE TABLE call_records (
    call_id        TEXT PRIMARY KEY NOT NULL,
    rev            BIGINT NOT NULL,
    received_at    BIGINT NOT NULL,
    caller_e164    TEXT,
    caller_display TEXT,
    outcome        TEXT,
    seat           TEXT,
    json           TEXT NOT NULL               -- ecr/1
);
CREATE INDEX call_records_by_time ON call_records (received_at);
CREATE INDEX call_records_by_caller ON call_records (caller_e164, received_at);

CREATE TABLE cursors (
    name TEXT PRIMARY KEY NOT NULL,            -- reader and journal
    seq  BIGINT NOT NULL                       -- last event taken in
);

CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    destination  TEXT NOT NULL,
    call_id      TEXT NOT NULL,
    sequence     BIGINT NOT NULL,              -- gapless per destination and call, from 1
    event_id     TEXT NOT NULL,                -- the same on a repeat
    type         TEXT NOT NULL,
    body         TEXT NOT NULL,                -- exactly the bytes that are signed and sent
    state        TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts     BIGINT NOT NULL,
    next_at      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    delivered_at BIGINT,
    last_error   TEXT,
    UNIQUE (destination, event_id),
    UNIQUE (destination, call_id, sequence)
);
CREATE INDEX outbox_pending ON outbox (destination, call_id, id) WHERE state = 'pending';
CREATE INDEX outbox_by_call ON outbox (call_id, id);
CREATE INDEX outbox_delivered ON outbox (delivered_at) WHERE state = 'delivered';

CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL
);
