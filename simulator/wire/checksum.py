"""The Internet checksum: RFC 1071 (computing it), RFC 1624 (updating it), RFC 768 and 793 (the pseudo header).

The one's complement sum of 16-bit words is the number that the octets spell, modulo 0xFFFF, because 0x10000 leaves the
remainder 1.  Python's integers take that remainder in one step, which is many times faster than a loop over words.
The remainder alone cannot tell the two zeros of one's complement apart: only octets that are all zero (or none) sum to
0x0000 and have the checksum 0xFFFF; every other sum that is a multiple of 0xFFFF folds to 0xFFFF, checksum 0x0000.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = [
    "Octets",
    "checksum",
    "decrement_ttl",
    "pseudo_header",
    "transport_checksum",
    "update",
    "update_32",
    "verify",
    "verify_transport",
]

Octets: TypeAlias = bytes | bytearray | memoryview

_UDP = 17


def checksum(octets: Octets) -> int:
    """The RFC 1071 checksum, 0 to 0xFFFF, of octets whose checksum field is zero; an odd length is padded with 0."""
    number = int.from_bytes(octets, "big")
    if not number:
        return 0xFFFF
    if len(octets) & 1:
        number <<= 8
    return -number % 0xFFFF


def verify(octets: Octets) -> bool:
    """Whether octets with their checksum in place are intact.  All zero is not: it sums to zero, not to 0xFFFF."""
    number = int.from_bytes(octets, "big")
    if len(octets) & 1:
        number <<= 8
    return number != 0 and number % 0xFFFF == 0


def update(old_checksum: int, old_word: int, new_word: int) -> int:
    """The checksum after one 16-bit word changed, without the other octets: RFC 1624 equation 3.

    Agrees with computing it anew for every header that is not all zero afterwards.
    """
    total = (old_checksum ^ 0xFFFF) + (old_word ^ 0xFFFF) + new_word
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def update_32(old_checksum: int, old_value: int, new_value: int) -> int:
    """The checksum after a 32-bit field (an address, a sequence number) changed: RFC 1624 equation 3 for both words."""
    total = (
        (old_checksum ^ 0xFFFF)
        + (old_value >> 16 ^ 0xFFFF)
        + (old_value & 0xFFFF ^ 0xFFFF)
        + (new_value >> 16)
        + (new_value & 0xFFFF)
    )
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def decrement_ttl(old_checksum: int) -> int:
    """The IPv4 header checksum after the TTL went down by one, as the kernels do it: add 0x0100 and the carry.

    Never gives 0xFFFF, whatever it gets: the sum 0xFFFF counts as a carry too.
    """
    total = old_checksum + 0x0100
    return total + 1 & 0xFFFF if total >= 0xFFFF else total


def pseudo_header(source: int, destination: int, protocol: int, length: int) -> bytes:
    """The twelve octets that TCP and UDP sum before their own header; ``length`` counts header and data."""
    return ((source << 64) | (destination << 32) | (protocol << 16) | length).to_bytes(12, "big")


def transport_checksum(source: int, destination: int, protocol: int, segment: Octets) -> int:
    """The checksum of a TCP or UDP segment whose checksum field is zero; UDP sends 0xFFFF for 0 (RFC 768)."""
    length = len(segment)
    number = int.from_bytes(segment, "big")
    if length & 1:
        number <<= 8
    number += (source >> 16) + (source & 0xFFFF) + (destination >> 16) + (destination & 0xFFFF) + protocol + length
    if not number:
        return 0xFFFF
    result = -number % 0xFFFF
    return 0xFFFF if protocol == _UDP and result == 0 else result


def verify_transport(source: int, destination: int, protocol: int, segment: Octets) -> bool:
    """Whether a TCP or UDP segment is intact.  A UDP checksum field of zero says that the sender made none: intact."""
    if protocol == _UDP and len(segment) >= 8 and segment[6] == 0 and segment[7] == 0:
        return True
    length = len(segment)
    number = int.from_bytes(segment, "big")
    if length & 1:
        number <<= 8
    number += (source >> 16) + (source & 0xFFFF) + (destination >> 16) + (destination & 0xFFFF) + protocol + length
    return number != 0 and number % 0xFFFF == 0
