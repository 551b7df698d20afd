"""The machine of the BSD packet filter (McCanne and Jacobson 1993; bpf(4); Linux's socket filters).

A program looks at one packet and returns how many of its octets are wanted, 0 for none.  There is an accumulator A, an
index register X and sixteen words of memory M, all of 32 bits and 0 at first.  Octets of the packet are in network
order.  A load beyond the packet's end, or a division by zero, ends the program with 0.

    load     A := packet[k:4|2|1], packet[X + k:4|2|1], k, M[k], length of the packet
             X := k, M[k], length of the packet, 4 * (packet[k] & 0xf)
    store    M[k] := A, X
    alu      A := A op (k | X)
    jump     always by k; by jt or jf as A compares with k or X
    return   k, A, X
    misc     X := A, A := X

:class:`Program` checks what a kernel checks before it takes a program: known operations, jumps that stay inside (and
only ever lead on), no division by a constant 0, no shift by 32 and more, memory that was written before it is read, a
return at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

__all__ = ["LONGEST", "Instruction", "Program"]

LONGEST = 4096
"""Instructions that a program may have (BPF_MAXINSNS)."""

_WORD = 0xFFFFFFFF
_CELLS = 16
_EVERY_CELL = (1 << _CELLS) - 1

# The lowest three bits of a code: its class.
_LD, _LDX, _ST, _STX, _ALU, _JMP, _RET, _MISC = range(8)

_SIZES = {0x00: 4, 0x08: 2, 0x10: 1}
_IMMEDIATE, _ABSOLUTE, _INDIRECT, _MEMORY, _LENGTH, _HEADER_LENGTH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
_PACKET = frozenset({_ABSOLUTE, _INDIRECT})
_INDEX = 0x08
"""The operand is X instead of k."""
_ACCUMULATOR = 0x10
"""What is returned is A."""

_DIVIDE, _LEFT, _RIGHT, _NEGATE, _MODULO = 0x30, 0x60, 0x70, 0x80, 0x90
_DIVISIONS = frozenset({_DIVIDE, _MODULO})

_ALU_OPERATIONS: dict[int, Callable[[int, int], int]] = {
    0x00: lambda a, b: a + b & _WORD,
    0x10: lambda a, b: a - b & _WORD,
    0x20: lambda a, b: a * b & _WORD,
    _DIVIDE: lambda a, b: a // b,
    0x40: lambda a, b: a | b,
    0x50: lambda a, b: a & b,
    _LEFT: lambda a, b: a << (b & 31) & _WORD,
    _RIGHT: lambda a, b: a >> (b & 31),
    _NEGATE: lambda a, b: -a & _WORD,
    _MODULO: lambda a, b: a % b,
    0xA0: lambda a, b: a ^ b,
}

_ALWAYS = 0x00
_COMPARISONS: dict[int, Callable[[int, int], bool]] = {
    0x10: lambda a, b: a == b,
    0x20: lambda a, b: a > b,
    0x30: lambda a, b: a >= b,
    0x40: lambda a, b: a & b != 0,
}

_NAMES = {
    _LD | _ABSOLUTE: ("ld", "[{k}]"),
    _LD | _ABSOLUTE | 0x08: ("ldh", "[{k}]"),
    _LD | _ABSOLUTE | 0x10: ("ldb", "[{k}]"),
    _LD | _INDIRECT: ("ld", "[x + {k}]"),
    _LD | _INDIRECT | 0x08: ("ldh", "[x + {k}]"),
    _LD | _INDIRECT | 0x10: ("ldb", "[x + {k}]"),
    _LD | _IMMEDIATE: ("ld", "#{k:#x}"),
    _LD | _LENGTH: ("ld", "#pktlen"),
    _LD | _MEMORY: ("ld", "M[{k}]"),
    _LDX | _IMMEDIATE: ("ldx", "#{k:#x}"),
    _LDX | _MEMORY: ("ldx", "M[{k}]"),
    _LDX | _LENGTH: ("ldx", "#pktlen"),
    _LDX | _HEADER_LENGTH | 0x10: ("ldxb", "4*([{k}]&0xf)"),
    _ST: ("st", "M[{k}]"),
    _STX: ("stx", "M[{k}]"),
    _JMP | _ALWAYS: ("ja", "{target}"),
    _RET: ("ret", "#{k}"),
    _RET | _INDEX: ("ret", "x"),
    _RET | _ACCUMULATOR: ("ret", "a"),
    _MISC: ("tax", ""),
    _MISC | 0x80: ("txa", ""),
}
_ALU_NAMES = dict(
    zip(
        _ALU_OPERATIONS,
        ("add", "sub", "mul", "div", "or", "and", "lsh", "rsh", "neg", "mod", "xor"),
        strict=True,
    )
)
_JUMP_NAMES = dict(zip(_COMPARISONS, ("jeq", "jgt", "jge", "jset"), strict=True))
for _code, _name in _ALU_NAMES.items():
    _NAMES[_ALU | _code] = (_name, "#{k:#x}")
    _NAMES[_ALU | _code | _INDEX] = (_name, "x")
_NAMES[_ALU | _NEGATE] = ("neg", "")
del _NAMES[_ALU | _NEGATE | _INDEX]
for _code, _name in _JUMP_NAMES.items():
    _NAMES[_JMP | _code] = (_name, "#{k:#x}")
    _NAMES[_JMP | _code | _INDEX] = (_name, "x")


class Instruction(NamedTuple):
    """``struct bpf_insn``: what to do, how far to jump when a comparison holds and when it does not, and a number."""

    code: int
    jt: int
    jf: int
    k: int

    def describe(self, number: int) -> str:
        """As ``tcpdump -d`` shows the instruction of that number: ``(003) jeq #0x1 jt 4 jf 9``."""
        name, form = _NAMES[self.code]
        operand = form.format(k=self.k, target=number + 1 + self.k)
        line = f"({number:03}) {name:<8} {operand}"
        if self.code & 7 == _JMP and self.code & 0xF0 != _ALWAYS:
            line = f"{line:<32} jt {number + 1 + self.jt}\tjf {number + 1 + self.jf}"
        return line.rstrip()


class Program:
    """A filter program that a kernel would take.

    :raises ValueError: with the number of the instruction that it would not.
    """

    def __init__(self, instructions: Iterable[tuple[int, int, int, int]]) -> None:
        self.instructions = tuple(Instruction(*each) for each in instructions)
        _check(self.instructions)
        self._code = [(code & 7, code, jt, jf, k) for code, jt, jf, k in self.instructions]

    @classmethod
    def parse(cls, text: str) -> Program:
        """What ``tcpdump -ddd EXPRESSION`` prints: the number of instructions, then four numbers a line.

        :raises ValueError: for anything else.
        """
        count, *lines = text.split("\n")
        rows = [[int(word) for word in line.split()] for line in lines if line.strip()]
        if int(count) != len(rows) or any(len(row) != 4 for row in rows):
            raise ValueError(
                f"not the output of tcpdump -ddd: {count!r} instructions announced, {len(rows)} lines follow"
            )
        return cls((code, jt, jf, k) for code, jt, jf, k in rows)

    def run(self, octets: bytes) -> int:
        """How many octets of the packet are wanted; 0: the filter does not match.  It may be more than there are."""
        a = x = 0
        memory = [0] * _CELLS
        length = len(octets)
        program = self._code
        at = 0
        while True:
            kind, code, jt, jf, k = program[at]
            at += 1
            if kind == _JMP:
                operation = code & 0xF0
                if operation == _ALWAYS:
                    at += k
                else:
                    at += jt if _COMPARISONS[operation](a, x if code & _INDEX else k) else jf
            elif kind == _LD:
                mode = code & 0xE0
                if mode in _PACKET:
                    size = _SIZES[code & 0x18]
                    start = k if mode == _ABSOLUTE else k + x & _WORD
                    if start + size > length:
                        return 0
                    a = int.from_bytes(octets[start : start + size], "big")
                else:
                    a = length if mode == _LENGTH else memory[k] if mode == _MEMORY else k
            elif kind == _RET:
                return a if code & _ACCUMULATOR else x if code & _INDEX else k
            elif kind == _ALU:
                operation = code & 0xF0
                operand = x if code & _INDEX else k
                if not operand and operation in _DIVISIONS:
                    return 0
                a = _ALU_OPERATIONS[operation](a, operand)
            elif kind == _LDX:
                mode = code & 0xE0
                if mode == _HEADER_LENGTH:
                    if k >= length:
                        return 0
                    x = (octets[k] & 15) << 2
                else:
                    x = length if mode == _LENGTH else memory[k] if mode == _MEMORY else k
            elif kind == _MISC:
                if code & 0x80:
                    a = x
                else:
                    x = a
            else:
                memory[k] = a if kind == _ST else x

    def __str__(self) -> str:
        return "\n".join(each.describe(number) for number, each in enumerate(self.instructions))

    def __eq__(self, other: object) -> bool:
        return self.instructions == other.instructions if isinstance(other, Program) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.instructions)

    def __len__(self) -> int:
        return len(self.instructions)

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self.instructions)


def _check(program: tuple[Instruction, ...]) -> None:
    if not 0 < len(program) <= LONGEST:
        raise ValueError(f"a filter program has 1 to {LONGEST} instructions, not {len(program)}")
    if program[-1].code & 7 != _RET:
        raise ValueError("the last instruction is no return")
    # The cells, as bits, that are written on every way to an instruction; where no way leads, nothing is asked.
    written = [0, *[_EVERY_CELL] * (len(program) - 1)]
    for number, (code, jt, jf, k) in enumerate(program):
        if code not in _NAMES:
            raise ValueError(f"instruction {number} has an unknown code: {code:#x}")
        if not (0 <= jt < 256 and 0 <= jf < 256 and 0 <= k <= _WORD):
            raise ValueError(f"instruction {number} has a number out of range: {jt}, {jf}, {k}")
        kind, operation = code & 7, code & 0xF0
        if kind == _ALU and not code & _INDEX:
            if operation in _DIVISIONS and not k:
                raise ValueError(f"instruction {number} divides by 0")
            if operation in (_LEFT, _RIGHT) and k > 31:
                raise ValueError(f"instruction {number} shifts by {k} bits")
        cells = written[number]
        if kind in (_ST, _STX) or (kind in (_LD, _LDX) and code & 0xE0 == _MEMORY):
            if k >= _CELLS:
                raise ValueError(f"instruction {number} uses M[{k}], there are {_CELLS}")
            if kind in (_ST, _STX):
                cells |= 1 << k
            elif not cells >> k & 1:
                raise ValueError(f"instruction {number} reads M[{k}], which nothing has written")
        for target in _ways_on(number, program[number]):
            if target < len(program):
                written[target] &= cells
            elif kind != _RET:
                raise ValueError(f"instruction {number} leads to {target}, there are {len(program)}")


def _ways_on(number: int, instruction: Instruction) -> tuple[int, ...]:
    """The instructions that may come next; for the kernel's check what stands behind a return is one of them."""
    if instruction.code & 7 != _JMP:
        return (number + 1,)
    if instruction.code & 0xF0 == _ALWAYS:
        return (number + 1 + instruction.k,)
    return number + 1 + instruction.jt, number + 1 + instruction.jf
