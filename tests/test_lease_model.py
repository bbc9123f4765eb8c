"""The lease protocol, run against a model of the world before anybody trusts it with a commit.

The world has a server and some machines. Each machine has a clock that runs up to 1 % too slow or too fast, a time of
day that is anything, and boots. Processes are stopped between any two steps. A reservation is a number: whoever judges
by the server's state *n* knows the first *n* reservations. The functions of :mod:`guard.union.lease` that the code uses
are the very ones that are checked here, with the clock passed in.

Asserted for every schedule:

- a push knows every reservation that was made before it began;
- a commit knows every reservation that was made at least a lease's length before it;
- a commit knows every reservation that was acknowledged on its own machine before it;
- when ``guard reserve --settle`` returns, every commit that begins then, on any machine, knows the reservation.

Each variant that leaves out one rule must be caught.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from guard.union import lease
from guard.union.lease import Lease

LENGTH_MS = 30_000
LENGTH_NS = LENGTH_MS * 1_000_000
HOUR_NS = 3_600 * 10**9
STEPS = 60
SCHEDULES = 4000


@dataclass
class Answer:
    """What a server answered: its state, and the lease on it."""

    state: int
    lease: Lease


@dataclass
class Machine:
    """A computer. ``rate`` is in thousandths: its clock counts so many ns while 1,000 ns pass."""

    name: int
    rate: int
    wall_ns: int
    boot: int = 0
    counted_ns: int = 0  # since the boot, asleep or not
    asleep_ns: int = 0
    published: Answer | None = None
    acknowledged: int = 0
    running: list[Process] = field(default_factory=list)

    @property
    def boot_name(self) -> bytes:
        return b"boot %d of %d" % (self.boot, self.name)

    def pass_time(self, ns: int, *, asleep: bool) -> None:
        counted = ns * self.rate // 1000
        self.counted_ns += counted
        self.wall_ns += counted
        self.asleep_ns += counted if asleep else 0

    def start_anew(self) -> None:
        self.boot += 1
        self.counted_ns = self.asleep_ns = 0
        self.running.clear()


@dataclass
class Process:
    """A hook or a writer, between its steps. ``wrote``: the reservation it made, which it has to acknowledge."""

    what: str
    machine: Machine
    began: int  # how many reservations there were
    asked_ns: int | None = None
    state: int | None = None
    wrote: int | None = None


class Protocol:
    """The rules as guard follows them. The variants below each break one."""

    asks_for_push = True
    writer_renews = True
    leaves_mark = True

    def clock(self, machine: Machine) -> int:
        return machine.counted_ns

    def boot(self, machine: Machine) -> bytes:
        return machine.boot_name

    def asked(self, process: Process) -> int:
        """The instant that the lease counts from, read when the answer is published."""
        assert process.asked_ns is not None
        return process.asked_ns

    def holds(self, answer: Answer, machine: Machine) -> bool:
        return lease.holds(answer.lease, boot=self.boot(machine), now_ns=self.clock(machine))

    def replaces(self, new: Answer, old: Answer) -> bool:
        return lease.replaces(new.lease, old.lease)

    def settled_ns(self) -> int:
        return lease.settled_ms(LENGTH_MS) * 1_000_000


class InSeconds(Protocol):
    """As the hook in sh decides."""

    def holds(self, answer: Answer, machine: Machine) -> bool:
        now_s = self.clock(machine) // 10**9
        return lease.holds_in_seconds(answer.lease, boot=self.boot(machine), now_s=now_s)


class FromTheAnswer(Protocol):
    """Broken: the deadline counts from when the answer is published."""

    def asked(self, process: Process) -> int:
        return self.clock(process.machine)


class WithoutMargin(Protocol):
    """Broken: clocks are taken to be exact."""

    def holds(self, answer: Answer, machine: Machine) -> bool:
        asked = answer.lease.asked_ns
        return answer.lease.boot == self.boot(machine) and asked <= self.clock(machine) < asked + LENGTH_NS


class AnyBoot(Protocol):
    """Broken: a deadline is believed after the machine was started again."""

    def boot(self, machine: Machine) -> bytes:
        return b"some boot of %d" % machine.name


class AnyClock(Protocol):
    """Broken: a reading from before the question is believed (a clock that began anew in the same boot)."""

    def boot(self, machine: Machine) -> bytes:
        return b"some boot of %d" % machine.name

    def holds(self, answer: Answer, machine: Machine) -> bool:
        return self.clock(machine) < lease.until_ns(answer.lease)


class QuietPush(Protocol):
    """Broken: a push believes the published union, as a commit does."""

    asks_for_push = False


class WallClock(Protocol):
    """Broken: the time of day, which people set."""

    def clock(self, machine: Machine) -> int:
        return machine.wall_ns


class WithoutSleep(Protocol):
    """Broken: a clock that stands still while the machine sleeps."""

    def clock(self, machine: Machine) -> int:
        return machine.counted_ns - machine.asleep_ns


class LastPublisherWins(Protocol):
    """Broken: an older answer replaces a newer one."""

    def replaces(self, new: Answer, old: Answer) -> bool:
        return True


class SilentWriter(Protocol):
    """Broken: who reserves leaves the unions of the machine as they are."""

    writer_renews = False


class NoMark(Protocol):
    """Broken: a writer that cannot renew the union takes it away, and an older answer takes its place."""

    leaves_mark = False


class HastySettle(Protocol):
    """Broken: --settle waits for exactly a lease by a clock that may be fast."""

    def settled_ns(self) -> int:
        return LENGTH_NS * 985 // 1000


class World:
    """A server and its machines, and what has happened."""

    def __init__(self, protocol: Protocol, seed: int) -> None:
        self.protocol = protocol
        self.drawn = random.Random(seed)
        self.now_ns = 0
        self.up = True
        self.made_at: list[int] = []
        self.settling: list[tuple[Machine, bytes, int, int]] = []
        self.settled = 0
        self.broken: list[str] = []
        rates = (990, 995, 1000, 1005, 1010)
        self.machines = [
            Machine(number, self.drawn.choice(rates), self.drawn.randrange(100) * HOUR_NS, counted_ns=HOUR_NS)
            for number in range(self.drawn.choice((1, 2, 3)))
        ]

    def run(self) -> list[str]:
        actions = (
            *(self.commit,) * 5,
            *(self.begin_commit,) * 3,
            *(self.step,) * 8,
            *(self.begin_push,) * 2,
            *(self.reserve,) * 4,
            *(self.wait,) * 6,
            self.sleep,
            self.start_anew,
            self.set_time_of_day,
            self.stop_or_start_server,
        )
        for _ in range(STEPS):
            self.drawn.choice(actions)()
        return self.broken

    def take_time(self) -> None:
        """No two steps happen in one tick of a clock: a question takes longer than that."""
        self.pass_time(2000)

    # Time

    def wait(self) -> None:
        self.pass_time(self.an_interval())

    def sleep(self) -> None:
        """One machine sleeps, and the others go on."""
        self.pass_time(self.an_interval(), asleep=self.a_machine())

    def an_interval(self) -> int:
        """Often one that ends beside a deadline, by the machine's own clock or by the true one."""
        machine = self.a_machine()
        choice = self.drawn.randrange(5)
        if choice == 0 and machine.published:
            left = lease.until_ns(machine.published.lease) - machine.counted_ns
            return max(0, left * 1000 // machine.rate + self.drawn.choice((-1, 1)) * self.drawn.randrange(10**9))
        if choice == 1 and self.made_at:
            left = self.made_at[-1] + LENGTH_NS - self.now_ns
            return max(0, left + self.drawn.choice((-1, 0, 1)))
        if choice == 2 and machine.published:  # after a boot: until the clock shows what it showed before
            left = machine.published.lease.asked_ns - machine.counted_ns
            return max(0, left * 1000 // machine.rate + self.drawn.randrange(LENGTH_NS // 2))
        return self.drawn.choice((1000, 10**6, 10**9, LENGTH_NS // 3, LENGTH_NS // 2, LENGTH_NS, 3 * LENGTH_NS))

    def pass_time(self, ns: int, *, asleep: Machine | None = None) -> None:
        self.now_ns += ns
        for machine in self.machines:
            machine.pass_time(ns, asleep=machine is asleep)
        for machine, boot, until, number in list(self.settling):
            if machine.boot_name != boot:
                self.settling.remove((machine, boot, until, number))  # the command died with its machine
            elif machine.counted_ns >= until:
                self.settling.remove((machine, boot, until, number))
                self.settled = max(self.settled, number)

    def set_time_of_day(self) -> None:
        self.a_machine().wall_ns += self.drawn.choice((-1, 1)) * self.drawn.choice((LENGTH_NS, HOUR_NS, 99 * HOUR_NS))

    def start_anew(self) -> None:
        self.a_machine().start_anew()

    def stop_or_start_server(self) -> None:
        self.up = not self.up or self.drawn.random() < 0.5

    def a_machine(self) -> Machine:
        return self.drawn.choice(self.machines)

    # Hooks and writers

    def commit(self) -> None:
        """A commit whose hook is not interrupted."""
        self.run_process(self.begin_commit())

    def begin_commit(self) -> Process | None:
        machine = self.a_machine()
        if machine.published and self.protocol.holds(machine.published, machine):
            self.judge(machine, machine.published.state, "commit")
            return None
        return self.begin("commit", machine)

    def begin_push(self) -> None:
        machine = self.a_machine()
        if not self.protocol.asks_for_push and machine.published and self.protocol.holds(machine.published, machine):
            self.judge(machine, machine.published.state, "push", began=len(self.made_at))
            return
        self.begin("push", machine)

    def begin(self, what: str, machine: Machine, *, wrote: int | None = None) -> Process:
        self.take_time()
        process = Process(what, machine, len(self.made_at), wrote=wrote)
        process.asked_ns = self.protocol.clock(machine)
        machine.running.append(process)
        return process

    def reserve(self) -> None:
        """Somebody reserves; the writer then renews the union of its machine, or is interrupted at that."""
        if not self.up:
            return
        machine = self.a_machine()
        self.made_at.append(self.now_ns)
        number = len(self.made_at)
        if not self.protocol.writer_renews:
            self.acknowledge(machine, number)
            return
        process = self.begin("renewal", machine, wrote=number)
        if self.drawn.random() < 0.7:
            self.run_process(process)

    def run_process(self, process: Process | None) -> None:
        while process is not None and process in process.machine.running:
            self.go_on(process)

    def step(self) -> None:
        running = [process for machine in self.machines for process in machine.running]
        if running:
            self.go_on(self.drawn.choice(running))

    def go_on(self, process: Process) -> None:
        """The server answers, or, if it has, the answer is published and what was asked for is done."""
        self.take_time()
        machine = process.machine
        if process.state is None:
            if not self.up or self.drawn.random() < 0.1:  # the connection may break, too
                machine.running.remove(process)  # no answer: no verdict, and nothing is acknowledged
                if process.wrote is not None:
                    self.withdraw(machine)
                    self.acknowledge(machine, process.wrote)
                return
            process.state = len(self.made_at)
            if process.what != "renewal":
                self.judge(machine, process.state, process.what, began=process.began)
            return
        machine.running.remove(process)
        answer = Answer(process.state, Lease(self.protocol.boot(machine), self.protocol.asked(process), LENGTH_MS))
        if machine.published is None or self.protocol.replaces(answer, machine.published):
            machine.published = answer
        if process.wrote is not None:
            self.acknowledge(machine, process.wrote)

    def withdraw(self, machine: Machine) -> None:
        """A writer that cannot renew a union leaves one that never holds: it keeps older answers away."""
        boot, now_ns = self.protocol.boot(machine), self.protocol.clock(machine)
        never = Lease(boot, now_ns, 0)
        machine.published = Answer(0, never) if self.protocol.leaves_mark else None

    def acknowledge(self, machine: Machine, number: int) -> None:
        machine.acknowledged = max(machine.acknowledged, number)
        until = machine.counted_ns + self.protocol.settled_ns()
        self.settling.append((machine, machine.boot_name, until, number))

    def judge(self, machine: Machine, state: int, what: str, *, began: int = 0) -> None:
        """Something was judged by a state of the server: was it new enough?"""
        late = sum(made + LENGTH_NS <= self.now_ns for made in self.made_at)
        needed = {
            "a push misses what was reserved before it began": began if what == "push" else 0,
            "a commit misses a reservation for longer than the lease": late,
            "a commit misses what was reserved on its own machine": machine.acknowledged if what == "commit" else 0,
            "a commit misses what was settled": self.settled,
        }
        # A commit that asked was judged when the server answered, and knows all that there was.
        self.broken += [fault for fault, least in needed.items() if state < least]


def first_fault(protocol: Protocol, fault: str = "") -> tuple[int, list[str]] | None:
    """The first schedule that breaks the promise, in this way or in any, and how; None if none does."""
    for seed in range(SCHEDULES):
        broken = World(protocol, seed).run()
        if fault in broken or (broken and not fault):
            return seed, broken
    return None


@pytest.mark.parametrize("protocol", [Protocol(), InSeconds()], ids=["in ns", "in whole seconds"])
def test_a_push_never_misses_a_reservation_and_a_commit_for_at_most_the_lease(protocol: Protocol) -> None:
    assert first_fault(protocol) is None


@pytest.mark.parametrize(
    ("protocol", "fault"),
    [
        (FromTheAnswer(), "a commit misses a reservation for longer than the lease"),
        (WithoutMargin(), "a commit misses a reservation for longer than the lease"),
        (AnyBoot(), "a commit misses a reservation for longer than the lease"),
        (AnyClock(), "a commit misses a reservation for longer than the lease"),
        (QuietPush(), "a push misses what was reserved before it began"),
        (WallClock(), "a commit misses a reservation for longer than the lease"),
        (WithoutSleep(), "a commit misses a reservation for longer than the lease"),
        (LastPublisherWins(), "a commit misses what was reserved on its own machine"),
        (SilentWriter(), "a commit misses what was reserved on its own machine"),
        (NoMark(), "a commit misses what was reserved on its own machine"),
        (HastySettle(), "a commit misses what was settled"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Protocol) else "",
)
def test_a_protocol_without_one_of_the_rules_is_caught(protocol: Protocol, fault: str) -> None:
    assert first_fault(protocol, fault) is not None


# The functions themselves


BOOT = b"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"


@pytest.mark.parametrize(
    ("after_ms", "boot", "expected"),
    [
        (0, BOOT, True),
        (29_699, BOOT, True),
        (29_700, BOOT, False),
        (30_000, BOOT, False),
        (-1, BOOT, False),
        (0, b"another", False),
        (0, b"", False),
    ],
)
def test_a_lease_holds_from_the_question_until_99_percent_of_its_length(
    after_ms: int, boot: bytes, expected: bool
) -> None:
    given = Lease(BOOT, 5 * 10**9, LENGTH_MS)
    assert lease.holds(given, boot=boot, now_ns=given.asked_ns + after_ms * 1_000_000) is expected


def test_no_boot_is_named_so_nothing_holds() -> None:
    assert not lease.holds(Lease(b"", 0, LENGTH_MS), boot=b"", now_ns=1)


@pytest.mark.parametrize("asked_ns", [0, 1, 999_999_999, 10**9, 5_300_000_000, 2**31 * 10**9])
@pytest.mark.parametrize("length_ms", [1000, 1500, 2000, 30_000])
def test_what_holds_in_whole_seconds_holds(asked_ns: int, length_ms: int) -> None:
    given = Lease(BOOT, asked_ns, length_ms)
    for now_ns in range(asked_ns, asked_ns + length_ms * 1_100_000, 99_999_999):
        if lease.holds_in_seconds(given, boot=BOOT, now_s=now_ns // 10**9):
            assert lease.holds(given, boot=BOOT, now_ns=now_ns)


def test_a_lease_in_whole_seconds_is_at_most_two_seconds_shorter() -> None:
    given = Lease(BOOT, 5_999_999_999, LENGTH_MS)
    first, end = lease.whole_seconds(given)
    assert (first, end) == (5, 35)
    assert lease.until_ns(given) - end * 10**9 < 10**9


def test_whoever_waits_for_everybody_waits_longer_than_the_lease_by_a_fast_clock() -> None:
    assert lease.settled_ms(30_000) == 30_300
    assert lease.settled_ms(1) == 2
    assert lease.settled_ms(0) == 0
