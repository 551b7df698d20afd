"""A header in ipfw's words, for people who look at a failing example: ready for scenarios and ``divertsim check``."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import note

from rules.addresses import dotted
from rules.fields import DONT_FRAGMENT, ICMP, MORE_FRAGMENTS, OFFSET_MASK, TCP, UDP, Header
from rules.ipfw.names import PROTOCOL_NAMES, TCP_FLAGS

__all__ = ["said", "told"]

_USUAL_SYN = 2
_USUAL_OCTETS = {TCP: 20, UDP: 8, ICMP: 8}
"""Behind the IP header, where no length is said."""
_NUMBERS = (
    ("ttl", "ttl", 64),
    ("tos", "tos", 0),
    ("ipid", "identification", 1),
    ("tcpseq", "tcp_sequence", 0),
    ("tcpack", "tcp_acknowledgment", 0),
    ("tcpwin", "tcp_window", 65535),
    ("icmptypes", "icmp_type", 8),
    ("icmpcode", "icmp_code", 0),
)
"""Word, field, and the value that goes without saying."""


def said(header: Header) -> str:
    """``tcp from 192.0.2.1 1024 to 198.51.100.1 25 setup in recv em0``; what has no words stands behind a ``#``."""
    words = " ".join(_words(header))
    silent = ", ".join(_silent(header))
    return f"{words}  # {silent}" if silent else words


def told(header: Header) -> Header:
    """The header; a failing test prints its words."""
    note(f"packet: {said(header)}")
    return header


def _words(header: Header) -> Iterator[str]:
    name = PROTOCOL_NAMES.get(header.protocol, str(header.protocol))
    yield name if name not in ("ip", "all") else str(header.protocol)
    for word, address, port in (
        ("from", header.source, header.source_port),
        ("to", header.destination, header.destination_port),
    ):
        yield from (word, dotted(address))
        yield from [str(port)] if port is not None else []
    for word, field, usual in _NUMBERS:
        value = getattr(header, field)
        if value is not None and value != usual:
            yield from (word, str(value))
    if header.tcp_flags is not None and header.tcp_flags != _USUAL_SYN:
        names = [flag for flag, bit in TCP_FLAGS.items() if header.tcp_flags & bit]
        yield from ("tcpflags", ",".join(names) or "none")
    yield from (word for word, bit in (("df", DONT_FRAGMENT), ("mf", MORE_FRAGMENTS)) if header.fragment & bit)
    if offset := header.fragment & OFFSET_MASK:
        yield from ("offset", str(offset * 8))
    if header.total_length != 20 + (0 if offset else _USUAL_OCTETS.get(header.protocol, 0)):
        yield from ("iplen", str(header.total_length))
    yield from _place(header)


def _place(header: Header) -> Iterator[str]:
    if header.transmit_interface is not None:
        received = ["recv", header.receive_interface] if header.receive_interface is not None else []
        yield from ("out", *received, "via", header.transmit_interface)
    elif header.receive_interface is not None:
        yield from ("in", "via", header.receive_interface)


def _silent(header: Header) -> Iterator[str]:
    """What ipfw's words for a packet do not say."""
    if header.options:
        yield f"IP options {header.options.hex()}"
    if header.tcp_options:
        yield f"TCP options {header.tcp_options.hex()}"
    if header.protocol == TCP and header.tcp_flags is not None and header.tcp_flags & ~0x3F:
        yield f"TCP flags {header.tcp_flags:#x}"
    if header.mark:
        yield f"mark {header.mark}"
    if header.tags:
        yield f"tags {', '.join(map(str, sorted(header.tags)))}"
    if header.reinjected:
        yield f"written by a divert socket ({header.reinjected})"
    if header.link_broadcast:
        yield "a broadcast of the link"
    if header.owner is not None:
        yield f"of owner {header.owner}"
