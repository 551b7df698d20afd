"""The lines in which the documents' two example programs show a packet (howto.md 17; the FreeBSD sample)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

__all__ = ["BUFFER_SIZE", "shown"]

BUFFER_SIZE = 65_535
"""Octets: BUFSIZE of both, the largest IPv4 datagram."""

_DUMPED = 40


def shown(program: str, packet: bytearray, address: Any) -> Iterator[str]:
    """`packet` is the whole buffer: the dump always has forty octets, whatever the datagram's length (howto.md 25)."""
    say = f"{program}: "
    dump = "".join(
        f"{octet:02x} " + ("\n" if position % 16 == 0 else "")
        for position, octet in enumerate(packet[:_DUMPED], start=1)
    )
    yield f"{say}The packet looks like this:\n{dump}"
    yield f"{say}Source address: {socket.inet_ntoa(packet[12:16])}"
    yield f"{say}Destination address: {socket.inet_ntoa(packet[16:20])}"
    yield f"{say}Receiving IF address: {address[0]}"
    yield f"{say}Protocol number: {packet[9]}"
