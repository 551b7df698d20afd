"""What a rule may ask about one datagram at one point of its way.

Addresses are integers (``10.0.0.1`` is ``0x0A000001``), lengths are octets, and the fragment offset counts units of
eight octets as in the header.  A transport field that the datagram does not have (another protocol, a later fragment,
too few octets) is ``None``, so a question about it can say no without a special case.

The simulator's ``Packet`` has these fields; :class:`Header` is a plain value with the same ones, for rules that are
tried without a router.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Protocol

from rules.addresses import dotted

__all__ = [
    "DONT_FRAGMENT",
    "ICMP",
    "MORE_FRAGMENTS",
    "OFFSET_MASK",
    "TCP",
    "TRANSPORT_OCTETS",
    "UDP",
    "Fields",
    "Header",
]

ICMP, TCP, UDP = 1, 6, 17

DONT_FRAGMENT = 0x4000
MORE_FRAGMENTS = 0x2000
OFFSET_MASK = 0x1FFF

_SCTP = 132
TRANSPORT_OCTETS = {TCP: 20, UDP: 8, ICMP: 8, _SCTP: 12}
"""Octets of a transport header without options, as packets that are made here have it."""


class Fields(Protocol):
    """One datagram as rules see it (RFC 791, 792, 768, 793 for the fields themselves)."""

    @property
    def header_length(self) -> int:
        """Octets of the IP header, options included."""

    @property
    def tos(self) -> int: ...

    @property
    def total_length(self) -> int:
        """What the header says, not what is there."""

    @property
    def identification(self) -> int: ...

    @property
    def fragment(self) -> int:
        """The 16-bit field of flags and offset, as it stands in the header."""

    @property
    def fragment_offset(self) -> int:
        """Units of eight octets."""

    @property
    def more_fragments(self) -> bool: ...

    @property
    def dont_fragment(self) -> bool: ...

    @property
    def ttl(self) -> int: ...

    @property
    def protocol(self) -> int: ...

    @property
    def source(self) -> int: ...

    @property
    def destination(self) -> int: ...

    @property
    def options(self) -> bytes:
        """The IP options, without the fixed twenty octets before them."""

    @property
    def payload_length(self) -> int:
        """Octets that are really there after the IP header."""

    @property
    def source_port(self) -> int | None:
        """TCP and UDP, offset 0 only."""

    @property
    def destination_port(self) -> int | None: ...

    @property
    def icmp_type(self) -> int | None: ...

    @property
    def icmp_code(self) -> int | None: ...

    @property
    def tcp_flags(self) -> int | None:
        """FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32."""

    @property
    def tcp_sequence(self) -> int | None: ...

    @property
    def tcp_acknowledgment(self) -> int | None: ...

    @property
    def tcp_window(self) -> int | None: ...

    @property
    def tcp_options(self) -> bytes | None: ...

    @property
    def tcp_data_length(self) -> int | None: ...

    @property
    def receive_interface(self) -> str | None:
        """Where it came in; None for a datagram of this host's own."""

    @property
    def transmit_interface(self) -> str | None:
        """Where it is about to leave; None as long as no route is chosen (in ipfw's words: the packet is ``in``)."""

    @property
    def mark(self) -> int:
        """The 32-bit firewall mark (Linux)."""

    @property
    def tags(self) -> frozenset[int]:
        """The packet tags (ipfw)."""

    @property
    def reinjected(self) -> str | None:
        """``"in"`` or ``"out"`` for a datagram that a divert socket wrote, during the pass after that write."""

    @property
    def link_broadcast(self) -> bool:
        """Arrived as a link-level broadcast or multicast."""


@dataclass(slots=True, kw_only=True)
class Header:
    """Header fields without octets: everything has the value of an ordinary small datagram unless told otherwise."""

    source: int = 0
    destination: int = 0
    protocol: int = 0
    header_length: int = 20
    tos: int = 0
    total_length: int = 20
    identification: int = 0
    fragment: int = 0
    ttl: int = 64
    options: bytes = b""
    payload_length: int = 1480
    source_port: int | None = None
    destination_port: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    tcp_flags: int | None = None
    tcp_sequence: int | None = None
    tcp_acknowledgment: int | None = None
    tcp_window: int | None = None
    tcp_options: bytes | None = None
    tcp_data_length: int | None = None
    receive_interface: str | None = None
    transmit_interface: str | None = None
    mark: int = 0
    tags: frozenset[int] = field(default_factory=frozenset)
    reinjected: str | None = None
    link_broadcast: bool = False
    owner: tuple[int, ...] | None = None
    """Whose local socket it belongs to, for rules that ask (:class:`rules.ipfw.Owner`)."""

    def __repr__(self) -> str:
        """What makes it, ``from ipaddress import IPv4Address`` given: the fields that an ordinary datagram has not."""
        return f"Header({', '.join(self._said())})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """The same, a field a line where one line has no room: IPython and Hypothesis print so."""
        with printer.group(1, "Header(", ")"):
            for at, said in enumerate(self._said()):
                if at:
                    printer.text(",")
                    printer.breakable()
                printer.text(said)

    def _said(self) -> Iterator[str]:
        for each in fields(self):
            value = getattr(self, each.name)
            usual = each.default if each.default_factory is MISSING else each.default_factory()
            if value != usual:
                yield f"{each.name}={_written(each.name, value)}"

    @property
    def fragment_offset(self) -> int:
        return self.fragment & OFFSET_MASK

    @property
    def more_fragments(self) -> bool:
        return bool(self.fragment & MORE_FRAGMENTS)

    @property
    def dont_fragment(self) -> bool:
        return bool(self.fragment & DONT_FRAGMENT)


def _written(name: str, value: object) -> str:
    if name in ("source", "destination") and isinstance(value, int):
        return f'int(IPv4Address("{dotted(value)}"))'
    return f"{value:#x}" if name == "fragment" else repr(value)
