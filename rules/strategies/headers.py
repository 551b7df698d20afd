"""Headers that hold together: a later fragment has no ports, a length has room for what it counts."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from rules.fields import DONT_FRAGMENT, ICMP, MORE_FRAGMENTS, OFFSET_MASK, TCP, TRANSPORT_OCTETS, UDP, Header
from rules.strategies.values import addresses, ports, protocols
from rules.strategies.words import told

__all__ = ["FLAGS", "coherent", "headers", "silent_headers"]

FLAGS = (0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x00, 0x3F)
"""TCP flags: SYN, SYN and ACK, ACK, ACK with data, FIN, RST, none, all."""

_FRAGMENTS = (0, 0, 0, DONT_FRAGMENT, MORE_FRAGMENTS, MORE_FRAGMENTS | 185, 185)


def coherent(header: Header, data: int = 0) -> Header:
    """The header with the lengths of that many octets of data behind it, and without the fields that it cannot have.

    A fragment that is not the last is filled up to a multiple of eight octets (RFC 791 section 3.2).
    """
    first = not header.fragment & OFFSET_MASK
    has_ports = first and header.protocol in (TCP, UDP)
    is_tcp, is_icmp = first and header.protocol == TCP, first and header.protocol == ICMP
    if not has_ports:
        header.source_port = header.destination_port = None
    if not is_icmp:
        header.icmp_type = header.icmp_code = None
    if not is_tcp:
        header.tcp_flags = header.tcp_sequence = header.tcp_acknowledgment = header.tcp_window = None
        header.tcp_options = header.tcp_data_length = None
    transport = TRANSPORT_OCTETS.get(header.protocol, 0) + len(header.tcp_options or b"") if first else 0
    payload = transport + data
    if header.fragment & MORE_FRAGMENTS:
        payload = max(-payload // 8 * -8, 8)
    elif not first:
        payload = max(payload, 1)
    header.header_length = 20 + len(header.options)
    header.payload_length = payload
    header.total_length = header.header_length + payload
    if is_tcp:
        header.tcp_data_length = payload - transport
    return header


def headers(
    *,
    source: st.SearchStrategy[int] | None = None,
    destination: st.SearchStrategy[int] | None = None,
    protocol: st.SearchStrategy[int] | None = None,
    fragments: bool = True,
    interfaces: Sequence[str] = ("em0", "em1"),
    passes: Sequence[str] = ("in", "out"),
) -> st.SearchStrategy[Header]:
    """Headers of whole, well-formed packets and of fragments, as :class:`rules.fields.Header`.

    ``source``, ``destination``, ``protocol``: where the values come from.  ``fragments``: fragments among them.
    ``passes``: ``in`` are packets that came in by one of the interfaces, ``out`` are about to leave by one, having come
    in by another or (``receive_interface`` None) being this host's own.

    :raises ValueError: for a pass that there is not.
    """
    for each in passes:
        if each not in _PASSES:
            raise ValueError(f"no such pass: {each!r} (there are {', '.join(_PASSES)})")
    return silent_headers(
        source=source,
        destination=destination,
        protocol=protocol,
        fragments=fragments,
        interfaces=interfaces,
        passes=passes,
    ).map(told)


_PASSES = ("in", "out")


@st.composite
def silent_headers(
    draw: st.DrawFn,
    *,
    source: st.SearchStrategy[int] | None = None,
    destination: st.SearchStrategy[int] | None = None,
    protocol: st.SearchStrategy[int] | None = None,
    fragments: bool = True,
    interfaces: Sequence[str] = (),
    passes: Sequence[str] = ("in",),
) -> Header:
    """The same for whoever says in another way what was drawn."""
    number = draw(protocol if protocol is not None else protocols())
    header = Header(
        source=draw(source if source is not None else addresses()),
        destination=draw(destination if destination is not None else addresses()),
        protocol=number,
        tos=draw(st.sampled_from((0, 0, 0x10, 0x08, 0xB8, 0xFF))),
        ttl=draw(st.sampled_from((64, 255, 1, 2))),
        identification=draw(st.sampled_from((1, 0, 7, 65535))),
        fragment=draw(st.sampled_from(_FRAGMENTS)) if fragments else 0,
        receive_interface=draw(st.sampled_from(interfaces)) if interfaces else None,
    )
    if not header.fragment & OFFSET_MASK:
        if number in (TCP, UDP):
            header.source_port, header.destination_port = draw(ports()), draw(ports())
        if number == TCP:
            header.tcp_flags = draw(st.sampled_from(FLAGS))
            header.tcp_sequence, header.tcp_acknowledgment, header.tcp_window = 1, 1, 65535
            header.tcp_options = draw(st.sampled_from((b"", b"\2\4\5\xb4", b"\1\1\x08\x0a" + bytes(8))))
        if number == ICMP:
            header.icmp_type = draw(st.sampled_from((8, 0, 3, 11, 5, 30)))
            header.icmp_code = draw(st.sampled_from((0, 1, 4)))
    if draw(st.sampled_from(passes)) == "out" and interfaces:
        header.transmit_interface = draw(st.sampled_from(tuple(reversed(interfaces))))
        if draw(st.booleans()):
            header.receive_interface = None
    return coherent(header, draw(st.sampled_from((0, 8, 100, 1000))))
