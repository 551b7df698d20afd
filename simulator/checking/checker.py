"""Rules asked about packets, in one pass of one hook: the verdict, the rule that decided, and why not another.

State, counters and time go on from packet to packet, as in a kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Any, Protocol

from rules import ipchains, ipfw
from rules.errors import CommandError
from rules.ipchains.reasons import passed_over
from rules.ipfw import Action, Verdict
from rules.ipfw import reasons as ipfw_reasons
from rules.reasons import PassedOver, grouped
from simulator.checking.questions import Question
from simulator.conformance.ipchains import ask
from simulator.conformance.ipfw import PUTS_TOGETHER, Player, verdict_word
from simulator.packet import Packet
from simulator.profiles import PROFILES, BsdProfile

__all__ = ["Answer", "Checker", "Step", "checker_for"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One rule that has said something, and what."""

    outcome: str
    """``deny by 300``, ``divert 8668 by 100``"""
    rule_text: str | None
    """The words of the rule; None for a policy or where no rule decided."""
    why: str
    """Why it came so."""
    note: str = ""
    """What one has to know besides."""
    passed_over: Sequence[PassedOver] = ()
    """The rules that were looked at before and did not match, with the reason."""
    keeps: bool = False
    """A fragment is kept until the others are there; what follows was asked of it alone."""

    @property
    def said(self) -> str:
        return f"{self.outcome} ({self.note})" if self.note else self.outcome

    @property
    def reason(self) -> str:
        return f"{self.said}: {self.why}"


def _begins(steps: Sequence[Step], wanted: Sequence[str]) -> bool:
    outcomes = [step.outcome.lower() for step in steps[: len(wanted)]]
    return len(outcomes) == len(wanted) and all(
        words in (outcome, outcome.partition(" by ")[0]) for words, outcome in zip(wanted, outcomes, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What would become of one packet."""

    question: Question
    hook: str
    """``in``, ``out``, or the chain."""
    interface: str
    details: Mapping[str, Any]
    """In the words of the recorded cases: ``verdict``, ``decided_by``, ``port``, ``counted``, ..."""
    steps: Sequence[Step]
    """What happens, in order: one, or several where a pass goes on behind a rule that ends a search (``tee``, ``nat``,
    ``pipe``, a fragment that ``reass`` keeps)."""

    @property
    def explanation(self) -> list[str]:
        """In sentences: what decided and why, then what did not match and why."""
        passed_over = [passed for step in self.steps for passed in step.passed_over]
        return [*(step.reason for step in self.steps), *grouped(passed_over)]

    @property
    def as_expected(self) -> bool:
        """Whether it is what the question expects, as far as that says something.

        ``tee 5000 by 100 then accept by 300`` expects two steps; what is said of fewer is said of the first ones, and
        of a fragment that is kept, also of those that follow.
        """
        if self.question.expected is None:
            return True
        wanted = self.question.expected.lower().split(" then ")
        starts = [0, 1] if self.steps[0].keeps else [0]
        return any(_begins(self.steps[start:], wanted) for start in starts)

    def as_json(self) -> dict[str, Any]:
        said = {
            "line": self.question.line,
            "packet": self.question.words,
            "octets": self.question.octets.hex(),
            "hook": self.hook,
            "interface": self.interface,
            **self.details,
            "rule": self.steps[self.steps[0].keeps and len(self.steps) > 1].rule_text,
            "steps": [{"outcome": step.outcome, "rule": step.rule_text} for step in self.steps],
            "explanation": self.explanation,
        }
        if self.question.expected is not None:
            said |= {"expected": self.question.expected, "as_expected": self.as_expected}
        return said


class Checker(Protocol):
    """The rules of one dialect on one host."""

    @property
    def rules(self) -> ipfw.RuleSet | None:
        """Those of ipfw."""

    @property
    def tables(self) -> ipchains.Tables | None:
        """Those of ipchains."""

    @property
    def verdicts(self) -> Mapping[str, str]:
        """The words for what may become of a packet -> those that answers use."""

    def command(self, line: str) -> None:
        """Run a line of a rule file.  :raises CommandError: as the tool does."""

    def ask(self, question: Question) -> Answer: ...

    def decide(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """What becomes of a packet, without a word of why: both in the words of the recorded cases."""


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
    kernel = PROFILES[profile]
    if isinstance(kernel, BsdProfile):
        return _Ipfw(kernel, interfaces, routes, default or "deny", dialect)
    return _Ipchains(profile, interfaces)


def _likely_interface(interfaces: Mapping[str, str], address: int) -> str:
    """The interface on whose network the address is, else the first; ``eth0`` on a host without any."""
    near = (name for name, text in interfaces.items() if IPv4Address(address) in IPv4Interface(text).network)
    return next(near, next(iter(interfaces), "eth0"))


_GOES_ON = (Action.TEE, Action.PIPE, Action.QUEUE, Action.NAT)
_ONE_PASS = "one_pass is on"
_NO_RULE = "the packet is too short for its transport header, so no rule decides"


class _Ipfw:
    verdicts: Mapping[str, str] = {
        "accept": "accept",
        "allow": "accept",
        **{word: word for word in ("deny", "divert", "tee", "fwd", "nat", "pipe", "queue", "reass", "defrag")},
    }
    """What answers with ``unreach`` and ``reset`` is a ``deny`` here: which rule it was says more."""

    def __init__(
        self,
        kernel: BsdProfile,
        interfaces: Mapping[str, str],
        routes: Mapping[str, str],
        default: str,
        dialect: str | None,
    ) -> None:
        connected = {str(IPv4Interface(text).network): name for name, text in interfaces.items()}
        all_routes = [[prefix, name] for prefix, name in (connected | dict(routes)).items()]
        case = {"profile": kernel.name, "interfaces": dict(interfaces), "routes": all_routes, "dialect": dialect}
        self._player = Player(case, default=default)
        self._interfaces = interfaces
        self._kernel = kernel
        self.tables: ipchains.Tables | None = None

    @property
    def rules(self) -> ipfw.RuleSet | None:
        return self._player.rules

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
        verdicts = self._player.search(asked, start_after)
        details = self._player.answer(asked, verdicts)
        return Answer(
            question=question,
            hook=hook,
            interface=interface,
            details=details,
            steps=[*self._steps(asked, start_after, verdicts)],
        )

    def decide(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._player.packet(given)

    def _steps(self, asked: Packet, start_after: int, verdicts: Sequence[Verdict]) -> Iterator[Step]:
        rules = self._player.rules
        before: Verdict | None = None
        for verdict in verdicts:
            keeps = verdict.action in PUTS_TOGETHER
            text = rules.words_of(verdict)
            yield Step(
                outcome=_outcome(verdict),
                rule_text=text,
                why=f"it matches '{text}'" if text is not None else _NO_RULE if before is None else _ONE_PASS,
                note=self._note(asked, verdict, before),
                passed_over=ipfw_reasons.passed_over(rules, asked, verdict, start_after, resumed=before),
                keeps=keeps,
            )
            before = verdict

    def _note(self, asked: Packet, verdict: Verdict, before: Verdict | None) -> str:
        notes = []
        if before is not None and before.action in PUTS_TOGETHER:
            notes.append("asked of this fragment alone")
        if verdict.action in PUTS_TOGETHER:
            notes.append("kept until its datagram is whole")
        hook = "out" if asked.leaving_by is not None else "in"
        collected = {Action.DIVERT: self._kernel.reassembles, Action.TEE: self._kernel.reassembles_tee}
        if asked.is_fragment and hook in self._kernel.reassembles and collected.get(verdict.action):
            notes.append("once its datagram is whole")
        if verdict.action in _GOES_ON and verdict.resume is None:
            notes.append("the packet itself is accepted" if verdict.action is Action.TEE else "and accepted")
        return ", ".join(notes)


def _outcome(verdict: Verdict) -> str:
    """``divert 8668 by 100``, ``pipe 1 by 200``, ``deny`` where no rule decides."""
    words = [verdict.action.value if verdict.action in PUTS_TOGETHER else verdict_word(verdict)]
    if verdict.action in (Action.DIVERT, Action.TEE):
        words.append(str(verdict.port))
    elif verdict.action in (Action.PIPE, Action.QUEUE, Action.NAT):
        words.append(str(verdict.number or "global"))
    return " ".join(words if verdict.rule is None else [*words, "by", str(verdict.rule)])


class _Ipchains:
    verdicts: Mapping[str, str] = {word: word for word in ("accept", "deny", "reject", "masq", "redirect", "divert")}

    def __init__(self, profile: str, interfaces: Mapping[str, str]) -> None:
        self._tables = ipchains.Tables(profile)
        self._interfaces = interfaces
        self.rules: ipfw.RuleSet | None = None

    @property
    def tables(self) -> ipchains.Tables | None:
        return self._tables

    def command(self, line: str) -> None:
        self._tables.run(line)

    def decide(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return ask(self._tables, given)[0]

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
        port = details.get("port") or details.get("redirect_port")
        words = [details["verdict"].lower(), *([str(port)] if port else []), "by", str(details["decided_by"])]
        text = self._tables.chains.words_of(details["decided_by"])
        step = Step(
            outcome=" ".join(words),
            rule_text=text,
            why=f"it matches '{text}'" if text is not None else "no rule decides",
            passed_over=[] if verdict is None else passed_over(self._tables, chain, asked, interface, verdict),
        )
        return Answer(question=question, hook=chain, interface=interface, details=details, steps=[step])
