"""The address that comes with a diverted packet.

To every program it is the pair ``(host, port)`` that Python shows for an ``AF_INET`` address.  Besides, it has what the
kernels' ``sockaddr_in`` carries and such a pair loses: :attr:`Address.interface`, :attr:`Address.tag` and the sixteen
octets themselves, :attr:`Address.packed`.  Sending with the very address that was received keeps all of it; sending
with a plain pair of the same values loses the octets behind it, as in real Python programs (bsd.md P-2).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from operator import index
from struct import Struct
from typing import Any, NamedTuple

from rules.addresses import dotted

__all__ = [
    "BSD_LAYOUT",
    "BSD_PORT_LAYOUT",
    "LINUX_LAYOUT",
    "Address",
    "Destination",
    "Layout",
    "parse_host",
    "parse_pair",
    "swapped",
]

_AF_INET = 2


def swapped(number: int) -> int:
    """The two octets of a 16-bit number in the other order."""
    return (number & 0xFF) << 8 | number >> 8


class Destination(NamedTuple):
    """What a ``sockaddr_in`` says to a divert socket that writes."""

    host: int
    """0: outgoing; else incoming."""
    tag: int
    zero: bytes
    """The eight octets of ``sin_zero``."""
    family: int = _AF_INET
    length: int = 16
    """Octets that the caller gave as the address."""

    @property
    def name(self) -> str:
        """The name in ``sin_zero``: one to seven characters before a NUL, else empty (bsd.md W-8)."""
        name, nul, _ = self.zero.partition(b"\0")
        return name.decode("ascii", "replace") if nul else ""


@dataclass(frozen=True)
class Layout:
    """How a system lays a ``sockaddr_in`` out, on a little-endian machine; its port may be a rule number."""

    pack: Callable[[int, int, bytes], bytes]
    """(host, tag, sin_zero) -> sixteen octets."""
    unpack: Callable[[bytes], Destination]


_OCTETS = Struct(">4sI8s")


def _pack_bsd(host: int, tag: int, zero: bytes) -> bytes:
    # bsd.md: sin_len 16, sin_family, then the rule number in host order.
    return _OCTETS.pack(bytes((16, _AF_INET)) + tag.to_bytes(2, "little"), host, zero)


def _unpack_bsd(octets: bytes) -> Destination:
    head, host, zero = _OCTETS.unpack(octets[:16])
    return Destination(host, int.from_bytes(head[2:4], "little"), zero, head[1], len(octets))


def _pack_bsd_port(host: int, port: int, zero: bytes) -> bytes:
    # inet(4): as above, but a port is in network order.
    return _OCTETS.pack(bytes((16, _AF_INET)) + port.to_bytes(2, "big"), host, zero)


def _unpack_bsd_port(octets: bytes) -> Destination:
    head, host, zero = _OCTETS.unpack(octets[:16])
    return Destination(host, int.from_bytes(head[2:4], "big"), zero, head[1], len(octets))


def _pack_linux(host: int, tag: int, zero: bytes) -> bytes:
    # howto.md 10: a 16-bit family in host order, the port in network order.
    return _OCTETS.pack(bytes((_AF_INET, 0)) + tag.to_bytes(2, "big"), host, zero)


def _unpack_linux(octets: bytes) -> Destination:
    head, host, zero = _OCTETS.unpack(octets[:16])
    return Destination(host, int.from_bytes(head[2:4], "big"), zero, int.from_bytes(head[:2], "little"), len(octets))


BSD_LAYOUT = Layout(_pack_bsd, _unpack_bsd)
"""Of divert sockets."""
BSD_PORT_LAYOUT = Layout(_pack_bsd_port, _unpack_bsd_port)
"""Of all others."""
LINUX_LAYOUT = Layout(_pack_linux, _unpack_linux)


class Address(tuple[str, int]):
    """``(host, port)`` as received from a divert socket, with what the kernel's address carries besides."""

    interface: str | None
    """The receiving interface's name: incoming packets, and on BSD forwarded outgoing ones too (bsd.md R-5)."""
    tag: int
    """The rule number (BSD) or the divert port (Linux), whatever octet order ``[1]`` shows it in."""
    packed: bytes
    """The sixteen octets of the system's ``sockaddr_in``."""
    destination: Destination
    """What these octets say to a socket that writes there."""

    def __new__(cls, host: int, tag: int, *, interface: str | None, zero: bytes, layout: Layout, swap: bool) -> Address:
        """``zero``: what ``sin_zero`` holds; ``swap``: show the tag in the other octet order (bsd.md R-2)."""
        address = super().__new__(cls, (dotted(host), swapped(tag) if swap else tag))
        address.interface = interface
        address.tag = tag
        address.packed = layout.pack(host, tag, zero)
        address.destination = Destination(host, tag, zero)
        return address

    def __copy__(self) -> Address:
        return self

    def __deepcopy__(self, _: object) -> Address:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (tuple(self), self.interface, self.tag, self.packed, self.destination)


def _unpickled(
    pair: tuple[str, int], interface: str | None, tag: int, packed: bytes, destination: Destination
) -> Address:
    address = tuple.__new__(Address, pair)
    address.interface = interface
    address.tag = tag
    address.packed = packed
    address.destination = destination
    return address


_KNOWN_HOSTS = {"": 0, "<broadcast>": 0xFFFFFFFF, "localhost": 0x7F000001}


def parse_host(host: str) -> int:
    """The host part of an address pair, as CPython takes it: ``""`` is 0.0.0.0; other names are not resolved here.

    :raises socket.gaierror: for anything else that is not a dotted quad.
    """
    known = _KNOWN_HOSTS.get(host)
    if known is not None:
        return known
    try:
        return int(IPv4Address(host))
    except AddressValueError:
        raise socket.gaierror(socket.EAI_NONAME, f"not an IPv4 address (names are not resolved): {host!r}") from None


def parse_pair(address: object) -> tuple[int, int]:
    """``(host, port)`` as numbers.  :raises TypeError, OverflowError, socket.gaierror: as CPython's sockets do."""
    if not isinstance(address, tuple) or len(address) != 2:
        raise TypeError(f"AF_INET address must be a pair (host, port), not {address!r}")
    host, port = address
    if host.__class__ is not str and isinstance(host, bytes | bytearray):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or not hasattr(port, "__index__"):
        raise TypeError(f"AF_INET address must be a pair (str, int), not {address!r}")
    port = index(port)
    if not 0 <= port <= 0xFFFF:
        raise OverflowError(f"port must be 0-65535, not {port}")
    return parse_host(host), port
