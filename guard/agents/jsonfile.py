"""Puts entries into a JSON file that somebody else wrote, and takes them out again. Every other byte stays the same.

The file may have comments and trailing commas, which some programs accept. The parser finds out where values begin and
end, and only these places are changed, so that order, indentation and comments stay. A file that cannot be parsed is
not changed.
"""

from __future__ import annotations

from guard.model import GuardError
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Unreadable(GuardError):
    """The file's text is not JSON, or has another shape than the program documents."""


class Value(Record):
    """A value in the text, from the offset ``start`` to ``end``. ``data`` is the parsed value.

    For an object or an array, ``parts`` are its members: the key ("" in an array), the member's offset, and its value.
    """

    start: int
    end: int
    data: Any
    parts: tuple[tuple[str, int, Value], ...] = ()

    def member(self, key: str) -> Value | None:
        """The last member of an object with that key, which is the one that counts; None if there is none."""
        return next((value for name, _, value in reversed(self.parts) if name == key), None)


def parse(text: str) -> Value:
    """The value in a text, which must have exactly one. Raises :class:`Unreadable`."""
    reader = _Reader(text)
    value = reader.value(0)
    if reader.blank(value.end) != len(text):
        raise reader.error(value.end, "something follows the value")
    return value


class _Reader:
    """Parses JSON (RFC 8259) with comments and trailing commas, and keeps the offsets of values."""

    def __init__(self, text: str) -> None:
        self.text = text

    def error(self, at: int, why: str) -> Unreadable:
        return Unreadable(f"line {self.text.count(chr(10), 0, at) + 1}: {why}")

    def blank(self, at: int) -> int:
        """The next offset at which there is neither white space nor a comment."""
        text = self.text
        while at < len(text):
            if text[at] in " \t\r\n\ufeff":
                at += 1
            elif text.startswith("//", at):
                end = text.find("\n", at)
                at = len(text) if end < 0 else end
            elif text.startswith("/*", at):
                end = text.find("*/", at)
                if end < 0:
                    raise self.error(at, "a comment has no end")
                at = end + 2
            else:
                break
        return at

    def value(self, at: int) -> Value:
        at = self.blank(at)
        first = self.text[at : at + 1]
        if first == "{":
            return self._container(at, "}")
        if first == "[":
            return self._container(at, "]")
        return self._scalar(at)

    def _scalar(self, at: int) -> Value:
        from json.decoder import JSONDecodeError, JSONDecoder

        if at >= len(self.text):
            raise self.error(at, "a value is missing")
        try:
            data, end = JSONDecoder(strict=False).raw_decode(self.text, at)
        except JSONDecodeError as error:
            raise self.error(at, error.msg) from None
        return Value(at, end, data)

    def _container(self, start: int, close: str) -> Value:
        parts: list[tuple[str, int, Value]] = []
        at = self.blank(start + 1)
        while self.text[at : at + 1] != close:
            began, key = at, ""
            if close == "}":
                name = self._scalar(at)
                if not isinstance(name.data, str):
                    raise self.error(at, "a member has no name")
                key, at = name.data, self.blank(name.end)
                if self.text[at : at + 1] != ":":
                    raise self.error(at, "a colon is missing")
                at += 1
            value = self.value(at)
            parts.append((key, began, value))
            at = self.blank(value.end)
            if self.text[at : at + 1] == ",":
                at = self.blank(at + 1)
            elif self.text[at : at + 1] != close:
                raise self.error(at, f"a comma or {close} is missing")
        data = {key: value.data for key, _, value in parts} if close == "}" else [value.data for _, _, value in parts]
        return Value(start, at + 1, data, tuple(parts))


def at(text: str, path: tuple[str, ...]) -> Any:
    """The data at a path of members; None if there is none. Raises :class:`Unreadable`."""
    found: Any = parse(text).data if text.strip() else None
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def with_member(text: str, key: str, value: Any) -> str:
    """The text with a member added at the end of the outermost object."""
    root = parse(text)
    return _inserted(text, root, key, value, unit=_indent_unit(text, root), depth=0)


def without_member(text: str, key: str) -> str:
    """The text without a member of the outermost object."""
    root = parse(text)
    numbers = [number for number, (name, _, _) in enumerate(root.parts) if name == key]
    return _removed(text, root, numbers[-1]) if numbers else text


def replaced_entry(text: str, path: tuple[str, ...], is_ours: Callable[[Any], bool], entry: Any) -> str | None:
    """The text in which ``entry`` replaces an entry of the array at a path of members.

    ``is_ours`` tells which entry is replaced. None unless it is true for exactly one.
    """
    root = parse(text)
    found = _at(text, path)
    ours = [value for _, _, value in found.parts if is_ours(value.data)]
    if len(ours) != 1:
        return None
    return text[: ours[0].start] + _dumps(entry, _indent_unit(text, root), len(path) + 1) + text[ours[0].end :]


def with_entry(text: str, path: tuple[str, ...], entry: Any) -> str:
    """The text with an entry added at the end of the array at a path of members. Missing objects and arrays are made.

    Raises :class:`Unreadable` if there is something else than an object on the path, or than an array at its end.
    """
    if not text.strip():
        text = "{}\n"
    root = parse(text)
    found, rest = root, list(path)
    depth = 0
    while rest:
        if not isinstance(found.data, dict):
            raise Unreadable(f"{'.'.join(path[:depth]) or 'the file'} is no object")
        below = found.member(rest[0])
        if below is None:
            break
        found, depth = below, depth + 1
        del rest[0]
    if not rest and not isinstance(found.data, list):
        raise Unreadable(f"{'.'.join(path)} is no array")
    unit = _indent_unit(text, root)
    value = entry
    if rest:
        value = [entry]
        for key in reversed(rest[1:]):
            value = {key: value}
    name = rest[0] if rest else None
    return _inserted(text, found, name, value, unit=unit, depth=depth)


def without_entries(text: str, path: tuple[str, ...], is_ours: Callable[[Any], bool], made: set[str]) -> str:
    """The text without the entries of the array at a path for which ``is_ours(entry)`` is true.

    An object or array that becomes empty is removed, too, if its path, joined with "/", is in ``made``.
    """
    root = parse(text)
    chain = [root]
    for key in path:
        below = chain[-1].member(key) if isinstance(chain[-1].data, dict) else None
        if below is None:
            return text
        chain.append(below)
    if not isinstance(chain[-1].data, list):
        return text
    ours = [number for number, entry in enumerate(chain[-1].data) if is_ours(entry)]
    if not ours:
        return text
    if len(ours) == len(chain[-1].parts) and "/".join(path) in made:
        depth = len(path)
        while depth > 1 and len(chain[depth - 1].parts) == 1 and "/".join(path[: depth - 1]) in made:
            depth -= 1
        above = chain[depth - 1]
        number = next(n for n, (key, _, _) in reversed(list(enumerate(above.parts))) if key == path[depth - 1])
        return _removed(text, above, number)
    for number in reversed(ours):
        text = _removed(text, chain[-1], number)
        chain[-1] = _at(text, path)
    return text


def _at(text: str, path: tuple[str, ...]) -> Value:
    found = parse(text)
    for key in path:
        below = found.member(key)
        assert below is not None
        found = below
    return found


def _inserted(text: str, into: Value, key: str | None, value: Any, *, unit: str, depth: int) -> str:
    """The text with a member or an element added at the end of a container."""
    name = "" if key is None else _dumps(key, "", 0) + ": "
    if "\n" not in text[into.start : into.end] and into.parts and not unit:
        piece = name + _dumps(value, "", 0)
        return text[: into.parts[-1][2].end] + ", " + piece + text[into.parts[-1][2].end :]
    newline = "\r\n" if "\r\n" in text else "\n"
    piece = (name + _dumps(value, unit, depth + 1)).replace("\n", newline)
    if not into.parts:
        inner = text[into.start + 1 : into.end - 1]
        kept = inner.rstrip() if inner.strip() else ""  # a comment stays where it is
        close = newline + unit * depth
        return text[: into.start + 1] + kept + newline + unit * (depth + 1) + piece + close + text[into.end - 1 :]
    last = into.parts[-1][2]
    after = _Reader(text).blank(last.end)
    content = len(text[: into.end - 1].rstrip())  # behind comments that follow the last value
    line = newline + unit * (depth + 1) + piece
    if text[after] == ",":  # a trailing comma: ours has one too
        return text[:content] + line + "," + text[content:]
    return text[: last.end] + "," + text[last.end : content] + line + text[content:]


def _removed(text: str, container: Value, number: int) -> str:
    """The text without one member or element, its comma, and the white space that led to it."""
    start, end = container.parts[number][1], container.parts[number][2].end
    reader = _Reader(text)
    after = reader.blank(end)
    if len(container.parts) == 1:
        inner = text[container.start + 1 : start] + text[after + 1 if text[after] == "," else end : container.end - 1]
        return text[: container.start + 1] + (inner.rstrip() if inner.strip() else "") + text[container.end - 1 :]
    if number == 0:
        following = container.parts[1][1]
        return text[:start] + text[following:]
    if text[after] == ",":
        led = len(text[:start]) - len(text[:start].rstrip())
        return text[: start - led] + text[after + 1 :]
    before = container.parts[number - 1][2].end
    comma = reader.blank(before)
    return text[:comma] + text[comma + 1 : start].rstrip() + text[end:]


def _indent_unit(text: str, root: Value) -> str:
    """The indentation of one level, as the first member has it; two spaces if the file does not show it."""
    if not root.parts:
        return "  "
    start = root.parts[0][1]
    line = text[text.rfind("\n", 0, start) + 1 : start]
    if "\n" not in text[root.start : root.end]:
        return ""
    return line if line and not line.strip() else "  "


def _dumps(value: Any, unit: str, depth: int) -> str:
    import json

    if not unit:
        return json.dumps(value, ensure_ascii=False)
    lines = json.dumps(value, ensure_ascii=False, indent=unit).split("\n")
    return "\n".join([lines[0], *(unit * depth + line for line in lines[1:])])
