"""Rules and tables of ipchains: as the values that the engine has, or as the commands that make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from rules.addresses import mask_of
from rules.fields import ICMP, TCP, UDP
from rules.ipchains import Flag, Inverse, Rule, Tables
from rules.strategies.values import addresses, port_ranges

__all__ = ["TARGETS", "USER_CHAINS", "ipchains_lists", "ipchains_rules", "ipchains_tables"]

USER_CHAINS = ("u0", "u1")
"""Chains that tables drawn here have besides the three that are built in."""

TARGETS: Mapping[str, tuple[str, ...]] = {
    "input": ("", "ACCEPT", "DENY", "REJECT", "RETURN", "DIVERT", "REDIRECT"),
    "forward": ("", "ACCEPT", "DENY", "REJECT", "RETURN", "DIVERT", "MASQ"),
    "output": ("", "ACCEPT", "DENY", "REJECT", "RETURN", "DIVERT"),
}
"""What a rule of each chain may do; one of a user chain may do all of it."""

_EVERY_TARGET = (*TARGETS["input"], "MASQ")
_MASKS = st.sampled_from([mask_of(24), mask_of(8), mask_of(32), 0]) | st.integers(0, 32).map(mask_of)
_ODD_MASKS = st.sampled_from([0xFF00FF00, 0x000000FF])
_ALL_PORTS = (0, 65535)
_TOS = ((0xFF, 0), (0xFF, 0), (0x01, 0x10), (0xF1, 0x08), (0xFF, 0x80))


@st.composite
def ipchains_rules(
    draw: st.DrawFn,
    chain: str = "input",
    *,
    targets: Mapping[str, int] | None = None,
    user_chains: Sequence[str] = (),
    interfaces: Sequence[str] = ("eth0", "ppp"),
    inverted: bool = True,
    effects: bool = True,
) -> Rule:
    """Rules that the tool can say for a chain; ``str(rule)`` has the words, ``rule.command(chain)`` the command.

    ``targets``: how often each, by shares (``{"DIVERT": 3, "": 1}``); usual are all that the chain allows.
    ``user_chains``: targets besides.  ``inverted``: questions with ``!`` among them.  ``effects``: log, TOS masks,
    marks and netlink copies.
    """
    flags, inverse = Flag(0), Inverse(0)

    def turned(bit: Inverse) -> Inverse:
        return draw(st.sampled_from((Inverse(0), Inverse(0), bit))) if inverted else Inverse(0)

    protocol = draw(st.sampled_from([0, TCP, UDP, ICMP, 47, 300]))
    inverse |= turned(Inverse.SOURCE) | turned(Inverse.DESTINATION)
    if protocol:
        inverse |= turned(Inverse.PROTOCOL)
    has_ports = protocol in (ICMP, TCP, UDP) and Inverse.PROTOCOL not in inverse
    source_ports, destination_ports = _ALL_PORTS, _ALL_PORTS
    if has_ports:
        backwards = port_ranges().map(lambda pair: (pair[1], pair[0]))
        ranges = st.just(_ALL_PORTS) | port_ranges() | backwards
        source_ports, destination_ports = draw(ranges), draw(ranges)
        inverse |= turned(Inverse.SOURCE_PORTS) | turned(Inverse.DESTINATION_PORTS)
    asks_ports = (source_ports, destination_ports) != (_ALL_PORTS, _ALL_PORTS) or bool(
        inverse & (Inverse.SOURCE_PORTS | Inverse.DESTINATION_PORTS)
    )
    if protocol == TCP and has_ports and draw(st.booleans()):
        flags |= Flag.SYN
        inverse |= turned(Inverse.SYN)
    if draw(st.sampled_from((False, False, True))) and (inverted or not (asks_ports or Flag.SYN in flags)):
        flags |= Flag.FRAGMENT
        if asks_ports or Flag.SYN in flags:
            inverse |= Inverse.FRAGMENT
        else:
            inverse |= turned(Inverse.FRAGMENT)
    interface = draw(st.sampled_from(("", *interfaces)))
    if not interface or draw(st.booleans()):
        flags |= Flag.WILDCARD
    inverse |= turned(Inverse.INTERFACE)
    masks = draw(_MASKS), draw(_MASKS | _ODD_MASKS)
    allowed = [target for target in TARGETS.get(chain, _EVERY_TARGET) if target != "REDIRECT" or protocol in (TCP, UDP)]
    shares = dict.fromkeys([*allowed, *user_chains], 1) if targets is None else targets
    usable = [target for target in shares if target not in _EVERY_TARGET or target in allowed]
    target = draw(st.sampled_from([name for name in usable for _ in range(shares[name])] or [""]))
    if target == "REDIRECT" and not has_ports:
        target = ""
    output_size = 0
    if effects:
        flags |= draw(st.sampled_from([Flag(0), Flag.LOG, Flag.MARK_ABSOLUTE]))
        if draw(st.sampled_from((False, False, True))):
            flags |= Flag.NETLINK
            output_size = draw(st.sampled_from((0, 64, 65535)) | st.integers(0, 65535))
    tos_and, tos_xor = draw(st.sampled_from(_TOS)) if effects else (0xFF, 0)
    return Rule(
        source=draw(addresses()) & masks[0],
        source_mask=masks[0],
        destination=draw(addresses()) & masks[1],
        destination_mask=masks[1],
        interface=interface,
        protocol=protocol,
        source_ports=source_ports,
        destination_ports=destination_ports,
        target=target,
        port=draw(st.sampled_from((1234, 4321)) | st.integers(1, 65535)) if target in ("DIVERT", "REDIRECT") else 0,
        flags=flags,
        inverse=inverse,
        tos_and=tos_and,
        tos_xor=tos_xor,
        mark=draw(st.sampled_from([0, 1, 0xFFFFFFFF])) if effects else 0,
        output_size=output_size,
    )


@st.composite
def ipchains_lists(
    draw: st.DrawFn,
    *,
    most: int = 4,
    policies: Sequence[str] = ("ACCEPT", "DENY", "REJECT"),
    user_chains: Sequence[str] = USER_CHAINS,
    targets: Mapping[str, int] | None = None,
    inverted: bool = True,
    effects: bool = True,
) -> list[str]:
    """Tables as the commands that make them: user chains, policies, and at most ``most`` rules in each chain.

    A user chain may be the target of any rule, its own included: such loops are part of what the kernel deals with.
    """
    commands = [f"-N {name}" for name in user_chains]
    for name in ("input", "forward", "output"):
        if (policy := draw(st.sampled_from(policies))) != "ACCEPT":
            commands.append(f"-P {name} {policy}")
    for name in ("input", "forward", "output", *user_chains):
        one = ipchains_rules(name, targets=targets, user_chains=user_chains, inverted=inverted, effects=effects)
        commands += [rule.command(name) for rule in draw(st.lists(one, max_size=most))]
    return commands


def ipchains_tables(
    profile: str = "linux-2.2", *, commands: st.SearchStrategy[list[str]] | None = None
) -> st.SearchStrategy[Tables]:
    """Tables that :func:`ipchains_lists` (or other commands) made."""

    def made(said: list[str]) -> Tables:
        tables = Tables(profile)
        for command in said:
            tables.run(command)
        return tables

    return (commands if commands is not None else ipchains_lists()).map(made)
