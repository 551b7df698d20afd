"""The sample of the wikibook's page on FreeBSD divert sockets: shows what is diverted, and puts nothing back.

Its lines are the original's. As there, the word `TCP` of its description is no filter: it shows what the rules divert,
whatever the protocol, and since it never sends, a `divert` rule loses every packet to it; a `tee` rule does not. The
dump has forty octets, with what the buffer still holds from before where a packet is shorter.
"""

from __future__ import annotations

import sys
from typing import Any

from simulator.programs.interceptor import bind_socket, create_socket
from simulator.programs.registry import Entry, Output, Surroundings
from simulator.programs.showing import BUFFER_SIZE, shown

__all__ = ["PROGRAM", "FreeBsdSample", "open_sample"]


_STRERROR = "Unknown error: -1"
"""The original shows what strerror() says of bind()'s own result, -1, instead of errno's (bsd.md 11.2, row 17)."""


class FreeBsdSample:
    """The loop's body: calling it with a divert socket takes one packet and shows it."""

    def __init__(self, *, program: str = "freebsd-sample", output: Output | None = None) -> None:
        self.program = program
        self._output = sys.stdout if output is None else output
        self._packet = bytearray(BUFFER_SIZE)

    def start(self) -> None:
        """Say that the program listens now."""
        print(f"{self.program}: Waiting for data...", file=self._output, flush=True)

    def __call__(self, divert: Any) -> None:
        _, address = divert.recvfrom_into(self._packet)
        for line in shown(self.program, self._packet, address):
            print(line, file=self._output, flush=True)


def open_sample(port: int, around: Surroundings) -> Any:
    """Its socket, with what it says meanwhile. Raises OSError."""
    divert = create_socket(around.socket, program=PROGRAM.name, errors=around.errors)
    try:
        bind_socket(divert, port, program=PROGRAM.name, errors=around.errors)
    except OSError:
        divert.close()
        print(f"{PROGRAM.name}: Error bind(): {_STRERROR}", file=around.errors)
        raise
    return divert


def _make(_: Any, around: Surroundings) -> FreeBsdSample:
    sample = FreeBsdSample(program=PROGRAM.name, output=around.output)
    sample.start()
    return sample


PROGRAM = Entry(
    name="freebsd-sample",
    summary="Show every packet as the FreeBSD sample program does; nothing is put back.",
    make=_make,
    open=open_sample,
)
