"""Replaying a capture, against scapy's reader on the same capture: packets a second, and memory.

`python -m benchmarks.replay` generates a capture of 1,000,000 packets (`--packets N` for another number) in a folder of
its own, plays it through a router with a diverting rule list in a process of its own, with and without a written
pcapng, and reads the same file with scapy's PcapReader, which takes packets apart and does nothing with them.  Figures
are processor time, which others on the machine disturb least.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from simulator.spoken import build, parse

__all__ = ["main"]

_RULES = """\
add 100 divert 8668 tcp from any to any 80
add 200 deny tcp from any to any 25
add 300 allow ip from any to any
"""
_SCAPY = """
import sys
from scapy.utils import PcapReader
import scapy.layers.inet
count = sum(1 for packet in PcapReader(sys.argv[1]))
"""


def generate(path: Path, count: int) -> None:
    """A capture of web, mail and name service packets, a millisecond apart."""
    chance = random.Random(1)
    packets = [
        build(parse(f"{protocol} from 192.168.1.{host} {1024 + host} to 10.0.0.{host % 5 + 2} {port} iplen {length}"))
        for host in range(2, 30)
        for protocol, port in (("tcp", 80), ("tcp", 25), ("udp", 53))
        for length in (60, 576, 1500)
    ]
    with path.open("wb", buffering=1 << 20) as file:
        file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for number in range(count):
            octets = chance.choice(packets)
            file.write(struct.pack("<IIII", number // 1000, number % 1000 * 1000, len(octets), len(octets)) + octets)


def measured(words: list[str]) -> tuple[float, float]:
    """Seconds of processor time, and the most memory (MB), of a process."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--packets", type=int, default=1_000_000, help="size of the capture (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder / "in.pcap", options.packets)
        (folder / "rules").write_text(_RULES)
        ours = [
            *(sys.executable, "-m", "simulator.cli", "replay", str(folder / "in.pcap"), "--profile", "freebsd-13"),
            *("--rules", str(folder / "rules"), "--in", "em0=192.168.1.1/24", "--interface", "em1=10.0.0.1/24"),
            *("--program", "8668=passthrough"),
        ]
        runs = {
            "replay": measured(ours),
            "replay, written": measured([*ours, "-w", str(folder / "out.pcapng")]),
            "scapy's PcapReader": measured([sys.executable, "-c", _SCAPY, str(folder / "in.pcap")]),
        }
    yardstick = runs["scapy's PcapReader"][0]
    rows = {
        name: {
            "packets_per_second": round(options.packets / seconds),
            "ratio": round(yardstick / seconds, 2),
            "megabytes_at_most": round(memory),
        }
        for name, (seconds, memory) in runs.items()
    }
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    for name, row in rows.items():
        rate, ratio, memory = row.values()
        print(f"{name:<20} {rate:>9,} packets/s   {ratio:>5.2f} of scapy's reader   {memory} MB at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
