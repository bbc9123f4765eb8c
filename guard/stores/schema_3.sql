-- What version 3 adds to version 2. The same statements stand in schema.sql, where they are explained; this file is
-- history and does not change any more.

DROP INDEX IF EXISTS reservation_by_holder;
CREATE INDEX reservation_of_holder ON reservation (project, holder, pattern) WHERE ended_at IS NULL;

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

CREATE TRIGGER pattern_replaced BEFORE INSERT ON reservation WHEN NEW.id IS NOT NULL BEGIN
    INSERT INTO change (project, pattern, name) SELECT project, pattern, randomblob(8) FROM reservation
    WHERE id = NEW.id AND ended_at IS NULL;
END;
