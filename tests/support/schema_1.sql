-- The guard store, version 1. Times are Unix milliseconds (UTC).
--
-- Other programs may write here. A reservation is active while ended_at is NULL and expires_at lies ahead; to end
-- one, set ended_at, ended_by and "end". Leave prefix NULL unless you compute it as guard/pattern.py does: such a
-- row is looked at always. The triggers count every change of a project's reservations in its generation.

CREATE TABLE project (
    name TEXT PRIMARY KEY,
    generation INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE reservation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    holder TEXT NOT NULL CHECK (holder <> ''),
    pattern NOT NULL CHECK (typeof(pattern) IN ('text', 'blob')),  -- a blob only when it is not UTF-8
    typed NOT NULL DEFAULT '' CHECK (typeof(typed) IN ('text', 'blob')),
    prefix BLOB,                                                    -- literal leading directories, in lower case
    exclusive INTEGER NOT NULL DEFAULT 1 CHECK (exclusive IN (0, 1)),
    reason TEXT NOT NULL DEFAULT '',
    principal TEXT NOT NULL DEFAULT '',                             -- account@host the row was made from
    created_at INTEGER NOT NULL CHECK (typeof(created_at) = 'integer'),
    expires_at INTEGER NOT NULL CHECK (typeof(expires_at) = 'integer'),
    ended_at INTEGER CHECK (ended_at IS NULL OR typeof(ended_at) = 'integer'),
    ended_by TEXT,
    "end" TEXT CHECK ("end" IN ('released', 'expired', 'broken')),
    told INTEGER NOT NULL DEFAULT 1                                 -- 0: its holder has yet to hear how it ended
);

CREATE INDEX reservation_by_prefix ON reservation (project, prefix) WHERE ended_at IS NULL;
CREATE INDEX reservation_by_expiry ON reservation (project, expires_at) WHERE ended_at IS NULL;
CREATE INDEX reservation_by_holder ON reservation (project, holder) WHERE ended_at IS NULL;
CREATE INDEX reservation_ended ON reservation (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX reservation_untold ON reservation (project, holder) WHERE told = 0;

CREATE TRIGGER reservation_made AFTER INSERT ON reservation BEGIN
    INSERT INTO project (name, generation) VALUES (NEW.project, 1)
    ON CONFLICT (name) DO UPDATE SET generation = generation + 1;
END;

CREATE TRIGGER reservation_changed AFTER UPDATE OF
    project, holder, pattern, exclusive, reason, expires_at, ended_at, ended_by, "end" ON reservation BEGIN
    INSERT INTO project (name, generation) VALUES (NEW.project, 1)
    ON CONFLICT (name) DO UPDATE SET generation = generation + 1;
    UPDATE project SET generation = generation + 1 WHERE name = OLD.project AND OLD.project <> NEW.project;
END;

-- Dropping what ended long ago changes nothing anybody can see; dropping an active one does.
CREATE TRIGGER reservation_dropped AFTER DELETE ON reservation WHEN OLD.ended_at IS NULL BEGIN
    UPDATE project SET generation = generation + 1 WHERE name = OLD.project;
END;

CREATE TABLE log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    project TEXT NOT NULL,
    generation INTEGER NOT NULL,          -- of the project, after what is told here
    event TEXT NOT NULL,                  -- reserved renewed released expired broken refused warned bypassed
    holder TEXT NOT NULL,                 -- who did it
    principal TEXT NOT NULL,
    reservation INTEGER,
    whose TEXT,                           -- whose reservation it was
    pattern,
    reason TEXT NOT NULL DEFAULT ''
);

CREATE INDEX log_by_project ON log (project, id);
CREATE INDEX log_by_time ON log (at);

-- Who waits for what, in the order they came: a later waiter does not overtake an earlier one.
CREATE TABLE waiter (
    ticket INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    holder TEXT NOT NULL,
    principal TEXT NOT NULL,
    process INTEGER NOT NULL,             -- its id on that host
    until INTEGER NOT NULL                -- gives up then
);

CREATE TABLE waiter_pattern (
    ticket INTEGER NOT NULL REFERENCES waiter (ticket) ON DELETE CASCADE,
    pattern NOT NULL,
    exclusive INTEGER NOT NULL
);

-- Directories in which a union of this store is published, so that writers can renew what they make stale.
CREATE TABLE publication (
    directory TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    since INTEGER NOT NULL
) WITHOUT ROWID;
