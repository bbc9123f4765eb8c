-- What version 2 adds to version 1. The same statements stand in schema.sql, where they are explained; this file is
-- history and does not change any more.

ALTER TABLE reservation ADD COLUMN end_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE reservation ADD COLUMN prefix_checked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE waiter ADD COLUMN namespace TEXT NOT NULL DEFAULT '';

CREATE TABLE version (
    written_by INTEGER NOT NULL
);

CREATE TABLE root (
    oid TEXT NOT NULL,
    project TEXT NOT NULL,
    PRIMARY KEY (oid, project)
) WITHOUT ROWID;

CREATE TABLE moved_to (
    address TEXT NOT NULL
);

CREATE TABLE moved_from (
    address TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE INDEX reservation_by_pattern ON reservation (project, pattern, holder, exclusive, ended_at)
    WHERE ended_at IS NULL;
CREATE INDEX reservation_by_end ON reservation (project, holder, expires_at, ended_at) WHERE ended_at IS NULL;

CREATE TRIGGER prefix_made AFTER INSERT ON reservation
WHEN NEW.prefix IS NOT NULL AND NEW.prefix_checked <> 1 BEGIN
    UPDATE reservation SET prefix = NULL WHERE id = NEW.id;
END;

CREATE TRIGGER prefix_changed AFTER UPDATE OF pattern, prefix ON reservation
WHEN NEW.prefix IS NOT NULL AND NOT (OLD.prefix_checked = 0 AND NEW.prefix_checked = 1) BEGIN
    UPDATE reservation SET prefix = NULL, prefix_checked = 0 WHERE id = NEW.id;
END;

INSERT INTO version (written_by) VALUES (2);
