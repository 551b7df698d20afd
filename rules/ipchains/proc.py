"""``/proc/net/ip_fwnames`` and ``/proc/net/ip_fwchains``: the chains as the kernel itself shows them (linux.md U27)."""

from __future__ import annotations

from collections.abc import Iterator

from rules.ipchains.chains import Chains
from rules.ipchains.entry import Entry

__all__ = ["chain_names", "chain_rules"]


def chain_names(chains: Chains) -> str:
    """A line for each chain: name, policy, references, packets and bytes in two 32-bit halves each, high first."""
    return "".join(
        f"{chain.name} {'-' if chain.policy is None else chain.policy.name} {chain.references}"
        f" {' '.join(str(half) for half in _halves(chain.packets, chain.octets))}\n"
        for chain in chains.values()
    )


def chain_rules(chains: Chains) -> str:
    """A line for each rule of each chain."""
    return "".join(_rule(chain.name, entry) for chain in chains.values() for entry in chain.entries)


def _rule(chain: str, entry: Entry) -> str:
    rule = entry.rule
    counters = " ".join(f"{half:<9}" for half in _halves(entry.packets, entry.octets))
    return (
        f"{chain:>9} "
        f"{rule.source:08X}/{rule.source_mask:08X}->{rule.destination:08X}/{rule.destination_mask:08X} "
        f"{rule.interface[:16] or '-'} {rule.flags:X} {rule.inverse:X} {rule.protocol} {counters} "
        f"{rule.source_ports[0]}-{rule.source_ports[1]} {rule.destination_ports[0]}-{rule.destination_ports[1]} "
        f"A{rule.tos_and:02X} X{rule.tos_xor:02X} {rule.port:08X} {rule.mark} {rule.output_size} "
        f"{rule.target or '-':>9}\n"
    )


def _halves(*counters: int) -> Iterator[int]:
    for counter in counters:
        yield counter >> 32 & 0xFFFFFFFF
        yield counter & 0xFFFFFFFF
