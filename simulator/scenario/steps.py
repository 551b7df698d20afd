"""What the firewall said of a packet, a step each, in the words of ``expect path``: ``in divert 8668 by 100``."""

from __future__ import annotations

import re

from rules.ipchains import rule as ipchains
from rules.ipchains.chains import BUILT_IN
from rules.ipfw.verdict import ENDS
from simulator.profiles import BsdProfile, Profile
from simulator.scenario.model import Place, ScriptError
from simulator.trace import Event

__all__ = ["check_step", "step_of"]

_CHAIN_VERDICTS = tuple(each.name.lower() for each in ipchains.Action if each is not ipchains.Action.SKIP)
_STEP = re.compile(r"\S+ \S+( \d+)?( by \S+)?(?!\S)", re.IGNORECASE)


def step_of(event: Event, *, with_rule: bool = False) -> str:
    """``forward divert 1234``, or ``forward divert 1234 by forward:1``"""
    words = [event.hook or "", (event.verdict or "").lower()]
    words += [str(event.port)] if event.port is not None else []
    words += ["by", event.rule or "-"] if with_rule else []
    return " ".join(words).lower()


def check_step(step: str, profile: Profile, place: Place) -> None:
    """Whether this kernel's firewall could say so.  :raises ScriptError: at the word that it has not."""
    hooks, verdicts = _words_of(profile)
    hook, *rest = step.split()
    _check_word("hook", hook, hooks, place)
    if rest:
        _check_word("verdict", rest[0], verdicts, place)
    said = _STEP.match(step)
    if said is None or said.end() < len(step):
        wrong = hook if said is None else step[said.end() :].split()[0]
        raise ScriptError(place.at(wrong), f"a step of a path is HOOK VERDICT [PORT] [by RULE], not {step!r}")


def _check_word(what: str, word: str, known: tuple[str, ...], place: Place) -> None:
    if word.lower() not in known:
        raise ScriptError(place.at(word), f"the firewall has no {what} {word!r} (there are {', '.join(known)})")


def _words_of(profile: Profile) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The hooks of a kernel's firewall, and what it may say there."""
    if isinstance(profile, BsdProfile):
        return ("in", "out"), tuple(each.value for each in ENDS if each.value not in profile.rules.missing_words)
    return BUILT_IN, _CHAIN_VERDICTS
