"""Addresses as they may be shown: without passwords."""

from __future__ import annotations

HIDDEN = "***"
_SECRET = ("password", "sslpassword", "passwd", "pass", "pwd", "token", "secret")


def without_password(text: str) -> str:
    """The same text with ``***`` in place of every password that an address in it may hold.

    Hides what stands between ":" and "@" in "SCHEME://USER:PASSWORD@HOST" (RFC 3986, 3.2.1), also when an unescaped "/"
    or "@" in the password makes the address invalid. Hides the values of "password=" and similar keywords, in a query
    ("?password=") and in libpq's "key=value" form (PostgreSQL, 34.1.1, connection strings). When in doubt, it hides too
    much.
    """
    return _hide_parameters(_hide_userinfo(text))


def bare_of_password(text: str) -> str:
    """The same address without the password. It can still be used, written to notes on disk, and compared.

    ``text`` is a path or "SCHEME://USER:PASSWORD@HOST/…?password=…". It is read as libpq reads it (PostgreSQL, 34.1.1,
    connection URIs): the user and the password end at the first "@", which stands before the first "/". So the result
    leads to the same server, and guard.repo.allowed can compare it. When another "@" shows that a password has an
    unescaped "@" or "/" in it, ``***`` replaces the password; such an address equals no address that works.
    """
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    user, tail = _user_and_rest(rest)
    place, query_mark, query = tail.partition("?")
    if "@" in place and (":" in rest[: len(rest) - len(tail)] or not _are_hosts(place)):
        place = HIDDEN + place[place.rindex("@") :]
        user = user or rest.partition(":")[0] + "@"
    elif not user and "@" in query and not _are_hosts(place):
        user, place = rest.partition(":")[0] + "@", HIDDEN + "@"
        query = query[query.rindex("@") + 1 :]
    kept = [part for part in query.split("&") if _keyword(part) not in _SECRET]
    return scheme + mark + user + place + (query_mark + "&".join(kept) if kept and kept != [""] else "")


def _user_and_rest(rest: str) -> tuple[str, str]:
    """The user with its "@" ("" if there is none), and what follows the user and the password, as libpq splits them."""
    at = rest.find("@")
    slash = rest.find("/")
    if at < 0 or 0 <= slash < at:
        return "", rest
    return rest[:at].partition(":")[0] + "@", rest[at + 1 :]


def _are_hosts(place: str) -> bool:
    """Is the part before the first "/" a list of hosts in which every port is a number?"""
    for host in place.partition("/")[0].split(","):
        port = host.rpartition("]")[2].partition(":")[2]
        if "@" in host or (port and not port.isdecimal()):
            return False
    return True


def _keyword(parameter: str) -> str:
    """The keyword of a query's parameter in lower case, with percent signs decoded as libpq does it."""
    keyword = parameter.partition("=")[0]
    if "%" in keyword:
        from urllib.parse import unquote

        keyword = unquote(keyword)
    return keyword.lower()


def _hide_userinfo(text: str) -> str:
    start = text.find("://")
    if text.count("://") == 1 and " " not in text and bare_of_password(text) == text:
        return text  # an address whose user has no password; an "@" may stand in its query
    if start < 0:
        start = text.find(":/")  # "postgresql:/user:password@host", a slip
    if start < 0:
        return _hide_before_at(text)
    at = text.rfind("@")
    body = start + 2
    while text[body : body + 1] == "/":
        body += 1
    colon = text.find(":", body, at if at > body else body)
    if colon < 0:
        return text
    return text[: colon + 1] + HIDDEN + text[at:]


def _hide_before_at(text: str) -> str:
    """Hides the password of an address whose scheme or whose "//" was left out: "user:password@host"."""
    colon, at = text.find(":"), text.rfind("@")
    if not 0 <= colon < at or text.startswith(("/", "~", ".")) or " " in text:
        return text
    return text[: colon + 1] + HIDDEN + text[at:]


def _hide_parameters(text: str) -> str:
    for part in text.partition("?")[2].split("&"):
        if "%" in part.partition("=")[0] and _keyword(part) in _SECRET:
            text = text.replace(part, part.partition("=")[0] + "=" + HIDDEN)
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
