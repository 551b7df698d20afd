"""Many rules, one look: which rules of a list can match a datagram, as a bit vector.

Theory of operation.  A list of *n* rules is an integer of *n* bits, one bit a rule; the first rule is the highest bit,
because Python knows the place of an integer's highest one without looking for it.  For each field that rules ask about
there is a :class:`_Column`, which gives for a value of that field the vector of the rules that allow it: all those that
do not ask about the field, and those whose question says yes.  The AND of the vectors, one for each field, leaves the
rules that can match: the *candidates*.  Their order is that of the list, so

- the first match is the highest bit, ``candidates.bit_length()``;
- going on behind a rule, ``skipto`` or a re-entry behind a tag is the same vector with its high bits masked off;
- a question that has no table (a lookup table whose entries change, an address of this host, chance, dynamic state) is
  left out of the vectors, which makes its rule a candidate more often, and is asked then.

So the answer is the list's own, whatever the tables leave out; a candidate has all its questions asked once more, in
order, by the engine that searches.

A column finds the vector of a value in one of two ways (:mod:`rules.blocks`).  *Blocks* are kept by their mask: for
each mask that occurs, base -> rules, and a value is looked for once under each mask that has blocks near it.  A block's
rules are kept as (bits, shift), so that the prefix of one rule takes one bit wherever in the list that rule stands, and
not a vector: what is stored grows with the rules, not with their square.  Questions to be *asked* are asked once for a
value, equal ones together.  What was found is remembered, for the value and, where blocks are in one piece each, for
all values between two ends of blocks; the memory of a column is bounded by its octets, and is emptied when it is full.

The tables are never changed.  Lists that change are :mod:`rules.roster`'s business.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from rules.addresses import ALL_ONES
from rules.blocks import Allowed, Block, Blocks

__all__ = ["Classifier", "Clause", "Reader", "read_attributes", "vector"]

_REMEMBERED_OCTETS = 8 << 20
"""Size of the vectors that one column remembers, at most."""
_REMEMBERED_VALUES = 1 << 14
"""How many values it remembers with them."""
_INTEGER_OCTETS = 60
"""Of an integer and its place in a dictionary, besides its digits."""

Reader = Callable[[Sequence[str]], Callable[[Any], tuple[Any, ...]]]
"""For names of fields, a function that reads them, in this order, from what is classified."""


class Clause(NamedTuple):
    """One question of a rule, whose answer can be looked up."""

    allowed: Allowed
    question: object
    """Clauses of equal questions have equal answers."""
    ask: Callable[[Any], bool]


def read_attributes(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """A reader for attributes, perhaps of attributes (``"seen.source"``)."""
    if not names:
        return lambda subject: ()
    if len(names) == 1:
        read_one = attrgetter(*names)
        return lambda subject: (read_one(subject),)
    return attrgetter(*names)


def vector(bits: Iterable[int]) -> int:
    """The integer with these bits set."""
    places = list(bits)
    octets = bytearray(max(places, default=0) // 8 + 1)
    for place in places:
        octets[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(octets, "little")


class Classifier:
    """The tables of one list of rules, given as their clauses; ``reader`` reads fields of what is classified."""

    def __init__(self, rules: Iterable[Iterable[Clause]], size: int, reader: Reader) -> None:
        self.size = size
        """Number of rules; rule *i* of the list is bit ``size - 1 - i``."""
        self._all = (1 << size) - 1
        columns: dict[tuple[str, ...], _Column] = {}
        bit = size
        for clauses in rules:
            bit -= 1
            for clause in clauses:
                fields = clause.allowed.fields
                column = columns.get(fields)
                if column is None:
                    column = columns[fields] = _Column(size)
                column.learn(bit, clause)
        for column in columns.values():
            column.finish()
        alone = [fields for fields in columns if len(fields) == 1]
        joint = [fields for fields in columns if len(fields) > 1]
        names = [name for fields in alone for name in fields]
        names += sorted({name for fields in joint for name in fields} - {*names})
        self._read = reader(names)
        self._columns = [columns[fields] for fields in alone]
        self._joint = [(itemgetter(*map(names.index, fields)), columns[fields]) for fields in joint]

    def candidates(self, subject: Any) -> int:
        """The rules that can match: no other one does."""
        found = self._all
        values = self._read(subject)
        for column, value in zip(self._columns, values, strict=False):
            allowed = column.known.get(value)
            found &= column.find(value, subject) if allowed is None else allowed
        for pick, column in self._joint:
            value = pick(values)
            allowed = column.known.get(value)
            found &= column.find(value, subject) if allowed is None else allowed
        return found


class _Column:
    """One field, or a few that are asked about together: value -> vector of the rules that allow it."""

    __slots__ = (
        "_blocks",
        "_bound",
        "_breaks",
        "_free",
        "_groups",
        "_last",
        "_most",
        "_others",
        "_questions",
        "_vectors",
        "known",
    )

    def __init__(self, size: int) -> None:
        self._blocks = _BlockTable()
        self._others = _BlockTable()
        self._questions: dict[object, tuple[Callable[[Any], bool], list[int]]] = {}
        self._groups: list[tuple[Callable[[Any], bool], int]] = []
        self._bound: list[int] = []
        """Rules that allow only what their blocks or their question say."""
        self._last = -1
        self._most = max(_REMEMBERED_OCTETS // (size // 8 + _INTEGER_OCTETS), 256)
        self._free = (1 << size) - 1
        """Rules that allow every value, but for those in their blocks among the others."""
        self._breaks: list[int] | None = None
        """Where intervals begin in which all values have one vector; None if that cannot be said."""
        self._vectors: dict[Any, int] = {}
        """What was found before, by the number of the interval, or by the value."""
        self.known: dict[Any, int] = {}
        """The same by value."""

    def learn(self, bit: int, clause: Clause) -> None:
        """A rule's question about this field; of several the first, the others are asked of candidates only."""
        if bit == self._last:
            return
        self._last = bit
        allowed = clause.allowed
        if not isinstance(allowed, Blocks):
            self._questions.setdefault(clause.question, (clause.ask, []))[1].append(bit)
            self._bound.append(bit)
        elif allowed.others:
            self._others.learn(bit, allowed.blocks)
        else:
            self._blocks.learn(bit, allowed.blocks)
            self._bound.append(bit)

    def finish(self) -> None:
        """Everything is learnt."""
        self._free ^= vector(self._bound)
        self._groups = [(ask, vector(bits)) for ask, bits in self._questions.values()]
        breaks = self._blocks.finish() + self._others.finish()
        if breaks and None not in breaks and not self._groups:
            self._breaks = sorted({each for each in breaks if each is not None})

    def find(self, value: Any, subject: Any) -> int:
        """The vector of a value that ``subject`` has, remembered from now on."""
        key = value if value is None or self._breaks is None else bisect_right(self._breaks, value)
        found = self._vectors.get(key)
        if found is None:
            found = self._compose(value, subject)
            if len(self._vectors) >= self._most:
                self._vectors.clear()
                self.known.clear()
            self._vectors[key] = found
        if len(self.known) >= _REMEMBERED_VALUES:
            self.known.clear()
        self.known[value] = found
        return found

    def _compose(self, value: Any, subject: Any) -> int:
        found = self._free
        for ask, members in self._groups:
            if ask(subject):
                found |= members
        if value is not None:
            if self._others and (excepted := self._others.members(value)):
                found ^= excepted
            if self._blocks:
                found |= self._blocks.members(value)
        return found


class _BlockTable:
    """(base, mask) blocks with their rules, by mask and base.

    Most addresses are near few blocks: under a mask that covers the beginning of an address (its high bits), it is
    looked for only if there is a block with this mask and this beginning.
    """

    __slots__ = ("_all", "_beginning", "_far", "_near")

    def __init__(self) -> None:
        self._all: dict[int, dict[int, Any]] = {}
        """Mask -> base -> bits, while they are learnt; then (bits shifted to the right, by how much)."""
        self._beginning = 8
        """How many low bits of a value are not its beginning."""
        self._far: list[tuple[int, dict[int, Any]]] = []
        """The masks that do not cover the beginning, which are always looked under."""
        self._near: dict[int, list[tuple[int, dict[int, Any]]]] = {}
        """By beginning, the masks that have blocks there, and those."""

    def __bool__(self) -> bool:
        return bool(self._all)

    def learn(self, bit: int, blocks: Iterable[Block]) -> None:
        for base, mask in blocks:
            by_base = self._all.get(mask)
            if by_base is None:
                by_base = self._all[mask] = {}
            bits = by_base.get(base)
            if bits is None:
                by_base[base] = [bit]
            else:
                bits.append(bit)

    def finish(self) -> list[int | None]:
        """Everything is learnt; where blocks begin and end, None among them for one that is not in one piece."""
        if any(base > 0xFFFF for by_base in self._all.values() for base in by_base):
            self._beginning = 16
        whole = ALL_ONES >> self._beginning
        for mask, by_base in self._all.items():
            for base, bits in by_base.items():
                shift = min(bits)
                by_base[base] = (vector(bit - shift for bit in bits), shift) if len(bits) > 1 else (1, shift)
            if mask >> self._beginning != whole:
                self._far.append((mask, by_base))
        for mask, by_base in self._all.items():
            if mask >> self._beginning == whole:
                for beginning in {base >> self._beginning for base in by_base}:
                    self._near.setdefault(beginning, self._far.copy()).append((mask, by_base))
        breaks: list[int | None] = []
        for mask, by_base in self._all.items():
            size = (mask ^ ALL_ONES) + 1
            if size & size - 1:
                breaks.append(None)
            for base in by_base:
                breaks += (base, base + size)
        return breaks

    def members(self, value: int) -> int:
        """The rules that have a block with this value in it."""
        found = 0
        for mask, by_base in self._near.get(value >> self._beginning, self._far):
            block = by_base.get(value & mask)
            if block is not None:
                found |= block[0] << block[1]
        return found
