"""Doing what a command line asks for: the tool's calls to the kernel, what it prints, what it complains of.

Source: linux.md U2, U3, U5, U19-U22.  The tool goes on after a refusal where it has more to do, and reports the last.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from rules.ipchains import check, listing
from rules.ipchains.chains import Chain, Chains
from rules.ipchains.masquerading import Masquerading, masquerade_listing
from rules.ipchains.names import Names
from rules.ipchains.options import Command, Option
from rules.ipchains.request import Request
from rules.ipchains.rule import Action, Rule

__all__ = ["Execution"]

_NO_TARGET = "No target by that name"
_NO_CHAIN = "No chain by that name"
_BAD_RULE = "bad rule (does a matching rule exist in that chain?)"

_MESSAGES: dict[tuple[Command, int], str] = {
    (Command.APPEND, errno.ENOENT): _NO_TARGET,
    (Command.INSERT, errno.ENOENT): _NO_TARGET,
    (Command.REPLACE, errno.ENOENT): _NO_TARGET,
    (Command.DELETE, errno.EINVAL): _BAD_RULE,
    (Command.INSERT, errno.EINVAL): _BAD_RULE,
    (Command.REPLACE, errno.EINVAL): _BAD_RULE,
    (Command.CHECK, errno.EINVAL): "bad arguments (does that interface exist?)",
}
_MESSAGES_ANYWHERE: dict[int, str] = {
    errno.ENOENT: _NO_CHAIN,
    errno.EEXIST: "Chain already exists",
    errno.ENOTEMPTY: "Chain is not empty",
    errno.EPERM: "Permission denied (you must be root)",
}
"""linux.md U3; other refusals have the system's text."""

_INCOMPATIBLE = "Incompatible with this kernel"
"""What becomes of a list of chains that has an empty name in it (linux.md U19c)."""


@dataclass
class Execution:
    """One request on its way; :meth:`perform` fills the results."""

    request: Request
    chains: Chains
    names: Names
    masquerading: Masquerading
    lines: list[str] = field(default_factory=list)
    """Standard output."""
    complaint: str = ""
    """The last refusal, in the tool's words."""

    def perform(self) -> None:
        commands = self.request.commands
        together = _TOGETHER.get(commands)
        if together is not None:
            together(self)
        else:
            (command,) = commands
            _ALONE[command](self, command)

    @property
    def _chain(self) -> str:
        return self.request.chain or ""

    @property
    def _verbose(self) -> bool:
        return Option.VERBOSE in self.request.options

    def _attempt(self, command: Command, operation: Callable[[], None]) -> None:
        try:
            operation()
        except OSError as refusal:
            number = refusal.errno or 0
            known = _MESSAGES.get((command, number)) or _MESSAGES_ANYWHERE.get(number)
            self.complaint = known or os.strerror(number)

    # -- rules ---------------------------------------------------------------------------------------------------

    def with_rules(self, command: Command) -> None:
        """Append, insert, replace, delete or check every rule that is meant."""
        damage = 0
        for meant in self.request.rules():
            rule = meant
            for _ in range(damage):
                rule = listing.damaged(rule)
            if self._verbose:
                self.lines.append(listing.echo(rule, self.names))
                rule = listing.damaged(rule)
                damage += 1
            self._one_rule(command, rule)

    def _one_rule(self, command: Command, rule: Rule) -> None:
        chain, number = self._chain, self.request.number
        operations: dict[Command, Callable[[], None]] = {
            Command.APPEND: lambda: self.chains.append(chain, rule),
            Command.INSERT: lambda: self.chains.insert(chain, number, rule),
            Command.REPLACE: lambda: self.chains.replace(chain, number, rule),
            Command.DELETE: lambda: self.chains.delete(chain, rule),
            Command.CHECK: lambda: self._check(rule),
        }
        self._attempt(command, operations[command])

    def _check(self, rule: Rule) -> None:
        self.lines.append(check.answer(self.chains.named(self._chain), rule, self.chains.switches))

    def delete_number(self, command: Command) -> None:
        self._attempt(command, lambda: self.chains.delete_number(self._chain, self.request.number))

    # -- chains --------------------------------------------------------------------------------------------------

    def _listed(self) -> list[Chain]:
        """Every chain, read from the kernel's list of names; nothing if that cannot be read."""
        if "" in self.chains:
            self.complaint = _INCOMPATIBLE
            return []
        return list(self.chains.values())

    def _each_chain(self, command: Command, doing: str, operation: Callable[[str], None], *, user: bool) -> None:
        if self.request.chain is not None:
            names = [self.request.chain]
        else:
            names = [chain.name for chain in self._listed() if not user or chain.policy is None]
        for name in names:
            if self._verbose:
                self.lines.append(f"{doing} chain `{name}'")
            self._attempt(command, partial(operation, name))

    def flush(self, command: Command) -> None:
        self._each_chain(command, "Flushing", self.chains.flush, user=False)

    def zero(self, command: Command) -> None:
        self._each_chain(command, "Zeroing", self.chains.zero, user=False)

    def delete_chain(self, command: Command) -> None:
        self._each_chain(command, "Deleting", self.chains.delete_chain, user=True)

    def new_chain(self, command: Command) -> None:
        self._attempt(command, lambda: self.chains.create(self._chain))

    def set_policy(self, command: Command) -> None:
        policy = self.request.policy or Action.ACCEPT
        self._attempt(command, lambda: self.chains.set_policy(self._chain, policy))

    # -- lists ---------------------------------------------------------------------------------------------------

    def list(self, _: Command = Command.LIST) -> None:
        chains = self._listed()
        wanted = [chain for chain in chains if self.request.chain in (None, chain.name)]
        if chains and not wanted:
            self.complaint = _NO_CHAIN
        options = self.request.options
        how = listing.Format(
            numeric=Option.NUMERIC in options,
            verbose=Option.VERBOSE in options,
            exact=Option.EXACT in options,
            line_numbers=Option.LINE_NUMBERS in options,
        )
        self.lines += listing.listing(wanted, how, self.names)

    def list_and_zero(self) -> None:
        self.list()
        for chain in self._listed():
            self.chains.zero(chain.name)

    def list_masquerading(self) -> None:
        self.lines += masquerade_listing(
            self.masquerading.entries(),
            numeric=Option.NUMERIC in self.request.options,
            verbose=self._verbose,
            names=self.names,
        )

    def set_timeouts(self) -> None:
        self.masquerading.set_timeouts(*self.request.timeouts)


_ALONE: dict[Command, Callable[[Execution, Command], None]] = {
    Command.APPEND: Execution.with_rules,
    Command.INSERT: Execution.with_rules,
    Command.REPLACE: Execution.with_rules,
    Command.DELETE: Execution.with_rules,
    Command.CHECK: Execution.with_rules,
    Command.DELETE_NUMBER: Execution.delete_number,
    Command.FLUSH: Execution.flush,
    Command.ZERO: Execution.zero,
    Command.NEW_CHAIN: Execution.new_chain,
    Command.DELETE_CHAIN: Execution.delete_chain,
    Command.SET_POLICY: Execution.set_policy,
    Command.LIST: Execution.list,
}
_TOGETHER: dict[frozenset[Command], Callable[[Execution], None]] = {
    frozenset({Command.LIST, Command.ZERO}): Execution.list_and_zero,
    frozenset({Command.LIST, Command.MASQUERADING}): Execution.list_masquerading,
    frozenset({Command.SET_TIMEOUTS, Command.MASQUERADING}): Execution.set_timeouts,
}
