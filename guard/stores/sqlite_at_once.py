"""Answers at once from a guard store in SQLite: in one transaction that only reads, and that waits for no lock."""

from __future__ import annotations

from guard.stores.interface import WouldWait
from guard.stores.sqlite_file import PATIENCE_MAX_S, sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from guard.stores.sqlite_open import OpenFile


class AtOnce:
    """The context manager of :meth:`guard.stores.interface.Store.at_once`."""

    def __init__(self, file: OpenFile) -> None:
        self._file = file

    def __enter__(self) -> None:
        file = self._file
        file.is_at_once = True
        try:
            file.connection.execute("PRAGMA busy_timeout = 0")
            file.connection.execute("BEGIN")
            file.check_version()
        except BaseException as error:
            self.__exit__(None, error, None)
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        file = self._file
        file.is_at_once = False
        if file.connection.in_transaction:
            file.connection.execute("ROLLBACK")
        patience_ms = int(min(file.patience_s, PATIENCE_MAX_S) * 1000)
        file.connection.execute(f"PRAGMA busy_timeout = {patience_ms}")
        if isinstance(error, sqlite3.Error):
            raise WouldWait(str(error)) from error


class Within:
    """Stands for a transaction that :class:`AtOnce` has begun already and that ends later."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        pass
