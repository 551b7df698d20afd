"""Chains and the kernel's operations on them.

Source: linux.md section 2.1 and F9-F15.  A refused operation raises :class:`OSError` with the kernel's errno and has
changed nothing.  Counters live in :class:`Entry` and :class:`Chain`, so that a :class:`~rules.ipchains.rule.Rule`
stays a value.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rules.fields import MORE_FRAGMENTS, OFFSET_MASK, Fields
from rules.ipchains.questions import header_questions, interfaces
from rules.ipchains.rule import ALL_PORTS, Action, Flag, Inverse, Rule, SpecialTarget
from rules.ipchains.switches import Switches
from rules.ipchains.verdict import Verdict
from rules.predicates import InterfaceName, InterfacePrefix

__all__ = ["BUILT_IN", "Chain", "Chains", "Entry"]

BUILT_IN = ("input", "forward", "output")
"""In the kernel's order (linux.md F1)."""

_POLICIES = {Action.ACCEPT, Action.DENY, Action.REJECT}
_ALL_FLAGS = 0x3F
_FRAGMENT_BITS = MORE_FRAGMENTS | OFFSET_MASK


def refused(number: int) -> OSError:
    """The kernel's refusal with this errno."""
    return OSError(number, os.strerror(number))


def special_target(rule: Rule, switches: Switches) -> SpecialTarget | None:
    """The target that is no chain, or None."""
    special = SpecialTarget.__members__.get(rule.target)
    return None if special is SpecialTarget.DIVERT and not switches.divert else special


class Entry:
    """A rule at its place: what it has counted, and what the engine needs to know of it, worked out beforehand."""

    __slots__ = (
        "action",
        "admits",
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
    tests: tuple[Callable[[Fields], bool], ...]
    """The questions about the packet, to be asked of it as the matcher sees it."""
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
        asked = header_questions(rule, syn_test_spares_others=switches.syn_test_spares_others)
        self.tests = tuple(question.test for question in asked)
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


class Chain:
    """A list of rules, and what happens at its end."""

    __slots__ = ("entries", "name", "octets", "packets", "policy", "references", "verdicts")

    name: str
    policy: Action | None
    """None for a user chain."""
    references: int
    """Rules that jump here; one more for a built-in chain (linux.md F1)."""
    packets: int
    octets: int
    """What the policy decided; nothing resets it (linux.md F13)."""
    entries: list[Entry]
    verdicts: dict[int, Verdict]
    """Answers of the policy already given for unmarked packets that no rule matched, by TOS."""

    def __init__(self, name: str, policy: Action | None = None) -> None:
        self.name = name
        self.policy = policy
        self.references = 0 if policy is None else 1
        self.packets = self.octets = 0
        self.entries = []
        self.verdicts = {}

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(entry.rule for entry in self.entries)

    def pass_by(self, fields: Fields) -> Verdict | None:
        """The policy's answer to an unmarked packet that is no fragment, where there is no rule to try; counted.

        None, and nothing counted, when the chain has to be searched (:func:`rules.ipchains.engine.traverse`), which
        gives the same answer.  Not for engines that look at whole packets before any rule (linux.md Z1).
        """
        if self.entries or fields.mark or fields.fragment & _FRAGMENT_BITS:
            return None
        verdict = self.verdicts.get(fields.tos)
        if verdict is not None:
            self.packets += 1
            self.octets += fields.total_length
        return verdict

    def number_from(self, number: int) -> None:
        """Tell the entries from this number on where they stand."""
        for place in range(number, len(self.entries) + 1):
            self.entries[place - 1].place(self.name, place)


class Chains(Mapping[str, Chain]):
    """The chains by name, in the kernel's order: the built-in ones, then the user's as they were made."""

    __slots__ = ("_chains", "switches")

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self._chains = {name: Chain(name, Action.ACCEPT) for name in BUILT_IN}

    def __getitem__(self, name: str) -> Chain:
        return self._chains[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._chains)

    def __len__(self) -> int:
        return len(self._chains)

    def named(self, name: str) -> Chain:
        """The chain, or ENOENT."""
        try:
            return self._chains[name]
        except KeyError:
            raise refused(errno.ENOENT) from None

    # -- rules ---------------------------------------------------------------------------------------------------

    def append(self, name: str, rule: Rule) -> None:
        """``IP_FW_APPEND``."""
        chain = self.named(name)
        entry = self._entry(rule)
        chain.entries.append(entry)
        self._hold(entry)
        chain.number_from(len(chain.entries))

    def insert(self, name: str, number: int, rule: Rule) -> None:
        """``IP_FW_INSERT``: the rule becomes the one of that number, 1 to one past the end (EINVAL, linux.md F10)."""
        chain = self.named(name)
        entry = self._entry(rule)
        if not 1 <= number <= len(chain.entries) + 1:
            raise refused(errno.EINVAL)
        chain.entries.insert(number - 1, entry)
        self._hold(entry)
        chain.number_from(number)

    def replace(self, name: str, number: int, rule: Rule) -> None:
        """``IP_FW_REPLACE``: the new rule inherits the counters (linux.md F11)."""
        chain = self.named(name)
        entry = self._entry(rule)
        if not 1 <= number <= len(chain.entries):
            raise refused(errno.EINVAL)
        old = chain.entries[number - 1]
        entry.packets, entry.octets = old.packets, old.octets
        self._release(old)
        self._hold(entry)
        chain.entries[number - 1] = entry
        entry.place(name, number)

    def delete(self, name: str, rule: Rule) -> None:
        """``IP_FW_DELETE``: the first rule equal to this one but for marks and TOS masks (linux.md F12), or EINVAL."""
        chain = self.named(name)
        wanted = _identity(self._entry(rule).rule)
        for entry in chain.entries:
            if _identity(entry.rule) == wanted:
                return self._remove(chain, entry.number)
        raise refused(errno.EINVAL)

    def delete_number(self, name: str, number: int) -> None:
        """``IP_FW_DELETE_NUM``: ENOENT past the end (linux.md F10)."""
        chain = self.named(name)
        if not 1 <= number <= len(chain.entries):
            raise refused(errno.ENOENT)
        self._remove(chain, number)

    def _remove(self, chain: Chain, number: int) -> None:
        self._release(chain.entries.pop(number - 1))
        chain.number_from(number)

    def _entry(self, rule: Rule) -> Entry:
        """What the kernel makes of a rule: EINVAL for a bad one, ENOENT for an unknown target (linux.md F5, F15)."""
        if rule.flags & ~_ALL_FLAGS:
            raise refused(errno.EINVAL)
        if (rule.source_ports != ALL_PORTS or rule.destination_ports != ALL_PORTS) and not rule.has_ports:
            raise refused(errno.EINVAL)
        branch = None
        if rule.target and special_target(rule, self.switches) is None:
            branch = self.named(rule.target)
            if branch.policy is not None:
                raise refused(errno.ENOENT)
        return Entry(rule, branch, self.switches)

    def _hold(self, entry: Entry) -> None:
        if entry.branch is not None:
            entry.branch.references += 1

    def _release(self, entry: Entry) -> None:
        if entry.branch is not None:
            entry.branch.references -= 1

    # -- chains --------------------------------------------------------------------------------------------------

    def flush(self, name: str) -> None:
        """``IP_FW_FLUSH``: the chain and its policy stay (linux.md F14)."""
        chain = self.named(name)
        for entry in chain.entries:
            self._release(entry)
        chain.entries.clear()

    def zero(self, name: str) -> None:
        """``IP_FW_ZERO``: the rules' counters, not the policy's (linux.md F13)."""
        for entry in self.named(name).entries:
            entry.packets = entry.octets = 0

    def create(self, name: str) -> None:
        """``IP_FW_CREATECHAIN``: EEXIST if it is there; EINVAL in a kernel without user chains."""
        if not self.switches.user_chains:
            raise refused(errno.EINVAL)
        if name in self._chains:
            raise refused(errno.EEXIST)
        self._chains[name] = Chain(name)

    def delete_chain(self, name: str) -> None:
        """``IP_FW_DELETECHAIN``: EBUSY for a built-in chain or one in use, then ENOTEMPTY (linux.md F9)."""
        chain = self.named(name)
        if chain.references:
            raise refused(errno.EBUSY)
        if chain.entries:
            raise refused(errno.ENOTEMPTY)
        del self._chains[name]

    def set_policy(self, name: str, policy: Action) -> None:
        """``IP_FW_POLICY``: EINVAL for a user chain or a policy it may not have (linux.md F7)."""
        chain = self.named(name)
        allowed = policy in _POLICIES or (policy is Action.MASQ and name == "forward")
        if chain.policy is None or not allowed:
            raise refused(errno.EINVAL)
        chain.policy = policy
        chain.verdicts = {}


def _identity(rule: Rule) -> Rule:
    """A rule without what deleting by specification does not compare (linux.md F12)."""
    return replace(rule, mark=0, tos_and=0xFF, tos_xor=0, flags=rule.flags & ~Flag.MARK_ABSOLUTE)
