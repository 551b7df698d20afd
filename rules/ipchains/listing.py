"""Rules as the tool shows them: the table of ``-L`` and the echo of ``-v``.

Source: linux.md U20-U25.  A DIVERT rule shows its port as ``=> PORT``, always as a number and also where other ports
show ``n/a``: a rule for any protocol would otherwise not tell where it sends packets.  That is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from rules.addresses import ALL_ONES, dotted, prefix_length
from rules.fields import ICMP, TCP, UDP
from rules.ipchains.arguments import BUILT_IN_PROTOCOLS
from rules.ipchains.chains import Chain
from rules.ipchains.entry import Entry
from rules.ipchains.icmp import exact_name
from rules.ipchains.names import Names
from rules.ipchains.rule import ALL_PORTS, Flag, Inverse, Rule

__all__ = ["Format", "damaged", "echo", "listing", "rounded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How a table is wanted."""

    numeric: bool = False
    verbose: bool = False
    exact: bool = False
    line_numbers: bool = False


def listing(chains: Iterable[Chain], how: Format, names: Names) -> Iterator[str]:
    """Lines of ``-L``."""
    for chain in chains:
        yield heading(chain, how)
        if chain.entries:
            yield _columns(how)
        for entry in chain.entries:
            yield _row(entry, how, names)


def heading(chain: Chain, how: Format) -> str:
    if chain.policy is None:
        return f"Chain {chain.name} ({chain.references} references):"
    counters = f": {chain.packets} packets, {chain.octets} bytes" if how.verbose else ""
    return f"Chain {chain.name} (policy {chain.policy.name}{counters}):"


def _columns(how: Format) -> str:
    line = f"{'num':<4} " if how.line_numbers else ""
    if how.verbose:
        line += f"{'pkts':>8} {'bytes':>10} " if how.exact else f"{'pkts':>5} {'bytes':>5} "
    line += f"{'target':<9}  prot opt    "
    if how.verbose:
        line += f"tosa tosx  {'ifname':<10} {'mark':<10} {'outsize':<7} "
    return line + f" {'source':<20}  {'destination':<20}  ports"


def _row(entry: Entry, how: Format, names: Names) -> str:
    rule = entry.rule
    line = f"{entry.number:<4} " if how.line_numbers else ""
    if how.verbose and how.exact:
        line += f"{entry.packets:>8} {entry.octets:>10} "
    elif how.verbose:
        line += f"{rounded(entry.packets)} {rounded(entry.octets)} "
    line += f"{rule.target or '-':<9} {_bang(rule, Inverse.PROTOCOL)}{_protocol(rule, names):<5}{_flags(rule)} "
    if how.verbose:
        line += f"0x{rule.tos_and:02X} 0x{rule.tos_xor:02X} "
        line += f"{_bang(rule, Inverse.INTERFACE)}{_interface(rule, how.numeric):<10} "
        line += f"0x{rule.mark:<10x} " if rule.mark or Flag.MARK_ABSOLUTE in rule.flags else " " * 11
        line += f"{rule.output_size:<7} " if _shows_size(rule) else " " * 8
    source = _address(rule.source, rule.source_mask, how.numeric, names)
    destination = _address(rule.destination, rule.destination_mask, how.numeric, names)
    line += f"{_bang(rule, Inverse.SOURCE)}{source:<20} {_bang(rule, Inverse.DESTINATION).strip()}{destination:<20}"
    line += _ports(rule, how.numeric, names)
    if rule.target == "REDIRECT" and rule.protocol in (TCP, UDP, ICMP) and not _icmp_name(rule, how.numeric):
        line += f" => {_redirect_port(rule, how.numeric, names)}"
    elif rule.target == "DIVERT":
        line += f" => {rule.port}"
    return line


def echo(rule: Rule, names: Names) -> str:
    """The line of ``-v`` with a rule command (linux.md U20); the port of REDIRECT follows without a sign."""
    line = f"{rule.target or '-'} {_bang(rule, Inverse.PROTOCOL)}{_protocol(rule, names)} opt    {_flags(rule)} "
    line += f"tos 0x{rule.tos_and:02X} 0x{rule.tos_xor:02X} "
    line += f"{_bang(rule, Inverse.INTERFACE)}via {_interface(rule, True)} "
    if rule.mark or Flag.MARK_ABSOLUTE in rule.flags:
        line += f"mark 0x{rule.mark:x} "
    if _shows_size(rule):
        line += f"outsize {rule.output_size} "
    source = _address(rule.source, rule.source_mask, True, names)
    destination = _address(rule.destination, rule.destination_mask, True, names)
    line += f"  {_bang(rule, Inverse.SOURCE)}{source} -> {_bang(rule, Inverse.DESTINATION).strip()}{destination}  "
    line += _ports(rule, True, names)
    if rule.target == "REDIRECT" and rule.protocol in (TCP, UDP, ICMP):
        line += _redirect_port(rule, True, names)
    elif rule.target == "DIVERT":
        line += f" => {rule.port}"
    return line


def damaged(rule: Rule) -> Rule:
    """What the echo leaves of a rule: a wildcard's ``+`` is written into the name itself (linux.md U21).

    The name has sixteen octets and the TOS masks lie behind it, so the zero that ends the longer name may hit those.
    """
    if Flag.WILDCARD not in rule.flags or not rule.interface:
        return rule
    memory = bytearray(rule.interface.encode("latin-1", "replace")[:16].ljust(16, b"\0"))
    memory += bytes((rule.tos_and, rule.tos_xor, 0, 0))
    end = memory.index(0)
    memory[end : end + 2] = b"+\0"
    name = bytes(memory[:16]).partition(b"\0")[0].decode("latin-1")
    return replace(rule, interface=name, tos_and=memory[16], tos_xor=memory[17])


def rounded(count: int) -> str:
    """Five columns: ``12345``, `` 123K``, ... (linux.md U25)."""
    if count <= 99999:
        return f"{count:>5}"
    thousands = (count + 500) // 1000
    if thousands <= 9999:
        return f"{thousands:>4}K"
    millions = (count + 500000) // 1000000
    if millions <= 9999:
        return f"{millions:>4}M"
    return f"{(millions + 500) // 1000:>4}G"


def _bang(rule: Rule, inverse: Inverse) -> str:
    return "!" if inverse in rule.inverse else " "


def _protocol(rule: Rule, names: Names) -> str:
    """Names are shown even where numbers were asked for."""
    number = rule.protocol
    if number and number in names.protocol_names:
        return names.protocol_names[number]
    return next((name for name, known in BUILT_IN_PROTOCOLS.items() if known == number), str(number))


def _flags(rule: Rule) -> str:
    shown = (
        ("!", Inverse.SYN in rule.inverse),
        ("y", Flag.SYN in rule.flags),
        ("!", Inverse.FRAGMENT in rule.inverse),
        ("f", Flag.FRAGMENT in rule.flags),
        ("l", Flag.LOG in rule.flags),
        ("o", Flag.NETLINK in rule.flags),
    )
    return "".join(sign if present else "-" for sign, present in shown)


def _interface(rule: Rule, numeric: bool) -> str:
    if not rule.interface:
        return "*" if numeric else "any"
    return (rule.interface + ("+" if Flag.WILDCARD in rule.flags else ""))[:16]


def _shows_size(rule: Rule) -> bool:
    return Flag.NETLINK in rule.flags and rule.output_size != 0xFFFF


def _address(address: int, mask: int, numeric: bool, names: Names) -> str:
    if not mask and not numeric:
        return "anywhere"
    shown = dotted(address) if numeric else names.name_of(address) or dotted(address)
    if mask == ALL_ONES:
        return shown
    length = prefix_length(mask)
    return f"{shown}/{dotted(mask) if length is None else length}"


def _icmp_name(rule: Rule, numeric: bool) -> str | None:
    if numeric or rule.protocol != ICMP or rule.inverse & (Inverse.SOURCE_PORTS | Inverse.DESTINATION_PORTS):
        return None
    return exact_name(rule.source_ports, rule.destination_ports)


def _ports(rule: Rule, numeric: bool, names: Names) -> str:
    """linux.md U24."""
    if rule.protocol not in (TCP, UDP, ICMP):
        return "  n/a"
    name = _icmp_name(rule, numeric)
    if name is not None:
        return f"  {name}"
    source = _range(rule.source_ports, rule.protocol, numeric, names)
    destination = _range(rule.destination_ports, rule.protocol, numeric, names)
    return f" {_bang(rule, Inverse.SOURCE_PORTS)}{source} ->  {_bang(rule, Inverse.DESTINATION_PORTS)}{destination}"


def _range(ports: tuple[int, int], protocol: int, numeric: bool, names: Names) -> str:
    if ports == ALL_PORTS:
        return "*" if numeric else "any"
    low, high = (_port(port, protocol, numeric, names) for port in ports)
    return low if ports[0] == ports[1] else f"{low}:{high}"


def _port(port: int, protocol: int, numeric: bool, names: Names) -> str:
    return (None if numeric else names.service(port, protocol)) or str(port)


def _redirect_port(rule: Rule, numeric: bool, names: Names) -> str:
    if not rule.port:
        return " *" if numeric else " any"
    return _port(rule.port, rule.protocol, numeric, names)
