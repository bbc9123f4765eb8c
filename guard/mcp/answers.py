"""The answers of the tools: the same JSON as that of the commands, and a message in words with the same content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guard.mcp import identity
from guard.model import EXIT_REFUSED, SCHEMA, GuardError, UsageError
from guard.record import Record
from guard.repo import fence, settings
from guard.repo.secrets import without_password
from guard.stores.choose import FIRST, NEVER
from guard.stores.interface import Chosen
from guard.words import conflicts_in_words, notices_in_words, safe
from guard.work import leases, notices, questions, relatives
from guard.work.here import now_ms
from guard.work.leases import Choice, Wish
from guard.work.questions import FREE, HELD, MINE, Filter
from guard.work.shapes import asked_lines, check_json, granted, in_the_way, list_json, outcome_json, reservation_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.mcp.standing import Standing
    from guard.mcp.turns import Turn
    from guard.model import Reservation
    from guard.stores.interface import Outcome
    from guard.work.questions import Asked
    from guard.work.shapes import Json

    Arguments = dict[str, Any]

LINES = 40
"""How many lines of a message list what was found; one more line counts the others."""
LISTED = 100
"""How many members a list in an answer has at most. Claude Code shows its model nothing of an answer that has more than
25,000 tokens (its MAX_MCP_OUTPUT_TOKENS), which are about 200 reservations."""
_LISTS = ("paths", "conflicts", "reservations", "granted", "released", "kept_until_pushed", "not_found")
"""The lists that are cut. Of guard_list's its caller says how long it may be."""


class Answer(Record):
    """The answer of a tool. ``failed`` tells that it could not decide, or was called in a wrong way."""

    content: Json
    failed: bool = False


class Said:
    """An answer that is being made: its warnings and notices, and the lines of its message."""

    def __init__(self, here: Standing) -> None:
        self.here = here
        self.warnings: list[str] = []
        self.notices: list[str] = []
        self.next: list[str] = []

    def tell(self) -> None:
        """Notes, once, which reservations others broke, which expired, and which were released after a push."""
        here = self.here
        if here.unused and here.making == NEVER:
            return  # nobody holds anything, so nobody has to be told
        rows = notices.unread(here)
        if here.made:
            self.warnings.append(f"made a new, empty store at {safe(without_password(here.made))}")
            here.made = ""
        self.notices += [line.removeprefix("guard: ") for line in notices_in_words(rows, now=now_ms())]
        try:
            notices.mark_read(here, rows)
        except GuardError as error:
            self.warnings.append(
                f"this notice will come again, because the store cannot be written: {safe(error.what)}"
            )
        self.notices += here.settle_pending()

    def look_in_force(self) -> None:
        """Notes warnings when hooks do not enforce reservations here, and when these are not the usual ones."""
        self.warnings += self.here.remarks

    def answer(self, shape: Json, lines: Sequence[str], *, whole: bool = False) -> Answer:
        """The answer; ``lines`` are what was found, in words. ``whole``: its lists are not cut."""
        here, me = self.here, self.here.me
        shape, left_out = (shape, {}) if whole else _shortened(shape)
        content = {"schema": SCHEMA, **shape, "holder": me, "project": here.project}
        warnings = _cut(self.warnings, "more warnings")
        told = _cut(self.notices, "more: guard log shows them")
        content |= {"warnings": warnings, "notices": told}
        text = _cut(lines, "more lines")
        if left_out:
            content["left_out"] = left_out
            counts = ", ".join(f"{count} of {name}" for name, count in left_out.items())
            text.append(f"left out here, so that the answer can be read as a whole: {counts}")
        text += [f"next: {each}" for each in self.next]
        text += [f"told once: {each}" for each in told] + [f"warning: {each}" for each in warnings]
        if self.next:
            content["next"] = self.next
        if identity.is_made(here.settings):
            content["holder_note"] = identity.note(me)
            text.append(content["holder_note"])
        content["message"] = "\n".join(text)
        return Answer(content)


def _shortened(shape: Json) -> tuple[Json, dict[str, int]]:
    """An answer's lists with so many members that a client shows it whole, and how many were left out of each."""
    left_out = {name: len(shape[name]) - LISTED for name in _LISTS if len(shape.get(name, ())) > LISTED}
    return shape | {name: shape[name][:LISTED] for name in left_out}, left_out


def _cut(lines: Sequence[str], what: str) -> list[str]:
    return [*lines[:LINES], *([f"… and {len(lines) - LINES} {what}"] if len(lines) > LINES else [])]


def failure(error: GuardError, *, made: str = "") -> Answer:
    """The answer for an error. An error that only says that there is nothing to do is no failure.

    ``made`` is the holder's name if the server made it. It is told here, too: what to do next is often a command, and
    an agent's shell would otherwise do it in another name.
    """
    text = safe(error.what) + (f"\nnext: {safe(error.hint)}" if error.hint else "")
    told = {"what": error.what, "next": error.hint or None, "code": error.code}
    content: Json = {"schema": SCHEMA, "error": told}
    if made:
        content |= {"holder": made, "holder_note": identity.note(made)}
        text += f"\n{content['holder_note']}"
    return Answer(content | {"message": text}, failed=error.code != EXIT_REFUSED)


# guard_check


def check(here: Standing, arguments: Arguments, turn: Turn) -> Answer:
    """Would a change of these paths be refused? Without paths: would a commit of what is staged be refused?

    Raises :class:`UsageError` for arguments that do not go together.
    """
    paths, changed = _encoded(arguments.get("paths", ())), bool(arguments.get("changed"))
    if paths and changed:
        raise UsageError("paths and changed do not go together", hint="ask twice")
    said = Said(here)
    said.tell()
    said.look_in_force()
    if paths or changed:
        return _check_asked(said, questions.check_paths(here, paths) if paths else questions.check_changed(here))
    changes = questions.staged(here)
    verdict = questions.check_changes(here, changes)
    left = fence.outside(changes, here.settings.only, fold=here.settings.fold)
    lines = [f"{_warn_of_fence(said, left)}: nobody else holds any of the {len(changes)} staged paths"]
    if not changes:
        lines = ["clear: nothing is staged"]
    if verdict.conflicts:
        count = len({conflict.path for conflict in verdict.conflicts})
        lines = [f"reserved: a commit of what is staged would be refused for {count} of {len(changes)} paths"]
        lines += conflicts_in_words(verdict.conflicts, now=now_ms())
        _advise_held(said)
    return said.answer(check_json(verdict, me=here.me, fenced=bool(left)), lines)


def _check_asked(said: Said, checked: questions.Checked) -> Answer:
    verdict, me, left = checked.verdict(), checked.me, checked.fenced()
    asked = list(checked.asked)
    shown = sorted((one for one in asked if one.reservations or verdict.conflicts), key=lambda one: _rank(one, me))
    if len(asked) > LISTED:
        asked.sort(key=lambda one: _rank(one, me))  # what is held is not left out for what is free
    lines = [f"{_warn_of_fence(said, left)}: nobody else holds {_counted(checked.asked)}"]
    if not asked:
        lines = ["clear: nothing is changed"]
    if verdict.conflicts:
        count = sum(one.state(me) == HELD for one in checked.asked)
        lines = [f"reserved: others hold {count} of {len(checked.asked)}"]
        _advise_held(said)
    lines += asked_lines(shown, me=me, now=now_ms())
    return said.answer(check_json(verdict, me=me, asked=asked, fenced=bool(left)), lines)


def _rank(one: Asked, me: str) -> int:
    return {HELD: 0, MINE: 1, FREE: 3 - one.fenced}.get(one.state(me), 2)


def _warn_of_fence(said: Said, left: Sequence[bytes]) -> str:
    """Notes which paths leave the fence of this worktree; returns the verdict in a word, if nothing is reserved."""
    if not left:
        return "clear"
    shown = ", ".join(safe(path) for path in left[:5]) + (", …" if len(left) > 5 else "")
    said.warnings.append(f"outside of the fence (guard.only), so a commit is refused: {shown}")
    return "outside of the fence"


def _counted(asked: Sequence[Asked]) -> str:
    return safe(asked[0].path) if len(asked) == 1 else f"any of these {len(asked)}"


def _advise_held(said: Said) -> None:
    """Adds what to do about paths that others hold."""
    passes = questions.passes_because(said.here)
    if passes:
        said.warnings.append(f"a commit of this would pass all the same: {passes}")
    said.next.append("leave what others hold as it is, and work on other paths")
    if said.here.store.kind.writable:
        said.next.append("or wait for your turn: guard_reserve with wait_seconds")


# guard_reserve


def reserve(here: Standing, arguments: Arguments, turn: Turn) -> Answer:
    """Reserves all patterns, or none when somebody else is in the way; waits for its turn if the call says so.

    Raises :class:`UsageError` for arguments that name nothing, or cannot be reserved.
    """
    patterns, ttl = _encoded(arguments.get("patterns", ())), arguments.get("ttl")
    wish = Wish(
        exclusive=not arguments.get("shared", False),
        reason=arguments.get("reason", ""),
        ttl_ms=None if ttl is None else settings.ttl(ttl, what="ttl"),
        wait_ms=int(arguments.get("wait_seconds", 0)) * 1000,
        changed=bool(arguments.get("changed")),
        staged=bool(arguments.get("staged")),
    )
    if not (patterns or wish.changed or wish.staged):
        raise UsageError("say what to reserve: patterns, changed or staged", hint='"patterns": ["src/auth"]')
    leases.checked_wish(here, patterns, wish)  # what cannot be reserved is said before anything else
    here.making = FIRST
    said = Said(here)
    said.tell()
    said.look_in_force()
    said.warnings += relatives.remarks(here, here.store, ask=False)
    began = now_ms()
    done = leases.reserve(here, patterns, wish, waiting=lambda seen: turn.wait_for(_waits_for(seen)), sleep=turn.sleep)
    outcome = done.outcome
    if turn.stopped:
        _give_back(here, outcome, since=began)
    lines = [granted(row, now=now_ms()) for row in outcome.reservations]
    if lines and outcome.lease_ms:
        seconds = -(-outcome.lease_ms // 1000)
        lines.append(f"in force on other machines within {seconds} s; for their pushes, and on this machine, at once")
    if not lines:
        after = f" after {wish.wait_ms // 1000} s" if wish.wait_ms else ""
        lines = [f"nothing was reserved{after}: others are in the way", *in_the_way(outcome, now=now_ms())]
        lines += [f"  {outcome.ahead} came earlier and want some of the same"] if outcome.ahead else []
        _advise_taken(said, outcome)
    said.warnings += [f"{safe(pattern)} matches no file yet" for pattern in done.unmatched]
    return said.answer(outcome_json("granted", outcome, me=here.me), lines)


def _waits_for(seen: Outcome) -> str:
    lines = [line.strip() for line in in_the_way(seen, now=now_ms())]
    return "waiting for: " + "; ".join(lines[:5]) if lines else f"waiting: {seen.ahead} came earlier"


def _advise_taken(said: Said, outcome: Outcome) -> None:
    said.next.append("work on something else, and try again later")
    if said.here.store.kind.writable:
        said.next.append("or wait for your turn: guard_reserve with wait_seconds, again and again")
        ids = " ".join(dict.fromkeys(str(found.reservation.id) for found in outcome.conflicts))
        if ids:
            said.next.append(f"or ask the people you work for; they can type: guard break {ids} --reason 'why'")


def _give_back(here: Standing, outcome: Outcome, *, since: int) -> None:
    """Releases what was granted to a call that was given up, but not what the holder had before the call."""
    new = tuple(row.id for row in outcome.reservations if row.created_at >= since)
    if new:
        with here.writing() as store:
            store.release(here.actor, Chosen(ids=new))


# guard_release


def release(here: Standing, arguments: Arguments, turn: Turn) -> Answer:
    """Ends reservations of the holder. Raises :class:`UsageError` for arguments that do not go together."""
    patterns, ids = _encoded(arguments.get("patterns", ())), tuple(map(int, arguments.get("ids", ())))
    everything = bool(arguments.get("all"))
    if not (patterns or ids or everything):
        raise UsageError("say what to release: patterns, ids or all", hint='"patterns": ["src/auth"]')
    if everything and (patterns or ids):
        raise UsageError("all stands alone: it would release everything that you hold", hint='"all": true')
    said = Said(here)
    said.tell()
    done = leases.release_watching(
        here, Choice(patterns, ids, everything), after_push=bool(arguments.get("after_push"))
    )
    me, rows = here.me, done.outcome.reservations
    said.warnings += filter(None, [done.warning])
    if rows and done.left.words() and not done.kept:
        said.warnings.append(f"below it you have {done.left.words()}: others may now change the same")
        said.next.append("to keep it until it is pushed, reserve it again, then guard_release with after_push")
    lines = [f"released #{row.id} {_shown(row)}" for row in rows]
    lines += [f"kept #{row.id} {_shown(row)} until its changes are pushed" for row in done.kept]
    lines += [f"you ({safe(me)}) do not hold {safe(name)} here" for name in done.outcome.not_found]
    if not lines:
        lines = [f"nothing was released: you ({safe(me)}) hold nothing here"]
    later = [reservation_json(row, me=me) for row in done.kept]
    shape = outcome_json("released", done.outcome, me=me) | ({"kept_until_pushed": later} if later else {})
    return said.answer(shape, lines)


# guard_list


def list_(here: Standing, arguments: Arguments, turn: Turn) -> Answer:
    """Who holds what. The holder's own reservations come first; of each holder, those that end soonest."""
    only = Filter(
        mine=bool(arguments.get("mine")),
        theirs=bool(arguments.get("theirs")),
        paths=_encoded(arguments.get("paths", ())),
    )
    limit = int(arguments.get("limit", LISTED))
    said = Said(here)
    said.tell()
    said.look_in_force()
    found = questions.held(here, only)
    me = here.me
    rows = sorted(found.reservations, key=lambda row: (row.holder != me, row.expires_at or 0, row.id))
    shown = rows[:limit]
    shape = list_json(shown, project=here.project, me=me, generation=found.generation, all_projects=False)
    lines = [f"#{row.id} {_held(row, me=me)}" for row in shown]
    if len(rows) > limit:
        said.next.append(f"to see all {len(rows)}: guard_list with a larger limit, or with paths")
    like = "" if only == Filter() else " like that"
    nothing = f"nothing{like} is reserved in {safe(here.project)}"
    return said.answer(shape | {"total": len(rows)}, lines or [nothing], whole=True)


def _held(row: Reservation, *, me: str) -> str:
    from guard.words import held

    return ("(you) " if row.holder == me else "") + held(row, now=now_ms())


def _shown(row: Reservation) -> str:
    from guard.words import pattern

    return pattern(row)


def _encoded(words: Sequence[str]) -> tuple[bytes, ...]:
    """Paths and patterns as bytes. Raises :class:`UsageError` for text that no bytes stand for."""
    try:
        return tuple(word.encode("utf-8") for word in words)
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object!a} is not UTF-8", hint="name a directory above it") from None


ANSWERS: dict[str, Callable[[Standing, Arguments, Turn], Answer]] = {
    "guard_check": check,
    "guard_reserve": reserve,
    "guard_release": release,
    "guard_list": list_,
}
"""The function that answers each tool."""
