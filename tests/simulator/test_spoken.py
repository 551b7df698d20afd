"""Packets in ipfw's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.fields import ICMP, TCP, UDP
from simulator.spoken import SpokenError, build, parse, speak
from simulator.wire import icmp, ipv4, tcp, udp
from simulator.wire.named import dissect
from tests.datagrams import ping


def fields(text: str) -> dict[str, str]:
    return {field.name: field.text for field in dissect(build(parse(text)))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("icmp from 192.0.2.1 to 192.0.2.2", {"ip.src": "192.0.2.1", "ip.dst": "192.0.2.2", "icmp.type": "8"}),
        ("tcp from 192.0.2.1 1234 to 192.0.2.2 80", {"tcp.sport": "1234", "tcp.dport": "80", "tcp.flags": "S"}),
        ("tcp from 192.0.2.1 to 192.0.2.2 ssh established", {"tcp.dport": "22", "tcp.flags": "A"}),
        ("tcp from 192.0.2.1 to 192.0.2.2 tcpflags syn,ack tcpseq 9", {"tcp.flags": "SA", "tcp.seq": "9"}),
        ("udp from 192.0.2.1 to 192.0.2.2 domain ttl 3", {"udp.dport": "53", "ip.ttl": "3"}),
        ('udp from 192.0.2.1 to 192.0.2.2 data "to be"', {"load": '"to be" (5)', "udp.len": "13"}),
        ("udp from 192.0.2.1 to 192.0.2.2 iplen 100", {"ip.len": "100", "udp.len": "80"}),
        ("47 from 192.0.2.1 to 192.0.2.2 df", {"ip.proto": "47", "ip.flags": "DF"}),
        ("icmp from 192.0.2.1 to 192.0.2.2 icmptypes 3 icmpcode 4", {"icmp.type": "3", "icmp.code": "4"}),
        ("udp from 192.0.2.1 to 192.0.2.2 offset 1480 mf", {"ip.frag": "185", "ip.flags": "MF"}),
    ],
)
def test_words_become_fields(text: str, expected: dict[str, str]) -> None:
    found = fields(text)
    assert {name: found[name] for name in expected} == expected


def test_where_it_is() -> None:
    spoken = parse("tcp from 192.0.2.1 to 192.0.2.2 80 in via em0")
    assert (spoken.hook, spoken.interface, spoken.received_on) == ("in", "em0", None)
    spoken = parse("tcp from 192.0.2.1 to 192.0.2.2 80 out recv em0 xmit em1")
    assert (spoken.hook, spoken.interface, spoken.received_on) == ("out", "em1", "em0")


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 0, "expected a protocol"),
        ("tcp", 3, "expected 'from'"),
        ("tcp from 192.0.2.1", 18, "expected 'to'"),
        ("ip from 192.0.2.1 to 192.0.2.2", 0, "a packet has one protocol"),
        ("tpc from 192.0.2.1 to 192.0.2.2", 0, "a packet has one protocol"),
        ("300 from 192.0.2.1 to 192.0.2.2", 0, "a protocol is 0 to 255: 300"),
        ("tcp from any to 192.0.2.2", 9, "a packet has one address on each side"),
        ("tcp from 192.0.2.256 to 192.0.2.2", 9, "one address"),
        ("tcp from 192.0.2.1 99999 to 192.0.2.2", 19, "not a port (0 to 65535) or a service of tcp: '99999'"),
        ("udp from 192.0.2.1 to 192.0.2.2 setup", 32, "only tcp has tcp.flags"),
        ("udp from 192.0.2.1 to 192.0.2.2 53 setup", 35, "only tcp has tcp.flags"),
        ("icmp from 192.0.2.1 to 192.0.2.2 frob", 33, "no such word about a packet: 'frob'"),
        ("icmp from 192.0.2.1 to 192.0.2.2 ttl", 36, "expected a number after ip.ttl"),
        ("icmp from 192.0.2.1 to 192.0.2.2 ttl 256", 37, "ip.ttl is 0 to 255: '256'"),
        ("icmp from 192.0.2.1 to 192.0.2.2 offset 9", 40, "a multiple of 8: 9"),
        ("icmp from 192.0.2.1 to 192.0.2.2 in out", 36, "the packet is in already"),
        ("icmp from 192.0.2.1 to 192.0.2.2 data xyz", 38, "data is text in double quotes, or octets in hex"),
    ],
)
def test_words_that_say_no_packet(text: str, column: int, said: str) -> None:
    with pytest.raises(SpokenError) as error:
        parse(text)
    assert said in error.value.text
    assert error.value.column == column


def test_a_length_that_the_headers_exceed() -> None:
    with pytest.raises(ValueError, match="iplen 39: the headers alone are 40 octets"):
        build(parse("tcp from 192.0.2.1 to 192.0.2.2 80 iplen 39"))


def test_speaking() -> None:
    assert (
        speak(ping("192.0.2.1", "192.0.2.2", data=b"", ttl=9), hook="in", interface="em0")
        == "icmp from 192.0.2.1 to 192.0.2.2 ttl 9 icmpid 7 in via em0"
    )
    assert speak(b"abc") == "hex 616263"


ADDRESSES = st.sampled_from([0xC0000201, 0xC6336402, 0xCB007103])
PORTS = st.integers(0, 0xFFFF)


@st.composite
def datagrams(draw: st.DrawFn) -> bytes:
    source, destination = draw(ADDRESSES), draw(ADDRESSES)
    protocol = draw(st.sampled_from([ICMP, TCP, UDP, 47, 2]))
    data = draw(st.binary(max_size=70))
    fragment = draw(st.sampled_from([0, 0, 0x4000, 0x2000, 0x2005, 7]))
    if fragment & 0x1FFF or protocol not in (ICMP, TCP, UDP):
        payload = data
    elif protocol == ICMP:
        payload = icmp.echo_request(draw(PORTS), draw(PORTS), data)
    elif protocol == UDP:
        payload = udp.Header(source_port=draw(PORTS), destination_port=draw(PORTS)).emit(
            data, source=source, destination=destination
        )
    else:
        payload = tcp.Header(
            source_port=draw(PORTS),
            destination_port=draw(PORTS),
            flags=draw(st.integers(0, 63)),
            sequence=draw(PORTS),
            window=draw(PORTS),
        ).emit(data, source=source, destination=destination)
    return ipv4.Header(
        source=source,
        destination=destination,
        protocol=protocol,
        ttl=draw(st.integers(0, 255)),
        tos=draw(st.integers(0, 255)),
        identification=draw(PORTS),
        fragment=fragment,
    ).emit(payload)


@given(datagrams())
def test_what_is_said_is_the_same_header_again(octets: bytes) -> None:
    again = build(parse(speak(octets)))
    loads = {"load", "ip.chksum", "tcp.chksum", "udp.chksum", "icmp.chksum"}
    mine, theirs = (
        {field.name: field.value for field in dissect(each) if field.name not in loads} for each in (octets, again)
    )
    assert mine == theirs
    if len(octets) <= 80 and not octets[6] & 0x20:  # short data is said octet by octet, the sum of what is cut is not
        assert again == octets
