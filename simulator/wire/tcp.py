"""The TCP header with its options (RFC 9293): a view that shows anything, and a value that can always be emitted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from struct import Struct

from simulator.wire.checksum import Octets, transport_checksum, verify_transport
from simulator.wire.limits import check_limits
from simulator.wire.options import build_options, check_options, options
from simulator.wire.ports import PortsView

__all__ = [
    "ACK",
    "CWR",
    "ECE",
    "FIN",
    "PROTOCOL",
    "PSH",
    "RST",
    "SYN",
    "URG",
    "Header",
    "View",
    "build_options",
    "options",
    "parse",
    "reset_for",
    "reset_of_linux",
]

PROTOCOL = 6

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128

_FIXED = Struct(">HHIIHHHH")
_FLAG_NAMES = "FSRPAUEW"


class View(PortsView):
    """The TCP fields of a datagram's payload as they stand.  Needs the twenty fixed octets, checks nothing else."""

    __slots__ = ()

    def __init__(self, octets: Octets) -> None:
        if len(octets) < 20:
            raise ValueError(f"{len(octets)} octets are too few for a TCP header")
        self.octets = octets

    @property
    def sequence(self) -> int:
        return int.from_bytes(self.octets[4:8], "big")

    @property
    def acknowledgment(self) -> int:
        return int.from_bytes(self.octets[8:12], "big")

    @property
    def header_length(self) -> int:
        """Octets, options included; below 20 in a bad header."""
        return (self.octets[12] >> 4) * 4

    @property
    def flags(self) -> int:
        return self.octets[13]

    @property
    def window(self) -> int:
        return self.octets[14] << 8 | self.octets[15]

    @property
    def checksum(self) -> int:
        return self.octets[16] << 8 | self.octets[17]

    @property
    def urgent(self) -> int:
        return self.octets[18] << 8 | self.octets[19]

    @property
    def options(self) -> bytes:
        """Between the fixed header and the end of the header, as far as they are there."""
        return bytes(self.octets[20 : self.header_length])

    @property
    def data(self) -> bytes:
        """What follows the header; with a bad header length, what follows the fixed octets."""
        return bytes(self.octets[max(self.header_length, 20) :])

    def __str__(self) -> str:
        names = "".join(name for bit, name in enumerate(_FLAG_NAMES) if self.flags >> bit & 1) or "."
        return f"TCP {self.source_port} > {self.destination_port} {names} seq {self.sequence} ack {self.acknowledgment}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A TCP header without its checksum.

    ``options`` are a multiple of four octets, at most forty (``build_options`` makes such).  Raises ``ValueError`` for
    a field that does not fit.
    """

    source_port: int
    destination_port: int
    sequence: int = 0
    acknowledgment: int = 0
    flags: int = 0
    window: int = 65535
    urgent: int = 0
    options: bytes = b""

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)
        check_options(self.options)

    def emit(self, data: Octets = b"", *, source: int, destination: int) -> bytes:
        """Header and data; the addresses are those of the IP header, for the checksum."""
        words = (20 + len(self.options)) >> 2
        bare = b"".join(
            (
                _FIXED.pack(
                    self.source_port,
                    self.destination_port,
                    self.sequence,
                    self.acknowledgment,
                    words << 12 | self.flags,
                    self.window,
                    0,
                    self.urgent,
                ),
                self.options,
                data,
            )
        )
        return bare[:16] + transport_checksum(source, destination, PROTOCOL, bare).to_bytes(2, "big") + bare[18:]


_LIMITS = (
    ("source_port", 0xFFFF),
    ("destination_port", 0xFFFF),
    ("sequence", 0xFFFFFFFF),
    ("acknowledgment", 0xFFFFFFFF),
    ("flags", 0xFF),
    ("window", 0xFFFF),
    ("urgent", 0xFFFF),
)


def parse(octets: Octets, *, source: int, destination: int, check: bool = True) -> tuple[Header, bytes]:
    """Header and data of an IP payload.

    Raises ``ValueError`` with the fault and its value: too few octets, a header length under 20 or beyond the end, and,
    unless ``check`` is false, a wrong checksum.
    """
    view = View(octets)
    if not 20 <= view.header_length <= len(octets):
        raise ValueError(f"TCP header length {view.header_length} is not between 20 and the {len(octets)} octets there")
    if check and not verify_transport(source, destination, PROTOCOL, octets):
        raise ValueError(f"TCP checksum {view.checksum:#06x} is wrong")
    header = Header(
        source_port=view.source_port,
        destination_port=view.destination_port,
        sequence=view.sequence,
        acknowledgment=view.acknowledgment,
        flags=view.flags,
        window=view.window,
        urgent=view.urgent,
        options=view.options,
    )
    return header, view.data


def reset_for(segment: Header, data_length: int) -> Header:
    """The RST that answers a segment to a closed port, its ports turned round (RFC 9293 section 3.5.2).

    It takes its sequence number from the segment's acknowledgment; a segment without ACK is acknowledged instead, with
    SYN and FIN counting one octet each.  Raises ``ValueError`` for a RST, which is never answered.
    """
    if segment.flags & RST:
        raise ValueError(f"a segment with RST is not answered: flags {segment.flags:#04x}")
    if segment.flags & ACK:
        sequence, acknowledgment, flags = segment.acknowledgment, 0, RST
    else:
        counted = data_length + bool(segment.flags & SYN) + bool(segment.flags & FIN)
        sequence, acknowledgment, flags = 0, segment.sequence + counted & 0xFFFFFFFF, RST | ACK
    return Header(
        source_port=segment.destination_port,
        destination_port=segment.source_port,
        sequence=sequence,
        acknowledgment=acknowledgment,
        flags=flags,
        window=0,
    )


def reset_of_linux(segment: Header, data_length: int) -> Header:
    """The same as Linux 2.0 and 2.2 send it (tcp_v4_send_reset): what it acknowledges is a SYN at most, whatever data
    and FIN the segment has.  Raises ``ValueError`` likewise."""
    counted = replace(segment, flags=segment.flags & ~FIN)
    return reset_for(counted, 0)
