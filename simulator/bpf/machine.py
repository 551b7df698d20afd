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
from functools import cached_property

from simulator.bpf import codes
from simulator.bpf.codes import CELLS, LONGEST, WORD, Instruction, ways_on
from simulator.bpf.translation import translate

__all__ = ["Program"]

_EVERY_CELL = (1 << CELLS) - 1

_ALU_OPERATIONS: dict[int, Callable[[int, int], int]] = {
    codes.ADD: lambda a, b: a + b & WORD,
    codes.SUBTRACT: lambda a, b: a - b & WORD,
    codes.MULTIPLY: lambda a, b: a * b & WORD,
    codes.DIVIDE: lambda a, b: a // b,
    codes.OR: lambda a, b: a | b,
    codes.AND: lambda a, b: a & b,
    codes.LEFT: lambda a, b: a << (b & 31) & WORD,
    codes.RIGHT: lambda a, b: a >> (b & 31),
    codes.NEGATE: lambda a, b: -a & WORD,
    codes.MODULO: lambda a, b: a % b,
    codes.EXCLUSIVE_OR: lambda a, b: a ^ b,
}
_COMPARISONS: dict[int, Callable[[int, int], bool]] = {
    codes.EQUAL: lambda a, b: a == b,
    codes.GREATER: lambda a, b: a > b,
    codes.GREATER_OR_EQUAL: lambda a, b: a >= b,
    codes.SET: lambda a, b: a & b != 0,
}


class Program:
    """A filter program that a kernel would take.

    :raises ValueError: with the number of the instruction that it would not.
    """

    def __init__(self, instructions: Iterable[tuple[int, int, int, int]]) -> None:
        self.instructions = tuple(Instruction(*each) for each in instructions)
        _check(self.instructions)

    @classmethod
    def parse(cls, text: str) -> Program:
        """What ``tcpdump -ddd EXPRESSION`` prints: the number of instructions, then four numbers a line.

        :raises ValueError: for anything else.
        """
        count, *lines = text.split("\n")
        rows = [[int(word) for word in line.split()] for line in lines if line.strip()]
        if int(count) != len(rows) or any(len(row) != 4 for row in rows):
            raise ValueError(
                f"not what tcpdump -ddd prints: {count!r} instructions announced, {len(rows)} lines follow"
            )
        return cls((code, jt, jf, k) for code, jt, jf, k in rows)

    @cached_property
    def matches(self) -> Callable[[bytes], int]:
        """:meth:`run` as a function of its own, which is faster."""
        return translate(self.instructions)

    def run(self, octets: bytes) -> int:
        """How many octets of the packet are wanted; 0: the filter does not match.  It may be more than there are."""
        a = x = 0
        memory = [0] * CELLS
        length = len(octets)
        at = 0
        while True:
            code, jt, jf, k = self.instructions[at]
            at += 1
            kind = code & codes.CLASS
            if kind == codes.JUMP:
                operation = code & codes.OPERATION
                if operation == codes.ALWAYS:
                    at += k
                else:
                    at += jt if _COMPARISONS[operation](a, x if code & codes.INDEX else k) else jf
            elif kind == codes.LOAD:
                mode = code & codes.MODE
                if mode in codes.PACKET:
                    size = codes.SIZES[code & codes.SIZE]
                    start = k if mode == codes.ABSOLUTE else k + x & WORD
                    if start + size > length:
                        return 0
                    a = int.from_bytes(octets[start : start + size], "big")
                else:
                    a = length if mode == codes.LENGTH else memory[k] if mode == codes.MEMORY else k
            elif kind == codes.RETURN:
                return a if code & codes.ACCUMULATOR else x if code & codes.INDEX else k
            elif kind == codes.ALU:
                operation = code & codes.OPERATION
                operand = x if code & codes.INDEX else k
                if not operand and operation in codes.DIVISIONS:
                    return 0
                a = _ALU_OPERATIONS[operation](a, operand)
            elif kind == codes.LOAD_INDEX:
                mode = code & codes.MODE
                if mode == codes.HEADER_LENGTH:
                    if k >= length:
                        return 0
                    x = (octets[k] & 15) << 2
                else:
                    x = length if mode == codes.LENGTH else memory[k] if mode == codes.MEMORY else k
            elif kind == codes.MISCELLANEOUS:
                if code & codes.TO_ACCUMULATOR:
                    a = x
                else:
                    x = a
            else:
                memory[k] = a if kind == codes.STORE else x

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
    if program[-1].code & codes.CLASS != codes.RETURN:
        raise ValueError("the last instruction is no return")
    # The cells, as bits, that are written on every way to an instruction; where no way leads, nothing is asked.
    written = [0, *[_EVERY_CELL] * (len(program) - 1)]
    for number, each in enumerate(program):
        _check_numbers(number, each)
        kind = each.code & codes.CLASS
        cells = written[number]
        if kind in (codes.STORE, codes.STORE_INDEX) or (
            kind in (codes.LOAD, codes.LOAD_INDEX) and each.code & codes.MODE == codes.MEMORY
        ):
            if each.k >= CELLS:
                raise ValueError(f"instruction {number} uses M[{each.k}], there are {CELLS}")
            if kind in (codes.STORE, codes.STORE_INDEX):
                cells |= 1 << each.k
            elif not cells >> each.k & 1:
                raise ValueError(f"instruction {number} reads M[{each.k}], which nothing has written")
        for target in ways_on(number, each):
            if target < len(program):
                written[target] &= cells
            elif kind != codes.RETURN:
                raise ValueError(f"instruction {number} leads to {target}, there are {len(program)}")


def _check_numbers(number: int, each: Instruction) -> None:
    """A code that there is, and numbers that it can have."""
    code, jt, jf, k = each
    if code not in codes.KNOWN:
        raise ValueError(f"instruction {number} has an unknown code: {code:#x}")
    if not (0 <= jt < 256 and 0 <= jf < 256 and 0 <= k <= WORD):
        raise ValueError(f"instruction {number} has a number out of range: {jt}, {jf}, {k}")
    if code & codes.CLASS == codes.ALU and not code & codes.INDEX:
        operation = code & codes.OPERATION
        if operation in codes.DIVISIONS and not k:
            raise ValueError(f"instruction {number} divides by 0")
        if operation in codes.SHIFTS and k > 31:
            raise ValueError(f"instruction {number} shifts by {k} bits")
