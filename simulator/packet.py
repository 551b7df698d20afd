"""Packet: octets, the parsed header, where it came from and which way it goes.

The header is decoded once, when the packet is made; transport fields are looked at only when somebody asks.  Octets
are never changed in place: a stage that changes the packet puts new octets there with one of the methods below, each
of which says what it does to the header checksum.  The fields are those that rules may ask about
(:class:`rules.fields.Fields`).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from rules.fields import DONT_FRAGMENT, ICMP, MORE_FRAGMENTS, OFFSET_MASK, TCP, UDP
from simulator.wire import checksum

if TYPE_CHECKING:
    from simulator.dummynet.held import Held
    from simulator.interfaces import Interface
    from simulator.options import Pending
    from simulator.routing import Route

__all__ = ["MINIMUM_HEADER", "Packet"]

MINIMUM_HEADER = 20
"""Octets of an IPv4 header without options (RFC 791)."""

_unpack_header = Struct(">BBHHHBBHII").unpack_from
_pack_lifetime = Struct(">BBH").pack
_pack_word = Struct(">H").pack
_unpack_ports = Struct(">HH").unpack_from
_unpack_tcp = Struct(">HHIIBBH").unpack_from

_NO_TAGS: frozenset[int] = frozenset()


class Packet:
    """One IPv4 datagram on its way through the router."""

    __slots__ = (
        "calls",
        "checksum",
        "demasqueraded",
        "destination",
        "diverted",
        "diverted_by",
        "fragment",
        "header_length",
        "identification",
        "leaving_by",
        "link_broadcast",
        "mark",
        "next_hop",
        "number",
        "octets",
        "pending_options",
        "protocol",
        "received_on",
        "redirect_port",
        "reinjected",
        "released",
        "route",
        "sender",
        "source",
        "start_after",
        "tags",
        "tos",
        "total_length",
        "ttl",
        "version",
    )

    version: int
    header_length: int
    """Octets, options included; below 20 in a bad header."""
    tos: int
    total_length: int
    identification: int
    fragment: int
    """Flags and offset, as the 16-bit field in the header."""
    ttl: int
    protocol: int
    checksum: int
    source: int
    destination: int
    octets: bytes
    """The datagram from its header on; link padding included until the receive path trims it."""
    received_on: Interface | None
    """Where it came in; None for a datagram of this host's own."""
    leaving_by: Interface | None
    """Where it is about to leave; None until a route is chosen."""
    number: int
    """The packet's number in traces; 0 as long as nobody listened."""
    mark: int
    """The firewall mark (Linux)."""
    diverted: bool
    """A divert socket wrote it: later DIVERT rules do not match (linux.md T6)."""
    diverted_by: tuple[int, int] | None
    """Number and port of the divert or tee rule that sends it to a socket (BSD)."""
    tags: frozenset[int]
    """ipfw's packet tags."""
    calls: tuple[int, ...]
    """The stack of ipfw's ``call`` rules, which goes from pass to pass (bsd.md E-34)."""
    reinjected: str | None
    """``"in"`` or ``"out"``: written that way by a divert socket, until the next pass is over (bsd.md X-9)."""
    released: Held | None
    """It has come out of a pipe or queue, and goes on in the pass that it left (BSD)."""
    route: Route | None
    """The way out that was chosen for it before the out pass (BSD)."""
    start_after: int
    """The rule number after which the next ipfw pass starts (bsd.md X-1)."""
    sender: tuple[int, ...] | None
    """Whose program sent it, where that is not to be told from its ports (bsd.md E-23); a rules.ipfw.Owner."""
    next_hop: int | None
    """Next hop chosen by an ipfw ``fwd`` rule."""
    redirect_port: int
    """The local port that a REDIRECT rule chose, 0 for none (Linux)."""
    demasqueraded: bool
    """It got its real destination back here, and does not meet the forward chain (linux.md N6)."""
    pending_options: Pending | None
    """What its IP options still want when it is forwarded (Linux)."""
    link_broadcast: bool
    """Arrived as a link-level broadcast or multicast."""

    def __init__(self, octets: bytes, received_on: Interface | None = None) -> None:
        self.octets = octets
        self.received_on = received_on
        self.leaving_by = None
        self.number = 0
        self.mark = 0
        self.diverted = False
        self.diverted_by = None
        self.tags = _NO_TAGS
        self.calls = ()
        self.reinjected = None
        self.released = None
        self.route = None
        self.start_after = 0
        self.sender = None
        self.next_hop = None
        self.redirect_port = 0
        self.demasqueraded = False
        self.pending_options = None
        self.link_broadcast = False
        if len(octets) < MINIMUM_HEADER:
            octets = octets.ljust(MINIMUM_HEADER, b"\0")
        (
            first,
            self.tos,
            self.total_length,
            self.identification,
            self.fragment,
            self.ttl,
            self.protocol,
            self.checksum,
            self.source,
            self.destination,
        ) = _unpack_header(octets)
        self.version = first >> 4
        self.header_length = (first & 15) << 2

    # -- where it is ---------------------------------------------------------------------------------------------

    @property
    def receive_interface(self) -> str | None:
        return self.received_on.name if self.received_on is not None else None

    @property
    def transmit_interface(self) -> str | None:
        return self.leaving_by.name if self.leaving_by is not None else None

    # -- the header, beyond the decoded fields -------------------------------------------------------------------

    @property
    def fragment_offset(self) -> int:
        """Units of eight octets."""
        return self.fragment & OFFSET_MASK

    @property
    def more_fragments(self) -> bool:
        return self.fragment & MORE_FRAGMENTS != 0

    @property
    def dont_fragment(self) -> bool:
        return self.fragment & DONT_FRAGMENT != 0

    @property
    def is_fragment(self) -> bool:
        """Part of a larger datagram: a first, middle or last fragment."""
        return self.fragment & (MORE_FRAGMENTS | OFFSET_MASK) != 0

    @property
    def options(self) -> bytes:
        return self.octets[MINIMUM_HEADER : self.header_length]

    # -- the transport header ------------------------------------------------------------------------------------

    @property
    def payload_length(self) -> int:
        """Octets there after the IP header."""
        return max(len(self.octets) - self.header_length, 0)

    def _has_transport(self, protocol: int, octets: int) -> bool:
        return (
            self.protocol == protocol
            and not self.fragment & OFFSET_MASK
            and len(self.octets) >= self.header_length + octets
        )

    def _port(self, index: int) -> int | None:
        if self._has_transport(TCP, 4) or self._has_transport(UDP, 4):
            port: int = _unpack_ports(self.octets, self.header_length)[index]
            return port
        return None

    @property
    def source_port(self) -> int | None:
        return self._port(0)

    @property
    def destination_port(self) -> int | None:
        return self._port(1)

    @property
    def icmp_type(self) -> int | None:
        return self.octets[self.header_length] if self._has_transport(ICMP, 1) else None

    @property
    def icmp_code(self) -> int | None:
        return self.octets[self.header_length + 1] if self._has_transport(ICMP, 2) else None

    def _tcp(self, index: int) -> int | None:
        if not self._has_transport(TCP, 16):
            return None
        value: int = _unpack_tcp(self.octets, self.header_length)[index]
        return value

    @property
    def tcp_sequence(self) -> int | None:
        return self._tcp(2)

    @property
    def tcp_acknowledgment(self) -> int | None:
        return self._tcp(3)

    @property
    def tcp_flags(self) -> int | None:
        return self._tcp(5)

    @property
    def tcp_window(self) -> int | None:
        return self._tcp(6)

    @property
    def _tcp_header_length(self) -> int | None:
        first = self._tcp(4)
        return None if first is None else first >> 4 << 2

    @property
    def tcp_options(self) -> bytes | None:
        """None, too, when the header is not there as far as it says itself; none for a header that says too little."""
        length = self._tcp_header_length
        start = self.header_length
        if length is None or length > len(self.octets) - start:
            return None
        return self.octets[start + 20 : start + length]

    @property
    def tcp_data_length(self) -> int | None:
        """Octets of data by the headers' own lengths; None when those leave none."""
        length = self._tcp_header_length
        return None if length is None else self.total_length - self.header_length - length

    # -- changes -------------------------------------------------------------------------------------------------

    def trim(self) -> None:
        """Cut what follows the datagram: link-layer padding."""
        self.octets = self.octets[: self.total_length]

    def lower_ttl(self) -> None:
        """TTL one less, the header checksum updated to fit (RFC 1624)."""
        octets = self.octets
        self.ttl = ttl = self.ttl - 1
        self.checksum = fitting = checksum.decrement_ttl(self.checksum)
        self.octets = octets[:8] + _pack_lifetime(ttl, self.protocol, fitting) + octets[12:]

    def lower_ttl_only(self) -> None:
        """TTL one less, the header checksum left as it was: a slow path that computes it later anew."""
        self.set_ttl(self.ttl - 1)

    def set_tos(self, tos: int) -> None:
        """A new TOS octet; the header checksum stays as it was."""
        self.tos = tos
        self.octets = self.octets[:1] + bytes((tos,)) + self.octets[2:]

    def fix_checksum(self) -> None:
        """The right header checksum, computed anew; octets that have it already stay as they are."""
        octets = self.octets
        length = self.header_length
        if length < MINIMUM_HEADER:  # what a program wrote: the kernels sum as many octets as it says
            fitting = checksum.checksum((octets[:10] + b"\0\0" + octets[12:])[:length])
        elif int.from_bytes(octets[:length], "big") % 0xFFFF == 0 and self.checksum != 0xFFFF:
            return
        else:
            fitting = checksum.checksum(octets[:10] + octets[12:length])
        self.checksum = fitting
        self.octets = octets[:10] + _pack_word(fitting) + octets[12:]

    def set_ttl(self, ttl: int) -> None:
        """A new TTL; the header checksum stays as it was."""
        self.ttl = ttl
        self.octets = self.octets[:8] + bytes((ttl,)) + self.octets[9:]

    def clear_checksum(self) -> None:
        """No header checksum yet: the kernel computes it last."""
        self.checksum = 0
        self.octets = self.octets[:10] + b"\0\0" + self.octets[12:]

    def set_total_length(self, total_length: int) -> None:
        """A new total length; the header checksum stays as it was."""
        self.total_length = total_length
        self.octets = self.octets[:2] + _pack_word(total_length) + self.octets[4:]

    def set_source(self, source: int) -> None:
        """A new source address; the header checksum stays as it was."""
        self.source = source
        self.octets = self.octets[:12] + source.to_bytes(4, "big") + self.octets[16:]

    def readdress(self, octets: bytes) -> None:
        """The octets with other addresses, and what they change in the headers and behind them."""
        self.octets = octets
        _, _, _, _, _, _, _, self.checksum, self.source, self.destination = _unpack_header(octets)

    def set_destination(self, destination: int) -> None:
        """A new destination address; the header checksum stays as it was."""
        self.destination = destination
        self.octets = self.octets[:16] + destination.to_bytes(4, "big") + self.octets[20:]

    def set_identification(self, identification: int) -> None:
        """A new identification; the header checksum stays as it was."""
        self.identification = identification
        self.octets = self.octets[:4] + _pack_word(identification) + self.octets[6:]

    def with_octets(self, octets: bytes) -> Packet:
        """A packet with other octets (a fragment, a reassembled datagram) that goes this one's way."""
        other = Packet(octets, self.received_on)
        other.leaving_by = self.leaving_by
        other.mark = self.mark
        other.diverted = self.diverted
        other.tags = self.tags
        other.calls = self.calls
        other.sender = self.sender
        other.next_hop = self.next_hop
        other.redirect_port = self.redirect_port
        other.demasqueraded = self.demasqueraded
        other.pending_options = self.pending_options
        other.link_broadcast = self.link_broadcast
        return other

    def copy(self) -> Packet:
        """Another packet with the same octets, way and marks, and no number yet."""
        return self.with_octets(self.octets)
