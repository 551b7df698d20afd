"""Rules asked about packets, in one pass of one hook: the verdict, the rule that decided, and why not another.

State, counters and time go on from packet to packet, as in a kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, Protocol

from rules import ipchains
from rules.errors import CommandError
from rules.ipchains.reasons import passed_over
from rules.ipfw import reasons as ipfw_reasons
from rules.reasons import PassedOver, grouped
from simulator.checking.questions import Question
from simulator.conformance.ipchains import ask
from simulator.conformance.ipfw import Player
from simulator.packet import Packet
from simulator.profiles import PROFILES, LinuxProfile

__all__ = ["Answer", "Checker", "checker_for"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What would become of one packet."""

    question: Question
    hook: str
    """``in``, ``out``, or the chain."""
    interface: str
    details: Mapping[str, Any]
    """In the words of the recorded cases: ``verdict``, ``decided_by``, ``port``, ``counted``, ..."""
    rule_text: str | None
    """The words of the rule that decided; None for a policy or where no rule did."""
    passed_over: list[PassedOver] = field(default_factory=list)
    """The rules that were looked at and did not match, with the reason."""

    @property
    def outcome(self) -> str:
        """``deny by 300``, ``divert 8668 by 100``"""
        port = self.details.get("port") or self.details.get("redirect_port")
        words = [str(self.details["verdict"]).lower()] + ([str(port)] if port else [])
        decider = self.details["decided_by"]
        return " ".join([*words, "by", str(decider)] if decider is not None else words)

    @property
    def explanation(self) -> list[str]:
        """In sentences: what decided and why, then what did not match and why."""
        decider = self.details["decided_by"]
        if decider is None:
            first = f"{self.outcome}: the packet is too short for its transport header, so no rule decides"
        elif self.rule_text is None:
            first = f"{self.outcome}: no rule decides"
        else:
            first = f"{self.outcome}: it matches '{self.rule_text}'"
        return [first, *grouped(self.passed_over)]

    @property
    def as_expected(self) -> bool:
        """Whether it is what the question expects, as far as that says something."""
        wanted = self.question.expected
        return wanted is None or self.outcome == wanted.lower() or self.outcome.partition(" by ")[0] == wanted.lower()

    def as_json(self) -> dict[str, Any]:
        said = {
            "line": self.question.line,
            "packet": self.question.words,
            "octets": self.question.octets.hex(),
            "hook": self.hook,
            "interface": self.interface,
            **self.details,
            "rule": self.rule_text,
            "explanation": self.explanation,
        }
        if self.question.expected is not None:
            said |= {"expected": self.question.expected, "as_expected": self.as_expected}
        return said


class Checker(Protocol):
    """The rules of one dialect on one host."""

    def command(self, line: str) -> None:
        """Run a line of a rule file.  :raises CommandError: as the tool does."""

    def ask(self, question: Question) -> Answer: ...


def checker_for(
    profile: str,
    interfaces: Mapping[str, str],
    routes: Mapping[str, str],
    *,
    default: str | None = None,
    dialect: str | None = None,
) -> Checker:
    """For the kernel of that name.  ``interfaces``: name -> address/length; ``routes``: prefix -> interface;
    ``default``: what rule 65535 of ipfw does, ``deny`` or ``allow``; ``dialect``: which of its rule languages FreeBSD 4
    speaks, ``ipfw1`` or ``ipfw2``.  :raises ValueError: for a language that the kernel does not have."""
    if isinstance(PROFILES[profile], LinuxProfile):
        return _Ipchains(profile, interfaces)
    return _Ipfw(profile, interfaces, routes, default or "deny", dialect)


def _likely_interface(interfaces: Mapping[str, str], address: int) -> str:
    """The interface on whose network the address is, else the first; ``eth0`` on a host without any."""
    near = (name for name, text in interfaces.items() if IPv4Address(address) in IPv4Interface(text).network)
    return next(near, next(iter(interfaces), "eth0"))


class _Ipfw:
    def __init__(
        self,
        profile: str,
        interfaces: Mapping[str, str],
        routes: Mapping[str, str],
        default: str,
        dialect: str | None,
    ) -> None:
        connected = {str(IPv4Interface(text).network): name for name, text in interfaces.items()}
        all_routes = [[prefix, name] for prefix, name in (connected | dict(routes)).items()]
        case = {"profile": profile, "interfaces": dict(interfaces), "routes": all_routes, "dialect": dialect}
        self._player = Player(case, default=default)
        self._interfaces = interfaces

    def command(self, line: str) -> None:
        result = self._player.rules.execute_line(line.strip().removeprefix("ipfw "))
        if result.status:
            raise CommandError(result.stderr, result.status, result.stdout)

    def ask(self, question: Question) -> Answer:
        packet = Packet(question.octets)
        hook = question.given.get("hook", "in")
        near = packet.source if hook == "in" else packet.destination
        interface = question.given.get("interface") or _likely_interface(self._interfaces, near)
        given = {**question.given, "hook": hook, "interface": interface, "octets": question.octets.hex()}
        asked, start_after = self._player.prepare(given)
        # Why rules were passed over is asked before the search installs state that would answer otherwise.
        verdicts = self._player.search(asked, start_after)
        details = self._player.answer(asked, verdicts)
        first = verdicts[0]
        passed = ipfw_reasons.passed_over(self._player.rules, asked, first, start_after)
        return Answer(
            question=question,
            hook=hook,
            interface=interface,
            details=details,
            rule_text=self._player.rules.words_of(first),
            passed_over=passed,
        )


class _Ipchains:
    def __init__(self, profile: str, interfaces: Mapping[str, str]) -> None:
        self._tables = ipchains.Tables(profile)
        self._interfaces = interfaces

    def command(self, line: str) -> None:
        self._tables.run(line)

    def ask(self, question: Question) -> Answer:
        packet = Packet(question.octets)
        hook = question.given.get("hook", "in")
        chain = question.given.get("chain") or {"in": "input", "out": "output"}[hook]
        near = packet.source if chain == "input" else packet.destination
        interface = question.given.get("interface") or _likely_interface(self._interfaces, near)
        given = {**question.given, "chain": chain, "interface": interface, "octets": question.octets.hex()}
        details, asked, verdict = ask(self._tables, given)
        if details["verdict"] == "DIVERT" and verdict is not None:
            details["port"] = verdict.port
        passed = [] if verdict is None else passed_over(self._tables, chain, asked, interface, verdict)
        return Answer(
            question=question,
            hook=chain,
            interface=interface,
            details=details,
            rule_text=self._tables.chains.words_of(details["decided_by"]),
            passed_over=passed,
        )
