"""Names of ICMP types and codes, as the tool knows them (linux.md U13; numbers RFC 792, 950, 1256, 1812)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ICMP_NAMES", "IcmpName", "exact_name", "help_text"]

_ANY_CODE = (0, 0xFFFF)


class IcmpName(NamedTuple):
    """A name, the type it stands for, and the codes."""

    name: str
    kind: int
    codes: tuple[int, int] = _ANY_CODE
    broad: bool = False
    """It stands for several different codes, so that no one packet is meant (linux.md C5)."""


def _codes(kind: int, *names: tuple[str, int]) -> tuple[IcmpName, ...]:
    return tuple(IcmpName(name, kind, (code, code)) for name, code in names)


ICMP_NAMES: tuple[IcmpName, ...] = (
    IcmpName("echo-reply", 0),
    IcmpName("pong", 0),
    IcmpName("destination-unreachable", 3, broad=True),
    *_codes(
        3,
        ("network-unreachable", 0),
        ("host-unreachable", 1),
        ("protocol-unreachable", 2),
        ("port-unreachable", 3),
        ("fragmentation-needed", 4),
        ("source-route-failed", 5),
        ("network-unknown", 6),
        ("host-unknown", 7),
        ("network-prohibited", 9),
        ("host-prohibited", 10),
        ("TOS-network-unreachable", 11),
        ("TOS-host-unreachable", 12),
        ("communication-prohibited", 13),
        ("host-precedence-violation", 14),
        ("precedence-cutoff", 15),
    ),
    IcmpName("source-quench", 4),
    IcmpName("redirect", 5, broad=True),
    *_codes(
        5,
        ("network-redirect", 0),
        ("host-redirect", 1),
        ("TOS-network-redirect", 2),
        ("TOS-host-redirect", 3),
    ),
    IcmpName("echo-request", 8),
    IcmpName("ping", 8),
    IcmpName("router-advertisement", 9),
    IcmpName("router-solicitation", 10),
    IcmpName("time-exceeded", 11, broad=True),
    IcmpName("ttl-exceeded", 11, broad=True),
    *_codes(11, ("ttl-zero-during-transit", 0), ("ttl-zero-during-reassembly", 1)),
    IcmpName("parameter-problem", 12, broad=True),
    *_codes(12, ("ip-header-bad", 0), ("required-option-missing", 1)),
    IcmpName("timestamp-request", 13),
    IcmpName("timestamp-reply", 14),
    IcmpName("address-mask-request", 17),
    IcmpName("address-mask-reply", 18),
)
"""In the order of the tool's list; an alias follows its name."""


def exact_name(types: tuple[int, int], codes: tuple[int, int]) -> str | None:
    """The first name that stands for exactly these types and codes."""
    for entry in ICMP_NAMES:
        if types == (entry.kind, entry.kind) and codes == entry.codes:
            return entry.name
    return None


def help_text() -> str:
    """The list of ``-h icmp``: aliases in parentheses, single codes indented (linux.md U26)."""
    lines: list[str] = []
    previous: IcmpName | None = None
    for entry in ICMP_NAMES:
        if previous is None or entry.kind != previous.kind:
            lines.append(entry.name)
        elif entry.codes == previous.codes:
            lines[-1] += f" ({entry.name})"
        else:
            lines.append(f"   {entry.name}")
        previous = entry
    return "Valid ICMP Types:\n" + "\n".join(lines) + "\n"
