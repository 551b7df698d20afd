"""Addresses, ports and identifiers written into octets, with every checksum updated to fit (RFC 1624, RFC 3022).

Nothing is summed anew, so a checksum that was wrong stays wrong.  Octets are a ``bytearray``, changed in place; ``at``
is where in it an IPv4 header begins, so that the datagram an ICMP error quotes can be rewritten as well.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from rules.fields import ICMP, TCP, UDP
from simulator.wire.checksum import update, update_32

__all__ = ["CHECKSUM_AT", "DESTINATION", "SOURCE", "End", "other_end", "rewrite_end", "set_address", "set_port"]

CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP: 2}
"""Offset of the checksum in a transport header."""

_IDENTIFIER = 4
_word = Struct(">H")
_double_word = Struct(">I")


class End(NamedTuple):
    """One end of a conversation: where a header has it."""

    address: int
    """Offset in the IP header."""
    port: int
    """Offset in the TCP or UDP header."""


SOURCE = End(12, 0)
DESTINATION = End(16, 2)


def other_end(end: End) -> End:
    """DESTINATION for SOURCE, and the other way round."""
    return DESTINATION if end is SOURCE else SOURCE


def set_address(octets: bytearray, at: int, end: End, address: int) -> int:
    """The datagram gets another address, its header checksum updated; the address that it had."""
    old: int = _double_word.unpack_from(octets, at + end.address)[0]
    _double_word.pack_into(octets, at + end.address, address)
    fitting = update_32(_word.unpack_from(octets, at + 10)[0], old, address)
    _word.pack_into(octets, at + 10, fitting)
    return old


def set_port(octets: bytearray, at: int, end: End, port: int) -> int:
    """The datagram gets another port or ICMP identifier, its checksum left alone; the one that it had."""
    place = at + ((octets[at] & 15) << 2) + (_IDENTIFIER if octets[at + 9] == ICMP else end.port)
    old: int = _word.unpack_from(octets, place)[0]
    _word.pack_into(octets, place, port)
    return old


def rewrite_end(octets: bytearray, end: End, address: int, port: int) -> None:
    """One end of a TCP or UDP datagram or an ICMP query becomes another one, header and transport checksum updated.

    A UDP checksum that the sender left out stays out (RFC 768).
    """
    protocol = octets[9]
    old_address = set_address(octets, 0, end, address)
    old_port = set_port(octets, 0, end, port)
    place = ((octets[0] & 15) << 2) + CHECKSUM_AT[protocol]
    fitting = _word.unpack_from(octets, place)[0]
    if protocol == UDP and not fitting:
        return
    fitting = update(fitting, old_port, port)
    if protocol != ICMP:  # no addresses are in its checksum
        fitting = update_32(fitting, old_address, address)
    _word.pack_into(octets, place, 0xFFFF if protocol == UDP and not fitting else fitting)
