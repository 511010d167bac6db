"""The tables, as the steps by which they came about: step N brings a database of version N to version N + 1.

A step that has been released is never changed; a change of the tables is a new step. `user_version` says how many
steps a database has behind it.
"""

from __future__ import annotations

STEPS = (
    # 0 -> 1: jobs, what they have announced, and how fast they went.
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        number INTEGER NOT NULL,      -- order of arrival
        project TEXT NOT NULL,
        kind TEXT NOT NULL,           -- jobs of one kind go about equally fast
        work REAL NOT NULL,           -- stem-seconds
        body TEXT NOT NULL,           -- SHA-256 of the request
        request BLOB,                 -- JSON; NULL when the job is over
        out TEXT NOT NULL,            -- the job's folder
        first_take INTEGER NOT NULL,  -- number of its first take in that folder
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL,    -- how often it was given to a worker
        cancelling INTEGER NOT NULL,  -- 1: the user has asked to stop it
        final BLOB,                   -- JSON of its last event
        ended REAL                    -- Unix time of its end, in seconds
    ) STRICT;
    CREATE TABLE events (
        job TEXT NOT NULL,
        number INTEGER NOT NULL,
        event BLOB NOT NULL,          -- JSON of a stem event
        PRIMARY KEY (job, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE speeds (
        kind TEXT PRIMARY KEY,
        speed BLOB NOT NULL           -- JSON of engine.eta.Speed
    ) STRICT, WITHOUT ROWID;
    """,
    # 1 -> 2: whose turn it is, and which jobs bring their workers down.
    """
    ALTER TABLE jobs ADD COLUMN client TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN priority TEXT NOT NULL DEFAULT 'interactive';
    ALTER TABLE jobs ADD COLUMN rank REAL NOT NULL DEFAULT 0.0;      -- order among its client's jobs
    ALTER TABLE jobs ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;  -- workers that died of it
    ALTER TABLE jobs ADD COLUMN halts INTEGER NOT NULL DEFAULT 0;    -- engines that died during it
    UPDATE jobs SET rank = number;
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    """,
    # 2 -> 3: finished stages, and the jobs that they were made or used for.
    """
    CREATE TABLE stages (
        key TEXT PRIMARY KEY,         -- hash of the stage's inputs
        digest TEXT NOT NULL,         -- SHA-256 of its result
        size INTEGER NOT NULL,        -- bytes of the result
        value BLOB,                   -- a small result; NULL for one in a file of its own
        used INTEGER NOT NULL         -- counts up: the larger, the later it was used
    ) STRICT;
    CREATE INDEX stages_by_use ON stages (used);
    CREATE INDEX stages_by_digest ON stages (digest);
    CREATE TABLE uses (job TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (job, key)) STRICT, WITHOUT ROWID;
    """,
)
VERSION = len(STEPS)
