"""A rule at its place in a chain: what it has counted, and what a search needs to know of it, worked out beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rules.blocks import Asked, allowed_by
from rules.classifier import Clause, read_attributes
from rules.fields import Fields
from rules.ipchains.questions import header_questions, interfaces
from rules.ipchains.rule import Action, Flag, Inverse, Rule, SpecialTarget
from rules.ipchains.switches import Switches
from rules.ipchains.verdict import Verdict
from rules.predicates import InterfaceName, InterfacePrefix, Predicate

if TYPE_CHECKING:
    from rules.ipchains.chains import Chain

__all__ = ["Entry", "Matched", "clauses", "read_matched", "special_target"]

_INTERFACE = Asked(("interface",))


def special_target(rule: Rule, switches: Switches) -> SpecialTarget | None:
    """The target that is no chain, or None."""
    special = SpecialTarget.__members__.get(rule.target)
    return None if special is SpecialTarget.DIVERT and not switches.divert else special


class Entry:
    """A rule at its place: what it has counted, and what the engine needs to know of it, worked out beforehand."""

    __slots__ = (
        "action",
        "admits",
        "asked",
        "branch",
        "label",
        "number",
        "octets",
        "packets",
        "returns",
        "rule",
        "silent",
        "tests",
        "verdicts",
    )

    rule: Rule
    packets: int
    octets: int
    number: int
    """Its place in the chain, from 1."""
    label: str
    """``chain:number``."""
    admits: Callable[[str], Any] | None
    """The interface question; None when every interface passes."""
    asked: tuple[Predicate, ...]
    """The questions about the packet, to be asked of it as the matcher sees it."""
    tests: tuple[Callable[[Fields], bool], ...]
    """The same, made ready."""
    action: Action | None
    """What it decides; None when it jumps, returns or has no target."""
    branch: Chain | None
    returns: bool
    silent: bool
    """A match changes nothing in the packet and tells nobody."""
    verdicts: dict[int, Verdict]
    """Answers already given for unmarked packets that nothing changed, by TOS."""

    def __init__(self, rule: Rule, branch: Chain | None, switches: Switches) -> None:
        self.rule = rule
        self.packets = self.octets = 0
        self.number = 0
        self.label = ""
        self.admits = _interface_test(rule)
        self.asked = header_questions(rule, syn_test_spares_others=switches.syn_test_spares_others)
        self.tests = tuple(question.test for question in self.asked)
        special = special_target(rule, switches)
        self.action = special.value if special is not None else None
        self.returns = special is SpecialTarget.RETURN
        self.branch = branch
        self.silent = (
            not rule.flags & (Flag.LOG | Flag.NETLINK | Flag.MARK_ABSOLUTE)
            and rule.tos_and == 0xFF
            and not rule.tos_xor
            and not rule.mark
        )
        self.verdicts = {}

    def place(self, chain: str, number: int) -> None:
        """It now stands there."""
        self.number = number
        self.label = f"{chain}:{number}"
        self.verdicts = {}


def _interface_test(rule: Rule) -> Callable[[str], Any] | None:
    inverted = Inverse.INTERFACE in rule.inverse
    match interfaces(rule):
        case None:
            return None
        case InterfaceName(name):
            return name.__ne__ if inverted else name.__eq__
        case InterfacePrefix(prefix):
            return (lambda name: not name.startswith(prefix)) if inverted else (lambda name: name.startswith(prefix))


class Matched(NamedTuple):
    """What tables look up: a packet as the matcher sees it, and the device name that the chain sees."""

    seen: Fields
    interface: str


def read_matched(names: Sequence[str]) -> Callable[[Matched], tuple[Any, ...]]:
    """Reads these fields, ``interface`` being the name of the device."""
    return read_attributes([name if name == "interface" else f"seen.{name}" for name in names])


def clauses(entry: Entry | None) -> Iterator[Clause]:
    """What tables may know of a rule: everything it asks."""
    if entry is None:
        return
    if (admits := entry.admits) is not None:
        yield _interface_clause(entry.rule, admits)
    for question in entry.asked:
        allowed = allowed_by(question)
        if allowed is not None:
            yield Clause(allowed, question, _asking(question))


def _interface_clause(rule: Rule, admits: Callable[[str], Any]) -> Clause:
    named = (interfaces(rule), Inverse.INTERFACE in rule.inverse)
    return Clause(_INTERFACE, named, lambda matched: bool(admits(matched.interface)))


def _asking(question: Predicate) -> Callable[[Matched], bool]:
    return lambda matched: question.test(matched.seen)
