"""Does the line that runs guard stand where it has to stand in a hook, or in a hook manager's configuration?

A commit is judged after everything else, because another hook may stage more files. A push is judged before everything
else, because nothing else can change it, and because another hook may read what git wrote to standard input.
All functions take the contents of files and return "" for a good place, else what is wrong, as the end of a sentence
that begins with the file's name.
"""

from __future__ import annotations

import json
import re

from guard.events import by_name
from guard.install.languages import SHELLS, language
from guard.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

_CLOSES = re.compile(rb"(?:exit\b.*|fi|done|esac|\}|\)|;;|:|true|wait)\s*(?:#.*)?$")
_ENDS_ALL = re.compile(rb"(?:exec\s+(?![0-9]*[<>])[^|&]*|exit(?:\s+\S+)?\s*)$")
_PREPARES = re.compile(
    rb"(?:set\s.*|umask\s.*|export\s.*|unset\s.*|cd\s.*|\.\s+.*(?:husky\.sh|_/h).*|[A-Za-z_]\w*=[^$(`]*)$"
)


def calls_guard(line: bytes, event: str) -> bool:
    """Does this line, which is no comment, run guard for an event?"""
    if line.lstrip().startswith((b"#", b"//")):
        return False
    name = re.compile(rb"(?<![\w.-])%b(?![\w.-])" % re.escape(event.encode()))
    return (b"guard/hook" in line or re.search(rb"\bguard hook\b", line) is not None) and bool(name.search(line))


def in_script(contents: bytes, event: str) -> str:
    """For a hook that is a shell script; another language is not looked into."""
    if language(contents) not in SHELLS:
        return ""
    lines = contents.splitlines()
    ours = [number for number, line in enumerate(lines) if calls_guard(line, event)]
    if not ours:
        return ""
    if by_name(event).judged_first:
        before = [line.strip() for line in lines[: ours[0]]]
        if any(line and not line.startswith(b"#") and not _PREPARES.match(line) for line in before):
            return "runs guard after other commands, and a push has to be judged first"
        return ""
    if any(_ENDS_ALL.match(line) for line in lines[: ours[-1]]):  # no indentation: it stands in no branch
        return "ends with exec or exit before it comes to the line that runs guard"
    end = lines.index(b"REFS", ours[-1]) + 1 if b"<<REFS" in lines[ours[-1]] and b"REFS" in lines else ours[-1] + 1
    after = [line.strip() for line in lines[end:]]
    if any(line and not line.startswith(b"#") and not _CLOSES.match(line) for line in after):
        return "runs other commands after guard, and they may stage what guard has not judged"
    return ""


def move_command(file: str, contents: bytes, event: str) -> str:
    """A command that moves the line that runs guard to its place; "" where a person has to do it."""
    lines = contents.splitlines()
    ours = [line for line in lines if b"guard/hook" in line]
    if len(ours) != 1 or any(b"REFS" in line or b"refs=" in line for line in lines):
        return ""
    rest = f"grep -v guard/hook {file}"
    if not by_name(event).judged_first:
        if any(_ENDS_ALL.match(line) for line in lines):
            return ""
        new = f"{{ {rest}; grep guard/hook {file}; }}"
    elif contents.startswith(b"#!"):
        new = f"{{ sed -n 1p {file}; grep guard/hook {file}; sed 1d {file} | grep -v guard/hook; }}"
    else:
        new = f"{{ grep guard/hook {file}; {rest}; }}"
    return f"{new} >{file}.new; cat {file}.new >{file}; rm {file}.new"


# lefthook


class Section(Record):
    """What lefthook's configuration says about one event: its jobs in their order, and what runs beside them."""

    jobs: tuple[bytes, ...]
    parallel: bool
    others: bool


def section(name: bytes, contents: bytes, event: str) -> Section:
    """The section of an event in a configuration file of lefthook; ``name`` tells its format."""
    kind = name.rpartition(b".")[2]
    if kind in (b"yml", b"yaml"):
        return _yaml_section(contents, event)
    try:
        text = contents.decode("utf-8")
        data: Any = _toml(text) if kind == b"toml" else json.loads(text)
        found = data.get(event) or {}
        jobs = tuple(json.dumps(job, ensure_ascii=False).encode() for job in found.get("jobs") or ())
        others = bool(found.get("commands") or found.get("scripts"))
        return Section(jobs, bool(found.get("parallel")), others)
    except (ValueError, AttributeError, TypeError):
        return Section((), False, False)


def _toml(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def _yaml_section(contents: bytes, event: str) -> Section:
    """Reads the layout that lefthook documents, by its indentation."""
    inside, indent = False, b""
    jobs: list[bytes] = []
    part = b""
    parallel = others = False
    for line in contents.splitlines():
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        if not line.startswith((b" ", b"\t", b"-")):
            inside, part = text.rstrip(b":").strip(b"\"'") == event.encode(), b""
            continue
        if not inside:
            continue
        if match := re.match(rb"(jobs|commands|scripts)\s*:", text):
            part, indent = match[1], b""
            others = others or part in (b"commands", b"scripts")
        elif re.match(rb"parallel\s*:\s*true\b", text) and not part:
            parallel = True
        elif part == b"jobs":
            margin = line[: len(line) - len(line.lstrip())]
            if text.startswith(b"-") and (not jobs or margin == indent):
                indent = margin
                jobs.append(line)
            elif jobs:
                jobs[-1] += b"\n" + line
    return Section(tuple(jobs), parallel, others)


def in_lefthook(sections: Sequence[Section], event: str) -> str:
    """``sections`` are those of all configuration files, in the order in which lefthook merges them.

    lefthook runs jobs in their order, then commands, then scripts.
    """
    jobs = [job for each in sections for job in each.jobs]
    ours = [number for number, job in enumerate(jobs) if b"guard/hook" in job or b"guard hook" in job]
    if not ours:
        return ""
    if by_name(event).judged_first:
        first = next((each.jobs for each in sections if any(jobs[ours[0]] == job for job in each.jobs)), ())
        return "" if first[:1] == (jobs[ours[0]],) else f"does not list guard as the first job of {event}"
    if any(each.parallel for each in sections) and len(jobs) > 1:
        return f"runs the jobs of {event} in parallel, so that another may stage what guard has not judged"
    if any(each.others for each in sections):
        return (
            f"has commands or scripts for {event}, which lefthook runs after guard's job: write them as jobs before it"
        )
    return "" if ours[-1] == len(jobs) - 1 else f"lists jobs of {event} after guard's, and they may stage more"


# pre-commit and prek


def in_framework(files: Iterable[bytes], event: str) -> str:
    """``files`` are the contents of the frameworks' configuration. Hooks run in the order in which they are listed."""
    own = {"guard", "guard-merge", "guard-push"}
    for contents in files:
        matches = [match for match in _ID.finditer(contents) if not _in_comment(contents, match.start())]
        found = [(match[1].decode("utf-8", "replace"), match.end()) for match in matches]
        names = [name for name, _ in found]
        mine = by_name(event).framework_id
        if mine not in names:
            continue
        at = names.index(mine)
        ends = [*(match.start() for match in matches), len(contents)][1:]
        texts = [contents[start:end] for (_, start), end in zip(found, ends, strict=True)]
        beside = range(at) if by_name(event).judged_first else range(at + 1, len(names))
        others = [names[number] for number in beside if names[number] not in own and _runs_on(texts[number], event)]
        if others:
            place = "before" if by_name(event).judged_first else "after"
            return f"lists {others[0]} {place} the hook {mine}"
    return ""


_ID = re.compile(rb"""(?<![\w-])id["']?\s*[:=]\s*["']?([\w.-]+)["']?""")
_STAGES = re.compile(rb"\bstages[\"']?\s*[:=]\s*(\[[^\]]*\]|(?:\n\s*-\s*\S+)+)")


def _in_comment(contents: bytes, position: int) -> bool:
    return b"#" in contents[contents.rfind(b"\n", 0, position) + 1 : position]


def _runs_on(text: bytes, event: str) -> bool:
    """Does a hook run on an event? One that names no stages may run on every event."""
    stages = _STAGES.search(text)
    if stages is None:
        return True
    short = {"pre-commit": b"commit", "pre-push": b"push", "pre-merge-commit": b"merge-commit"}.get(event, b"")
    words = re.findall(rb"[\w-]+", stages[1])
    return event.encode() in words or short in words
