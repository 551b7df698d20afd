"""Chains and the kernel's operations on them.

Source: linux.md section 2.1 and F9-F15.  A refused operation raises :class:`OSError` with the kernel's errno and has
changed nothing.  Counters live in :class:`Entry` and :class:`Chain`, so that a :class:`~rules.ipchains.rule.Rule`
stays a value.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rules.fields import MORE_FRAGMENTS, OFFSET_MASK, Fields
from rules.ipchains.entry import Entry, clauses, read_matched, special_target
from rules.ipchains.rule import ALL_PORTS, Action, Flag, Rule
from rules.ipchains.switches import Switches
from rules.ipchains.verdict import Verdict
from rules.roster import Engine, Roster

__all__ = ["BUILT_IN", "Chain", "Chains", "Entry"]

BUILT_IN = ("input", "forward", "output")
"""In the kernel's order (linux.md F1)."""

_POLICIES = {Action.ACCEPT, Action.DENY, Action.REJECT}
_ALL_FLAGS = 0x3F
_FRAGMENT_BITS = MORE_FRAGMENTS | OFFSET_MASK


def refused(number: int) -> OSError:
    """The kernel's refusal with this errno."""
    return OSError(number, os.strerror(number))


class Chain:
    """A list of rules, and what happens at its end."""

    __slots__ = (
        "_numbered",
        "is_numbered",
        "listed",
        "name",
        "octets",
        "packets",
        "policy",
        "references",
        "roster",
        "verdicts",
    )

    name: str
    policy: Action | None
    """None for a user chain."""
    listed: list[Entry]
    """The rules in order, some of which may not know yet where they stand."""
    is_numbered: bool
    """Whether all of them do."""
    references: int
    """Rules that jump here; one more for a built-in chain (linux.md F1)."""
    packets: int
    octets: int
    """What the policy decided; nothing resets it (linux.md F13)."""
    roster: Roster[Entry | None]
    """The same rules as they are searched; None in the place of one that is gone."""
    verdicts: dict[int, Verdict]
    """Answers of the policy already given for unmarked packets that no rule matched, by TOS."""

    def __init__(self, name: str, policy: Action | None = None, engine: Engine = Engine.AUTO) -> None:
        self.name = name
        self.policy = policy
        self.references = 0 if policy is None else 1
        self.packets = self.octets = 0
        self.listed = []
        self.is_numbered = True
        self._numbered = 0
        self.roster = Roster(engine, clauses, read_matched)
        self.verdicts = {}

    @property
    def entries(self) -> Sequence[Entry]:
        """The rules in order, each of which knows where it stands."""
        if not self.is_numbered:
            self.number()
        return self.listed

    def number(self) -> None:
        """Tell the rules where they stand: once after any number of changes."""
        for number in range(self._numbered, len(self.listed)):
            self.listed[number].place(self.name, number + 1)
        self._numbered = len(self.listed)
        self.is_numbered = True

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(entry.rule for entry in self.entries)

    def pass_by(self, fields: Fields) -> Verdict | None:
        """The policy's answer to an unmarked packet that is no fragment, where there is no rule to try; counted.

        None, and nothing counted, when the chain has to be searched (:func:`rules.ipchains.engine.traverse`), which
        gives the same answer.  Not for engines that look at whole packets before any rule (linux.md Z1).
        """
        if self.listed or fields.mark or fields.fragment & _FRAGMENT_BITS:
            return None
        verdict = self.verdicts.get(fields.tos)
        if verdict is not None:
            self.packets += 1
            self.octets += fields.total_length
        return verdict

    def insert(self, number: int, entry: Entry) -> None:
        """The entry becomes the one of that number, 1 to one past the end."""
        at_end = number > len(self.listed)
        self.roster.insert(len(self.roster.items) if at_end else self._searched_at(number), entry)
        self.listed.insert(number - 1, entry)
        self._number_from(number)

    def remove(self, number: int) -> Entry:
        """The entry of that number leaves."""
        self.roster.remove(self._searched_at(number), None)
        self._number_from(number)
        return self.listed.pop(number - 1)

    def clear(self) -> None:
        """All leave."""
        self.listed.clear()
        self._numbered = 0
        self.roster.take(())

    def _number_from(self, number: int) -> None:
        self._numbered = min(self._numbered, number - 1)
        self.is_numbered = False

    def _searched_at(self, number: int) -> int:
        return self.roster.items.index(self.listed[number - 1])


class Chains(Mapping[str, Chain]):
    """The chains by name, in the kernel's order: the built-in ones, then the user's as they were made."""

    __slots__ = ("_chains", "engine", "switches")

    def __init__(self, switches: Switches, engine: Engine = Engine.AUTO) -> None:
        self.switches = switches
        self.engine = engine
        """How the chains are searched."""
        self._chains = {name: Chain(name, Action.ACCEPT, engine) for name in BUILT_IN}

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

    def words_of(self, label: str) -> str | None:
        """The command that adds the rule ``chain:number``; None for ``input:policy`` and what else decides."""
        name, _, number = label.rpartition(":")
        chain = self._chains.get(name)
        if chain is None or not number.isdigit() or not 1 <= int(number) <= len(chain.entries):
            return None
        return f"-A {name} {chain.entries[int(number) - 1].rule}"

    # -- rules ---------------------------------------------------------------------------------------------------

    def append(self, name: str, rule: Rule) -> None:
        """``IP_FW_APPEND``."""
        chain = self.named(name)
        entry = self._entry(rule)
        chain.insert(len(chain.entries) + 1, entry)
        self._hold(entry)

    def insert(self, name: str, number: int, rule: Rule) -> None:
        """``IP_FW_INSERT``: the rule becomes the one of that number, 1 to one past the end (EINVAL, linux.md F10)."""
        chain = self.named(name)
        entry = self._entry(rule)
        if not 1 <= number <= len(chain.entries) + 1:
            raise refused(errno.EINVAL)
        chain.insert(number, entry)
        self._hold(entry)

    def replace(self, name: str, number: int, rule: Rule) -> None:
        """``IP_FW_REPLACE``: the new rule inherits the counters (linux.md F11)."""
        chain = self.named(name)
        entry = self._entry(rule)
        if not 1 <= number <= len(chain.entries):
            raise refused(errno.EINVAL)
        old = chain.remove(number)
        entry.packets, entry.octets = old.packets, old.octets
        chain.insert(number, entry)
        self._release(old)
        self._hold(entry)

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
        self._release(chain.remove(number))

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
        chain.clear()

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
        self._chains[name] = Chain(name, engine=self.engine)

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
