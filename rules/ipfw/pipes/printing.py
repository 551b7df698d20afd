"""The words of ``pipe list`` that all systems' tools share (dummynet.c and ipfw2.c: print_flowset_parms, list_flow)."""

from __future__ import annotations

from rules.addresses import dotted
from rules.ipfw.names import PROTOCOL_NAMES
from rules.ipfw.pipes.values import PROBABILITY, RED_UNIT, FlowCount, FlowMask, FlowSet, Red

__all__ = [
    "FLOW_HEADING",
    "burst_words",
    "flow_words",
    "loss_words",
    "mask_words",
    "rate_words",
    "red_words",
    "size_words",
]

FLOW_HEADING = "BKT Prot ___Source IP/port____ ____Dest. IP/port____ Tot_pkt/bytes Pkt/Byte Drp\n"


def rate_words(bandwidth: int, *, unlimited: str, gigabits: bool) -> str:
    """A bandwidth in the largest unit that it reaches."""
    if not bandwidth:
        return unlimited
    units = [(1_000_000_000, "Gbit/s")] if gigabits else []
    for factor, unit in [*units, (1_000_000, "Mbit/s"), (1000, "Kbit/s")]:
        if bandwidth >= factor:
            return f"{bandwidth / factor:7.3f} {unit}"
    return f"{bandwidth:7.3f} bit/s "


def burst_words(burst: int) -> str:
    """humanize_number(3) in eleven columns: 1024 times less for each prefix."""
    number, rest, prefixes = burst, 0, ["", "K", "M", "G"]
    while number >= 10**9 or (number == 10**9 - 1 and rest >= 973):
        number, rest = divmod(number, 1024)
        prefixes.pop(0)
    if prefixes[0]:
        number += (rest + 512) // 1024
    return f"{number} {prefixes[0]}"


def size_words(flow_set: FlowSet) -> str:
    """The length of a queue."""
    if not flow_set.in_octets:
        return f"{flow_set.size:3} sl."
    return f"{flow_set.size // 1024} KB" if flow_set.size >= 8192 else f"{flow_set.size} B"


def loss_words(flow_set: FlowSet) -> str:
    """``plr``; it follows the length without a blank."""
    return f"plr {flow_set.loss / PROBABILITY:f}" if flow_set.loss else ""


def red_words(red: Red | None, indent: str) -> str:
    """How full queues drop, on a line of its own but for the plain way."""
    if red is None:
        return "droptail"
    words = (
        f"\n{indent}{'G' if red.gentle else ' '}RED w_q {red.weight / RED_UNIT:f} min_th {red.low} max_th {red.high}"
    )
    return f"{words} max_p {red.probability / RED_UNIT:f}" + " (ecn)" * red.ecn


def mask_words(mask: FlowMask, queue: str) -> str:
    """A mask in hexadecimal; ``queue`` stands behind ``mask:``."""
    source = f"0x{mask.source:08x}/0x{mask.source_port:04x}"
    destination = f"0x{mask.destination:08x}/0x{mask.destination_port:04x}"
    return f"    mask: {queue}0x{mask.protocol:02x} {source} -> {destination}\n"


def flow_words(count: FlowCount, slot: int) -> str:
    """One flow and its counters."""
    protocol = count.flow.protocol
    name = PROTOCOL_NAMES.get(protocol)
    words = f"{slot:3} " + (f"{name:<4} " if name else f"{protocol:4} ")
    words += f"{dotted(count.flow.source):>15}/{count.flow.source_port:<5} "
    words += f"{dotted(count.flow.destination):>15}/{count.flow.destination_port:<5} "
    totals = f"{count.packets:4} {count.octets:8} "
    return f"{words}{totals}{count.queued:2} {count.queued_octets:4} {count.drops:3}\n"
