"""Questions about addresses and interfaces: ``me``, lists, sets, tables; ``in``, ``recv``, ``xmit`` (E-14 to E-18)."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import ClassVar

from rules.addresses import dotted
from rules.blocks import NOWHERE, Allowed, Blocks, asked, range_blocks
from rules.fields import Fields
from rules.ipfw.bound import Bound
from rules.ipfw.tables import Kind, part_of
from rules.ipfw.world import Test, World
from rules.predicates import is_fixed

__all__ = [
    "AddressIn",
    "AddressInNumberedTable",
    "AddressInSet",
    "AddressIsLocal",
    "AddressIsLocal6",
    "AddressOfInterface",
    "AnyInterface",
    "End",
    "Incoming",
    "InterfaceAddress",
    "InterfacePattern",
    "InterfaceTable",
    "InterfaceUnits",
    "ReceivedBy",
    "TransmittedBy",
    "driver_and_unit",
]


class End(Enum):
    """Which of the two addresses, or ports, of a datagram."""

    SOURCE = "source"
    DESTINATION = "destination"

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({self.value})

    def of(self, fields: Fields) -> int:
        return fields.source if self is End.SOURCE else fields.destination


# Addresses


@dataclass(frozen=True, slots=True)
class AddressIn:
    """One of several (address, mask) blocks, as ``10.0.0.0/8,192.168.1.1``; kept in the order written."""

    end: End
    blocks: tuple[tuple[int, int], ...]

    @property
    def reads(self) -> frozenset[str]:
        return self.end.reads

    @property
    def allowed(self) -> Allowed:
        return Blocks(self.end.value, self.blocks)

    def test(self, fields: Fields) -> bool:
        address = self.end.of(fields)
        return any(address & mask == base for base, mask in self.blocks)


@dataclass(frozen=True, slots=True)
class AddressInSet:
    """A set inside one block, as ``10.0.0.128/25{129,200}``: ``members`` has bit n for address ``base + n`` (E-14)."""

    end: End
    base: int
    size: int
    members: int

    @property
    def reads(self) -> frozenset[str]:
        return self.end.reads

    @property
    def allowed(self) -> Allowed:
        members = [number for number in range(self.size) if self.members >> number & 1]
        return Blocks(self.end.value, range_blocks((self.base + number, self.base + number) for number in members))

    def test(self, fields: Fields) -> bool:
        distance = self.end.of(fields) - self.base
        return 0 <= distance < self.size and bool(self.members >> distance & 1)


@dataclass(frozen=True, slots=True)
class AddressIsLocal(Bound):
    """``me``: configured on any interface of this host at the time of the packet."""

    end: End

    @property
    def reads(self) -> frozenset[str]:
        return self.end.reads

    def bind(self, world: World) -> Test:
        is_local = world.surroundings.is_local
        if self.end is End.SOURCE:
            return lambda fields: is_local(fields.source)
        return lambda fields: is_local(fields.destination)


@dataclass(frozen=True, slots=True)
class AddressIsLocal6:
    """``me6``, or ``me`` of a rule for ``ip6``: an IPv6 address of this host, which no datagram here has."""

    end: End

    @property
    def reads(self) -> frozenset[str]:
        return frozenset()

    @property
    def allowed(self) -> Allowed:
        return NOWHERE

    def test(self, fields: Fields) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class AddressOfInterface(Bound):
    """``[em0]``, ``[em0:net]``: the address that an interface has at the moment, or the network of that."""

    end: End
    interface: str
    network: bool = False

    @property
    def reads(self) -> frozenset[str]:
        return self.end.reads

    def bind(self, world: World) -> Test:
        def test(fields: Fields) -> bool:
            found = world.surroundings.network_of(self.interface)
            if found is None:
                return False
            address, mask = found
            return not (self.end.of(fields) ^ address) & (mask if self.network else 0xFFFFFFFF)

        return test

    def __str__(self) -> str:
        return f"[{self.interface}{':net' if self.network else ''}]"


# Interfaces and direction


@dataclass(frozen=True, slots=True)
class AddressInNumberedTable(Bound):
    """``<N>``: in a table of DragonFly, whose entries count how often they were asked (DF-6)."""

    may_raise: ClassVar[bool] = True
    """Strictly not, but asking leaves a trace, so it must not be left out."""
    end: End
    number: int

    @property
    def reads(self) -> frozenset[str]:
        return self.end.reads

    def bind(self, world: World) -> Test:
        table, end = world.numbered_table(self.number), self.end
        return lambda fields: table.lookup(end.of(fields)) is not None

    def __str__(self) -> str:
        return f"<{self.number}>"


@dataclass(frozen=True, slots=True)
class Incoming:
    """``in``: seen on the way in, that is, no interface to leave by is chosen yet (E-16)."""

    reads: ClassVar[frozenset[str]] = frozenset({"transmit_interface"})

    @property
    def allowed(self) -> Allowed:
        return asked(self.reads)

    def test(self, fields: Fields) -> bool:
        return fields.transmit_interface is None


@dataclass(frozen=True, slots=True)
class InterfacePattern:
    """Interfaces whose name matches a shell pattern, as ``em*`` (E-18)."""

    pattern: str

    def __contains__(self, interface: str | None) -> bool:
        return interface is not None and fnmatchcase(interface, self.pattern)

    def __str__(self) -> str:
        return self.pattern


@lru_cache(maxsize=1024)
def driver_and_unit(name: str) -> tuple[str, int]:
    """``em0`` -> ("em", 0): how FreeBSD 4 sees the name of an interface; a name without digits is its unit 0."""
    found = re.match(r"([^0-9]*)([0-9]*)", name)
    assert found is not None
    return found[1], int(found[2] or 0)


@dataclass(frozen=True, slots=True)
class InterfaceUnits:
    """One unit of a driver's interfaces, or (``unit`` None, ``em*``) all of them (E-18, FreeBSD 4)."""

    driver: str
    unit: int | None = None

    def __contains__(self, interface: str | None) -> bool:
        if interface is None:
            return False
        driver, unit = driver_and_unit(interface)
        return driver == self.driver and self.unit in (None, unit)

    def __str__(self) -> str:
        return f"{self.driver}{'*' if self.unit is None else self.unit}"


@dataclass(frozen=True, slots=True)
class AnyInterface:
    """``via any`` where that is a question: there is an interface at all (ip_fw.c)."""

    def __contains__(self, interface: str | None) -> bool:
        return interface is not None

    def __str__(self) -> str:
        return "any"


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """The interface that owns an address (E-18); empty until it is bound to a host."""

    address: int

    def __contains__(self, interface: str | None) -> bool:
        return False

    def bind(self, world: World) -> _AddressOwners:
        return _AddressOwners(world, self.address)

    def __str__(self) -> str:
        return dotted(self.address)


class _AddressOwners:
    __slots__ = ("_address", "_surroundings")

    def __init__(self, world: World, address: int) -> None:
        self._surroundings = world.surroundings
        self._address = address

    def __contains__(self, interface: str | None) -> bool:
        return interface is not None and self._surroundings.has_address(interface, self._address)


@dataclass(frozen=True, slots=True)
class InterfaceTable:
    """Interfaces named in a lookup table; empty until it is bound to a world."""

    table: str
    value: int | None = None

    @property
    def sets_register(self) -> bool:
        return self.value is None

    def __contains__(self, interface: str | None) -> bool:
        return False

    def bind(self, world: World) -> _TableInterfaces:
        return _TableInterfaces(world, self.table, self.value)

    def __str__(self) -> str:
        return f"table({self.table})" if self.value is None else f"table({self.table},{self.value})"


class _TableInterfaces:
    __slots__ = ("_table", "_value", "_world")

    def __init__(self, world: World, table: str, value: int | None) -> None:
        self._world = world
        self._table = world.table(table, Kind.INTERFACE)
        self._value = value

    def __contains__(self, interface: str | None) -> bool:
        value = None if interface is None else self._table.exact.get(interface)
        if value is None:
            return False
        if self._value is not None:
            return part_of(value, "tag") == self._value
        self._world.tablearg = value
        return True


@dataclass(frozen=True, slots=True)
class ReceivedBy:
    """``recv``: the interface it came in by, in either pass (E-17)."""

    reads: ClassVar[frozenset[str]] = frozenset({"receive_interface"})
    interfaces: Container[object]

    @property
    def allowed(self) -> Allowed | None:
        return asked(self.reads) if is_fixed(self.interfaces) else None

    def test(self, fields: Fields) -> bool:
        return fields.receive_interface in self.interfaces


@dataclass(frozen=True, slots=True)
class TransmittedBy:
    """``xmit``: the interface it is about to leave by; never in the in pass (E-17)."""

    reads: ClassVar[frozenset[str]] = frozenset({"transmit_interface"})
    interfaces: Container[object]

    @property
    def allowed(self) -> Allowed | None:
        return asked(self.reads) if is_fixed(self.interfaces) else None

    def test(self, fields: Fields) -> bool:
        return fields.transmit_interface in self.interfaces
