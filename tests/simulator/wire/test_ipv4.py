"""The IPv4 header as a value, as a view, and its options."""

from __future__ import annotations

from typing import Any

import pytest

from rules.fields import DONT_FRAGMENT
from simulator.wire import ipv4
from simulator.wire.checksum import checksum

PLAIN = ipv4.Header(source=0x0A000001, destination=0xC0A80102, protocol=17, identification=7)
ROUTER_ALERT = (148, b"\0\0")
RECORD_ROUTE = (7, b"\4" + bytes(4))


def test_a_datagram_octet_for_octet() -> None:
    header = ipv4.Header(
        source=0xAC100A63,
        destination=0xAC100A0C,
        protocol=6,
        ttl=64,
        identification=0x1C46,
        fragment=DONT_FRAGMENT,
    )
    assert header.emit(bytes(40))[:20].hex(" ", 2) == "4500 003c 1c46 4000 4006 b1e6 ac10 0a63 ac10 0a0c"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("source", -1),
        ("destination", 1 << 32),
        ("protocol", 256),
        ("ttl", 256),
        ("tos", -1),
        ("identification", 65536),
        ("fragment", 65536),
    ],
)
def test_a_field_that_does_not_fit_is_refused_with_its_value(field: str, value: int) -> None:
    arguments: dict[str, Any] = {"source": 1, "destination": 2, "protocol": 3, field: value}
    with pytest.raises(ValueError, match=f"{field} {value} is not between"):
        ipv4.Header(**arguments)


@pytest.mark.parametrize("options", [b"\1", bytes(44), b"\1\1\1\1\1"])
def test_options_come_in_words_and_at_most_ten(options: bytes) -> None:
    with pytest.raises(ValueError, match=options.hex()):
        ipv4.Header(source=1, destination=2, protocol=3, options=options)


def test_the_longest_datagram() -> None:
    octets = PLAIN.emit(bytes(65515))
    assert len(octets) == 65535
    assert ipv4.parse(octets) == PLAIN
    with pytest.raises(ValueError, match="65536"):
        PLAIN.emit(bytes(65516))


def changed(octets: bytes, at: int, new: bytes, *, summed: bool = True) -> bytes:
    """Other octets somewhere in the header, its checksum right again."""
    result = bytearray(octets)
    result[at : at + len(new)] = new
    if summed:
        length = (result[0] & 15) * 4
        result[10:12] = bytes(2)
        result[10:12] = checksum(result[:length]).to_bytes(2, "big")
    return bytes(result)


WHOLE = PLAIN.emit(b"data")


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (WHOLE[:19], "19 octets are too few"),
        (b"", "0 octets are too few"),
        (changed(WHOLE, 0, b"\x65"), "version 6 is not 4"),
        (changed(WHOLE, 0, b"\x44"), "header length 16 is under 20"),
        (changed(WHOLE, 0, b"\x4f"), "total length 24 is under the header length 60"),
        (changed(WHOLE, 2, b"\0\x13"), "total length 19 is under the header length 20"),
        (changed(WHOLE, 2, b"\0\x19"), "total length 25 is more than the 24 octets"),
        (changed(WHOLE, 10, b"\x12\x34", summed=False), "header checksum 0x1234 is wrong"),
    ],
)
def test_a_fault_is_named_with_its_value(octets: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        ipv4.parse(octets)


def test_a_wrong_checksum_can_be_looked_over_and_padding_is_no_payload() -> None:
    assert ipv4.parse(changed(WHOLE, 10, b"\x12\x34", summed=False), check=False) == PLAIN
    assert ipv4.parse(WHOLE + b"padding") == PLAIN
    assert ipv4.payload(WHOLE + b"padding") == b"data"


def test_the_view_shows_garbage_as_it_stands() -> None:
    view = ipv4.View(bytes.fromhex("63 01 0005 0002 ffff 00 ff dead 01020304 05060708"))
    assert (view.version, view.header_length, view.total_length) == (6, 12, 5)
    assert (view.fragment, view.fragment_offset, view.more_fragments, view.dont_fragment) == (
        0xFFFF,
        0x1FFF,
        True,
        True,
    )
    assert (view.ttl, view.protocol, view.checksum, view.checksum_ok) == (0, 255, 0xDEAD, False)
    assert (view.options, view.payload) == (b"", b"")
    assert str(view).startswith("IPv4 1.2.3.4 > 5.6.7.8 protocol 255")
    with pytest.raises(ValueError, match="3 octets"):
        ipv4.View(b"abc")


def test_options_round_trip() -> None:
    parts = [RECORD_ROUTE, (1, b""), ROUTER_ALERT]
    octets = ipv4.build_options(parts)
    assert octets.hex(" ") == "07 07 04 00 00 00 00 01 94 04 00 00"
    assert list(ipv4.options(octets)) == parts
    assert ipv4.build_options([(1, b"")]) == b"\1\0\0\0"


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (b"\x07", "option 7 at octet 0 has no length"),
        (b"\1\x07\x01", "option 7 at octet 1 has length 1"),
        (b"\x07\x09\0", "option 7 at octet 0 has length 9 with 3 octets left"),
    ],
)
def test_a_malformed_option_is_named(octets: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        list(ipv4.options(octets))


@pytest.mark.parametrize(
    ("octets", "copied", "blanked"),
    [
        # nothing to keep; a record route has no copy flag, a router alert has it
        ("", "", ""),
        ("07070400 00000000", "", "01010101 01010100"),
        ("94040000", "94040000", "94040000"),
        ("07070400 00000001 94040000", "01940400 00000000", "01010101 01010101 94040000"),
        # what follows the end of options, or a malformed one, is left alone
        ("00070704", "", "00070704"),
        ("94040000 0709ffff", "94040000", "94040000 0709ffff"),
    ],
)
def test_options_of_later_fragments(octets: str, copied: str, blanked: str) -> None:
    options = bytes.fromhex(octets)
    assert ipv4.blanked_options(options) == bytes.fromhex(blanked)
    assert ipv4.copied_options(options) == bytes.fromhex(copied)


def test_no_operations_are_copied_where_they_stood() -> None:
    """BSD keeps them: they align what follows."""
    options = ipv4.build_options([(1, b""), RECORD_ROUTE, (1, b""), ROUTER_ALERT])
    assert ipv4.copied_options(options) == bytes.fromhex("01 01 94 04 00 00 00 00")
