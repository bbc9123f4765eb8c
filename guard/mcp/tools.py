"""The four tools as clients see them: names, descriptions, and the JSON schemas of what goes in and comes out.

Everything in an answer that a program may rely on is in the output schema; the shapes are those of ``guard … --json``
(:mod:`guard.work.shapes`), with a few members that every tool adds. A holder is never an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.mcp.answers import LISTED
from guard.record import Record

if TYPE_CHECKING:
    from guard.work.shapes import Json

WAIT_MAX_S = 50
"""The longest wait in seconds, because some clients give up a tool after a minute."""
WORDS_MAX = 10_000
"""How many paths, patterns or numbers one call may name."""
WORD_MAX = 4_096
"""The longest path, pattern or text, in characters."""


class Tool(Record):
    """A tool: its name, its description, its schemas, and whether it changes anything."""

    name: str
    title: str
    description: str
    takes: Json
    gives: Json
    reads_only: bool


def _words(what: str) -> Json:
    word = {"type": "string", "minLength": 1, "maxLength": WORD_MAX}
    # How many there are is looked at first: looking at each of a million would take a minute.
    return {"type": "array", "minItems": 1, "maxItems": WORDS_MAX, "items": word, "description": what}


def _flag(what: str) -> Json:
    return {"type": "boolean", "description": what}


def _text(what: str) -> Json:
    return {"type": "string", "maxLength": WORD_MAX, "description": what}


def _takes(**arguments: Json) -> Json:
    where = _text("A directory of the repository that is meant. Default: the project's directory.")
    properties = {**arguments, "cwd": where}
    return {"type": "object", "properties": properties, "additionalProperties": False}


_PATTERNS = (
    "Files, directories, or globs as in .gitignore, relative to cwd; a leading '/' means the top of the repository."
)

_NULL: Json = {"type": "null"}
_NULLABLE_TEXT: Json = {"anyOf": [{"type": "string"}, _NULL]}  # some clients want one type in each schema
_RESERVATION: Json = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "holder": {"type": "string"},
        "pattern": {"type": "string", "description": "Relative to the top; pattern_b64 instead where not UTF-8."},
        "exclusive": {"type": "boolean", "description": "False: others may hold the same, and nobody is refused."},
        "reason": {"type": "string"},
        "created_at": _NULLABLE_TEXT,
        "expires_at": {**_NULLABLE_TEXT, "description": "ISO 8601, UTC."},
        "expires_in_s": {"anyOf": [{"type": "integer"}, _NULL]},
        "mine": {"type": "boolean"},
    },
    "required": ["id", "holder", "exclusive", "reason", "created_at", "expires_at", "expires_in_s", "mine"],
}
_RESERVATIONS: Json = {"type": "array", "items": _RESERVATION}
_TEXTS: Json = {"type": "array", "items": {"type": "string"}}
_ERROR: Json = {
    "type": "object",
    "properties": {"what": {"type": "string"}, "next": _NULLABLE_TEXT, "code": {"type": "integer"}},
    "required": ["what", "next", "code"],
}


def _gives(**members: Json) -> Json:
    """An answer has these members, or ``error``; the message says either to a reader."""
    common: Json = {
        "schema": {"const": 1},
        "message": {"type": "string", "description": "The whole answer in words."},
        "holder": {"type": "string", "description": "Who you are to guard."},
        "holder_note": {"type": "string", "description": "What to do so that git's hooks know you by that name."},
        "project": {"type": "string"},
        "generation": {"type": "integer", "description": "Which state of the project's reservations was read."},
        "warnings": {**_TEXTS, "description": "What is not as it should be, though the answer stands."},
        "notices": {**_TEXTS, "description": "What became of your reservations without you; said once."},
        "next": {**_TEXTS, "description": "What can be done next."},
        "left_out": {
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": f"How many members are left out of a list: none here has more than {LISTED}.",
        },
        "error": {**_ERROR, "description": "In place of an answer."},
    }
    found = {"required": [*members, "generation", "holder", "project", "warnings", "notices"]}
    return {
        "type": "object",
        "properties": {**common, **members},
        "required": ["schema", "message"],
        "anyOf": [found, {"required": ["error"]}],
    }


_RESERVE = Tool(
    "guard_reserve",
    "Reserve paths",
    "Reserve the paths that you are about to change, before you change them: all of them, or none if somebody else is "
    "in the way (then `conflicts` says who, why and until when). Others' commits and pushes of what you hold are "
    "refused until you release it or it expires. Reserving again what you hold gives it more time.",
    _takes(
        patterns=_words(_PATTERNS),
        changed=_flag("Also everything that is changed in the work tree."),
        staged=_flag("Also everything that is staged."),
        shared=_flag("Others may hold the same, shared too; nobody's commits are refused."),
        ttl=_text("How long: 45m, 8h, 2d; from 1m to 30d. Default: 1h, or what guard.ttl says."),
        reason=_text("Why; others see it."),
        wait_seconds={
            "type": "integer",
            "minimum": 0,
            "maximum": WAIT_MAX_S,
            "description": "Wait that long for your turn when somebody is in the way. Default: 0.",
        },
    ),
    _gives(
        granted=_RESERVATIONS,
        conflicts={
            "type": "array",
            "items": {"type": "object", "properties": {"reservation": _RESERVATION}, "required": ["reservation"]},
        },
    ),
    reads_only=False,
)

_RELEASE = Tool(
    "guard_release",
    "Release paths",
    "End reservations of yours when your changes are committed and pushed, so that others can work there.",
    _takes(
        patterns=_words("The words that you reserved with."),
        ids={
            "type": "array",
            "minItems": 1,
            "maxItems": WORDS_MAX,
            "items": {"type": "integer"},
            "description": "The reservations with these numbers.",
        },
        all=_flag("Everything that you hold in this project; without patterns and ids."),
        after_push=_flag("Keep what is not pushed yet until a push of it has succeeded, a day at most."),
    ),
    _gives(released=_RESERVATIONS, not_found=_TEXTS),
    reads_only=False,
)

_CHECK = Tool(
    "guard_check",
    "Check paths",
    "Ask before you edit: is a path free, yours, shared, or held by somebody else, and then by whom, why and until "
    "when? Without arguments: would a commit of what is staged be refused? Changes nothing.",
    _takes(paths=_words(_PATTERNS), changed=_flag("Ask about everything that is changed in the work tree.")),
    _gives(
        verdict={"enum": ["clear", "reserved", "fenced"]},
        paths={
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "path": {"type": "string"},
                    "state": {"enum": ["held", "mine", "shared", "free"]},
                    "reservation_ids": {"type": "array", "items": {"type": "integer"}},
                    "fenced": {
                        "type": "boolean",
                        "description": "The fence of this worktree (guard.only) leaves it out.",
                    },
                },
                "required": ["state", "reservation_ids"],
            },
        },
        conflicts={
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "path": {"type": "string"},
                    "commit": _NULLABLE_TEXT,
                    "reservation_id": {"type": "integer"},
                },
                "required": ["commit", "reservation_id"],
            },
        },
        reservations=_RESERVATIONS,
    ),
    reads_only=True,
)
_CHECK.gives["anyOf"][0]["required"].remove("paths")  # only where paths were asked about

_LIST = Tool(
    "guard_list",
    "List reservations",
    "Who holds what in this project, why and until when? With paths: who holds those? Changes nothing.",
    _takes(
        paths=_words(_PATTERNS),
        mine=_flag("Only yours."),
        theirs=_flag("Only others'."),
        limit={
            "type": "integer",
            "minimum": 1,
            "maximum": 100_000,
            "description": f"How many reservations at most. Default: {LISTED}.",
        },
    ),
    _gives(reservations=_RESERVATIONS, total={"type": "integer", "description": "How many there are in all."}),
    reads_only=True,
)

TOOLS = {tool.name: tool for tool in (_CHECK, _RESERVE, _RELEASE, _LIST)}
"""Every tool by its name, in the order in which an agent needs them. There is none for breaking, which is left to
people.
"""

INSTRUCTIONS = (
    "Several people and agents work in this repository. Ask guard_check before you edit files, reserve what you are "
    "about to change with guard_reserve, and release it with guard_release once it is pushed. Leave alone what "
    "somebody else holds: commits and pushes of it are refused."
)
