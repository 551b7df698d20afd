"""What the tool thinks of TOS masks (linux.md U17; RFC 1349 for the meaning of the bits)."""

from __future__ import annotations

from rules.ipchains.words import problem

__all__ = ["check"]

_ONLY_ONE_OF = 0x0E
"""Of these bits a packet should have one at most; the delay bit is not counted."""

_NAMES = {
    0x10: "Minimize Delay",
    0x08: "Minimize Throughput",
    0x04: "Maximize Reliability",
    0x02: "Minimize Cost",
    0x00: "Normal Service",
}


def _several(octet: int) -> bool:
    return (octet & _ONLY_ONE_OF).bit_count() > 1


def check(tos_and: int, tos_xor: int) -> str:
    """The warnings, a line each; masks that are wrong for every packet are refused."""
    if not tos_and & 1 or tos_xor & 1:
        raise problem("TOS manipulation cannot alter bit 0 (RFC1349)\n")
    if _several(~tos_and & tos_xor):
        raise problem("TOS manipulation cannot set multiple TOS bits (RFC1349)\n")
    return "".join(
        f"Warning: TOS manipulation may set multiple TOS bits for {name} TOS (0x{tos:02x})\n"
        for tos, name in _NAMES.items()
        if _several(tos & tos_and ^ tos_xor)
    )
