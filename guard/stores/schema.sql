-- The guard store, as version 3 makes it. Times are Unix milliseconds (UTC).
--
-- Versions: PRAGMA user_version says since which version guard can read and write the file ("readable since"); the
-- table `version` says which version has written it. A change that only adds something leaves user_version alone, so
-- that an older guard goes on working. guard/stores/sqlite_tables.py brings an older file up to date.
--
-- Other programs may write here. A reservation is active while ended_at is NULL and expires_at lies ahead. To end
-- one, set ended_at, ended_by and "end". Leave prefix and prefix_checked alone: guard computes them, and until then it
-- looks at the row always. The triggers count every change of a project's reservations in its generation.

CREATE TABLE version (
    written_by INTEGER NOT NULL
);

CREATE TABLE project (
    name TEXT PRIMARY KEY,
    generation INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- The commits without parents of a project's repositories, by which two projects with one history are found.
CREATE TABLE root (
    oid TEXT NOT NULL,
    project TEXT NOT NULL,
    PRIMARY KEY (oid, project)
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
    told INTEGER NOT NULL DEFAULT 1,                                -- 0: its holder has yet to hear how it ended
    end_reason TEXT NOT NULL DEFAULT '',                            -- why somebody else ended it
    prefix_checked INTEGER NOT NULL DEFAULT 0                       -- 1: guard itself computed the prefix
);

CREATE INDEX reservation_by_prefix ON reservation (project, prefix) WHERE ended_at IS NULL;
CREATE INDEX reservation_by_expiry ON reservation (project, expires_at) WHERE ended_at IS NULL;
CREATE INDEX reservation_of_holder ON reservation (project, holder, pattern) WHERE ended_at IS NULL;
-- ended_at stands in the next two so that SQLite answers from the index alone.
CREATE INDEX reservation_by_pattern ON reservation (project, pattern, holder, exclusive, ended_at)
    WHERE ended_at IS NULL;
CREATE INDEX reservation_by_end ON reservation (project, holder, expires_at, ended_at) WHERE ended_at IS NULL;
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

-- A prefix that guard has not computed may be wrong, and a wrong one would hide the row. Without one it is looked at
-- always. guard says that it has computed one by setting prefix_checked to 1 in the same statement.
CREATE TRIGGER prefix_made AFTER INSERT ON reservation
WHEN NEW.prefix IS NOT NULL AND NEW.prefix_checked <> 1 BEGIN
    UPDATE reservation SET prefix = NULL WHERE id = NEW.id;
END;

CREATE TRIGGER prefix_changed AFTER UPDATE OF pattern, prefix ON reservation
WHEN NEW.prefix IS NOT NULL AND NOT (OLD.prefix_checked = 0 AND NEW.prefix_checked = 1) BEGIN
    UPDATE reservation SET prefix = NULL, prefix_checked = 0 WHERE id = NEW.id;
END;

-- Which patterns were reserved or ended, in the order in which that happened: whoever knows what was reserved at some
-- number learns from the later ones what to look at again. A renewal is none of them. Each change has a random name, so
-- that no number of another history of this file (a backup was restored) is taken for one of this. The last 4096 stay.
CREATE TABLE change (
    number INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    pattern NOT NULL,
    name BLOB NOT NULL
);

CREATE TRIGGER change_counted AFTER INSERT ON change BEGIN
    DELETE FROM change WHERE number <= NEW.number - 4096;
END;

CREATE TRIGGER pattern_reserved AFTER INSERT ON reservation WHEN NEW.ended_at IS NULL BEGIN
    INSERT INTO change (project, pattern, name) VALUES (NEW.project, NEW.pattern, randomblob(8));
END;

CREATE TRIGGER pattern_altered AFTER UPDATE OF project, holder, pattern, exclusive, ended_at ON reservation
WHEN OLD.project IS NOT NEW.project OR OLD.holder IS NOT NEW.holder OR OLD.pattern IS NOT NEW.pattern
    OR OLD.exclusive IS NOT NEW.exclusive OR OLD.ended_at IS NOT NEW.ended_at BEGIN
    INSERT INTO change (project, pattern, name) VALUES (OLD.project, OLD.pattern, randomblob(8));
    INSERT INTO change (project, pattern, name) SELECT NEW.project, NEW.pattern, randomblob(8)
    WHERE OLD.project IS NOT NEW.project OR OLD.pattern IS NOT NEW.pattern;
END;

CREATE TRIGGER pattern_dropped AFTER DELETE ON reservation WHEN OLD.ended_at IS NULL BEGIN
    INSERT INTO change (project, pattern, name) VALUES (OLD.project, OLD.pattern, randomblob(8));
END;

-- INSERT OR REPLACE drops a row without the trigger above (sqlite.org/lang_conflict.html).
CREATE TRIGGER pattern_replaced BEFORE INSERT ON reservation WHEN NEW.id IS NOT NULL BEGIN
    INSERT INTO change (project, pattern, name) SELECT project, pattern, randomblob(8) FROM reservation
    WHERE id = NEW.id AND ended_at IS NULL;
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
    process INTEGER NOT NULL,             -- its id on that host, in that namespace
    until INTEGER NOT NULL,               -- gives up then
    namespace TEXT NOT NULL DEFAULT ''    -- of process ids: two containers on one host count their processes apart
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

-- Where the store was moved to, and from where it came. Once it was moved away, user_version is 1000, so that no
-- guard, however old, goes on writing here.
CREATE TABLE moved_to (
    address TEXT NOT NULL
);

CREATE TABLE moved_from (
    address TEXT PRIMARY KEY
) WITHOUT ROWID;
