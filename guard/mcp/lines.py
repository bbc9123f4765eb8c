"""What a line from the client is: a message of JSON-RPC, or errors that answer it.

A client waits for the answer to each request that it has sent. So every line that could hold a request is answered,
also one that cannot be read: then the error carries the id that stands in the line, or null where none can be told
(jsonrpc.org/specification, "Response object"). Only notifications, answers and empty lines get no answer.

Lines are read with Python's parser, not with the SDK's: the SDK drops what its parser refuses (half of a surrogate
pair, for instance, which JavaScript writes for any text that holds one), takes a request whose id is no id for a
notification, and lets the last of two members with one name win.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import mcp_types as types
from pydantic import ValidationError

from guard.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BOM = b"\xef\xbb\xbf"
SHOWN_MAX = 100
"""How many characters of a wrong part are shown."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}:,]|[^][{}:,"\s]+')


class Read(Record):
    """What was read from a line: a message for the server, or the errors that answer it, or neither."""

    message: types.JSONRPCMessage | None = None
    errors: tuple[types.JSONRPCError, ...] = ()


class _Wrong(ValueError):
    """The line is no JSON that can be understood; the text says why."""


def read(line: bytes) -> Read:
    """Reads one line, with or without its end."""
    text = line.removeprefix(BOM).strip()
    if not text:
        return Read()
    try:
        found = _parsed(text)
    except _Wrong as wrong:
        return _refused(types.PARSE_ERROR, _ids_in(text.decode("utf-8", "replace")), f"not read: {wrong}")
    return _of(found)


def too_long(limit: int) -> types.JSONRPCError:
    """The answer to a line of more than ``limit`` bytes, of which nothing was kept."""
    return _error(types.INVALID_REQUEST, None, f"not read: the line has more than {limit} bytes")


# From bytes to JSON


def _parsed(text: bytes) -> Any:
    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=_members, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise _Wrong(f"byte {error.start + 1} of the line is not UTF-8") from None
    except RecursionError:
        raise _Wrong("arrays and objects are nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _Wrong(f"it is no JSON: {error.msg}, at character {error.pos + 1} of the line") from None
    except _Wrong:
        raise
    except ValueError as error:  # int() refuses thousands of digits
        raise _Wrong(f"it has a number that is too long ({str(error)[:SHOWN_MAX]})") from None
    if b"\\u" in text:
        _refuse_surrogates(found)
    return found


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Wrong(f"an object has two members called {_shown(twice)}")
    return found


def _refuse_constant(name: str) -> None:
    raise _Wrong(f"{name} is no JSON")


def _refuse_surrogates(found: Any) -> None:
    """Raises for text with half of a surrogate pair: it is no text in UTF-8, and so no name of a file in git."""
    half = next((text for text in _texts(found) if _SURROGATE.search(text)), None)
    if half is not None:
        raise _Wrong(f"{_shown(half)} has half of a surrogate pair, so it is no text; name a directory above that file")


def _texts(found: Any) -> Iterator[str]:
    """Every text in what was parsed, names of members included."""
    left = [found]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            yield from each
            left += each.values()
        elif isinstance(each, list):
            left += each


def _ids_in(text: str) -> list[int | str]:
    """The ids that a line's objects seem to have, where the line could not be read as a whole."""
    found: list[int | str] = []
    depth, before = 0, ("", "", "")
    for match in _TOKEN.finditer(text):
        token = match[0]
        depth += (token in ("{", "[")) - (token in ("}", "]"))
        if depth == 1 and before[0] in ("{", ",") and before[1:] == ('"id"', ":"):
            found += _id_of(token)
        before = (*before[1:], token)
    return found


def _id_of(token: str) -> list[int | str]:
    try:
        found = json.loads(token)
    except ValueError:
        return []
    return [found] if _is_id(found) else []


# From JSON to a message


def _of(found: Any) -> Read:
    if isinstance(found, list):
        return _of_batch(found)
    if not isinstance(found, dict):
        return _refused(types.INVALID_REQUEST, [], "not a request: it is no JSON object")
    if "id" not in found and "method" in found:
        return Read(_message(found))  # a notification: whatever it is, it gets no answer
    if "method" not in found and ("result" in found or "error" in found):
        return Read(_message(found))  # an answer
    code, wrong = _fault(found)
    if not wrong:
        return Read(_message(found))
    return _refused(code, [found["id"]] if _is_id(found.get("id")) else [], f"not a request: {wrong}")


def _of_batch(found: Sequence[Any]) -> Read:
    """Batches belong to one version of the protocol, and the SDK does not serve them."""
    ids = [each["id"] for each in found if isinstance(each, dict) and "method" in each and _is_id(each.get("id"))]
    if found and not ids and all(isinstance(each, dict) and "id" not in each for each in found):
        return Read()  # notifications alone
    return _refused(types.INVALID_REQUEST, ids, "not served: a batch; send each request in a line of its own")


def _fault(request: dict[str, Any]) -> tuple[int, str]:
    """What is wrong with a request, as a code of JSON-RPC and in words; "" when nothing is."""
    if request.get("jsonrpc") != types.JSONRPC_VERSION:
        return types.INVALID_REQUEST, f'its member "jsonrpc" is not "{types.JSONRPC_VERSION}"'
    if not isinstance(request.get("method"), str):
        return types.INVALID_REQUEST, 'its member "method" is no text'
    if not _is_id(request.get("id")):
        return types.INVALID_REQUEST, 'its member "id" is neither text nor a whole number'
    if not isinstance(request.get("params"), dict | None):
        return types.INVALID_PARAMS, 'its member "params" is no object'
    return 0, ""


def _is_id(found: Any) -> bool:
    if isinstance(found, str):
        return not _SURROGATE.search(found)
    return isinstance(found, int) and not isinstance(found, bool)


def _message(found: dict[str, Any]) -> types.JSONRPCMessage | None:
    try:
        return types.jsonrpc_message_adapter.validate_python(found, by_name=False)
    except ValidationError:  # a notification or an answer that is none: nobody waits for a word about it
        return None


def _refused(code: int, ids: Sequence[int | str], words: str) -> Read:
    """One error for each of the requests with these ids; one with the id null where there is none."""
    return Read(errors=tuple(_error(code, each, words) for each in ids or (None,)))


def _error(code: int, number: int | str | None, words: str) -> types.JSONRPCError:
    return types.JSONRPCError(jsonrpc="2.0", id=number, error=types.ErrorData(code=code, message=words))


def _shown(text: str) -> str:
    return ascii(text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…")
