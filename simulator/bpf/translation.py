"""A filter program as a Python function: what :meth:`~simulator.bpf.machine.Program.run` does, several times as fast.

Jumps only lead on, so that a program is a row of blocks, each entered at its beginning alone.  The function goes
through the row once; a block runs if it is the one that the last one led to::

    def matches(octets):
        ...
        if at == 3:
            if 9 + 1 > length: return 0
            a = octets[9]
            at = 5 if a == 1 else 10
        if at == 5:
            ...

The machine is the reference; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from simulator.bpf import codes
from simulator.bpf.codes import Instruction

__all__ = ["translate"]

_EXPRESSIONS = {
    codes.ADD: "a + {0} & 0xFFFFFFFF",
    codes.SUBTRACT: "a - {0} & 0xFFFFFFFF",
    codes.MULTIPLY: "a * {0} & 0xFFFFFFFF",
    codes.DIVIDE: "a // {0}",
    codes.OR: "a | {0}",
    codes.AND: "a & {0}",
    codes.LEFT: "a << ({0} & 31) & 0xFFFFFFFF",
    codes.RIGHT: "a >> ({0} & 31)",
    codes.NEGATE: "-a & 0xFFFFFFFF",
    codes.MODULO: "a % {0}",
    codes.EXCLUSIVE_OR: "a ^ {0}",
}
_CONDITIONS = {
    codes.EQUAL: "a == {0}",
    codes.GREATER: "a > {0}",
    codes.GREATER_OR_EQUAL: "a >= {0}",
    codes.SET: "a & {0}",
}


def translate(program: Sequence[Instruction]) -> Callable[[bytes], int]:
    """The function for a program that has been checked."""
    starts = sorted({0} | {target for number, each in enumerate(program) for target in _targets(number, each)})
    lines = ["def matches(octets):", "    length = len(octets)", "    a = x = at = 0", f"    m = [0] * {codes.CELLS}"]
    for start, end in zip(starts, [*starts[1:], len(program)], strict=True):
        lines.append(f"    if at == {start}:")
        for number in range(start, end):
            lines += [f"        {line}" for line in _lines(number, program[number])]
        last = program[end - 1].code & codes.CLASS
        if last not in (codes.JUMP, codes.RETURN):
            lines.append(f"        at = {end}")
    names: dict[str, Callable[[bytes], int]] = {}
    exec("\n".join(lines), {"from_bytes": int.from_bytes}, names)
    return names["matches"]


def _targets(number: int, each: Instruction) -> tuple[int, ...]:
    """Where a jump leads; what stands behind it begins anew."""
    return (number + 1, *codes.ways_on(number, each)) if each.code & codes.CLASS == codes.JUMP else ()


def _lines(number: int, each: Instruction) -> Iterator[str]:
    code, k = each.code, each.k
    kind = code & codes.CLASS
    operand = "x" if code & codes.INDEX else str(k)
    if kind == codes.JUMP:
        if code & codes.OPERATION == codes.ALWAYS:
            yield f"at = {number + 1 + k}"
        else:
            condition = _CONDITIONS[code & codes.OPERATION].format(operand)
            yield f"at = {number + 1 + each.jt} if {condition} else {number + 1 + each.jf}"
    elif kind == codes.LOAD:
        yield from _load(code, k)
    elif kind == codes.RETURN:
        yield f"return {'a' if code & codes.ACCUMULATOR else operand}"
    elif kind == codes.ALU:
        operation = code & codes.OPERATION
        if operation in codes.DIVISIONS and code & codes.INDEX:
            yield "if not x: return 0"
        yield f"a = {_EXPRESSIONS[operation].format(operand)}"
    elif kind == codes.LOAD_INDEX:
        mode = code & codes.MODE
        if mode == codes.HEADER_LENGTH:
            yield f"if {k} >= length: return 0"
            yield f"x = (octets[{k}] & 15) << 2"
        else:
            yield f"x = {_plain(mode, k)}"
    elif kind == codes.MISCELLANEOUS:
        yield "a = x" if code & codes.TO_ACCUMULATOR else "x = a"
    else:
        yield f"m[{k}] = {'a' if kind == codes.STORE else 'x'}"


def _load(code: int, k: int) -> Iterator[str]:
    mode = code & codes.MODE
    if mode not in codes.PACKET:
        yield f"a = {_plain(mode, k)}"
        return
    size = codes.SIZES[code & codes.SIZE]
    if mode == codes.INDIRECT:
        yield f"p = x + {k} & {codes.WORD}"
        start, end = "p", f"p + {size}"
    else:
        start, end = str(k), str(k + size)
    yield f"if {end} > length: return 0"
    if size == 1:
        yield f"a = octets[{start}]"
    else:
        yield f'a = from_bytes(octets[{start}:{end}], "big")'


def _plain(mode: int, k: int) -> str:
    return "length" if mode == codes.LENGTH else f"m[{k}]" if mode == codes.MEMORY else str(k)
