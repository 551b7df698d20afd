"""Datagrams compared in tests: what differs is told field by field.

>>> from simulator.testing import assert_same
>>> assert_same(eth1.sent[0], ping, ttl=63)
"""

from __future__ import annotations

from collections.abc import Sequence

from simulator.trace import summary
from simulator.wire.named import Value, alter, side_by_side

__all__ = ["assert_same", "explain", "explain_many"]


def assert_same(actual: bytes, expected: bytes, **changes: Value) -> None:
    """Fail unless the two datagrams are the same, octet by octet.

    ``changes`` are fields in which the expected one is altered first (:func:`simulator.wire.named.alter`), such as the
    ``ttl=63`` of a forwarded packet; lengths and checksums follow.
    """
    __tracebackhide__ = True
    wanted = alter(expected, changes)
    if actual != wanted:
        raise AssertionError("\n".join(["not the expected datagram", *explain(wanted, actual)]))


def explain(expected: bytes, actual: bytes, *, all_fields: bool = True) -> list[str]:
    """Both datagrams field by field, those that differ marked; or those alone."""
    return list(side_by_side(expected, actual, all_fields=all_fields))


def explain_many(expected: Sequence[bytes], actual: Sequence[bytes], *, all_fields: bool = True) -> list[str]:
    """Two lists of datagrams: the first that differ field by field, the others in a line each."""
    lines: list[str] = []
    for index in range(max(len(expected), len(actual))):
        one = expected[index] if index < len(expected) else None
        other = actual[index] if index < len(actual) else None
        if one is None or other is None:
            side, there = ("expected", one) if other is None else ("actual", other)
            lines.append(f"[{index}] only {side}: {summary(there or b'')}")
        elif one == other:
            lines.append(f"[{index}] the same: {summary(one)}")
        else:
            lines += [f"[{index}] differ:", *explain(one, other, all_fields=all_fields)]
    return lines
