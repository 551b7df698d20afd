"""A rule set: commands go in, verdicts come out.

rules = RuleSet(profile="freebsd-10")
rules.run("add 100 divert 8668 ip from any to any in")
verdict = rules.evaluate(fields)
"""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from rules import roster
from rules.errors import CommandError
from rules.fields import Fields
from rules.ipfw.chain import Chain
from rules.ipfw.classic.commands import run_classic
from rules.ipfw.commands import run_command
from rules.ipfw.engine import Engine
from rules.ipfw.first.listing import body as first_body
from rules.ipfw.keepalives import Keepalive, due
from rules.ipfw.listing import Style
from rules.ipfw.nat.instances import Instances
from rules.ipfw.pipes import make_pipes
from rules.ipfw.questions import tables_of
from rules.ipfw.rule import Action, Rule
from rules.ipfw.session import Session
from rules.ipfw.state import StateTable
from rules.ipfw.step import Entry
from rules.ipfw.surroundings import NOWHERE, Surroundings
from rules.ipfw.switches import Dialect, Switches, switches_of
from rules.ipfw.sysctl import sysctl
from rules.ipfw.verdict import Resume, Verdict
from rules.ipfw.world import World

__all__ = ["Counters", "Result", "RuleSet"]

_SWITCHED_OFF = Verdict(Action.ALLOW, None)
_TOOLS = {"2003": run_classic, "2014": run_command}
_RULE_WORDS: dict[Dialect, Callable[[Rule, Switches], str]] = {
    "ipfw1": lambda rule, switches: first_body(rule, Style(switches)),
    "ipfw2": lambda rule, switches: str(replace(rule, number=0, set=0)),
}
_WORDS_OF_LINE: dict[str, Callable[[str], list[str]]] = {
    "2003": lambda line: line.partition("#")[0].split(),
    "2014": lambda line: [line],  # the tool itself takes it apart
}


class Result(NamedTuple):
    """What a run of the tool printed, and its exit status.  ``stderr`` may hold warnings with status 0."""

    stdout: str
    stderr: str
    status: int


class Counters(NamedTuple):
    """A rule's number, packets and octets."""

    number: int
    packets: int
    octets: int


class RuleSet:
    """The rule list of one system, with its lookup tables and dynamic state.

    ``profile``: a name of :data:`~rules.ipfw.switches.PROFILES`, or a :class:`~rules.ipfw.switches.Switches` value.
    ``ipfw_dialect``: the rule language, ``"ipfw1"`` or ``"ipfw2"``, of a named system that has both.
    ``surroundings``: what rules may ask about the host.  ``default``: ``"deny"`` or ``"allow"``, what rule 65535 does.
    ``now``: seconds since the epoch, a number or a callable; also an attribute that may be set.
    ``chance``: a callable for random numbers in [0, 1), for ``prob``; by default a generator of fixed seed.
    ``files``: path -> text of the command files that ``ipfw /path`` finds.  ``fibs``: number of routing tables.
    ``log``: takes each line that a command writes to the system's log; by default they are kept in ``messages``.  What
    packets give rise to is in their verdicts.
    ``engine``: how the list is searched, with the same answers: ``"plain"``, rule by rule; ``"fast"``, by tables; or
    ``"auto"``, by tables where that pays.
    """

    def __init__(
        self,
        profile: str | Switches = "freebsd-10",
        surroundings: Surroundings | None = None,
        *,
        ipfw_dialect: Dialect | None = None,
        default: str = "deny",
        now: float | Callable[[], float] = 0.0,
        chance: Callable[[], float] | None = None,
        files: Mapping[str, str] | None = None,
        fibs: int = 1,
        log: Callable[[str], object] | None = None,
        engine: str = "auto",
    ) -> None:
        if default not in ("deny", "allow"):
            raise ValueError(f"{default=} is neither deny nor allow")
        self.switches = switches_of(profile, ipfw_dialect) if isinstance(profile, str) else profile
        self.world = World(
            surroundings or NOWHERE,
            chance or random.Random(0).random,
            highest_icmp_type=self.switches.highest_icmp_type,
            typed_tables=self.switches.typed_tables,
            transaction_tcp=self.switches.transaction_tcp,
            now=self.time,
        )
        self.chain: Chain = Chain(Action(default))
        self._now: float | Callable[[], float] = now
        self.states: StateTable = StateTable(self.time, self.switches)
        self.engine = Engine(self.world, self.states, self.switches, self.time, roster.Engine(engine))
        self.now = now
        self.pipes = make_pipes(self.switches)
        """What ``pipe``, ``queue`` and ``sched`` configure."""
        self.files: Mapping[str, str] = files or {}
        self.fibs = fibs
        self.messages: list[str] = []
        """Lines that commands wrote to the log, oldest first, unless they go elsewhere."""
        self.log = log or self.messages.append
        self.pipes.say = self.log
        self.variables: dict[str, bool] = {
            "firewall": True,
            "one_pass": True,
            "debug": False,
            "verbose": True,
            "dyn_keepalive": True,
        }
        """What ``enable`` and ``disable`` switch.  ``verbose`` is on from the start, so that log lines are seen."""

    @property
    def nats(self) -> Instances:
        """The instances of in-kernel ``nat``."""
        return self.world.nats

    @property
    def verbose_limit(self) -> int:
        """``net.inet.ip.fw.verbose_limit``: what ``log`` without ``logamount`` means, 0 for no limit (E-42)."""
        return self.engine.verbose_limit

    @verbose_limit.setter
    def verbose_limit(self, limit: int) -> None:
        self.engine.verbose_limit = limit

    # Time

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.time()

    @now.setter
    def now(self, now: float | Callable[[], float]) -> None:
        self._now = now
        self.engine.now = now if callable(now) else lambda: now

    def time(self) -> float:
        """The same, as a callable."""
        now = self._now
        return now() if callable(now) else now

    # Commands

    def run(self, command: str | Sequence[str]) -> str:
        """Run a command and give back its standard output.

        A text is split as the shell would split it; a leading word ``ipfw`` is dropped.  Raises CommandError, with the
        tool's own text, for every exit status but 0.
        """
        result = self.execute(command)
        if result.status:
            raise CommandError(result.stderr, result.status, result.stdout)
        return result.stdout

    def execute(self, command: str | Sequence[str]) -> Result:
        """Run a command; the same as :meth:`run`, but a failure is a result, too."""
        words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
        if words[:1] == ["ipfw"]:
            words = words[1:]
        session = Session()
        _TOOLS[self.switches.tool](self, words, session)
        return Result("".join(session.stdout), "".join(session.stderr), session.status)

    def execute_line(self, line: str) -> Result:
        """Run a line as it may stand in a file of commands, where the tool and not the shell makes words of it; nothing
        but blanks and a comment do nothing."""
        words = _WORDS_OF_LINE[self.switches.tool](line.strip())
        return self.execute(words) if words else Result("", "", 0)

    def run_file(self, text: str, name: str = "/dev/stdin") -> str:
        """Run a text of commands, one a line, as ``ipfw NAME`` would run the file."""
        files = self.files
        self.files = {name: text}
        try:
            return self.run([name])
        finally:
            self.files = files

    def sysctl(self, command: str) -> str:
        """Read or set variables: ``rules.sysctl("net.inet.ip.fw.dyn_ack_lifetime=60")``; what sysctl(8) prints.

        Raises CommandError, with the text of sysctl(8), for a name or a value that does not exist.
        """
        return sysctl(self, command)

    # What commands do

    def add(self, rule: Rule) -> Entry:
        """Put a rule into the list; number 0 becomes the next free one."""
        return self.chain.add(rule)

    def references(self, table: str) -> int:
        """How many questions of the rules ask this table."""
        return sum(name == table for entry in self.chain for name, _ in tables_of(entry.rule.elements))

    def remove(self, doomed: Callable[[Entry], bool]) -> int:
        """Take rules out of the list, with their dynamic state (D-7); how many there were."""
        gone = self.chain.remove(doomed)
        for entry in gone:
            self.states.forget(entry, self.chain.default)
        return len(gone)

    def set_variable(self, name: str, value: bool) -> None:
        """``enable`` or ``disable``."""
        self.variables[name] = value
        self.engine.verbose = self.states.verbose = self.variables["verbose"]
        self.engine.one_pass = self.variables["one_pass"]
        self.states.lifetimes.keepalive = self.variables["dyn_keepalive"]

    def keepalives(self) -> list[Keepalive]:
        """The probes that the state of dying TCP connections gives rise to now (D-4); whoever has a clock asks every
        ``states.lifetimes.keepalive_period`` seconds."""
        return due(self.states, self.time())

    # The list

    def __iter__(self) -> Iterator[Rule]:
        """The rules in order, 65535 last."""
        return (entry.rule for entry in self.chain)

    def __len__(self) -> int:
        return len(self.chain)

    @property
    def counters(self) -> Iterable[Counters]:
        """Number, packets and octets of every rule, in order."""
        return [Counters(entry.rule.number, entry.packets, entry.octets) for entry in self.chain]

    def words_of(self, verdict: Verdict) -> str | None:
        """The words of the rule that decided, without number and set; None when no rule did, or it is gone.

        In the first language those of its listing, which can be typed again.
        """
        if not verdict.counted_at or verdict.counted_at[-1] >= len(self.chain):
            return None
        entry = self.chain[verdict.counted_at[-1]]
        if entry.rule.number != verdict.rule:
            return None
        if entry.words is None:
            entry.words = _RULE_WORDS[self.switches.ipfw_dialect](entry.rule, self.switches)
        return entry.words

    # Packets

    def evaluate(
        self,
        fields: Fields,
        start_after: int = 0,
        *,
        resume: Resume | None = None,
        calls: tuple[int, ...] = (),
    ) -> Verdict:
        """One pass of a datagram through the list.

        It is ``in`` as long as no interface to leave by is chosen, and came from a divert socket if
        ``fields.reinjected`` says so.  ``start_after``: the tag of such a datagram; the search begins at the first rule
        with a greater number (X-1).  ``resume``: of an earlier verdict, to go on with the original of ``tee``, or with
        the datagram that ``reass`` made, at the next rule in list order (X-10).  ``calls``: of the verdict of the
        datagram's earlier pass in the same host (E-34).
        """
        if self.chain.changes:
            self.engine.follow(self.chain)
        if not self.variables["firewall"]:
            return _SWITCHED_OFF
        if resume is not None and resume.held and self.switches.one_pass_asked == "when it comes back":
            if self.engine.one_pass:
                return Verdict(Action.ALLOW, None, tags=fields.tags, calls=resume.calls)
            if self.switches.deleted_rule_drops and not self.chain.has(resume.number, resume.serial):
                return Verdict(Action.DENY, None, tags=fields.tags)
        return self.engine.search(fields, start_after, resume, calls)
