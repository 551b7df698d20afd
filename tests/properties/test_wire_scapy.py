"""Our headers and scapy's are the same octets: build here and parse there, build there and parse here."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rules.addresses import dotted
from simulator.wire import checksum, icmp, ipv4, tcp, udp

scapy = pytest.importorskip("scapy.layers.inet", reason="scapy is not installed")

ADDRESSES = st.integers(0, 0xFFFFFFFF)
WORDS = st.integers(0, 0xFFFF)
OPTION_LISTS = st.lists(
    st.one_of(
        st.just((ipv4.NO_OPERATION, b"")),
        st.tuples(st.sampled_from([7, 68, 131, 137, 148]), st.binary(min_size=2, max_size=9)),
    ),
    max_size=3,
)
IP_HEADERS = st.builds(
    ipv4.Header,
    source=ADDRESSES,
    destination=ADDRESSES,
    protocol=st.integers(0, 255),
    ttl=st.integers(0, 255),
    tos=st.integers(0, 255),
    identification=WORDS,
    fragment=WORDS,
    options=OPTION_LISTS.map(ipv4.build_options),
)
TCP_HEADERS = st.builds(
    tcp.Header,
    source_port=WORDS,
    destination_port=WORDS,
    sequence=ADDRESSES,
    acknowledgment=ADDRESSES,
    flags=st.integers(0, 255),
    window=WORDS,
    urgent=WORDS,
    options=st.lists(st.sampled_from([(2, b"\5\xb4"), (1, b""), (3, b"\7"), (4, b"")]), max_size=4).map(
        tcp.build_options
    ),
)
few = settings(max_examples=60)


@few
@given(IP_HEADERS, st.binary(max_size=40))
def test_ipv4_ours_is_read_by_scapy(header: ipv4.Header, payload: bytes) -> None:
    assume(header.protocol != 2)  # scapy gives the header of any IGMP that it reads a router alert option
    octets = header.emit(payload)
    theirs = scapy.IP(octets)
    assert (theirs.src, theirs.dst) == (dotted(header.source), dotted(header.destination))
    assert (theirs.proto, theirs.ttl, theirs.tos, theirs.id) == (
        header.protocol,
        header.ttl,
        header.tos,
        header.identification,
    )
    assert (int(theirs.flags) << 13 | theirs.frag, theirs.len) == (header.fragment, len(octets))
    assert theirs.ihl * 4 == header.header_length
    del theirs.chksum
    assert bytes(theirs)[:20] == octets[:20]
    assert ipv4.parse(octets) == header
    assert ipv4.payload(octets) == payload


@few
@given(IP_HEADERS, st.binary(max_size=40))
def test_ipv4_theirs_is_read_by_us(header: ipv4.Header, payload: bytes) -> None:
    theirs = bytes(
        scapy.IP(
            src=dotted(header.source),
            dst=dotted(header.destination),
            proto=header.protocol,
            ttl=header.ttl,
            tos=header.tos,
            id=header.identification,
            flags=header.fragment >> 13,
            frag=header.fragment & 0x1FFF,
            options=scapy.IP(header.emit()).options,
        )
        / payload
    )
    ours = ipv4.parse(theirs)
    assert (ours.source, ours.destination, ours.protocol, ours.fragment) == (
        header.source,
        header.destination,
        header.protocol,
        header.fragment,
    )
    assert ours.emit(payload) == theirs


@few
@given(ADDRESSES, ADDRESSES, WORDS, WORDS, st.binary(max_size=40))
def test_udp_is_the_same_octets(source: int, destination: int, sport: int, dport: int, data: bytes) -> None:
    ours = udp.Header(source_port=sport, destination_port=dport).emit(data, source=source, destination=destination)
    theirs = scapy.IP(src=dotted(source), dst=dotted(destination)) / scapy.UDP(sport=sport, dport=dport) / data
    assert bytes(theirs)[20:] == ours
    header, found = udp.parse(ours, source=source, destination=destination)
    assert (header.source_port, header.destination_port, found) == (sport, dport, data)


@few
@given(ADDRESSES, ADDRESSES, TCP_HEADERS, st.binary(max_size=40))
def test_tcp_is_the_same_octets(source: int, destination: int, header: tcp.Header, data: bytes) -> None:
    ours = header.emit(data, source=source, destination=destination)
    theirs = scapy.TCP(ours)
    assert (theirs.sport, theirs.dport, theirs.seq, theirs.ack, int(theirs.flags), theirs.window, theirs.urgptr) == (
        header.source_port,
        header.destination_port,
        header.sequence,
        header.acknowledgment,
        header.flags,
        header.window,
        header.urgent,
    )
    assert theirs.dataofs * 4 == 20 + len(header.options)
    bare = scapy.IP(src=dotted(source), dst=dotted(destination)) / scapy.TCP(
        sport=header.source_port,
        dport=header.destination_port,
        seq=header.sequence,
        ack=header.acknowledgment,
        flags=header.flags,
        window=header.window,
        urgptr=header.urgent,
        options=theirs.options,
    )
    rebuilt = bytes(bare / data)[20:]
    assert rebuilt[:16] == ours[:16]
    assert tcp.parse(rebuilt, source=source, destination=destination)[1] == data
    assert tcp.parse(ours, source=source, destination=destination) == (header, data)


@few
@given(WORDS, WORDS, st.binary(max_size=40))
def test_echo_is_the_same_octets(identifier: int, sequence: int, data: bytes) -> None:
    assert icmp.echo_request(identifier, sequence, data) == bytes(
        scapy.ICMP(type=8, id=identifier, seq=sequence) / data
    )
    assert icmp.reply_to(icmp.echo_request(identifier, sequence, data)) == bytes(
        scapy.ICMP(type=0, id=identifier, seq=sequence) / data
    )


@few
@given(WORDS, ADDRESSES, st.binary(min_size=8, max_size=8))
def test_errors_are_the_same_octets(mtu: int, gateway: int, eight: bytes) -> None:
    quoted = ipv4.Header(source=1, destination=2, protocol=99).emit(eight)
    for ours, theirs in (
        (icmp.needs_fragmenting(mtu, quoted), scapy.ICMP(type=3, code=4, nexthopmtu=mtu)),
        (icmp.unreachable(3, quoted), scapy.ICMP(type=3, code=3)),
        (icmp.time_exceeded(1, quoted), scapy.ICMP(type=11, code=1)),
        (icmp.redirect(1, gateway, quoted), scapy.ICMP(type=5, code=1, gw=dotted(gateway))),
        (icmp.parameter_problem(20, quoted), scapy.ICMP(type=12, ptr=20)),
    ):
        assert ours == bytes(theirs / quoted)
        assert checksum.verify(ours)
        assert icmp.parse(ours).data == quoted
