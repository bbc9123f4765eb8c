"""Addresses as they may be shown: without passwords."""

from __future__ import annotations

HIDDEN = "***"
_SECRET = ("password", "sslpassword", "passwd", "token", "secret")
_END_OF_AUTHORITY = "/?#"


def without_password(text: str) -> str:
    """The same text with ``***`` in place of every password that an address in it may hold.

    Hides what stands between ":" and "@" in "SCHEME://USER:PASSWORD@HOST" (RFC 3986, 3.2.1), also where a password
    with an unescaped "/" or "@" in it makes the address invalid, and the values of "password=" and its kind, in a
    query ("?password=") and in libpq's "key=value" form (PostgreSQL, 34.1.1, connection strings). When in doubt it
    hides too much.
    """
    return _hide_parameters(_hide_userinfo(text))


def bare_of_password(text: str) -> str:
    """The same address without the password, so that it can still be used: for notes on disk.

    ``text`` is a path or "SCHEME://USER:PASSWORD@HOST/…?password=…".
    """
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    head, at, tail = rest.rpartition("@")
    if at:
        rest = head.partition(":")[0] + at + tail
    address, query_mark, query = rest.partition("?")
    kept = [part for part in query.split("&") if part.partition("=")[0].lower() not in _SECRET]
    return scheme + mark + address + (query_mark + "&".join(kept) if kept and kept != [""] else "")


def _hide_userinfo(text: str) -> str:
    start = text.find("://")
    if start < 0:
        start = text.find(":/")  # "postgresql:/user:password@host", a slip
        if start < 0:
            return text
    at = text.rfind("@")
    body = start + 2
    while text[body : body + 1] == "/":
        body += 1
    colon = text.find(":", body, at if at > body else body)
    if colon < 0:
        return text
    return text[: colon + 1] + HIDDEN + text[at:]


def _hide_parameters(text: str) -> str:
    lower = text.lower()
    for word in _SECRET:
        at = 0
        while (found := lower.find(word, at)) >= 0:
            at = found + len(word)
            value = at
            while text[value : value + 1] == " ":
                value += 1
            if text[value : value + 1] != "=":
                continue
            value += 1
            while text[value : value + 1] == " ":
                value += 1
            end = _end_of_value(text, value)
            text = text[:value] + HIDDEN + text[end:]
            lower = text.lower()
            at = value + len(HIDDEN)
    return text


def _end_of_value(text: str, start: int) -> int:
    if text[start : start + 1] == "'":  # libpq's quotes, with backslash escapes
        at = start + 1
        while at < len(text) and text[at] != "'":
            at += 2 if text[at] == "\\" else 1
        return min(at + 1, len(text))
    at = start
    while at < len(text) and text[at] not in "& #\t\n":
        at += 1
    return at
