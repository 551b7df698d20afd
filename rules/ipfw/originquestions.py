"""Questions about where a datagram came from, what it carries along, and whose it is (E-22 to E-25)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rules.blocks import NOWHERE, Allowed, asked
from rules.fields import TCP, UDP, Fields
from rules.ipfw.bound import TABLEARG, Bound
from rules.ipfw.world import Test, World
from rules.predicates import Ranges

__all__ = [
    "Antispoof",
    "Comment",
    "Diverted",
    "Fib",
    "Never",
    "OwnedBy",
    "SourceReachable",
    "Tagged",
    "VerifyReversePath",
]


@dataclass(frozen=True, slots=True)
class Diverted:
    """``diverted-loopback`` (bit 1: back as incoming), ``diverted-output`` (bit 2), ``diverted`` (both): X-9."""

    reads: ClassVar[frozenset[str]] = frozenset({"reinjected"})
    ways: int

    @property
    def allowed(self) -> Allowed:
        return asked(self.reads)

    def test(self, fields: Fields) -> bool:
        way = fields.reinjected
        return way is not None and bool(self.ways & (1 if way == "in" else 2))


@dataclass(frozen=True, slots=True)
class Tagged(Bound):
    """``tagged``: carries a tag of this list, or (:data:`TABLEARG`) the one that a table gave."""

    reads: ClassVar[frozenset[str]] = frozenset({"tags"})
    tags: Ranges

    @property
    def reads_register(self) -> bool:
        return self.tags.pairs == ((TABLEARG, TABLEARG),)

    def bind(self, world: World) -> Test:
        if self.reads_register:
            return lambda fields: world.argument("tag") in fields.tags
        tags = self.tags
        return lambda fields: any(tag in tags for tag in fields.tags)


@dataclass(frozen=True, slots=True)
class VerifyReversePath(Bound):
    """``verrevpath``: the route back to the source leaves by the interface it came in by; always true out (E-22).

    True, too, for a datagram that came in by no interface.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"source", "receive_interface", "transmit_interface"})

    def bind(self, world: World) -> Test:
        return lambda fields: (
            fields.transmit_interface is not None or fields.receive_interface is None or _path_back(world, fields)
        )


@dataclass(frozen=True, slots=True)
class SourceReachable(Bound):
    """``versrcreach``: there is a route to the source, neither the default one nor a reject; in pass only.

    The manual (E-22) has it always true in the out pass; kernels with IPv6 built in never match there (observed).
    """

    reads: ClassVar[frozenset[str]] = frozenset({"source", "transmit_interface"})

    def bind(self, world: World) -> Test:
        return lambda fields: fields.transmit_interface is None and _reachable(world, fields)


@dataclass(frozen=True, slots=True)
class Antispoof(Bound):
    """``antispoof``: a source of a directly connected network came in from there; always true out (E-22)."""

    reads: ClassVar[frozenset[str]] = frozenset({"source", "receive_interface", "transmit_interface"})

    def bind(self, world: World) -> Test:
        def test(fields: Fields) -> bool:
            if fields.transmit_interface is not None:
                return True
            route = world.surroundings.route(fields.source)
            return route is None or not route.is_connected or _path_back(world, fields)

        return test


def _reachable(world: World, fields: Fields) -> bool:
    route = world.surroundings.route(fields.source)
    return route is not None and not route.is_default and not route.is_reject


def _path_back(world: World, fields: Fields) -> bool:
    if fields.receive_interface is None:
        return _reachable(world, fields)
    route = world.surroundings.route(fields.source)
    return route is not None and route.interface == fields.receive_interface


@dataclass(frozen=True, slots=True)
class OwnedBy(Bound):
    """``uid N``, ``gid N``, ``jail N``: the packet belongs to a local socket of that user, group or jail (E-23).

    Only TCP and UDP with their ports, that is, without or in a first fragment (check_uidgid of ip_fw2.c).
    """

    reads: ClassVar[frozenset[str]] = frozenset({"source", "destination", "source_port", "destination_port"})
    what: str
    number: int

    def bind(self, world: World) -> Test:
        def test(fields: Fields) -> bool:
            if fields.source_port is None or fields.protocol not in (TCP, UDP):
                return False
            owner = world.surroundings.owner(fields)
            return owner is not None and bool(getattr(owner, self.what) == self.number)

        return test


@dataclass(frozen=True, slots=True)
class Fib(Bound):
    """``fib N``: the routing table in use, 0 unless ``setfib`` chose another."""

    reads: ClassVar[frozenset[str]] = frozenset()
    number: int

    def bind(self, world: World) -> Test:
        return lambda fields: world.fib == self.number


@dataclass(frozen=True, slots=True)
class Never:
    """Asks for something that no datagram has here: ``layer2``, ``ipsec``, ``sockarg`` (E-23)."""

    reads: ClassVar[frozenset[str]] = frozenset()
    words: str

    @property
    def allowed(self) -> Allowed:
        return NOWHERE

    def test(self, fields: Fields) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Comment:
    """``// text``: no question at all; always yes."""

    reads: ClassVar[frozenset[str]] = frozenset()
    text: str

    def test(self, fields: Fields) -> bool:
        return True
