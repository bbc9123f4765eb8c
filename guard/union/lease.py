"""The lease on a union: how long a union from a server may be used before the server is asked again.

A hook cannot ask a server on every commit. So a union that was made from a server's answer carries a deadline (Gray and
Cheriton, "Leases", 1989). The promise: **a push never misses a reservation that was made before it began, and a commit
misses one for at most the length of the lease.** It rests on these rules; tests/test_lease_model.py checks them, and
that leaving out any one of them breaks the promise.

1. *The clock is read before the question is sent.* Whatever the answer does not hold was made later than that. However
   long a process is stopped between the question and the publication, the deadline does not move.
2. *The clock counts the time asleep, and nobody sets it*: Linux's CLOCK_BOOTTIME, which /proc/uptime shows, too
   (clock_gettime(2), proc(5)), and CLOCK_MONOTONIC on macOS. The time of day plays no part, neither here nor on the
   server.
3. *The clock may be 1 % slow.* So the deadline is 99 % of the length after the question.
4. *The clock starts anew with the boot*, so the lease names the boot. A reading that is earlier than the question comes
   from another clock, such as a container's that was started again: then the lease does not hold.
5. *A push always asks*, after it began.
6. *What was asked later stands.* Of two processes that publish in one place, the one that asked later knows more: the
   other one's answer is dropped. So, on the machine where somebody reserved, no older answer replaces the union that
   the writer renewed.
7. *A writer renews the unions of its machine* before it says that something is reserved. Where it cannot, it leaves a
   lease that never holds, for else an older answer could be published afterwards.

What it cannot know of: a virtual machine that its host has paused does not count that time. A commit in it may be late
by the pause, too. A push is not.

Everything here is pure: the clock is passed in, in ns. Loaded by hooks: imports nothing heavy.
"""

from __future__ import annotations

from guard.record import Record

DRIFT_PERCENT = 1
"""By how much a clock may be slow or fast, in percent of the time that passes."""
_MS_NS = 1_000_000
_S_NS = 1_000_000_000


class Lease(Record):
    """When the question was asked, in ns of the clock of that boot, and how long its answer may be used, in ms."""

    boot: bytes
    asked_ns: int
    length_ms: int


def until_ns(lease: Lease) -> int:
    """The deadline, in ns of the clock of the lease's boot."""
    return lease.asked_ns + lease.length_ms * _MS_NS * (100 - DRIFT_PERCENT) // 100


def holds(lease: Lease, *, boot: bytes, now_ns: int) -> bool:
    """May the union still be used, by the clock of this boot (ns)?"""
    return bool(boot) and boot == lease.boot and lease.asked_ns <= now_ns < until_ns(lease)


def whole_seconds(lease: Lease) -> tuple[int, int]:
    """From when until when sh takes the lease to hold, in whole seconds: less than :func:`holds` allows, never more.

    sh compares the whole seconds of /proc/uptime. Hundredths would not fit into the 32 bits that some shells have.
    """
    return lease.asked_ns // _S_NS, until_ns(lease) // _S_NS


def holds_in_seconds(lease: Lease, *, boot: bytes, now_s: int) -> bool:
    """The answer that ``hooks/guard`` gives, which has whole seconds only. The tests compare it with :func:`holds`."""
    first, end = whole_seconds(lease)
    return bool(boot) and boot == lease.boot and first <= now_s < end


def replaces(new: Lease, old: Lease) -> bool:
    """May an answer to ``new`` be published in the place of an answer to ``old``?"""
    return new.boot != old.boot or new.asked_ns >= old.asked_ns


def settled_ms(length_ms: int) -> int:
    """How long a writer waits, by a clock that may be fast, until no union anywhere can miss what it wrote."""
    return -(-length_ms * (100 + DRIFT_PERCENT) // 100)


def age_ms(lease: Lease, *, boot: bytes, now_ns: int) -> int | None:
    """How long ago the server was asked, in ms; None if that was in another boot."""
    if not boot or boot != lease.boot or now_ns < lease.asked_ns:
        return None
    return (now_ns - lease.asked_ns) // _MS_NS
