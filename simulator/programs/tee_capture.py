"""Write what comes to a capture file: the copies of a `tee` rule, or, with `--put-back`, what a `divert` rule diverts.

The file is pcap's own format (pcap-savefile(5)) with packets that begin at their IPv4 header, so tcpdump and Wireshark
read it; each packet is in it as soon as it came.
"""

from __future__ import annotations

import argparse
from typing import IO, Any, BinaryIO, cast

from simulator.links.pcap import PcapWriter
from simulator.programs.registry import Entry, Surroundings
from simulator.programs.returning import send_back
from simulator.programs.values import positive, whole

__all__ = ["PROGRAM", "TeeCapture"]


class TeeCapture:
    """Calling it with a divert socket takes one packet and writes it down.

    `snaplen` octets of each are kept; after `count` packets, if that is not 0, no more are written.
    """

    def __init__(self, file: IO[Any], around: Surroundings, *, snaplen: int, count: int, put_back: bool) -> None:
        self._file = file
        self._capture = PcapWriter(cast(BinaryIO, file), snaplen=snaplen)
        self._around = around
        self._count = count
        self._put_back = put_back
        file.flush()

    @property
    def written(self) -> int:
        """Packets in the file."""
        return self._capture.written

    def __call__(self, divert: Any) -> None:
        octets, address = divert.recvfrom(65535)
        if not self._count or self.written < self._count:
            self._capture.write(self._around.date(), octets)
            self._file.flush()
        if self._put_back:
            send_back(divert, octets, address, self._around.errors, "tee-capture")

    def finish(self) -> None:
        """Close the file and say what is in it."""
        self._file.close()
        many = "" if self.written == 1 else "s"
        print(f"tee-capture: {self.written} packet{many} written to {self._file.name}", file=self._around.output)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--write", metavar="FILE", required=True, help="the capture file, written anew")
    parser.add_argument(
        "--snaplen",
        metavar="OCTETS",
        type=whole("a snapshot length", 1, 65535),
        default=65535,
        help="octets of each packet that are kept, default all",
    )
    parser.add_argument("--packets", metavar="N", type=positive, default=0, help="write no more than so many")
    parser.add_argument("--put-back", action="store_true", help="send each packet back: for divert rules, not for tee")


def _make(values: argparse.Namespace, around: Surroundings) -> TeeCapture:
    file = around.open(values.write, "wb")
    return TeeCapture(file, around, snaplen=values.snaplen, count=values.packets, put_back=values.put_back)


PROGRAM = Entry(name="tee-capture", summary="Write every packet to a capture file.", make=_make, options=_options)
