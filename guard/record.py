"""Typed named tuples for modules the hooks load.

``typing.NamedTuple`` costs the import of :mod:`typing`, which takes longer than a bare Python start.
:class:`Record` reads the same annotations and builds on :mod:`collections`, which Python has loaded anyway.
Modules that use it need ``from __future__ import annotations``, so that no annotation is evaluated.
"""

from __future__ import annotations

from collections import namedtuple

__all__ = ["Record"]

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NamedTuple as Record
else:

    class _RecordType(type):
        """Turns an annotated class body into a named tuple with those fields, defaults and methods."""

        def __new__(mcs, name, bases, body):
            if not bases:
                return super().__new__(mcs, name, bases, body)
            fields = list(body.get("__annotations__", ()))
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            rest = {key: value for key, value in body.items() if key not in ("__annotations__", "__slots__")}
            return type(name, (made,), {"__slots__": (), **rest})

    class Record(metaclass=_RecordType):
        """Base of every record: annotate the fields, give defaults to the last ones, add methods."""
