"""What lint tells: a finding with its rules, its reason, and a packet that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rules.analysis.program import Label, Outcome
from rules.analysis.witness import Witness

__all__ = ["Finding", "Findings", "Kind", "outcome_words"]


class Kind(StrEnum):
    """Kinds of findings."""

    NEVER_MATCHES = "never-matches"
    SHADOWED = "shadowed"
    REDUNDANT = "redundant"
    UNREACHED_DIVERT = "unreached-divert"
    DIVERTED_TWICE = "diverted-twice"
    DIVERT_LOOP = "divert-loop"
    FRAGMENTS_LOST = "fragments-lost"
    FRAGMENTS_SLIP = "fragments-slip"
    MISSING_TARGET = "missing-target"
    UNREACHABLE_CHAIN = "unreachable-chain"
    LOOPING_CHAIN = "looping-chain"
    PROFILE_DEPENDENT = "profile-dependent"


@dataclass(frozen=True)
class Finding:
    """One finding."""

    kind: Kind
    rule: Label
    line: int | None
    by: tuple[Label, ...]
    """The rules that bring it about."""
    reason: str
    witness: Witness | None = None
    meets: Label | None = None
    """A rule that the witness matches, which whoever has the rules can try."""


@dataclass(frozen=True)
class Findings:
    """All findings of a rule set, and what could not be decided."""

    found: tuple[Finding, ...]
    undecided: tuple[tuple[Label, str], ...]
    """Rules about which nothing is claimed, with the reason: too many cases."""
    uncertain: tuple[tuple[Label, str], ...] = ()
    """Rules whose questions something other than header fields answers: less is claimed of them."""


def outcome_words(outcome: Outcome) -> str:
    """An outcome for people: ``divert 8668``."""
    return " ".join(map(str, outcome)) or "goes on"
