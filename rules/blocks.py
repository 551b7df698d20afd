"""How the answer to a question can be looked up: which values of a field it says yes to.

A question that a classifier can look up has an attribute ``allowed``, one of

- :class:`Blocks`: the values of one integer field, as (base, mask) blocks: prefixes of addresses, ranges of ports cut
  into such blocks, bits that are set and bits that are not.  For fields of many values.
- :class:`Asked`: nothing but the fields that the answer depends on, few values of which are ever met: it is asked once
  for each of them.

A question without one, or with None, has to be asked each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rules.addresses import ALL_ONES

__all__ = ["NOWHERE", "Allowed", "Asked", "Block", "Blocks", "allowed_by", "asked", "bits_of", "either", "range_blocks"]

Block = tuple[int, int]
"""Base and mask: a value belongs to it when it equals the base where the mask has ones."""

_FEW_VALUES = frozenset(
    {"protocol", "tos", "tcp_flags", "icmp_type", "icmp_code", "receive_interface", "transmit_interface", "reinjected"}
)
"""Fields of which a classifier may remember every value that it meets."""


class Blocks(NamedTuple):
    """The values of ``field`` in any of the blocks; with ``others`` everything else, no value at all included."""

    field: str
    blocks: tuple[Block, ...]
    others: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.field,)

    def opposite(self) -> Blocks:
        return Blocks(self.field, self.blocks, not self.others)


class Asked(NamedTuple):
    """Whatever the question answers, which depends on these fields and nothing else."""

    fields: tuple[str, ...]
    """In alphabetical order."""

    def opposite(self) -> Asked:
        return self


def asked(fields: Iterable[str]) -> Asked:
    """By the names of the fields, in any order."""
    return Asked(tuple(sorted(fields)))


Allowed = Blocks | Asked

NOWHERE = Blocks("protocol", ())
"""No datagram at all."""


def allowed_by(question: object) -> Allowed | None:
    """What a question allows, None for one that must be asked each time."""
    allowed: Allowed | None = getattr(question, "allowed", None)
    return allowed


def either(alternatives: Iterable[Allowed | None]) -> Allowed | None:
    """What "one of these is enough" allows, None if it has to be asked each time."""
    known: list[Allowed] = []
    for allowed in alternatives:
        if allowed is None:
            return None
        known.append(allowed)
    fields = {name for allowed in known for name in allowed.fields}
    listed = [allowed for allowed in known if isinstance(allowed, Blocks) and not allowed.others]
    if len(fields) == 1 and len(listed) == len(known):
        return Blocks(listed[0].field, tuple(block for allowed in listed for block in allowed.blocks))
    return asked(fields) if fields <= _FEW_VALUES else None


def bits_of(field: str, present: int, absent: int) -> Blocks:
    """The values that have every bit of ``present`` and none of ``absent``."""
    return NOWHERE if present & absent else Blocks(field, ((present, present | absent),))


def range_blocks(pairs: Iterable[tuple[int, int]]) -> tuple[Block, ...]:
    """Inclusive ranges of numbers below 2**32 as blocks; a range that ends before it begins has none."""
    found: list[Block] = []
    for low, high in pairs:
        low, high = max(low, 0), min(high, ALL_ONES)
        while low <= high:
            size = low & -low or ALL_ONES + 1
            while low + size - 1 > high:
                size >>= 1
            found.append((low, ALL_ONES ^ size - 1))
            low += size
    return tuple(found)
