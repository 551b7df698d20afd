"""Writing pcap: octet for octet, read again by our reader, and by scapy's."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from simulator.links.captures import datagram, read
from simulator.links.pcap import PcapWriter
from tests.datagrams import ping

PING = ping("192.0.2.1", "192.0.2.2", data=b"odd")


def write(path: Path) -> None:
    with path.open("wb") as file:
        writer = PcapWriter(file, snaplen=30)
        writer.write(1000.25, PING)
        writer.write(4_000_000_000.000001, PING[:20], length=99)
        writer.write(0.9999999, b"")
        assert writer.written == 3


def test_the_octets() -> None:
    file = io.BytesIO()
    PcapWriter(file).write(1.5, b"E", length=20)
    assert file.getvalue().hex(" ", -4) == (
        "d4c3b2a1 02000400 00000000 00000000 ffff0000 65000000 01000000 20a10700 01000000 14000000 45"
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "file")
    first, second, third = read(tmp_path / "file")
    assert (first.time, datagram(first), first.length) == (1000.25, PING[:30], len(PING))
    assert (second.time, second.frame, second.length) == (4_000_000_000.000001, PING[:20], 99)
    assert (third.time, third.frame) == (1.0, b"")


def test_scapy_reads_it(tmp_path: Path) -> None:
    scapy = pytest.importorskip("scapy.utils")
    write(tmp_path / "file")
    packets = scapy.PcapReader(str(tmp_path / "file")).read_all()
    assert [(float(packet.time), packet.wirelen) for packet in packets] == [
        (1000.25, len(PING)),
        (4_000_000_000.000001, 99),
        (1.0, 0),
    ]


@pytest.mark.parametrize("time", [-0.1, 2.0**32])
def test_a_time_that_has_no_room(time: float) -> None:
    file = io.BytesIO()
    writer = PcapWriter(file)
    with pytest.raises(ValueError, match="no time stamp for"):
        writer.write(time, PING)
    assert (writer.written, len(file.getvalue())) == (0, 24)
