"""What the engine writes into the kernel log, without the priority.

Source: linux.md F4, F27, F31, F46.  The port of a DIVERT rule is shown as REDIRECT's is; that is ours, since nothing
tells what the patched kernel printed.
"""

from __future__ import annotations

from collections.abc import Iterable

from rules.addresses import dotted
from rules.fields import ICMP, Fields
from rules.ipchains.rule import Rule

__all__ = ["backtrace", "loop_detected", "packet_line", "packet_log"]

_SYN, _RST, _ACK = 0x02, 0x04, 0x10


def loop_detected(chain: str) -> str:
    """A rule jumped to this chain, which is still on the path."""
    return f"IP firewall: Loop detected at `{chain}'."


def backtrace(names: Iterable[str]) -> str:
    """The path back from the chain that the rule stands in."""
    return f"Chain backtrace: {'<-'.join(names)}"


def packet_log(fields: Fields, seen: Fields, interface: str, chain: str, rule: Rule, number: int, tos: int) -> str:
    """The line of a rule with ``-l``; ``seen`` is the packet as the matcher sees it, ``tos`` its TOS so far."""
    target = f"{rule.target or '-'} "
    if rule.target in ("REDIRECT", "DIVERT"):
        target += f"{rule.port} "
    return f"Packet log: {chain} {target}" + packet_line(fields, interface, _ports(seen), number, tos, _opens(seen))


def packet_line(
    fields: Fields, interface: str, ports: tuple[int, int], number: int, tos: int | None = None, opens: bool = False
) -> str:
    """A packet in one line; ``ports`` as shown, ``tos`` if it is not the packet's own any more."""
    options = fields.options
    words = (int.from_bytes(options[at : at + 4], "little") for at in range(0, len(options), 4))
    return (
        f"{interface} PROTO={fields.protocol}"
        f" {dotted(fields.source)}:{ports[0]} {dotted(fields.destination)}:{ports[1]}"
        f" L={fields.total_length} S=0x{fields.tos if tos is None else tos:02X} I={fields.identification}"
        f" F=0x{fields.fragment:04X} T={fields.ttl}"
        f"{''.join(f' O=0x{word:08X}' for word in words)} {'SYN ' if opens else ''}(#{number})"
    )


def _ports(seen: Fields) -> tuple[int, int]:
    if seen.protocol == ICMP:
        pair = seen.icmp_type, seen.icmp_code
    else:
        pair = seen.source_port, seen.destination_port
    first, second = (0xFFFF if port is None else port for port in pair)
    return first, second


def _opens(seen: Fields) -> bool:
    flags = seen.tcp_flags
    return flags is not None and flags & (_SYN | _RST | _ACK) == _SYN
