"""One small value per question that a rule may ask: it tests, it prints, and it says which fields it reads.

It may also say how the answer can be looked up (:mod:`rules.blocks`): that is what is ``allowed``.

Both dialects speak with these; each has its own table of how it spells them.  ``str()`` is the neutral spelling,
for traces and for people.  A question about a field that the datagram lacks is answered no, and :class:`Not` turns
answers round, nothing else: what a kernel makes of "no such field" beyond that is said by a question of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from rules.addresses import ALL_ONES, dotted, prefix_length
from rules.blocks import Allowed, Blocks, allowed_by, asked, bits_of, either, range_blocks
from rules.fields import Fields

__all__ = [
    "AnyOf",
    "Destination",
    "DestinationPort",
    "IcmpCode",
    "IcmpType",
    "InterfaceName",
    "InterfacePrefix",
    "LaterFragment",
    "Not",
    "Predicate",
    "ProtocolIs",
    "Ranges",
    "Source",
    "SourcePort",
    "TcpFlags",
    "Via",
    "is_fixed",
]


class Predicate(Protocol):
    """A question about one datagram."""

    @property
    def reads(self) -> frozenset[str]:
        """Names of the fields (of :class:`rules.fields.Fields`) that the answer depends on."""

    def test(self, fields: Fields) -> bool: ...


@dataclass(frozen=True, slots=True)
class Not:
    """The other answer."""

    question: Predicate

    @property
    def reads(self) -> frozenset[str]:
        return self.question.reads

    @property
    def allowed(self) -> Allowed | None:
        allowed = allowed_by(self.question)
        return None if allowed is None else allowed.opposite()

    def test(self, fields: Fields) -> bool:
        return not self.question.test(fields)

    def __str__(self) -> str:
        return f"not {self.question}"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One yes is enough."""

    questions: tuple[Predicate, ...]

    @property
    def reads(self) -> frozenset[str]:
        return frozenset().union(*(question.reads for question in self.questions))

    @property
    def allowed(self) -> Allowed | None:
        return either(map(allowed_by, self.questions))

    def test(self, fields: Fields) -> bool:
        return any(question.test(fields) for question in self.questions)

    def __str__(self) -> str:
        return " or ".join(str(question) for question in self.questions)


@dataclass(frozen=True, slots=True)
class Ranges:
    """Numbers as a list of inclusive ranges, kept as written: ``53,1024-65535``."""

    pairs: tuple[tuple[int, int], ...]

    def __contains__(self, number: int) -> bool:
        return any(low <= number <= high for low, high in self.pairs)

    def __str__(self) -> str:
        return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in self.pairs)


def _network(address: int, mask: int) -> str:
    length = prefix_length(mask)
    if mask == ALL_ONES:
        return dotted(address)
    return f"{dotted(address)}/{dotted(mask) if length is None else length}"


@dataclass(frozen=True, slots=True)
class Source:
    """Source address: equal to ``address`` where ``mask`` has ones, which need not be contiguous."""

    reads: ClassVar[frozenset[str]] = frozenset({"source"})
    address: int
    mask: int = ALL_ONES

    @property
    def allowed(self) -> Allowed:
        return Blocks("source", ((self.address, self.mask),))

    def test(self, fields: Fields) -> bool:
        return fields.source & self.mask == self.address

    def __str__(self) -> str:
        return f"source {_network(self.address, self.mask)}"


@dataclass(frozen=True, slots=True)
class Destination:
    """Destination address, as :class:`Source`."""

    reads: ClassVar[frozenset[str]] = frozenset({"destination"})
    address: int
    mask: int = ALL_ONES

    @property
    def allowed(self) -> Allowed:
        return Blocks("destination", ((self.address, self.mask),))

    def test(self, fields: Fields) -> bool:
        return fields.destination & self.mask == self.address

    def __str__(self) -> str:
        return f"destination {_network(self.address, self.mask)}"


@dataclass(frozen=True, slots=True)
class ProtocolIs:
    """Protocol number of the IP header."""

    reads: ClassVar[frozenset[str]] = frozenset({"protocol"})
    number: int

    @property
    def allowed(self) -> Allowed:
        return Blocks("protocol", ((self.number, ALL_ONES),))

    def test(self, fields: Fields) -> bool:
        return fields.protocol == self.number

    def __str__(self) -> str:
        return f"protocol {self.number}"


@dataclass(frozen=True, slots=True)
class SourcePort:
    """TCP or UDP source port."""

    reads: ClassVar[frozenset[str]] = frozenset({"source_port"})
    ports: Ranges

    @property
    def allowed(self) -> Allowed:
        return Blocks("source_port", range_blocks(self.ports.pairs))

    def test(self, fields: Fields) -> bool:
        port = fields.source_port
        return port is not None and port in self.ports

    def __str__(self) -> str:
        return f"source port {self.ports}"


@dataclass(frozen=True, slots=True)
class DestinationPort:
    """TCP or UDP destination port."""

    reads: ClassVar[frozenset[str]] = frozenset({"destination_port"})
    ports: Ranges

    @property
    def allowed(self) -> Allowed:
        return Blocks("destination_port", range_blocks(self.ports.pairs))

    def test(self, fields: Fields) -> bool:
        port = fields.destination_port
        return port is not None and port in self.ports

    def __str__(self) -> str:
        return f"destination port {self.ports}"


@dataclass(frozen=True, slots=True)
class IcmpType:
    """ICMP type."""

    reads: ClassVar[frozenset[str]] = frozenset({"icmp_type"})
    types: Ranges

    @property
    def allowed(self) -> Allowed:
        return Blocks("icmp_type", range_blocks(self.types.pairs))

    def test(self, fields: Fields) -> bool:
        kind = fields.icmp_type
        return kind is not None and kind in self.types

    def __str__(self) -> str:
        return f"icmp type {self.types}"


@dataclass(frozen=True, slots=True)
class IcmpCode:
    """ICMP code."""

    reads: ClassVar[frozenset[str]] = frozenset({"icmp_code"})
    codes: Ranges

    @property
    def allowed(self) -> Allowed:
        return Blocks("icmp_code", range_blocks(self.codes.pairs))

    def test(self, fields: Fields) -> bool:
        code = fields.icmp_code
        return code is not None and code in self.codes

    def __str__(self) -> str:
        return f"icmp code {self.codes}"


@dataclass(frozen=True, slots=True)
class LaterFragment:
    """A fragment that does not begin its datagram: the offset is not zero."""

    reads: ClassVar[frozenset[str]] = frozenset({"fragment_offset"})

    @property
    def allowed(self) -> Allowed:
        return Blocks("fragment_offset", ((0, ALL_ONES),), others=True)

    def test(self, fields: Fields) -> bool:
        return fields.fragment_offset != 0

    def __str__(self) -> str:
        return "later fragment"


_FLAG_NAMES = ("fin", "syn", "rst", "psh", "ack", "urg")


@dataclass(frozen=True, slots=True)
class TcpFlags:
    """TCP flags as bits of the flags octet: every one of ``present`` is set and none of ``absent``."""

    reads: ClassVar[frozenset[str]] = frozenset({"tcp_flags"})
    present: int
    absent: int = 0

    @property
    def allowed(self) -> Allowed:
        return bits_of("tcp_flags", self.present, self.absent)

    def test(self, fields: Fields) -> bool:
        flags = fields.tcp_flags
        return flags is not None and flags & self.present == self.present and not flags & self.absent

    def __str__(self) -> str:
        words = [name for bit, name in enumerate(_FLAG_NAMES) if self.present >> bit & 1]
        words += [f"!{name}" for bit, name in enumerate(_FLAG_NAMES) if self.absent >> bit & 1]
        return f"tcp flags {','.join(words)}"


@dataclass(frozen=True, slots=True)
class InterfaceName:
    """One interface, by its whole name."""

    name: str

    def __contains__(self, interface: str | None) -> bool:
        return interface == self.name

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class InterfacePrefix:
    """Every interface whose name begins like this."""

    prefix: str

    def __contains__(self, interface: str | None) -> bool:
        return interface is not None and interface.startswith(self.prefix)

    def __str__(self) -> str:
        return f"{self.prefix}+"


def is_fixed(interfaces: object) -> bool:
    """Whether what the interfaces are is said in the rule, and not by a host whose addresses or tables may change."""
    return not hasattr(interfaces, "bind")


@dataclass(frozen=True, slots=True)
class Via:
    """The interface it is about to leave by, or as long as no route is chosen the one it came in by."""

    reads: ClassVar[frozenset[str]] = frozenset({"receive_interface", "transmit_interface"})
    interfaces: InterfaceName | InterfacePrefix

    @property
    def allowed(self) -> Allowed | None:
        return asked(self.reads) if is_fixed(self.interfaces) else None

    def test(self, fields: Fields) -> bool:
        interface = fields.transmit_interface
        return (fields.receive_interface if interface is None else interface) in self.interfaces

    def __str__(self) -> str:
        return f"via {self.interfaces}"
