"""Questions that look something up in a table: addresses, numbers and flows (E-14; ipfw(8), LOOKUP TABLES)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rules.fields import TCP, UDP, Fields
from rules.ipfw.bound import Bound
from rules.ipfw.placequestions import End, InterfaceTable, ReceivedBy, TransmittedBy
from rules.ipfw.rule import Element
from rules.ipfw.tables import Key, Kind, Table, Value, part_of
from rules.ipfw.world import Test, World
from rules.predicates import Via

__all__ = ["LOOKUP_KEYS", "AddressInTable", "FlowInTable", "tables_of"]

_LOOKUP_KINDS = {
    "dst-ip": Kind.ADDRESS,
    "src-ip": Kind.ADDRESS,
    "dst-port": Kind.NUMBER,
    "src-port": Kind.NUMBER,
    "uid": Kind.NUMBER,
    "jail": Kind.NUMBER,
    "dscp": Kind.NUMBER,
    "mark": Kind.NUMBER,
}
LOOKUP_KEYS = frozenset(_LOOKUP_KINDS)
"""What ``lookup`` may look up."""

_FIELDS = {
    "src-ip": "source",
    "dst-ip": "destination",
    "src-port": "source_port",
    "dst-port": "destination_port",
    "dscp": "tos",
    "mark": "mark",
}


@dataclass(frozen=True, slots=True)
class AddressInTable(Bound):
    """``table(NAME[,value])``, or as an option of its own ``lookup dst-ip NAME``.

    Without ``value``, a match leaves the entry's value in the register ``tablearg``; with one, values must be equal.
    ``key`` is what ``lookup`` looks up, one of :data:`LOOKUP_KEYS`.
    """

    end: End
    table: str
    value: int | None = None
    key: str | None = None

    @property
    def reads(self) -> frozenset[str]:
        if self.key in ("uid", "jail"):
            return frozenset({"source", "destination", "source_port", "destination_port"})
        return frozenset({_FIELDS[self.key]}) if self.key else self.end.reads

    @property
    def sets_register(self) -> bool:
        """Whether a match leaves a value in the register."""
        return self.value is None

    @property
    def kind(self) -> Kind:
        """The kind of table that it needs."""
        return _LOOKUP_KINDS[self.key] if self.key else Kind.ADDRESS

    def bind(self, world: World) -> Test:
        table, read = world.table(self.table, self.kind), _reader(self.key or f"{_SHORT[self.end]}-ip", world)
        return _asking(world, lambda fields: _look(table, read(fields)), self.value)


_SHORT = {End.SOURCE: "src", End.DESTINATION: "dst"}


def _look(table: Table, key: int | None) -> Value | None:
    """In a table without a kind (before FreeBSD 11) every key is an address."""
    if key is None:
        return None
    return table.exact.get(key) if table.kind is Kind.NUMBER else table.lookup(key)


def _asking(world: World, find: Callable[[Fields], Value | None], wanted: int | None) -> Test:
    def test(fields: Fields) -> bool:
        value = find(fields)
        if value is None:
            return False
        if wanted is not None:
            return part_of(value, "tag") == wanted
        world.tablearg = value
        return True

    return test


def _reader(key: str, world: World) -> Callable[[Fields], int | None]:
    if key in ("uid", "jail"):
        return lambda fields: _owner(world, fields, key)
    if key == "dscp":
        return lambda fields: fields.tos >> 2
    field = _FIELDS[key]
    return lambda fields: getattr(fields, field)


def _owner(world: World, fields: Fields, key: str) -> int | None:
    if fields.source_port is None:
        return None
    owner = world.surroundings.owner(fields)
    return None if owner is None else int(getattr(owner, key))


@dataclass(frozen=True, slots=True)
class FlowInTable(Bound):
    """``flow table(NAME[,value])``: the packet's addresses, protocol and ports, as far as the table has them."""

    table: str
    value: int | None = None

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"source", "destination", "protocol", "source_port", "destination_port"})

    @property
    def sets_register(self) -> bool:
        """Whether a match leaves a value in the register."""
        return self.value is None

    @property
    def kind(self) -> Kind:
        """The kind of table that it needs."""
        return Kind.FLOW

    def bind(self, world: World) -> Test:
        table = world.table(self.table, Kind.FLOW)
        return _asking(world, lambda fields: table.exact.get(_flow(fields, table.flow)), self.value)


def _flow(fields: Fields, parts: tuple[str, ...]) -> Key:
    has_ports = fields.protocol in (TCP, UDP)
    whole = {
        "src-ip": fields.source,
        "proto": fields.protocol,
        "src-port": (fields.source_port or 0) if has_ports else 0,
        "dst-ip": fields.destination,
        "dst-port": (fields.destination_port or 0) if has_ports else 0,
    }
    return tuple(whole[part] for part in parts)


def tables_of(elements: Iterable[Element]) -> Iterator[tuple[str, Kind]]:
    """The tables that questions ask, each with the kind it has to be of."""
    for element in elements:
        question = element.question
        if isinstance(question, AddressInTable | FlowInTable):
            yield question.table, question.kind
        elif isinstance(question, ReceivedBy | TransmittedBy | Via) and isinstance(question.interfaces, InterfaceTable):
            yield question.interfaces.table, Kind.INTERFACE
