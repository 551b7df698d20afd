"""The filter machine: a table, and agreement with the kernel that this runs on (SO_ATTACH_FILTER)."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.bpf import Instruction, Program

Code = Sequence[tuple[int, int, int, int]]

RETURN_A = (0x16, 0, 0, 0)


@pytest.mark.parametrize(
    ("program", "octets", "result"),
    [
        ([(0x06, 0, 0, 7)], b"", 7),
        ([(0x20, 0, 0, 0), RETURN_A], b"\1\2\3\4", 0x01020304),
        ([(0x28, 0, 0, 1), RETURN_A], b"\1\2\3\4", 0x0203),
        ([(0x30, 0, 0, 3), RETURN_A], b"\1\2\3\4", 4),
        ([(0x20, 0, 0, 1), RETURN_A], b"\1\2\3\4", 0),
        ([(0x01, 0, 0, 2), (0x50, 0, 0, 1), RETURN_A], b"\1\2\3\4", 4),
        ([(0x01, 0, 0, 0xFFFFFFFF), (0x50, 0, 0, 1), RETURN_A], b"\1\2", 1),
        ([(0xB1, 0, 0, 0), (0x87, 0, 0, 0), RETURN_A], b"\x45", 20),
        ([(0xB1, 0, 0, 1), (0x06, 0, 0, 9)], b"\x45", 0),
        ([(0x80, 0, 0, 0), RETURN_A], bytes(33), 33),
        ([(0x00, 0, 0, 6), (0x02, 0, 0, 3), (0x61, 0, 0, 3), (0x87, 0, 0, 0), RETURN_A], b"", 6),
        ([(0x00, 0, 0, 1), (0x84, 0, 0, 0), RETURN_A], b"", 0xFFFFFFFF),
        ([(0x00, 0, 0, 7), (0x3C, 0, 0, 0), (0x06, 0, 0, 1)], b"", 0),
        ([(0x05, 0, 0, 1), (0x06, 0, 0, 1), (0x06, 0, 0, 2)], b"", 2),
        ([(0x00, 0, 0, 5), (0x25, 0, 1, 4), (0x06, 0, 0, 1), (0x06, 0, 0, 2)], b"", 1),
        ([(0x00, 0, 0, 5), (0x35, 0, 1, 6), (0x06, 0, 0, 1), (0x06, 0, 0, 2)], b"", 2),
    ],
)
def test_what_programs_return(program: Code, octets: bytes, result: int) -> None:
    assert Program(program).run(octets) == result
    assert Program(program).matches(octets) == result


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ([], "1 to 4096 instructions, not 0"),
        ([(0x06, 0, 0, 0)] * 4097, "not 4097"),
        ([(0x07, 0, 0, 0)], "last instruction is no return"),
        ([(0xFF, 0, 0, 0), (6, 0, 0, 0)], "instruction 0 has an unknown code: 0xff"),
        ([(0x15, 1, 0, 0), (0x06, 0, 0, 0)], "instruction 0 leads to 2, there are 2"),
        ([(0x05, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)], "instruction 0 leads to"),
        ([(0x34, 0, 0, 0), (0x06, 0, 0, 0)], "instruction 0 divides by 0"),
        ([(0x64, 0, 0, 32), (0x06, 0, 0, 0)], "instruction 0 shifts by 32 bits"),
        ([(0x02, 0, 0, 16), (0x06, 0, 0, 0)], r"instruction 0 uses M\[16\]"),
        ([(0x60, 0, 0, 1), (0x06, 0, 0, 0)], r"instruction 0 reads M\[1\], which nothing has written"),
        ([(0x06, 256, 0, 0)], "out of range: 256"),
    ],
)
def test_programs_that_no_kernel_takes(program: Code, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Program(program)


ICMP = """11
48 0 0 0
84 0 0 240
21 0 7 64
48 0 0 9
21 0 5 1
32 0 0 12
21 2 0 167772161
32 0 0 16
21 0 1 167772161
6 0 0 65535
6 0 0 0
"""
"""``icmp and host 10.0.0.1``."""


def test_as_tcpdump_writes_them() -> None:
    program = Program.parse(ICMP)
    assert len(program) == 11
    assert list(program)[4] == Instruction(21, 0, 5, 1)
    assert str(program).splitlines()[:5] == [
        "(000) ldb      [0]",
        "(001) and      #0xf0",
        "(002) jeq      #0x40             jt 3\tjf 10",
        "(003) ldb      [9]",
        "(004) jeq      #0x1              jt 5\tjf 10",
    ]
    assert program == Program.parse(ICMP)
    assert len({program, Program.parse(ICMP)}) == 1


@pytest.mark.parametrize("text", ["", "2\n6 0 0 0\n", "1\n6 0 0\n", "one\n6 0 0 0"])
def test_text_that_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        Program.parse(text)


# -- the kernel's own machine ------------------------------------------------------------------------------------------

SO_ATTACH_FILTER = 26


class Kernel:
    """A socket pair with a filter on it: what the kernel lets through, and how much of it."""

    def __init__(self, program: Code) -> None:
        octets = b"".join(struct.pack("=HBBI", *each) for each in program)
        held = ctypes.create_string_buffer(octets, max(len(octets), 1))
        self.here, self.there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.here.setblocking(False)
        try:
            program_there = struct.pack("@HP", len(program), ctypes.addressof(held))
            self.here.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program_there)
        except OSError:
            self.close()
            raise

    def run(self, octets: bytes) -> int:
        self.there.send(octets)
        try:
            return len(self.here.recv(65536))
        except BlockingIOError:
            return 0

    def close(self) -> None:
        self.here.close()
        self.there.close()


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel to agree with is Linux")

SMALL = st.integers(0, 40)
NUMBERS = st.one_of(SMALL, st.sampled_from([0xFF, 0x0A000001, 0x7FFFFFFF, 0x80000000]), st.integers(0, 0xFFFFFFFF))
PLAIN = [0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x80, 0x81, 0xB1]
"""Loads from the packet.  Offsets in Linux's own area (0xfffff000 and above) are data there that we do not have."""
NEUTRAL = [0x00, 0x01, 0x07, 0x87]
ALU = [code | source for code in range(0x04, 0xB4, 0x10) for source in (0, 8) if (code, source) != (0x84, 8)]
JUMPS = [code | source for code in (0x15, 0x25, 0x35, 0x45) for source in (0, 8)]

INSTRUCTIONS = st.one_of(
    st.tuples(st.sampled_from(PLAIN), st.just(0), st.just(0), SMALL),
    st.tuples(st.sampled_from(NEUTRAL), st.just(0), st.just(0), NUMBERS),
    st.tuples(st.sampled_from([0x02, 0x03, 0x60, 0x61]), st.just(0), st.just(0), st.integers(0, 17)),
    st.tuples(st.sampled_from(ALU), st.just(0), st.just(0), st.integers(0, 33)),
    st.tuples(st.sampled_from(JUMPS), st.integers(0, 4), st.integers(0, 4), NUMBERS),
    st.tuples(st.just(0x05), st.just(0), st.just(0), st.integers(0, 5)),
    st.tuples(st.just(0x06), st.just(0), st.just(0), NUMBERS),
)
ENDINGS = st.sampled_from([[RETURN_A], [(0x06, 0, 0, 5)], [(0x87, 0, 0, 0), RETURN_A], [(0x54, 0, 0, 0x3F), RETURN_A]])
PROGRAMS = st.builds(lambda body, end: [*body, *end], st.lists(INSTRUCTIONS, max_size=14), ENDINGS)


@needs_linux
@settings(max_examples=400, deadline=None)
@given(PROGRAMS, st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=3))
def test_as_the_kernel_runs_them(program: Code, packets: list[bytes]) -> None:
    try:
        kernel = Kernel(program)
    except OSError:
        with pytest.raises(ValueError):
            Program(program)
        return
    try:
        ours = Program(program)
        for octets in packets:
            assert min(ours.run(octets), len(octets)) == kernel.run(octets), str(ours)
            assert ours.matches(octets) == ours.run(octets), str(ours)
    finally:
        kernel.close()


@settings(max_examples=200, deadline=None)
@given(PROGRAMS, st.lists(st.binary(max_size=40), min_size=1, max_size=3))
def test_translated_they_do_the_same(program: Code, packets: list[bytes]) -> None:
    try:
        ours = Program(program)
    except ValueError:
        return
    assert [ours.matches(octets) for octets in packets] == [ours.run(octets) for octets in packets], str(ours)


def test_the_longest_program_can_be_translated() -> None:
    program = Program([*[(0x15, 0, 0, 0), (0x04, 0, 0, 1)] * 2047, (0x06, 0, 0, 1), RETURN_A])
    assert program.matches(b"") == program.run(b"") == 1
