"""Which git commands does a shell command run, as far as that can be found out without running it?

This module reads what agents type in POSIX sh: quotes, escapes, lists, pipes, subshells, command substitutions,
here-documents, "cd", wrappers such as sudo and env, and "sh -c". It does not see aliases and functions of the shell,
scripts that run git, and the values of variables. :data:`UNKNOWN` stands for a part of a word that only the shell
knows.
"""

from __future__ import annotations

import os

from guard.record import Record

UNKNOWN = "\0"
"""Stands in a word for a part that only the shell knows."""

_WRAPPERS = frozenset(
    [
        "sudo",
        "doas",
        "env",
        "command",
        "exec",
        "nohup",
        "nice",
        "timeout",
        "time",
        "stdbuf",
        "xargs",
        "parallel",
        "chrt",
        "taskset",
        "unbuffer",
        "caffeinate",
        "strace",
        "watch",
        "coproc",
        "builtin",
        "setsid",
        "ionice",
    ]
)
_KEYWORDS = frozenset(
    [
        "if",
        "then",
        "else",
        "elif",
        "do",
        "while",
        "until",
        "{",
        "}",
        "!",
        "fi",
        "done",
        "esac",
        "in",
    ]
)
_SHELLS = frozenset(
    [
        "sh",
        "bash",
        "dash",
        "zsh",
        "ksh",
        "ash",
        "busybox",
    ]
)
_GIT_WITH_VALUE = frozenset(
    [
        "-C",
        "-c",
        "--git-dir",
        "--work-tree",
        "--namespace",
        "--exec-path",
        "--super-prefix",
        "--config-env",
    ]
)
_MAX_DEPTH = 5
_QUOTING = dict.fromkeys(map(ord, "'\"\\\n"))
_PRINTERS = frozenset(["echo", "printf", "cat"])
"""Commands that write their arguments, or a here-document, into a pipe."""
_FROM_INPUT = frozenset(["xargs", "parallel"])
"""Wrappers that add words from their input to the command."""


class Git(Record):
    """A call of git.

    ``directory`` is the one that git works in: "" for the directory in which the command starts, None if it is unknown.
    ``verb`` is the name of git's command, and ``words`` are the words after it. ``located`` tells that --git-dir or
    --work-tree was given. ``aliases`` are the names and values that ``-c alias.NAME=VALUE`` gives.
    """

    directory: str | None
    verb: str
    words: tuple[str, ...]
    located: bool = False
    aliases: tuple[tuple[str, str], ...] = ()


def git_calls(command: str) -> list[Git]:
    """Every call of git in a shell command, in order. [] for one that does not mention git."""
    return _calls(command, "", 0) if mentions_git(command) else []


def mentions_git(command: str) -> bool:
    """Could the command call git by its name? Quotes and backslashes are ignored, because they may be inside a word."""
    return "git" in command or "git" in command.translate(_QUOTING)


def directory_after(command: str) -> str | None:
    """The current directory of a shell after a command: "" for the one in which it began, None if it is unknown.

    The command may be cut off, for example after ``bash -c "cd src && apply_patch``.
    """
    return _directory_after(command, "", 0)


def _directory_after(text: str, directory: str | None, depth: int) -> str | None:
    for words, _, _ in _simple_commands(text):
        words = _bare(words)
        head = os.path.basename(words[0]) if words else ""
        if head in ("cd", "pushd") and len(words) > 1:
            directory = _below(directory, _first_operand(words))
        elif head in _SHELLS and depth <= _MAX_DEPTH:
            directory = _directory_after(words[-1], directory, depth + 1)
    return directory


def _first_operand(words: list[str]) -> str:
    return next((word for word in words[1:] if not word.startswith("-")), UNKNOWN)


def _calls(text: str, directory: str | None, depth: int) -> list[Git]:
    found: list[Git] = []
    if depth > _MAX_DEPTH:
        return found
    piped = ""
    for words, inner, given in _simple_commands(text):
        for each in inner:
            found += _calls(each, directory, depth + 1)
        wrapped = words
        words = _bare(words)
        before, piped = piped, _written(words, given)
        if not words:
            continue
        head = os.path.basename(words[0])
        if head in ("cd", "pushd") and len(words) > 1:
            directory = _below(directory, _first_operand(words))
        elif head in _SHELLS or head == "eval":
            found += _nested(words, given or before, directory, depth)
        elif head == "find":
            found += _of_find(words, directory)
        elif head == "git":
            if not _FROM_INPUT.isdisjoint(map(os.path.basename, wrapped[: len(wrapped) - len(words)])):
                words = [*words, UNKNOWN]
            call = _git(words[1:], directory)
            found += [call] if call else []
    return found


def _written(words: list[str], given: str) -> str:
    """The text that a command writes into a pipe, if it is in the command's own words or here-document; else ""."""
    head = os.path.basename(words[0]) if words else ""
    if head not in _PRINTERS:
        return ""
    return given if head == "cat" else " ".join(words[1:]).replace("\\n", "\n")


def _of_find(words: list[str], directory: str | None) -> list[Git]:
    """The calls of git that find makes by ``-exec COMMAND ;``, ``-execdir``, ``-ok`` and ``-okdir``."""
    found = []
    for number, word in enumerate(words):
        if word in ("-exec", "-execdir", "-ok", "-okdir"):
            called = _bare([UNKNOWN if each == "{}" else each for each in words[number + 1 :]])
            ends = [at for at, each in enumerate(called) if each in (";", "+")]
            called = called[: ends[0]] if ends else called
            if called and os.path.basename(called[0]) == "git":
                call = _git(called[1:], directory)
                found += [call] if call else []
    return found


def _nested(words: list[str], given: str, directory: str | None, depth: int) -> list[Git]:
    """The calls in the argument of ``sh -c`` or ``eval``, or in the text that a shell gets on its standard input."""
    if os.path.basename(words[0]) == "eval":
        return _calls(" ".join(words[1:]), directory, depth + 1)
    for number, word in enumerate(words[1:-1], 1):
        if word.startswith("-") and not word.startswith("--") and "c" in word:
            return _calls(words[number + 1], directory, depth + 1)
    scripts = [word for word in words[1:] if not word.startswith("-")]
    return _calls(given, directory, depth + 1) if not scripts or "-s" in words else []


def _bare(words: list[str]) -> list[str]:
    """The words without keywords, assignments and wrappers before the command."""
    words = list(words)
    while words:
        head = os.path.basename(words[0])
        if words[0] in _KEYWORDS or _is_assignment(words[0]):
            del words[0]
        elif head in _WRAPPERS:
            # Wrappers have different options, and some take values. So skip to the first word that is a known command.
            known = next(
                (
                    n
                    for n, word in enumerate(words[1:], 1)
                    if os.path.basename(word) in {"git", "eval", "find", *_SHELLS}
                ),
                None,
            )
            if known is None:
                return []
            del words[:known]
        else:
            break
    return words


def _is_assignment(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.replace("_", "a").isalnum() and not name[0].isdigit()


def _git(words: list[str], directory: str | None) -> Git | None:
    located = False
    aliases: list[tuple[str, str]] = []
    number = 0
    while number < len(words) and words[number].startswith("-"):
        option, equals, _ = words[number].partition("=")
        if option in ("--git-dir", "--work-tree"):
            located = True
        if option in _GIT_WITH_VALUE and not equals:
            if option == "-C" and number + 1 < len(words):
                directory = _below(directory, words[number + 1])
            if option == "-c" and number + 1 < len(words):
                name, _, value = words[number + 1].partition("=")
                aliases += [(name[len("alias.") :].lower(), value)] if name.lower().startswith("alias.") else []
            number += 1
        number += 1
    if number >= len(words):
        return None
    return Git(directory, words[number], tuple(words[number + 1 :]), located, tuple(aliases))


def _below(directory: str | None, step: str) -> str | None:
    if UNKNOWN in step or step == "-":
        return None
    if step == "~" or step.startswith("~/"):
        step = os.path.expanduser(step)
    if os.path.isabs(step):
        return step
    return None if directory is None else os.path.join(directory, step)


# Words


def _simple_commands(text: str) -> list[tuple[list[str], list[str], str]]:
    """The simple commands of a text. For each: its words, the texts of the command substitutions in it, and the text of
    its here-document or here-string."""
    return _Words(text).commands()


class _Words:
    """Splits a shell text into words (POSIX, Shell Command Language, 2.2 and 2.3). It expands nothing."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: list[tuple[list[str], list[str], str]] = []
        self.given = ""
        self.words: list[str] = []
        self.inner: list[str] = []
        self.word: list[str] | None = None
        # Here-documents that begin after this line: the end, whether tabs are stripped, and the command's number.
        self.pending: list[tuple[str, bool, int]] = []

    def commands(self) -> list[tuple[list[str], list[str], str]]:
        while self.at < len(self.text):
            self._step(self.text[self.at])
        self._end_command()
        return self.found

    def _step(self, letter: str) -> None:
        text = self.text
        if letter == "\\":
            if text[self.at + 1 : self.at + 2] != "\n":
                self._add(text[self.at + 1 : self.at + 2])
            self.at += 2
        elif letter == "'":
            end = text.find("'", self.at + 1)
            end = len(text) if end < 0 else end
            self._add(text[self.at + 1 : end])
            self.at = end + 1
        elif letter == '"':
            self._double_quoted()
        elif letter in "$`":
            self._expansion()
        elif letter in " \t\r":
            self._end_word()
            self.at += 1
        elif letter == "#" and self.word is None:
            end = text.find("\n", self.at)
            self.at = len(text) if end < 0 else end
        elif letter in "\n;|()" or (letter == "&" and text[self.at + 1 : self.at + 2] != ">"):
            self._end_command()
            self.at += 1
            if letter == "\n":
                self._here_documents()
        elif letter in "<>" or (letter == "&" and self.word is None):
            self._redirection()
        else:
            self._add(letter)
            self.at += 1

    def _add(self, text: str) -> None:
        if self.word is None:
            self.word = []
        self.word.append(text)

    def _end_word(self) -> None:
        if self.word is not None:
            self.words.append("".join(self.word))
            self.word = None

    def _end_command(self) -> None:
        self._end_word()
        if self.words or self.inner:
            self.found.append((self.words, self.inner, self.given))
        self.words, self.inner, self.given = [], [], ""

    def _double_quoted(self) -> None:
        self._add("")
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            letter = self.text[self.at]
            if letter == "\\":
                after = self.text[self.at + 1 : self.at + 2]
                self._add(after if after in '$`"\\' else "" if after == "\n" else "\\" + after)
                self.at += 2
            elif letter in "$`":
                self._expansion()
            else:
                self._add(letter)
                self.at += 1
        self.at += 1

    def _expansion(self) -> None:
        text, start = self.text, self.at
        if text[start] == "`":
            end = text.find("`", start + 1)
            end = len(text) if end < 0 else end
            self.inner.append(text[start + 1 : end])
            self.at = end + 1
        elif text.startswith("$(", start):
            end = self._closing(start + 1)
            self.inner.append(text[start + 2 : end])
            self.at = end + 1
        elif text.startswith("${", start):
            end = text.find("}", start)
            self.at = len(text) if end < 0 else end + 1
        elif text.startswith("$'", start):
            self.at += 1  # the quotes of bash and zsh: read as single quotes
            return
        else:
            self.at += 1
            if not (
                text[self.at : self.at + 1].isalnum() or text[self.at : self.at + 1] in ("_", "?", "@", "*", "#", "!")
            ):
                self._add("$")
                return
            self.at += 1
            while self.at < len(text) and (text[self.at].isalnum() or text[self.at] == "_"):
                self.at += 1
        self._add(UNKNOWN)

    def _closing(self, start: int) -> int:
        """The offset at which the parenthesis at ``start`` is closed. Parentheses in quotes do not count."""
        depth, at, quote = 0, start, ""
        while at < len(self.text):
            letter = self.text[at]
            if letter == "\\" and quote != "'":
                at += 1
            elif quote:
                quote = "" if letter == quote else quote
            elif letter in "'\"":
                quote = letter
            elif letter == "(":
                depth += 1
            elif letter == ")":
                depth -= 1
                if depth == 0:
                    return at
            at += 1
        return len(self.text)

    def _redirection(self) -> None:
        text = self.text
        if self.word is not None and "".join(self.word).isdigit():
            self.word = None  # the number of a file, as in 2>&1
        self._end_word()
        here_string = text.startswith("<<<", self.at)
        if here_string:
            self.at += 3
        elif text.startswith("<<", self.at):
            self._begin_here_document()
            return
        else:
            while self.at < len(text) and text[self.at] in "<>&|":
                self.at += 1
        before = len(self.words)
        while self.at < len(text) and text[self.at] in " \t":
            self.at += 1
        while self.at < len(text) and text[self.at] not in " \t\n;|&()<>":
            self._step(text[self.at])
        self._end_word()
        if here_string:
            self.given = " ".join(self.words[before:])
        del self.words[before:]  # the file's name is no word of the command

    def _begin_here_document(self) -> None:
        self.at += 2
        strip = self.text.startswith("-", self.at)
        self.at += strip
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1
        before = len(self.words)
        while self.at < len(self.text) and self.text[self.at] not in " \t\n;|&()<>":
            self._step(self.text[self.at])
        self._end_word()
        self.pending += [(word, strip, len(self.found)) for word in self.words[before:]]
        del self.words[before:]

    def _here_documents(self) -> None:
        for end, strip, number in self.pending:
            lines = []
            while self.at < len(self.text):
                stop = self.text.find("\n", self.at)
                stop = len(self.text) if stop < 0 else stop
                line = self.text[self.at : stop]
                self.at = stop + 1
                line = line.lstrip("\t") if strip else line
                if line == end:
                    break
                lines.append(line)
            if number < len(self.found):
                words, inner, _ = self.found[number]
                self.found[number] = words, inner, "\n".join(lines)
        self.pending = []
