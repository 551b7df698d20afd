"""A rule file under a profile: loaded, with the line of each rule, and as a program over all packets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rules.analysis import ipchains, ipfw
from rules.analysis.program import Program
from rules.analysis.rewritten import Collecting
from rules.blocks import Block
from simulator.checking.checker import Checker, checker_for
from simulator.checking.loading import load
from simulator.profiles import PROFILES, BsdProfile, LinuxProfile

__all__ = ["Conditions", "RuleFile"]


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What is known besides the rules."""

    profile: str
    interfaces: Mapping[str, str]
    """Name -> address/length."""
    default: str | None = None
    """What rule 65535 of ipfw does, ``deny`` or ``allow``."""
    dialect: str | None = None
    """Which rule language FreeBSD 4 speaks."""

    @property
    def is_linux(self) -> bool:
        return isinstance(PROFILES[self.profile], LinuxProfile)


class RuleFile:
    """The rules of a text.

    :raises simulator.checking.loading.RuleFileError: for a line that the tool refuses.
    :raises ValueError: for a dialect that the profile does not have.
    """

    def __init__(self, text: str, conditions: Conditions) -> None:
        self.text = text
        self.conditions = conditions
        self.lines: dict[int, int] = {}
        """The line of each rule: by its serial number in ipfw, by the entry's identity in ipchains."""
        self.chain_lines: dict[str, int] = {}
        self.checker = self.fresh()
        load(self.checker, text, self._note)

    def fresh(self) -> Checker:
        """A host without rules."""
        given = self.conditions
        return checker_for(given.profile, given.interfaces, {}, default=given.default, dialect=given.dialect)

    def reloaded(self) -> Checker:
        """The same rules once more, without the state that questions about packets left."""
        checker = self.fresh()
        load(checker, self.text)
        return checker

    def _note(self, line: int) -> None:
        if self.checker.tables is not None:
            for name, chain in self.checker.tables.chains.items():
                self.chain_lines.setdefault(name, line)
                for each in chain.entries:
                    self.lines.setdefault(id(each), line)
        if self.checker.rules is not None:
            for entry in self.checker.rules.chain:
                self.lines.setdefault(entry.serial, line)

    @property
    def is_stateful(self) -> bool:
        """Whether a packet may leave something behind that decides about the next."""
        rules = self.checker.rules
        return rules is not None and any(rule.state is not None or rule.chance is not None for rule in rules)

    @property
    def collecting(self) -> Collecting:
        """Where the kernel puts fragments together that match divert or tee (bsd.md F-2, F-3, T-7)."""
        profile = PROFILES[self.conditions.profile]
        if not isinstance(profile, BsdProfile):
            return {}
        tee = profile.reassembles if profile.reassembles_tee else frozenset[str]()
        return {"divert": profile.reassembles, "tee": tee}

    def program(
        self,
        *,
        extra: Iterable[tuple[str, Block]] = (),
        names: Iterable[str] = (),
        short: bool = False,
        hooks: Mapping[str, str] | None = None,
    ) -> Program:
        """The program; for the arguments see :mod:`rules.analysis.ipfw` and :mod:`rules.analysis.ipchains`."""
        interfaces = {*names, *self.conditions.interfaces}
        if self.checker.tables is not None:
            return ipchains.build(self.checker.tables, lines=self.lines, names=interfaces, extra=extra, hooks=hooks)
        assert self.checker.rules is not None
        return ipfw.build(
            self.checker.rules,
            lines=self.lines,
            interfaces=sorted(self.conditions.interfaces),
            knows_host=bool(self.conditions.interfaces),
            names=names,
            extra=extra,
            short=short,
        )
