"""The instructions of the BSD packet filter by their numbers (net/bpf.h), and how ``tcpdump -d`` shows them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CELLS", "KNOWN", "LONGEST", "WORD", "Instruction", "ways_on"]

LONGEST = 4096
"""Instructions that a program may have (BPF_MAXINSNS)."""

CELLS = 16
"""Words of memory."""

WORD = 0xFFFFFFFF

# The parts of a code.
CLASS, SIZE, MODE, OPERATION = 0x07, 0x18, 0xE0, 0xF0

# Classes.
LOAD, LOAD_INDEX, STORE, STORE_INDEX, ALU, JUMP, RETURN, MISCELLANEOUS = range(8)

# Where a load gets its value, and how many octets.
IMMEDIATE, ABSOLUTE, INDIRECT, MEMORY, LENGTH, HEADER_LENGTH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
PACKET = frozenset({ABSOLUTE, INDIRECT})
SIZES = {0x00: 4, 0x08: 2, 0x10: 1}

# Arithmetic.
ADD, SUBTRACT, MULTIPLY, DIVIDE, OR, AND = 0x00, 0x10, 0x20, 0x30, 0x40, 0x50
LEFT, RIGHT, NEGATE, MODULO, EXCLUSIVE_OR = 0x60, 0x70, 0x80, 0x90, 0xA0
DIVISIONS = frozenset({DIVIDE, MODULO})
SHIFTS = frozenset({LEFT, RIGHT})

# Jumps.
ALWAYS, EQUAL, GREATER, GREATER_OR_EQUAL, SET = 0x00, 0x10, 0x20, 0x30, 0x40

INDEX = 0x08
"""The operand is X instead of k."""
ACCUMULATOR = 0x10
"""What is returned is A."""
TO_ACCUMULATOR = 0x80
"""The move is from X to A, not the other way."""

_ALU_NAMES = {
    ADD: "add",
    SUBTRACT: "sub",
    MULTIPLY: "mul",
    DIVIDE: "div",
    OR: "or",
    AND: "and",
    LEFT: "lsh",
    RIGHT: "rsh",
    MODULO: "mod",
    EXCLUSIVE_OR: "xor",
}
_JUMP_NAMES = {EQUAL: "jeq", GREATER: "jgt", GREATER_OR_EQUAL: "jge", SET: "jset"}
_SIZE_NAMES = {0x00: "ld", 0x08: "ldh", 0x10: "ldb"}

KNOWN: dict[int, tuple[str, str]] = {
    **{LOAD | ABSOLUTE | size: (name, "[{k}]") for size, name in _SIZE_NAMES.items()},
    **{LOAD | INDIRECT | size: (name, "[x + {k}]") for size, name in _SIZE_NAMES.items()},
    LOAD | IMMEDIATE: ("ld", "#{k:#x}"),
    LOAD | LENGTH: ("ld", "#pktlen"),
    LOAD | MEMORY: ("ld", "M[{k}]"),
    LOAD_INDEX | IMMEDIATE: ("ldx", "#{k:#x}"),
    LOAD_INDEX | MEMORY: ("ldx", "M[{k}]"),
    LOAD_INDEX | LENGTH: ("ldx", "#pktlen"),
    LOAD_INDEX | HEADER_LENGTH | 0x10: ("ldxb", "4*([{k}]&0xf)"),
    STORE: ("st", "M[{k}]"),
    STORE_INDEX: ("stx", "M[{k}]"),
    **{ALU | operation: (name, "#{k:#x}") for operation, name in _ALU_NAMES.items()},
    **{ALU | operation | INDEX: (name, "x") for operation, name in _ALU_NAMES.items()},
    ALU | NEGATE: ("neg", ""),
    JUMP | ALWAYS: ("ja", "{target}"),
    **{JUMP | operation: (name, "#{k:#x}") for operation, name in _JUMP_NAMES.items()},
    **{JUMP | operation | INDEX: (name, "x") for operation, name in _JUMP_NAMES.items()},
    RETURN: ("ret", "#{k}"),
    RETURN | INDEX: ("ret", "x"),
    RETURN | ACCUMULATOR: ("ret", "a"),
    MISCELLANEOUS: ("tax", ""),
    MISCELLANEOUS | TO_ACCUMULATOR: ("txa", ""),
}
"""Every code that there is: its name, and how its operand is written."""


class Instruction(NamedTuple):
    """``struct bpf_insn``: what to do, how far to jump when a comparison holds and when it does not, and a number."""

    code: int
    jt: int
    jf: int
    k: int

    def describe(self, number: int) -> str:
        """As ``tcpdump -d`` shows the instruction of that number: ``(003) jeq #0x1 jt 4 jf 9``."""
        name, form = KNOWN[self.code]
        operand = form.format(k=self.k, target=number + 1 + self.k)
        line = f"({number:03}) {name:<8} {operand}"
        if self.code & CLASS == JUMP and self.code & OPERATION != ALWAYS:
            line = f"{line:<32} jt {number + 1 + self.jt}\tjf {number + 1 + self.jf}"
        return line.rstrip()


def ways_on(number: int, instruction: Instruction) -> tuple[int, ...]:
    """The instructions that may come next; what stands behind a return counts as one of them."""
    if instruction.code & CLASS != JUMP:
        return (number + 1,)
    if instruction.code & OPERATION == ALWAYS:
        return (number + 1 + instruction.k,)
    return number + 1 + instruction.jt, number + 1 + instruction.jf
