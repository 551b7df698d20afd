"""ICMP messages (RFC 792, RFC 1191 for the MTU, RFC 1812 for codes): a view, a value, and builders for common ones.

All messages have the same first eight octets: type, code, checksum, and four octets whose meaning is the type's own.
Errors carry the header of the datagram that they are about and some of its data after them.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from simulator.wire.checksum import Octets, checksum, verify
from simulator.wire.limits import check_limits

__all__ = [
    "ADMINISTRATIVELY_PROHIBITED",
    "ECHO_REPLY",
    "ECHO_REQUEST",
    "ERRORS",
    "HOST_UNREACHABLE",
    "NEEDS_FRAGMENTING",
    "NETWORK_UNREACHABLE",
    "PARAMETER_PROBLEM",
    "PORT_UNREACHABLE",
    "PROTOCOL",
    "PROTOCOL_UNREACHABLE",
    "REASSEMBLY_TIME_EXCEEDED",
    "REDIRECT",
    "REDIRECT_HOST",
    "REDIRECT_NETWORK",
    "SOURCE_QUENCH",
    "SOURCE_ROUTE_FAILED",
    "TIME_EXCEEDED",
    "TTL_EXCEEDED",
    "UNREACHABLE",
    "Message",
    "View",
    "echo_reply",
    "echo_request",
    "needs_fragmenting",
    "parameter_problem",
    "parse",
    "redirect",
    "reply_to",
    "time_exceeded",
    "unreachable",
]

PROTOCOL = 1

ECHO_REPLY, UNREACHABLE, SOURCE_QUENCH, REDIRECT, ECHO_REQUEST = 0, 3, 4, 5, 8
TIME_EXCEEDED, PARAMETER_PROBLEM = 11, 12

NETWORK_UNREACHABLE, HOST_UNREACHABLE, PROTOCOL_UNREACHABLE, PORT_UNREACHABLE = 0, 1, 2, 3
NEEDS_FRAGMENTING, SOURCE_ROUTE_FAILED, ADMINISTRATIVELY_PROHIBITED = 4, 5, 13
"""Codes of ``UNREACHABLE``."""

REDIRECT_NETWORK, REDIRECT_HOST = 0, 1
"""Codes of ``REDIRECT``."""

TTL_EXCEEDED, REASSEMBLY_TIME_EXCEEDED = 0, 1
"""Codes of ``TIME_EXCEEDED``."""

ERRORS = frozenset({UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM})
"""Types that report on another datagram, about which no further error is sent (RFC 1122 section 3.2.2)."""

_FIXED = Struct(">BBHI")


class View:
    """The ICMP fields of a datagram's payload as they stand.  Needs eight octets, checks nothing else."""

    __slots__ = ("octets",)

    def __init__(self, octets: Octets) -> None:
        if len(octets) < 8:
            raise ValueError(f"{len(octets)} octets are too few for an ICMP message")
        self.octets = octets

    @property
    def type(self) -> int:
        return self.octets[0]

    @property
    def code(self) -> int:
        return self.octets[1]

    @property
    def checksum(self) -> int:
        return self.octets[2] << 8 | self.octets[3]

    @property
    def rest(self) -> int:
        """The four octets that each type uses in its own way."""
        return int.from_bytes(self.octets[4:8], "big")

    @property
    def identifier(self) -> int:
        """Echo."""
        return self.octets[4] << 8 | self.octets[5]

    @property
    def sequence(self) -> int:
        """Echo."""
        return self.octets[6] << 8 | self.octets[7]

    @property
    def mtu(self) -> int:
        """Unreachable, needs fragmenting: MTU of the next hop (RFC 1191)."""
        return self.octets[6] << 8 | self.octets[7]

    @property
    def gateway(self) -> int:
        """Redirect: the better first hop."""
        return self.rest

    @property
    def data(self) -> bytes:
        """After the first eight octets: echo data, or the quoted datagram of an error."""
        return bytes(self.octets[8:])

    @property
    def is_error(self) -> bool:
        return self.type in ERRORS

    def __str__(self) -> str:
        return f"ICMP type {self.type} code {self.code} rest {self.rest:#010x} length {len(self.octets)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An ICMP message without its checksum.  Raises ``ValueError`` for a field that does not fit."""

    type: int
    code: int = 0
    rest: int = 0
    """The second four octets as a number: ``identifier << 16 | sequence``, the MTU, the gateway, ``pointer << 24``."""
    data: bytes = b""

    def __post_init__(self) -> None:
        check_limits(self, (("type", 0xFF), ("code", 0xFF), ("rest", 0xFFFFFFFF)))

    def emit(self) -> bytes:
        """The message with the right checksum."""
        bare = _FIXED.pack(self.type, self.code, 0, self.rest) + self.data
        return bare[:2] + checksum(bare).to_bytes(2, "big") + bare[4:]


def parse(octets: Octets, *, check: bool = True) -> Message:
    """The message that is an IP payload.

    Raises ``ValueError`` with the fault and its value: too few octets, and a wrong checksum unless ``check`` is false.
    """
    view = View(octets)
    if check and not verify(octets):
        raise ValueError(f"ICMP checksum {view.checksum:#06x} is wrong")
    return Message(type=view.type, code=view.code, rest=view.rest, data=view.data)


# -- the usual messages, as octets ---------------------------------------------------------------------------------


def echo_request(identifier: int, sequence: int, data: bytes = b"") -> bytes:
    """What ping sends; identifier and sequence are 16 bits each."""
    return _echo(ECHO_REQUEST, identifier, sequence, data)


def echo_reply(identifier: int, sequence: int, data: bytes = b"") -> bytes:
    """What answers it."""
    return _echo(ECHO_REPLY, identifier, sequence, data)


def reply_to(request: Octets) -> bytes:
    """The echo reply to a request: the same octets but for the type and the checksum."""
    message = parse(request, check=False)
    if message.type != ECHO_REQUEST:
        raise ValueError(f"ICMP type {message.type} is not an echo request")
    return Message(type=ECHO_REPLY, code=message.code, rest=message.rest, data=message.data).emit()


def unreachable(code: int, quoted: bytes) -> bytes:
    """Destination unreachable.  ``quoted`` is the offending datagram's header and as much data as the kernel quotes."""
    return Message(type=UNREACHABLE, code=code, data=quoted).emit()


def needs_fragmenting(mtu: int, quoted: bytes) -> bytes:
    """Unreachable because it may not be fragmented, with the MTU that would do (RFC 1191)."""
    if not 0 <= mtu <= 0xFFFF:
        raise ValueError(f"mtu {mtu} is not between 0 and 65535")
    return Message(type=UNREACHABLE, code=NEEDS_FRAGMENTING, rest=mtu, data=quoted).emit()


def time_exceeded(code: int, quoted: bytes) -> bytes:
    """``TTL_EXCEEDED`` on the way, or ``REASSEMBLY_TIME_EXCEEDED`` at the destination."""
    return Message(type=TIME_EXCEEDED, code=code, data=quoted).emit()


def redirect(code: int, gateway: int, quoted: bytes) -> bytes:
    """Send it to ``gateway`` (an address) next time."""
    return Message(type=REDIRECT, code=code, rest=gateway, data=quoted).emit()


def parameter_problem(pointer: int, quoted: bytes) -> bytes:
    """The octet of the header where the problem is."""
    if not 0 <= pointer <= 0xFF:
        raise ValueError(f"pointer {pointer} is not between 0 and 255")
    return Message(type=PARAMETER_PROBLEM, rest=pointer << 24, data=quoted).emit()


def _echo(kind: int, identifier: int, sequence: int, data: bytes) -> bytes:
    for name, value in (("identifier", identifier), ("sequence", sequence)):
        if not 0 <= value <= 0xFFFF:
            raise ValueError(f"{name} {value} is not between 0 and 65535")
    return Message(type=kind, rest=identifier << 16 | sequence, data=data).emit()
