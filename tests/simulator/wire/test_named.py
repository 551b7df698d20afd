"""Header fields by name: taken apart, compared, altered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.wire.named import FIELDS, alter, differences, dissect, full_name
from tests.datagrams import ip, ping, tcp, udp

PING = ping("192.0.2.1", "198.51.100.2", data=b"hello")
SYN = tcp("192.0.2.1", "198.51.100.2", data=b"x")
QUERY = udp("192.0.2.1", "198.51.100.2", data=b"question")


def texts(octets: bytes) -> dict[str, str]:
    return {field.name: field.text for field in dissect(octets)}


def test_every_field_of_a_ping_in_order() -> None:
    assert list(texts(PING).items()) == [
        ("ip.version", "4"),
        ("ip.ihl", "5"),
        ("ip.tos", "0x00"),
        ("ip.len", "33"),
        ("ip.id", "1"),
        ("ip.flags", "0"),
        ("ip.frag", "0"),
        ("ip.ttl", "64"),
        ("ip.proto", "1"),
        ("ip.chksum", "0x8ea4"),
        ("ip.src", "192.0.2.1"),
        ("ip.dst", "198.51.100.2"),
        ("icmp.type", "8"),
        ("icmp.code", "0"),
        ("icmp.chksum", "0xb425"),
        ("icmp.id", "7"),
        ("icmp.seq", "1"),
        ("load", '"hello" (5)'),
    ]


@pytest.mark.parametrize(
    ("octets", "names"),
    [
        (b"", {"load"}),
        (b"\x60" + bytes(39), {"load"}),
        (PING[:19], {"load"}),
        (PING[:20], {name for name in FIELDS if name.startswith("ip.")} - {"ip.options"}),
        (alter(SYN, {"frag": 1}), {name for name in FIELDS if name.startswith("ip.")} - {"ip.options"} | {"load"}),
    ],
)
def test_what_is_not_there_is_left_out(octets: bytes, names: set[str]) -> None:
    assert set(texts(octets)) == names


@pytest.mark.parametrize(
    ("octets", "changes", "expected"),
    [
        (PING, {"ttl": 3}, {"ip.ttl": "3"}),
        (PING, {"src": "203.0.113.9"}, {"ip.src": "203.0.113.9"}),
        (PING, {"flags": "DF"}, {"ip.flags": "DF"}),
        (PING, {"flags": "MF+DF", "frag": 5}, {"ip.flags": "MF+DF", "ip.frag": "5"}),
        (PING, {"icmp.id": 9, "ip.id": 8}, {"ip.id": "8", "icmp.id": "9"}),
        (SYN, {"tcp.flags": "SA", "ack": 77}, {"tcp.flags": "SA", "tcp.ack": "77"}),
        (SYN, {"dport": 443}, {"tcp.dport": "443"}),
        (SYN, {"options": b""}, {}),
        (SYN, {"tcp.options": b"\x02\x04\x05\xb4"}, {"tcp.options": "020405b4", "ip.len": "45", "tcp.dataofs": "6"}),
        (PING, {"ip.options": b"\x07\x03\x04\x00"}, {"ip.options": "07030400", "ip.ihl": "6", "ip.len": "37"}),
        (QUERY, {"load": "longer question"}, {"ip.len": "43", "udp.len": "23"}),
        (QUERY, {"ip.len": 60}, {"ip.len": "60"}),
        (PING, {"ip.chksum": 0x1234}, {"ip.chksum": "0x1234"}),
    ],
)
def test_altering(octets: bytes, changes: dict[str, Any], expected: dict[str, str]) -> None:
    changed = texts(alter(octets, changes))
    followed = {"ip.chksum", "icmp.chksum", "udp.chksum", "tcp.chksum", "load", "icmp.id"}
    different = {name: text for name, text in changed.items() if texts(octets).get(name) != text}
    assert {name: text for name, text in different.items() if name in expected or name not in followed} == expected


@pytest.mark.parametrize("changes", [{"src": "203.0.113.9"}, {"load": b"other"}, {"sport": 9}, {"ttl": 1}])
@pytest.mark.parametrize("octets", [SYN, QUERY])
def test_checksums_follow_as_scapy_makes_them(octets: bytes, changes: dict[str, Any]) -> None:
    scapy = pytest.importorskip("scapy.layers.inet")
    altered = alter(octets, changes)
    packet = scapy.IP(altered)
    layer = packet.payload
    packet.chksum = None
    layer.chksum = None
    assert bytes(packet) == altered


def test_a_checksum_that_nobody_asked_for_stays_wrong() -> None:
    damaged = alter(SYN, {"tcp.chksum": 0x1234})
    assert texts(alter(damaged, {"ttl": 9}))["tcp.chksum"] == "0x1234"
    without = alter(QUERY, {"udp.chksum": 0})
    assert texts(alter(without, {"sport": 9}))["udp.chksum"] == "0x0000"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tttl": 1}, "a datagram with ip/icmp header has no field 'tttl'"),
        ({"dport": 1}, "no field 'dport'"),
        ({"ttl": 256}, "ip.ttl=256 is not in 0 to 255"),
        ({"ttl": -1}, "ip.ttl=-1"),
        ({"ttl": "soon"}, "ip.ttl takes a number, not 'soon'"),
        ({"src": "10.0.0"}, "ip.src='10.0.0' is not an IPv4 address"),
        ({"flags": "XF"}, "ip.flags='XF': no flag 'XF' (there are MF, DF, evil)"),
        ({"load": 3}, "load takes octets or text, not 3"),
        ({"ip.options": b"abc"}, "a multiple of four octets, at most 40, not 3"),
        ({"load": bytes(65536)}, "longer than 65535"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as error:
        alter(PING, changes)
    assert said in str(error.value)


def test_differences_name_the_fields() -> None:
    found = differences(PING, alter(PING, {"ttl": 63, "load": "hallo"}))
    assert [str(each) for each in found] == [
        "ip.ttl 64 -> 63",
        "ip.chksum 0x8ea4 -> 0x8fa4",
        "icmp.chksum 0xb425 -> 0xb429",
        'load "hello" (5) -> "hallo" (5)',
    ]


def test_long_loads_that_begin_alike_are_told_apart() -> None:
    one = ip("192.0.2.1", "192.0.2.2", payload=bytes(100))
    other = ip("192.0.2.1", "192.0.2.2", payload=bytes(99) + b"\x01")
    (difference,) = differences(one, other)
    assert "00 at octet 99" in str(difference)
    assert "01 at octet 99" in str(difference)


def test_other_headers_are_differences_too() -> None:
    names = {each.name for each in differences(PING, QUERY)}
    assert {"icmp.type", "udp.sport", "ip.proto"} <= names


@given(st.binary(max_size=80))
def test_any_octets_can_be_taken_apart(octets: bytes) -> None:
    assert dissect(octets)
    assert differences(octets, octets) == ()


@given(st.sampled_from([PING, SYN, QUERY]), st.data())
def test_each_field_set_to_its_own_value_changes_nothing(octets: bytes, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(dissect(octets)))
    assert full_name(octets, field.name) == field.name
    assert alter(octets, {field.name: field.value}) == octets
