"""A connection to a PostgreSQL server: made when it is first needed, bounded in time, its errors in words.

psycopg takes 180 ms to import, so it is imported here, inside of functions, and nowhere else.
"""

from __future__ import annotations

import sys
import time

from guard import system
from guard.model import GuardError
from guard.repo.secrets import HIDDEN, bare_of_password, without_password
from guard.stores.interface import Moved, Unreachable
from guard.words import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Any

    import psycopg

IDLE_S = 1.0
"""After this many seconds without a question, a connection is tried before something is written through it."""
CONNECT_S = 2.0
"""The shortest time to wait for a connection, in seconds."""
RETRIES = 5
"""How often a transaction is tried again after the server has rolled it back for a deadlock or another one's change."""

LOCK_NOT_AVAILABLE = "55P03"
RETRIED = ("40001", "40P01")  # serialization_failure, deadlock_detected: nothing was changed
MOVED = "GU001"  # raised by guard.begin_change() in schema.sql


class NoAnswer(Exception):
    """The server did not answer in time."""


class Lost(Unreachable):
    """The connection broke before the answer came, so it is not known whether the change was made."""


def load() -> Any:
    """The module psycopg. Raises :class:`GuardError` with the command that installs it."""
    try:
        import psycopg
    except ImportError as error:
        raise GuardError(
            f"a PostgreSQL store needs psycopg, and this Python has none that works ({error.name or error})",
            hint=f"{quoted(sys.executable.encode())} -m pip install 'psycopg[binary]>=3.2'",
        ) from None
    return psycopg


def uptime_s() -> float:
    """Seconds by a clock that nobody sets; on Linux it goes on while the machine sleeps (clock_gettime(2))."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Connection:
    """One connection to one address. ``address`` may have a password in it, which no raised message shows."""

    def __init__(self, address: str, *, patience_s: float) -> None:
        self.shown = bare_of_password(address)
        self._address = address
        self._patience_s = patience_s
        self._connection: psycopg.Connection[Any] | None = None
        self._asked_at = 0.0
        self._until = 0.0
        self._is_whole = False  # is this a deed on the store as a whole, such as a move?

    def ask(self, text: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows that answer one question. It is asked again on a new connection if the old one was lost."""
        try:
            return self._run(text, values)
        except Lost:
            return self._run(text, values)

    def change(self, text: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Calls a function that changes something, in one transaction of its own: it is done once, or not at all.

        Raises :class:`Lost` when the connection broke and it is not known which.
        """
        self._refresh()
        for _ in range(RETRIES):
            try:
                return self._run(text, values)
            except Retry:
                continue
        return self._run(text, values)

    def transaction(self, work: Callable[[psycopg.Cursor[Any]], None], *, begin: str) -> None:
        """Does some work in one transaction, for rare commands only, because every statement costs a round trip. Raises
        :class:`guard.model.GuardError`.
        """
        self._refresh()
        connection = self._open()
        self._is_whole = True
        try:
            with connection.cursor(binary=True) as cursor:
                self._set_deadline(600)
                cursor.execute(begin.encode())
                try:
                    work(cursor)
                    cursor.execute(b"COMMIT")
                except BaseException:
                    if not connection.closed:
                        self._set_deadline(self._patience_s)
                        cursor.execute(b"ROLLBACK")
                    raise
        except (load().Error, NoAnswer) as error:
            raise self._explained(error) from None
        finally:
            self._asked_at = uptime_s()
            self._is_whole = False

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _refresh(self) -> None:
        """Makes sure that an idle connection still leads to the server, so that a change is not lost on a dead one."""
        if self._connection is not None and uptime_s() - self._asked_at > IDLE_S:
            try:
                self._run("SELECT 1", ())
            except Lost:
                self.close()

    def _run(self, text: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        connection = self._open()
        self._set_deadline(self._patience_s)
        try:
            with connection.cursor(binary=True) as cursor:
                cursor.execute(text.encode(), values)
                return cursor.fetchall() if cursor.description else []
        except (load().Error, NoAnswer) as error:
            raise self._explained(error) from None
        finally:
            self._asked_at = uptime_s()

    def _set_deadline(self, seconds: float) -> None:
        self._until = uptime_s() + seconds + CONNECT_S  # the server gives up first, and says why

    def _open(self) -> Any:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        psycopg = load()
        limits = {} if "connect_timeout" in self._address else {"connect_timeout": max(CONNECT_S, self._patience_s)}
        try:
            made: Any = self._class(psycopg).connect(
                self._address,
                autocommit=True,
                prepare_threshold=None,  # PgBouncer gives the next transaction to another connection
                fallback_application_name="guard",
                client_encoding="UTF8",  # else PGCLIENTENCODING, or a database in SQL_ASCII, would make bytes of text
                **limits,
            )
        except (psycopg.Error, UnicodeError) as error:
            raise Unreachable(
                f"the store {self.shown} cannot be reached: {self._said(error)}", hint=self._connecting_hint(str(error))
            ) from None
        self._connection = made
        return made

    def _class(self, psycopg: Any) -> Any:
        """psycopg's connection, which gives up at the deadline: a server that is there and silent holds nobody."""
        outer = self

        class Bounded(psycopg.Connection):  # type: ignore[misc]
            def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
                return super().wait(outer._bounded(gen), *args, **kwargs)

        return Bounded

    def _bounded(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and uptime_s() > self._until:
                    raise NoAnswer
                wanted = gen.send(ready)
        except StopIteration as stop:
            return stop.value

    # Errors

    def _said(self, error: Exception) -> str:
        """The message of the server or of libpq in one line, without any password."""
        diagnosis = getattr(error, "diag", None)
        text = without_password((diagnosis and diagnosis.message_primary) or str(error))
        for secret in _secrets(self._address):
            text = text.replace(secret, "***")
        return "; ".join(line.strip() for line in text.splitlines() if line.strip())[:500]

    def _connecting_hint(self, said: str) -> str:
        known = (
            (
                "password",
                "put HOST:PORT:DATABASE:USER:PASSWORD into ~/.pgpass, and: chmod 600 ~/.pgpass",
            ),
            ("no encryption", f"git config --global guard.db {quoted(self._with('sslmode=require').encode())}"),
            ("does not support SSL", "ask the server's owner for TLS, or take sslmode out of the address"),
            (
                "does not exist",
                "make it on the server, or name another: git config --global guard.db ADDRESS",
            ),
            ("invalid", "guard help teams   (it shows how addresses are written)"),
        )
        return next((hint for word, hint in known if word in said), "guard store show   (it asks the server again)")

    def _rights_hint(self) -> str:
        if self._is_whole:
            return "only the role that owns the tables may do this: GUARD_DB=postgresql://OWNER@… guard store …"
        return "the owner of the tables runs: guard store init --grant ROLE"

    def _with(self, option: str) -> str:
        return self.shown + ("&" if "?" in self.shown else "?") + option

    def _explained(self, error: Exception) -> GuardError:
        psycopg = load()
        if isinstance(error, NoAnswer):
            self.close()
            return Lost(f"the store {self.shown} has not answered for {self._patience_s:g} s", hint="guard store show")
        state = getattr(error, "sqlstate", None) or ""
        diagnosis = getattr(error, "diag", None)
        if state == MOVED and diagnosis is not None:
            return Moved(self.shown, diagnosis.message_detail or "")
        if state in RETRIED:
            return Retry(
                f"the store {self.shown} was changed by others too often: {self._said(error)}", hint="try again"
            )
        if not state or state.startswith(("57P", "08")) or (self._connection is not None and self._connection.closed):
            self.close()
            return Lost(
                f"the connection to the store {self.shown} was lost: {self._said(error)}", hint="guard store show"
            )
        what, hint = self._by_state(state)
        if isinstance(error, psycopg.Error):
            what = f"{what}: {self._said(error)}"
        return GuardError(f"the store {self.shown} {what}", hint=hint)

    def _by_state(self, state: str) -> tuple[str, str]:
        """The error for an SQLSTATE, with what to do (PostgreSQL, Appendix A)."""
        init = "guard store init"
        table = {
            "3F000": ("is a database without guard's tables", init),
            "42P01": ("is a database without guard's tables, or with others", init),
            "42883": ("has the tables of another version of guard", init),
            "42501": ("gives this role too few rights", self._rights_hint()),
            "25006": (
                "is read only: a replica, or made so",
                f"git config --global guard.db {quoted(self._with('target_session_attrs=read-write').encode())}",
            ),
            LOCK_NOT_AVAILABLE: (f"has been locked by somebody else for {self._patience_s:g} s", "guard store show"),
            "53100": ("cannot be written: the server's disk is full", "free space on the server"),
            "53300": (
                "has no connection left for guard",
                "raise max_connections there, or use PgBouncer",
            ),
        }
        return table.get(state, (f"gave no answer (SQLSTATE {state})", "guard store show"))


class Retry(GuardError):
    """The server has rolled the transaction back; nothing was changed."""


def _secrets(address: str) -> list[str]:
    """The passwords in an address, and what libpq takes for something else when one has "@" or "/" in it."""
    import re
    from urllib.parse import unquote

    rest = address.partition("://")[2]
    before, _, query = rest.partition("?")
    found = [before.rpartition("@")[0].partition(":")[2]]
    if HIDDEN in bare_of_password(address):
        found.append(rest.rpartition("@")[0].partition(":")[2])
    found += [part.partition("=")[2] for part in query.split("&") if "password" in part.partition("=")[0].lower()]
    found += [unquote(each) for each in found]
    pieces = [piece for each in found for piece in re.split("[@/:?]", each)]
    return sorted({each for each in (*found, *pieces) if len(each) > 2}, key=len, reverse=True)


def machine() -> str:
    """A name for this machine among those that use a store."""
    return system.host()
