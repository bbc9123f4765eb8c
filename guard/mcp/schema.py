"""Are a call's arguments as the tool's schema says?

Almost all are, and most are plain. :func:`is_plainly_right` tells that in a hundredth of the time that a validator for
all of JSON Schema takes. It never answers yes where the validator would find a fault; where it answers no, the
validator decides, and words what is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types of its own

from guard.mcp.tools import TOOLS
from guard.model import UsageError

if TYPE_CHECKING:
    from typing import Any

    from guard.work.shapes import Json

_VALIDATORS = {name: Draft202012Validator(tool.takes) for name, tool in TOOLS.items()}


def check_arguments(name: str, arguments: dict[str, Any]) -> None:
    """Raises :class:`UsageError` for arguments that are not as the tool's schema says."""
    takes = TOOLS[name].takes
    if is_plainly_right(takes, arguments):
        return
    wrong = next(_VALIDATORS[name].iter_errors(arguments), None)
    if wrong is None:
        return
    known = ", ".join(takes["properties"])
    if wrong.validator == "additionalProperties":
        strange = ", ".join(ascii(each)[:100] for each in arguments if each not in takes["properties"])
        raise UsageError(f"{name} has no argument {strange}", hint=f"{name} takes: {known}")
    where = "".join(f"[{part}]" if isinstance(part, int) else f" {part}" for part in wrong.absolute_path)
    what = wrong.message if len(wrong.message) <= 300 else f"{wrong.message[:150]} … {wrong.message[-100:]}"
    raise UsageError(f"{name} was called wrongly: the argument{where}: {what}", hint=f"{name} takes: {known}")


def is_plainly_right(schema: Json, value: object) -> bool:
    """Is it certain that a value from JSON is as a schema says? Only for schemas of the words that tools take."""
    kind = str(schema.get("type"))
    if not schema.keys() <= _UNDERSTOOD.get(kind, frozenset()):
        return False
    if kind == "string":
        return type(value) is str and _is_within(schema, len(value), "minLength", "maxLength")
    if kind == "boolean":
        return type(value) is bool
    if kind == "integer":
        return type(value) is int and _is_within(schema, value, "minimum", "maximum")
    if kind == "array":
        if type(value) is not list or not _is_within(schema, len(value), "minItems", "maxItems"):
            return False
        return all(is_plainly_right(schema["items"], each) for each in value)
    if type(value) is not dict:
        return False
    properties = schema["properties"]
    return all(name in properties and is_plainly_right(properties[name], each) for name, each in value.items())


_UNDERSTOOD = {
    "string": {"type", "description", "minLength", "maxLength"},
    "boolean": {"type", "description"},
    "integer": {"type", "description", "minimum", "maximum"},
    "array": {"type", "description", "items", "minItems", "maxItems"},
    "object": {"type", "description", "properties", "additionalProperties"},
}
"""The words of a schema that :func:`is_plainly_right` goes by. An object's schema need not forbid other members: no
value with such a member is plainly right."""


def _is_within(schema: Json, number: int, least: str, most: str) -> bool:
    low: int = schema.get(least, number)
    high: int = schema.get(most, number)
    return low <= number <= high
