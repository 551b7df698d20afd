"""Lint of one rule file: what the analysis finds, each packet made and tried on the rules themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rules.analysis import ipfw
from rules.analysis.findings import Finding, Kind, findings
from rules.analysis.program import Label
from simulator.checking.checker import Checker
from simulator.linting.files import RuleFile
from simulator.linting.packets import Shown, meets, shown, tried
from simulator.linting.profiles import profile_dependent

__all__ = ["Found", "Report", "lint"]

_BY_A_PACKET = frozenset(
    {Kind.DIVERTED_TWICE, Kind.DIVERT_LOOP, Kind.FRAGMENTS_LOST, Kind.FRAGMENTS_SLIP, Kind.PROFILE_DEPENDENT}
)
"""Kinds that are claimed of one packet, and not without it."""

_LET_THROUGH = ("accept", "fwd", "tee")


@dataclass(frozen=True)
class Found:
    """A finding with its packet, as octets."""

    kind: Kind
    rule: Label
    line: int | None
    by: tuple[Label, ...]
    reason: str
    packet: Shown | None

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "rule": self.rule,
            "line": self.line,
            "by": list(self.by),
            "reason": self.reason,
            "witness": None if self.packet is None else self.packet.as_json(),
        }


@dataclass(frozen=True)
class Report:
    """Everything about a rule file."""

    profile: str
    found: tuple[Found, ...]
    undecided: tuple[tuple[Label, str], ...]
    uncertain: tuple[tuple[Label, str], ...]
    refused_by: tuple[tuple[str, str], ...] = ()
    """Other profiles of the family that do not take the file, with the reason."""

    def as_json(self) -> dict[str, Any]:
        return {
            "profile": self.profile,
            "findings": [each.as_json() for each in self.found],
            "packets": [None if each.packet is None else each.packet.words for each in self.found],
            "undecided": [{"rule": rule, "reason": reason} for rule, reason in self.undecided],
            "uncertain": [{"rule": rule, "reason": reason} for rule, reason in self.uncertain],
            "refused_by": [{"profile": name, "reason": reason} for name, reason in self.refused_by],
        }


def lint(file: RuleFile, *, tag: int | None = None, kinds: Iterable[Kind] = tuple(Kind)) -> Report:
    """What is wrong, or odd, with the rules; ``kinds``: what is to be told, ``tag``: see
    :func:`rules.analysis.findings.findings`."""
    wanted = frozenset(kinds)
    told = findings(file.program(), tag=tag, collecting=file.collecting, chain_lines=file.chain_lines)
    found = [_tried(file, finding) for finding in told.found if finding.kind in wanted]
    refused: Sequence[tuple[str, str]] = ()
    if Kind.PROFILE_DEPENDENT in wanted:
        others, refused = profile_dependent(file)
        found += [Found(Kind.PROFILE_DEPENDENT, *each) for each in others]
    kept = sorted(
        (each for each in found if each is not None), key=lambda each: (each.line or 0, list(Kind).index(each.kind))
    )
    return Report(file.conditions.profile, tuple(kept), told.undecided, told.uncertain, tuple(refused))


def _tried(file: RuleFile, finding: Finding) -> Found | None:
    """The finding with its packet; without it where the packet does not show it, None where nothing is left then."""
    packet = None
    if finding.witness is not None:
        packet = shown(finding.witness)
        checker = file.reloaded() if file.is_stateful else file.checker
        if not _shows(checker, finding, packet):
            packet = None
    if packet is None and finding.kind in _BY_A_PACKET:
        return None
    return Found(finding.kind, finding.rule, finding.line, finding.by, finding.reason, packet)


def _shows(checker: Checker, finding: Finding, packet: Shown) -> bool:
    """Whether the packet meets the rule that it is to meet; what comes back from a socket, the other one, too."""
    if finding.meets is not None and not meets(tried(checker, packet), finding.meets):
        return False
    if finding.kind is not Kind.DIVERTED_TWICE or not isinstance(finding.rule, int):
        return True
    *back, end = _written_back(checker, replace(packet, reinjected=packet.hook), finding.rule)
    if any(answer["decided_by"] in finding.by for answer in (*back, end)):
        return True
    if packet.hook != "in" or end["verdict"] not in _LET_THROUGH:
        return False
    # By the other pass: the same packet on its way out, by some interface.
    names = {packet.interface, *_interfaces(checker)}
    out = (replace(packet.forwarded, hook="out", interface=name, received_on=packet.interface) for name in names)
    return any(_end(tried(checker, each))["decided_by"] in finding.by for each in out)


def _written_back(checker: Checker, packet: Shown, tag: int) -> Iterator[Mapping[str, Any]]:
    """What becomes of a packet that programs write back as they got it, until none gets it any more, or one gets it
    from the same rule again."""
    given: set[int] = set()
    while tag not in given:
        given.add(tag)
        answer = _end(tried(checker, packet, start_after=tag))
        yield answer
        if answer["verdict"] != "divert":
            return
        tag = answer["decided_by"]


def _end(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """What becomes of the packet itself, behind the copies of tee."""
    return _end(answer["tee_then"]) if "tee_then" in answer else answer


def _interfaces(checker: Checker) -> set[str]:
    """The interfaces that rules name."""
    return (
        {place.leaves_by for place in ipfw.build(checker.rules).places if place.leaves_by} if checker.rules else set()
    )
