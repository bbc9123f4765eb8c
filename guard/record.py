"""Typed named tuples for modules that hooks load.

``typing.NamedTuple`` costs the import of :mod:`typing`, and ``collections.namedtuple`` compiles a function for each
class: twenty records took as long as starting Python. :class:`Record` reads the same annotations and makes a class that
behaves like a named tuple (``_replace``, ``_asdict``, ``_fields``, defaults, keywords), with nothing to compile.
Modules that use it need ``from __future__ import annotations``, so that no annotation is evaluated.
"""

from __future__ import annotations

__all__ = ["Record"]

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NamedTuple as Record
else:
    try:
        from _collections import _tuplegetter as _getter  # what named tuples use: reads as fast as they do
    except ImportError:

        def _getter(index, doc):
            return property(lambda self: tuple.__getitem__(self, index), doc=doc)

    class _Tuple(tuple):
        """What all records can do."""

        __slots__ = ()
        _fields = ()
        _field_defaults = {}  # noqa: RUF012 - each record has its own

        def __new__(cls, *values, **named):
            if named or len(values) != len(cls._fields):
                values = cls._complete(values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _complete(cls, values, named):
            """The values of all fields: first those given in order, then those given by name, then defaults."""
            if len(values) > len(cls._fields):
                raise TypeError(f"{cls.__name__} has {len(cls._fields)} fields, and {len(values)} values were given")
            found = list(values)
            for field in cls._fields[len(values) :]:
                if field in named:
                    found.append(named.pop(field))
                elif field in cls._field_defaults:
                    found.append(cls._field_defaults[field])
                else:
                    raise TypeError(f"{cls.__name__} needs a value for {field}")
            if named:
                raise TypeError(f"{cls.__name__} has no field {next(iter(named))}, or it was given twice")
            return found

        @classmethod
        def _make(cls, values):
            found = tuple.__new__(cls, values)
            return found if len(found) == len(cls._fields) else cls(*found)

        def _replace(self, **changed):
            values = [changed.pop(field, value) for field, value in zip(self._fields, self, strict=True)]
            if changed:
                raise ValueError(f"{type(self).__name__} has no field {next(iter(changed))}")
            return tuple.__new__(type(self), values)

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            shown = ", ".join(f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({shown})"

        def __getnewargs__(self):
            return tuple(self)

    class _RecordType(type):
        """Turns an annotated class body into a named tuple with those fields, defaults and methods."""

        def __new__(mcs, name, bases, body):
            if not bases:
                return super().__new__(mcs, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body.pop(field) for field in fields if field in body}
            rest = {key: value for key, value in body.items() if key not in ("__annotations__", "__slots__")}
            getters = {field: _getter(index, f"field {index}") for index, field in enumerate(fields)}
            own = {"__slots__": (), "_fields": fields, "_field_defaults": defaults, "__match_args__": fields}
            return type(name, (_Tuple,), {**own, **getters, **rest})

    class Record(metaclass=_RecordType):
        """Base of every record: annotate the fields, give defaults to the last ones, add methods."""
