"""The options after a fixed header, which IPv4 (RFC 791 section 3.1) and TCP (RFC 9293 section 3.1) lay out alike.

An option is one octet, its kind; or a kind, a length that counts both of these octets, and data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from simulator.wire.checksum import Octets

__all__ = ["END_OF_OPTIONS", "NO_OPERATION", "build_options", "check_options", "options"]

END_OF_OPTIONS, NO_OPERATION = 0, 1
"""The two options of one octet, without a length."""


def options(octets: Octets) -> Iterator[tuple[int, bytes]]:
    """Each option as its kind and its data (what follows the length octet), up to the end of options.

    Raises ``ValueError`` at an option whose length is missing, under two, or more than what is left.
    """
    at, end = 0, len(octets)
    while at < end:
        kind = octets[at]
        if kind == END_OF_OPTIONS:
            return
        if kind == NO_OPERATION:
            yield kind, b""
            at += 1
            continue
        if at + 1 == end:
            raise ValueError(f"option {kind} at octet {at} has no length")
        length = octets[at + 1]
        if length < 2 or at + length > end:
            raise ValueError(f"option {kind} at octet {at} has length {length} with {end - at} octets left")
        yield kind, bytes(octets[at + 2 : at + length])
        at += length


def build_options(parts: Iterable[tuple[int, bytes]]) -> bytes:
    """The octets of options given as kind and data, filled up with end-of-options to a multiple of four."""
    result = bytearray()
    for kind, data in parts:
        if not 0 <= kind <= 255:
            raise ValueError(f"option kind {kind} is not between 0 and 255")
        if kind in (END_OF_OPTIONS, NO_OPERATION):
            if data:
                raise ValueError(f"option {kind} carries no data, but {data.hex()} was given")
            result.append(kind)
        else:
            if len(data) > 253:
                raise ValueError(f"{len(data)} octets of data are too many for option {kind}")
            result += bytes((kind, len(data) + 2)) + data
    return bytes(result) + bytes(-len(result) & 3)


def check_options(octets: bytes) -> None:
    """Raise ``ValueError`` unless these octets fit between a fixed header and its data."""
    if len(octets) > 40 or len(octets) & 3:
        raise ValueError(f"options {octets.hex()} are not a multiple of four octets, at most forty")
