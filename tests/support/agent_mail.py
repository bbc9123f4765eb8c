"""Databases of MCP Agent Mail, in the formats of both its servers, and a server that writes one while we read."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from tests.support.repositories import Repository, age

if TYPE_CHECKING:
    from pathlib import Path

PYTHON, RUST = "python", "rust"
HOUR_S = 3600.0

_SCHEMA = """
CREATE TABLE projects (
    id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE, human_key TEXT NOT NULL, created_at {time}, archived_at {time}
);
CREATE TABLE agents (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL REFERENCES projects (id), name TEXT NOT NULL, retired_at {time}
);
CREATE TABLE file_reservations (
    id INTEGER PRIMARY KEY, project_id INTEGER NOT NULL REFERENCES projects (id),
    agent_id INTEGER NOT NULL REFERENCES agents (id), path_pattern TEXT NOT NULL, "exclusive" INTEGER, reason TEXT,
    created_ts {time}, expires_ts {time}, released_ts {time}
);
CREATE TABLE messages (id INTEGER PRIMARY KEY, body TEXT);
"""
_RELEASES = "CREATE TABLE file_reservation_releases (reservation_id INTEGER PRIMARY KEY, released_ts INTEGER NOT NULL);"


@dataclass(frozen=True)
class Mail:
    """A database, in one of the two formats. Every method connects, writes and closes, as a client would."""

    path: Path
    kind: str = PYTHON

    @classmethod
    def make(cls, path: Path, kind: str = PYTHON, *, journal: str = "wal") -> Mail:
        mail = cls(path, kind)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA journal_mode = {journal}")
            connection.executescript(_SCHEMA.format(time="DATETIME" if kind == PYTHON else "INTEGER"))
            if kind == RUST:
                connection.executescript(_RELEASES)
        return mail

    def at(self, seconds: float = 0.0) -> str | int:
        """A time so many seconds from now, as this server writes it."""
        then = time.time() + seconds
        if self.kind == RUST:
            return int(then * 1_000_000)
        return datetime.fromtimestamp(then, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

    def sql(self, statement: str, *values: object) -> Any:
        """Runs one statement; returns the first value of its first row, or the id of the row it made."""
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=30)) as connection:
            cursor = connection.execute(statement, values)
            row = cursor.fetchone()
            return row[0] if row else cursor.lastrowid

    def project(self, key: Path | str, slug: str = "shop", *, archived: object = None) -> int:
        statement = "INSERT INTO projects (slug, human_key, created_at, archived_at) VALUES (?, ?, ?, ?)"
        return int(self.sql(statement, slug, str(key), self.at(), archived))

    def reservation(
        self, pattern: object, *, holder: str = "BlueLake", project: int = 1, **columns: object
    ) -> tuple[Any, ...]:
        """The statement that reserves, and its values; ``columns`` replace what a server would write."""
        agent = self.sql("SELECT id FROM agents WHERE name = ? AND project_id = ?", holder, project)
        if not agent:
            agent = self.sql("INSERT INTO agents (project_id, name) VALUES (?, ?)", project, holder)
        row: dict[str, Any] = {
            "project_id": project,
            "agent_id": agent,
            "path_pattern": pattern,
            "exclusive": 1,
            "reason": "new login",
            "created_ts": self.at(-60),
            "expires_ts": self.at(HOUR_S),
            "released_ts": None,
            **columns,
        }
        names = ", ".join(f'"{name}"' for name in row)
        return f"INSERT INTO file_reservations ({names}) VALUES ({', '.join('?' * len(row))})", *row.values()

    def reserve(self, pattern: object, *, holder: str = "BlueLake", project: int = 1, **columns: object) -> int:
        return int(self.sql(*self.reservation(pattern, holder=holder, project=project, **columns)))

    def release(self, number: int) -> None:
        """Releases as this server does."""
        if self.kind == RUST:
            self.sql("INSERT INTO file_reservation_releases VALUES (?, ?)", number, self.at())
        else:
            self.sql("UPDATE file_reservations SET released_ts = ? WHERE id = ?", self.at(), number)

    def beside(self) -> dict[str, bytes]:
        """The files of this name, with their contents; the log's index, in which readers leave marks, without."""
        found = sorted(self.path.parent.glob(self.path.name + "*"))
        return {file.name: b"" if file.name.endswith("-shm") else file.read_bytes() for file in found}

    def settle(self) -> None:
        """Makes what was written look as if nobody had for a while."""
        for suffix in ("", "-wal"):
            file = self.path.with_name(self.path.name + suffix)
            if file.exists():
                age(file)


_SERVER = """
import json, select, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("PRAGMA journal_mode = wal")
connection.execute("PRAGMA wal_autocheckpoint = 50")
connection.execute("SELECT count(*) FROM projects").fetchone()
busy = float(sys.argv[2])
print("ready", flush=True)
while True:
    ready, _, _ = select.select([sys.stdin], [], [], busy or None)
    if not ready:
        connection.execute("INSERT INTO messages (body) VALUES (?)", ("to all " * 99,))
        connection.execute("DELETE FROM messages WHERE id < (SELECT max(id) FROM messages) - 20")
        continue
    line = sys.stdin.readline()
    if not line:
        break
    print(json.dumps(connection.execute(*json.loads(line)).fetchall()), flush=True)
connection.close()
"""


class Server:
    """A process that keeps the database open in WAL mode and writes what it is told; every ``busy_s``, also mail."""

    def __init__(self, mail: Mail, *, busy_s: float = 0.0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(mail.path), str(busy_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def do(self, statement: str, *values: object) -> Any:
        """Runs a statement, in a transaction of its own unless one was begun; returns when it has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([statement, values]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        """Ends it as it ends by itself: the log is written back, and removed."""
        self._process.communicate()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def index(mail: Mail) -> bytes:
    """What the log's index says readers may see. By hand: not while this process has the database open."""
    with open(f"{mail.path}-shm", "rb") as file:
        return file.read(96)


def set_index(mail: Mail, header: bytes) -> None:
    file = os.open(f"{mail.path}-shm", os.O_RDWR)
    try:
        os.pwrite(file, header, 0)
    finally:
        os.close(file)


def guarded(path: Path, mail: Mail) -> Repository:
    """A repository with guard's hooks, whose store is that database."""
    made = Repository.make(path)
    made.git("config", "guard.db", str(mail.path))
    made.install()
    return made
