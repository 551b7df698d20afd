"""Captures read one packet at a time: both formats, every link type, and files that are damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from simulator.links.captures import Captured, CaptureError, datagram, read, read_one
from tests.datagrams import ping

PING = ping("192.0.2.1", "192.0.2.2")
ETHERNET = bytes(12) + b"\x08\x00" + PING

scapy = pytest.importorskip("scapy.all")


def pcap(frames: list[bytes], link_type: int = 1, *, order: str = "<", magic: int = 0xA1B2C3D4) -> bytes:
    head = struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, 65535, link_type)
    return head + b"".join(
        struct.pack(order + "IIII", 100 + number, 5, len(frame), len(frame)) + frame
        for number, frame in enumerate(frames)
    )


def packets(tmp_path: Path, octets: bytes) -> list[Captured]:
    (tmp_path / "file").write_bytes(octets)
    return list(read(tmp_path / "file"))


@pytest.mark.parametrize(
    ("link_type", "frame"),
    [
        (0, b"\x02\0\0\0" + PING),
        (0, b"\0\0\0\x02" + PING),
        (1, ETHERNET),
        (1, bytes(12) + b"\x81\x00\x00\x05\x08\x00" + PING),
        (1, bytes(12) + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x08\x00" + PING),
        (12, PING),
        (101, PING),
        (108, b"\0\0\0\x02" + PING),
        (113, bytes(14) + b"\x08\x00" + PING),
        (228, PING),
        (276, b"\x08\x00" + bytes(18) + PING),
    ],
)
def test_the_datagram_inside_a_frame(tmp_path: Path, link_type: int, frame: bytes) -> None:
    (found,) = packets(tmp_path, pcap([frame], link_type))
    assert datagram(found) == PING


@pytest.mark.parametrize(
    ("link_type", "frame"),
    [
        (1, bytes(12) + b"\x08\x06" + bytes(28)),
        (1, b"short"),
        (0, b"\x1e\0\0\0" + bytes(40)),
        (101, b"\x60" + bytes(39)),
    ],
)
def test_frames_with_something_else(tmp_path: Path, link_type: int, frame: bytes) -> None:
    (found,) = packets(tmp_path, pcap([frame], link_type))
    assert datagram(found) is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "second"), [(0xA1B2C3D4, 100.000005), (0xA1B23C4D, 100.000000005)])
def test_byte_orders_and_resolutions(tmp_path: Path, order: str, magic: int, second: float) -> None:
    (found,) = packets(tmp_path, pcap([ETHERNET], order=order, magic=magic))
    assert found.time == pytest.approx(second, abs=1e-9)
    assert datagram(found) == PING


@pytest.mark.parametrize("writer", ["wrpcap", "wrpcapng"])
def test_what_scapy_writes(tmp_path: Path, writer: str) -> None:
    frames = [scapy.Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02") / scapy.IP(PING) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.time = 1000 + number / 8
    getattr(scapy, writer)(str(tmp_path / "file"), frames)
    found = list(read(tmp_path / "file"))
    assert [each.time for each in found] == [1000.0, 1000.125, 1000.25]
    assert [datagram(each) for each in found] == [PING] * 3
    assert [each.number for each in found] == [1, 2, 3]


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) & 3)
    total = len(body) + 12
    return struct.pack(order + "II", kind, total) + body + struct.pack(order + "I", total)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) & 3)


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type: int, *options: bytes, order: str = "<") -> bytes:
    return block(1, struct.pack(order + "HHI", link_type, 0, 65535) + b"".join(options), order)


def enhanced(index: int, stamp: int, frame: bytes, *options: bytes, order: str = "<") -> bytes:
    head = struct.pack(order + "IIIII", index, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame))
    return block(6, head + frame + bytes(-len(frame) & 3) + b"".join(options), order)


@pytest.mark.parametrize("order", ["<", ">"])
def test_interfaces_names_comments_and_resolutions(tmp_path: Path, order: str) -> None:
    octets = (
        section(order)
        + interface(1, option(2, b"eth0", order), option(9, b"\x09", order), order=order)
        + interface(101, option(2, b"tun0", order), option(9, b"\x8a", order), order=order)
        + block(0x0BAD, b"unknown", order)
        + enhanced(0, 7_000_000_000, ETHERNET, option(1, b"hello", order), order=order)
        + enhanced(1, 3 * 1024, PING, order=order)
    )
    first, second = packets(tmp_path, octets)
    assert (first.source.name, first.time, first.comment) == ("eth0", 7.0, "hello")
    assert (second.source.name, second.time, second.comment) == ("tun0", 3.0, "")
    assert datagram(first) == datagram(second) == PING


def test_a_second_section_begins_anew(tmp_path: Path) -> None:
    octets = section("<") + interface(101) + enhanced(0, 0, PING)
    other = section(">") + interface(1, order=">") + enhanced(0, 0, ETHERNET, order=">")
    assert [datagram(each) for each in packets(tmp_path, octets + other)] == [PING, PING]


def test_simple_packets(tmp_path: Path) -> None:
    octets = section() + interface(101) + block(3, struct.pack("<I", len(PING)) + PING)
    assert [datagram(each) for each in packets(tmp_path, octets)] == [PING]


GOOD = section() + interface(101) + enhanced(0, 0, PING)


@pytest.mark.parametrize(
    ("octets", "read_before", "said"),
    [
        (b"", 0, "neither pcap nor pcapng: it begins with nothing"),
        (b"GIF89a", 0, "neither pcap nor pcapng: it begins with 47494638"),
        (pcap([])[:20], 0, "the file's header is cut off"),
        (pcap([], 147), 0, "link type 147 is not understood (there are 0 (null), 1 (Ethernet)"),
        (pcap([ETHERNET]) + b"\0" * 9, 1, "a record's header is cut off"),
        (pcap([ETHERNET])[:-1], 0, "a record of 98 octets is cut off after 97"),
        (pcap([ETHERNET]) + b"\xff" * 16, 1, "a record claims 4,294,967,295 octets"),
        (GOOD + b"\x06\0", 1, "a block's type is cut off"),
        (GOOD + GOOD[28 + 20 :][:40], 1, "is cut off after 40"),
        (GOOD[:-4] + b"\0\0\0\0", 0, "a block's two lengths differ"),
        (
            GOOD + block(6, struct.pack("<IIIII", 9, 0, 0, 0, 0)),
            1,
            "a packet of interface 9, of which nothing",
        ),
        (GOOD + block(6, struct.pack("<IIIII", 0, 0, 0, 99, 99)), 1, "a packet claims 99 octets"),
        (GOOD + struct.pack("<II", 6, 13), 1, "a block claims 13 octets"),
        (section() + interface(147), 0, "link type 147"),
    ],
)
def test_damage_says_how_far_it_got(tmp_path: Path, octets: bytes, read_before: int, said: str) -> None:
    (tmp_path / "file").write_bytes(octets)
    found: list[Captured] = []
    with pytest.raises(CaptureError) as error:
        found.extend(read(tmp_path / "file"))
    assert said in str(error.value)
    assert error.value.packets == len(found) == read_before
    assert f"after {read_before} packets" in str(error.value)


def test_one_packet(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(pcap([ETHERNET, bytes(12) + b"\x08\x06" + bytes(28)]))
    assert read_one(path, 1) == PING
    with pytest.raises(ValueError, match="packet 2 is no IPv4 datagram"):
        read_one(path, 2)
    with pytest.raises(ValueError, match="there is no packet 3"):
        read_one(path, 3)
