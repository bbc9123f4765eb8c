"""Takes guard's modules from one file, because looking them up in directories takes as long as a start of Python.

:mod:`guard.agents.bundle` writes the file. The stub executes this module from it before it imports anything of guard.
When the source of any module is not the file that was bundled, all modules are imported in the ordinary way.
"""

from __future__ import annotations

import sys
from _frozen_importlib import ModuleSpec  # importlib.machinery imports much more
from marshal import loads
from posix import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Any

    Table = Mapping[str, tuple[str, int, int, bool, bytes]]
    """For each module: its source file, that file's time (ns) and size (bytes), whether it is a package, its code."""


class Bundled:
    """Finds and loads the modules of a table (importlib.abc.MetaPathFinder and importlib.abc.Loader)."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        """The module's specification; None for a module that is not in the table."""
        found = self._table.get(name)
        if found is None:
            return None
        source, _, _, package, _ = found
        loader: Any = self  # importlib.abc has a base class for this, but its import takes long
        spec = ModuleSpec(name, loader, origin=source, is_package=package)
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [source.rpartition("/")[0]]
        return spec

    def create_module(self, spec: Any) -> None:
        """Returns None, so that Python makes the module itself."""

    def exec_module(self, module: ModuleType) -> None:
        """Executes the module's code."""
        exec(loads(self._table[module.__name__][-1]), module.__dict__)


def use(table: Table) -> None:
    """From now on takes guard's modules from the table, if every source file is still the one that was bundled."""
    try:
        for source, time, size, _, _ in table.values():
            status = stat(source)
            if status.st_mtime_ns != time or status.st_size != size:
                return
    except OSError:
        return
    sys.meta_path.insert(0, Bundled(table))
