"""Which uncommitted changes would a git command throw away?

In a checkout that several agents share, one agent's "git stash" takes away the work of all. Each verb is a row in the
table at the end; git's manual pages say what its options do.
"""

from __future__ import annotations

from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from guard.agents.shell import Git


class Loss(Record):
    """What a command would throw away: changes of tracked files, untracked files, or both, below ``paths``.

    ``paths`` are pathspecs as typed; () means everywhere. ``directory`` is another work tree, "" for the one that git
    works in.
    """

    tracked: bool = True
    untracked: bool = False
    paths: tuple[str, ...] = ()
    directory: str = ""


def loss(call: Git, exists: Callable[[str], bool]) -> Loss | None:
    """What the call would throw away; None if it throws nothing away. ``exists`` tells whether a path exists."""
    judge = _VERBS.get(call.verb)
    return judge(list(call.words), exists) if judge else None


def _split(words: list[str], with_value: tuple[str, ...] = ()) -> tuple[set[str], list[str], list[str] | None]:
    """The options (short ones one by one), the other words, and the words after "--" (None without "--").

    ``with_value`` are the options that take the next word as their value.
    """
    options: set[str] = set()
    rest: list[str] = []
    behind = None
    number = 0
    while number < len(words):
        word = words[number]
        if word == "--":
            behind = words[number + 1 :]
            break
        name, equals, _ = word.partition("=")
        if word.startswith("--"):
            options.add(name)
            number += not equals and any(each.startswith(name) for each in with_value)
        elif word.startswith("-") and len(word) > 1:
            options |= {f"-{letter}" for letter in word[1:]}
            number += f"-{word[-1]}" in with_value and len(word) == 2
        else:
            rest.append(word)
        number += 1
    return options, rest, behind


def _has(options: set[str], *names: str) -> bool:
    """Is one of the options given, perhaps abbreviated?

    git accepts every unique beginning of a long option (gitcli(7)). A beginning that is not unique counts, too: git
    refuses it.
    """
    return any(
        option == name
        or (name.startswith("--") and option.startswith("--") and len(option) > 2 and name.startswith(option))
        for option in options
        for name in names
    )


def _from_file(options: set[str]) -> bool:
    return _has(options, "--pathspec-from-file")


def _stash(words: list[str], _: Callable[[str], bool]) -> Loss | None:
    first = next((word for word in words if not word.startswith("-")), "push")
    named = bool(words) and not words[0].startswith("-")
    if named and first not in ("push", "save"):
        return None
    options, rest, behind = _split(words[1:] if named else words, ("-m", "--message", "--pathspec-from-file"))
    untracked = _has(options, "-u", "-a", "--include-untracked", "--all")
    paths = (*(rest if first == "push" and named else ()), *(behind or ()))
    return Loss(untracked=untracked, paths=() if _from_file(options) else paths)


def _reset(words: list[str], _: Callable[[str], bool]) -> Loss | None:
    options, _rest, _behind = _split(words)
    return Loss() if _has(options, "--hard", "--merge") else None


def _checkout(words: list[str], exists: Callable[[str], bool]) -> Loss | None:
    options, rest, behind = _split(words, ("-b", "-B", "--orphan", "--conflict", "--pathspec-from-file"))
    if _has(options, "-f", "--force") or _from_file(options):
        return Loss()
    if behind is not None:
        return Loss(paths=tuple(behind)) if behind else None
    if options & {"-b", "-B", "--orphan", "--detach", "-d"}:
        return None
    if _has(options, "--ours", "--theirs", "-p", "--patch", "-m", "--merge") and not rest:
        return Loss()
    paths = rest[1:] + ([rest[0]] if rest and _is_path(rest[0], exists) else [])
    return Loss(paths=tuple(paths)) if paths else None


def _is_path(word: str, exists: Callable[[str], bool]) -> bool:
    return (
        word in (".", "..", ":/") or any(letter in word for letter in "*?[\0") or word.startswith(":") or exists(word)
    )


def _restore(words: list[str], _: Callable[[str], bool]) -> Loss | None:
    options, rest, behind = _split(words, ("-s", "--source", "--conflict", "--pathspec-from-file"))
    if _has(options, "-S", "--staged") and not _has(options, "-W", "--worktree"):
        return None
    paths = (*rest, *(behind or ()))
    return Loss(paths=() if _from_file(options) else paths) if paths or _from_file(options) else None


def _clean(words: list[str], _: Callable[[str], bool]) -> Loss | None:
    options, rest, behind = _split(words, ("-e", "--exclude"))
    if _has(options, "-n", "--dry-run"):
        return None
    return Loss(tracked=False, untracked=True, paths=(*rest, *(behind or ())))


def _switch(words: list[str], _: Callable[[str], bool]) -> Loss | None:
    options, _rest, _behind = _split(words, ("-c", "-C", "--orphan"))
    return Loss() if _has(options, "-f", "--force", "--discard-changes") else None


def _rm(words: list[str], _: Callable[[str], bool]) -> Loss | None:
    options, rest, behind = _split(words, ("--pathspec-from-file",))
    if _has(options, "--cached") or not _has(options, "-f", "--force"):
        return None
    return Loss(paths=() if _from_file(options) else (*rest, *(behind or ())))


def _abort(words: list[str], _: Callable[[str], bool]) -> Loss | None:
    return Loss() if _has(set(words), "--abort") else None


def _read_tree(words: list[str], _: Callable[[str], bool]) -> Loss | None:
    options = _split(words)[0]
    return Loss() if "-u" in options and _has(options, "--reset") else None


def _checkout_index(words: list[str], _: Callable[[str], bool]) -> Loss | None:
    options, rest, behind = _split(words, ("--prefix", "--stage"))
    if not _has(options, "-f", "--force") or _has(options, "--prefix"):
        return None
    return Loss(paths=() if _has(options, "-a", "--all", "--stdin") else (*rest, *(behind or ())))


def _worktree(words: list[str], _: Callable[[str], bool]) -> Loss | None:
    options, rest, behind = _split(words)
    named = [*rest, *(behind or ())]
    if named[:1] != ["remove"] or len(named) < 2 or not _has(options, "-f", "--force"):
        return None
    return Loss(untracked=True, directory=named[1])


_VERBS: dict[str, Callable[[list[str], Callable[[str], bool]], Loss | None]] = {
    "stash": _stash,
    "reset": _reset,
    "checkout": _checkout,
    "restore": _restore,
    "clean": _clean,
    "switch": _switch,
    "rm": _rm,
    "merge": _abort,
    "rebase": _abort,
    "am": _abort,
    "cherry-pick": _abort,
    "revert": _abort,
    "read-tree": _read_tree,
    "checkout-index": _checkout_index,
    "worktree": _worktree,
}
