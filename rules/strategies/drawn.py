"""Packets drawn from a rule: those that it matches, and those that just miss it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from hypothesis import assume
from hypothesis import strategies as st

from rules.fields import MORE_FRAGMENTS, OFFSET_MASK, Header
from rules.strategies.asking import AnyRule, AnyRules, Asked, asked
from rules.strategies.candidates import Candidates
from rules.strategies.domain import Domain, Row, Wishes
from rules.strategies.words import told

__all__ = ["NoPacketError", "chooser", "matching", "missing"]


class NoPacketError(ValueError):
    """There is no packet of that kind: the rule's questions cannot be answered so."""


def chooser(draw: st.DrawFn) -> Callable[[tuple[Row, ...]], Row]:
    """Draws one row of several, the first one being what examples shrink to."""
    return lambda rows: draw(st.sampled_from(rows)) if len(rows) > 1 else rows[0]


def matching(
    rule: AnyRule,
    *,
    rules: AnyRules | None = None,
    profile: str | None = None,
    interfaces: Sequence[str] = (),
    fragments: bool = True,
) -> st.SearchStrategy[Header]:
    """Packets that a rule matches: every question that it asks is answered yes.

    ``rule``: words of ipfw (``"deny tcp from any to any 25"``) or ipchains (``"-p tcp -d 0/0 25 -j DENY"``), or a rule
    as its engine has it.  ``rules``: the rule set in whose host it stands, for ``me``, tables and routes; otherwise a
    host without any, of ``profile``.  ``interfaces``: what its interfaces are called.  ``fragments``: whether there may
    be fragments among them.

    Chance and dynamic state are no questions: a rule with ``prob`` or ``keep-state`` is matched as if without.  Of an
    ipchains rule, the interface that the chain is told is ``transmit_interface or receive_interface``.

    :raises NoPacketError: for a rule that matches nothing.
    :raises rules.CommandError: for words that are no rule.
    """
    about = asked(rule, rules, profile)
    wishes = [tuple((ask, True) for ask in (*about.before, *about.asks))]
    names = interfaces or about.interfaces
    return _drawn(about, wishes, names, f"no packet matches {about.words!r}", fragments=fragments)


def missing(
    rule: AnyRule,
    *,
    rules: AnyRules | None = None,
    profile: str | None = None,
    interfaces: Sequence[str] = (),
    fragments: bool = True,
) -> st.SearchStrategy[Header]:
    """Near misses: exactly one question of the rule is answered no (an ``or`` block counts as one question).

    Arguments and errors as for :func:`matching`; a rule whose questions all hang together, or that asks nothing, has no
    near miss.
    """
    about = asked(rule, rules, profile)
    asks = (*about.before, *about.asks)
    wishes = [tuple((ask, ask is not failing) for ask in asks) for failing in about.asks]
    names = interfaces or about.interfaces
    return _drawn(about, wishes, names, f"no packet just misses {about.words!r}", fragments=fragments)


_MOST_SHAPES = 8
"""Pairs of protocol and fragment field that packets are drawn with, for each question that is to fail."""


def _drawn(
    about: Asked, alternatives: Sequence[Wishes], interfaces: Sequence[str], complaint: str, *, fragments: bool
) -> st.SearchStrategy[Header]:
    candidates = Candidates(about.questions, interfaces, about.world)
    choices = [
        (wishes, shape)
        for wishes in alternatives
        for shape in islice(_shapes(candidates, wishes, fragments=fragments), _MOST_SHAPES)
    ]
    if not choices:
        raise NoPacketError(complaint)

    @st.composite
    def drawn(draw: st.DrawFn) -> Header:
        wishes, shape = draw(st.sampled_from(choices))
        inside = draw(st.integers(0, 0xFFFFFFFF))
        left = _left(Candidates(about.questions, interfaces, about.world, inside).domain(shape), wishes)
        assert left is not None, "further values do not take away those that were there"
        header = left.header(chooser(draw))
        # Questions about what another one of the same rule has looked up depend on each other without saying so.
        assume(all(ask.answer(header) is wanted for ask, wanted in wishes))
        return header

    return drawn().map(told)


def _shapes(candidates: Candidates, wishes: Wishes, *, fragments: bool) -> Iterator[tuple[int, int]]:
    """Protocol and fragment field of packets that there are."""
    for shape in candidates.shapes(wishes):
        is_fragment = shape[1] & (MORE_FRAGMENTS | OFFSET_MASK)
        if not (is_fragment and not fragments) and _left(candidates.domain(shape), wishes) is not None:
            yield shape


def _left(domain: Domain, wishes: Wishes) -> Domain | None:
    left: Domain | None = domain
    for ask, wanted in wishes:
        if left is None:
            return None
        left = left.limited(ask, wanted=wanted)
    return left
