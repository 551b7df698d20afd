"""Writing pcapng: read again by our reader, and by scapy's."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from simulator.links.captures import datagram, read
from simulator.links.pcapng import PcapngWriter
from tests.datagrams import ping

PING = ping("192.0.2.1", "192.0.2.2", data=b"odd")


def write(path: Path) -> None:
    with path.open("wb") as file:
        writer = PcapngWriter(file)
        writer.write("eth0", 1000.25, PING, direction="in", comment="déjà vu")
        writer.write("eth1", 1000.5, PING[:30], length=len(PING), direction="out")
        writer.write("eth0", 4_000_000_000.000001, b"")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "file")
    first, second, third = read(tmp_path / "file")
    assert (first.source.name, first.time, first.comment, datagram(first)) == ("eth0", 1000.25, "déjà vu", PING)
    assert (second.source.name, second.frame, second.length, second.comment) == ("eth1", PING[:30], len(PING), "")
    assert (third.source.name, third.time, datagram(third)) == ("eth0", 4_000_000_000.000001, None)


def test_scapy_reads_it(tmp_path: Path) -> None:
    scapy = pytest.importorskip("scapy.utils")
    write(tmp_path / "file")
    packets = scapy.PcapNgReader(str(tmp_path / "file")).read_all()
    assert [bytes(packet) for packet in packets[:1]] == [PING]
    assert packets[0].sniffed_on == "eth0"
    assert packets[0].comment == "déjà vu".encode()
    assert packets[0].direction == 1
    assert float(packets[1].time) == 1000.5


def test_every_block_is_a_multiple_of_four() -> None:
    for size in range(8):
        file = io.BytesIO()
        PcapngWriter(file).write("x" * size, 0, bytes(size), comment="y" * size)
        assert len(file.getvalue()) % 4 == 0
