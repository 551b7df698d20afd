"""One program shown at work: the rules and the traffic that suit it, and what it does to each packet.

lesson = LESSONS["mss-clamp"]                   traffic, rules, what is promised
run(bench, "mss-clamp", ["--mss", "1300"], profile="freebsd-13", chain="forward", count=3, say=say)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, NamedTuple

from simulator.live.demonstration import Bench, Exchange, Lines, Say, Traffic, tell
from simulator.live.lab import LEFT, RIGHT
from simulator.profiles import PROFILES, LinuxProfile
from simulator.programs.registry import Surroundings, due, find, finish
from simulator.programs.running import OnClock
from simulator.programs.sites import Site
from simulator.router import Router
from simulator.wire.named import differences

__all__ = ["LESSONS", "Lesson", "Taught", "is_linux", "lesson_for", "run"]

_LINUX_PORT, _BSD_PORT = 1234, 8668
_MTU = 1500
_REMEMBERED = 100
"""Packets that came, in which the one that is sent back is looked for."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """How a program is shown."""

    traffic: Traffic = "ping"
    """"ping" or "tcp"."""
    bsd: tuple[str, ...] = ("add 100 divert {port} icmp from any to any in",)
    """Rules of ipfw, before one that allows everything."""
    linux: tuple[str, ...] = ("-A {chain} -p icmp -j DIVERT {port}",)
    answered: bool | None = True
    """All are answered, or none; None: it depends on the options."""
    patience: float = 1.0
    """Seconds that are waited for the last answers."""
    profile: str = "linux-2.2"
    """The kernel, unless another is asked for."""
    options: tuple[str, ...] = ()
    """Of the program, unless others are given: those without which it cannot start."""
    hint: str = ""
    """What Linux, which has no tee, needs."""


LESSONS = {
    "freebsd-sample": Lesson(answered=False, profile="freebsd-13"),
    "eat": Lesson(answered=False),
    "tee-capture": Lesson(
        bsd=("add 100 tee {port} icmp from any to any in",),
        answered=None,
        profile="freebsd-13",
        hint="ipchains has no tee: without --put-back every packet is lost",
    ),
    "interceptor": Lesson(answered=None),
    "delay": Lesson(patience=10.0),
    "mangle": Lesson(answered=None),
    "natd": Lesson(
        bsd=(f"add 100 divert {{port}} ip from any to any via {RIGHT.interface}",),
        linux=tuple(f"-A {chain} -i {RIGHT.interface} -j DIVERT {{port}}" for chain in ("input", "output")),
        profile="freebsd-13",
        options=("-interface", RIGHT.interface),
        answered=None,
    ),
    "mss-clamp": Lesson(
        traffic="tcp",
        bsd=("add 100 divert {port} tcp from any to any tcpflags syn in",),
        linux=("-A {chain} -p tcp -j DIVERT {port}",),
    ),
}
"""Of the programs for which the ordinary one does not do."""


def lesson_for(program: str) -> Lesson:
    """The lesson of a program. Raises ProgramError when there is no such program."""
    find(program)
    return LESSONS.get(program, Lesson())


def is_linux(profile: str) -> bool:
    """Whether that kernel's rules are ipchains'."""
    return isinstance(PROFILES[profile], LinuxProfile)


class Taught(NamedTuple):
    """What a lesson came to; `sent` and `replied` are echo requests or connections, the others packets both ways."""

    program: str
    options: tuple[str, ...]
    profile: str
    traffic: str
    sent: int
    replied: int
    diverted: int
    reinjected: int
    as_promised: bool | None
    """None: the options decide what is to be expected."""


def run(
    bench: Bench, program: str, options: Sequence[str], *, profile: str | None, chain: str, count: int, say: Say
) -> Taught:
    """Show it. Raises ProgramError for a program or options that there are not; OSError for a file of the program."""
    entry, lesson = find(program), lesson_for(program)
    name = profile or lesson.profile
    has_chains = is_linux(name)
    router = Router(name, clock=bench.clock())
    port = _LINUX_PORT if has_chains else _BSD_PORT
    options = tuple(options) or lesson.options
    lines, errors = Lines(lambda line: say("program", line)), Lines(lambda line: say("program", line))
    around = Surroundings(
        output=lines,
        errors=errors,
        now=router.clock.now,
        date=lambda: bench.epoch + router.clock.now(),
        socket=router.socket,
        port=port,
        site=_site,
    )
    entry.parser().parse_args(list(options))  # wrong ones are told before anything is shown
    say("demo", "")
    say("demo", f"{name}: {entry.summary}")
    if options:
        say("demo", f"{program} {' '.join(options)}")
    for rule in (*lesson.linux,) if has_chains else (*lesson.bsd, "add 65000 allow ip from any to any"):
        command = rule.format(port=port, chain=chain)
        say("demo", f"{'ipchains' if has_chains else 'ipfw'} {command}")
        (router.ipchains if has_chains else router.ipfw)(command)
    if has_chains and lesson.hint:
        say("demo", lesson.hint)
    with entry.open(port, around) as divert:
        made = entry.build(list(options), around)
        watched = Watched(divert, lambda line: say("program", line))
        at_work = OnClock(_AtWatched(made, watched), divert, router.clock)
        try:
            with router.trace(lambda event: tell(event, say)):
                sent, replied = bench.exchange(
                    Exchange(lesson.traffic, router, divert, at_work, count, say, lesson.patience)
                )
        finally:
            finish(made)
    return Taught(
        program,
        options,
        name,
        lesson.traffic,
        sent,
        replied,
        router.ledger.diverted,
        router.ledger.injected,
        None if lesson.answered is None else replied == (sent if lesson.answered else 0),
    )


def _site(name: str) -> Site:
    """An interface that the router will have when it is between the hosts."""
    for site in (LEFT, RIGHT):
        if site.interface == name:
            return Site(int(IPv4Address(site.router)), _MTU)
    raise KeyError(name)


class Watched:
    """A divert socket that says in which fields what is sent back differs from what came.

    Which of the packets that came it was is found by likeness among the last ones with the same address.
    """

    def __init__(self, divert: Any, say: Callable[[str], object]) -> None:
        self._divert = divert
        self._say = say
        self._came: deque[tuple[Any, bytes]] = deque(maxlen=_REMEMBERED)

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        octets, address = self._divert.recvfrom(bufsize, flags)
        self._came.append((address, octets))
        return octets, address

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        length, address = self._divert.recvfrom_into(buffer, nbytes, flags)
        self._came.append((address, bytes(buffer[:length])))
        return length, address

    def sendto(self, data: Any, address: Any) -> int:
        octets = bytes(data)
        before = [each for each in self._came if each[0] == address]
        if before and all(each[1] != octets for each in before):
            changes = min((differences(each[1], octets) for each in before), key=len)
            self._say(f"changed: {', '.join(map(str, changes))}")
        sent: int = self._divert.sendto(data, address)
        return sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._divert, name)


class _AtWatched:
    """A program at a watched socket, whichever it is called with."""

    def __init__(self, program: Any, watched: Watched) -> None:
        self._program = program
        self._watched = watched

    def __call__(self, _: Any) -> None:
        self._program(self._watched)

    def due(self, _: Any) -> float | None:
        return due(self._program, self._watched)
