"""What lint claims of all packets is what is true of all packets: random rule lists over a tiny space, asked packet by
packet."""

from __future__ import annotations

import os
from itertools import product
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from rules import ipfw
from rules.analysis.findings import Finding, Kind, findings
from rules.analysis.ipfw import build
from rules.fields import Header

ADDRESSES = {"any": None, "10.0.0.0/30": None, "10.0.0.0/31": None, "10.0.0.1": None, "10.0.0.2,192.0.2.9": None}
PORTS = ["", " 80", " 80-90", " 25,1024-65535", " not 80"]
PROTOCOLS = ["ip", "tcp", "udp", "icmp"]
OPTIONS = ["", "", "", " in", " out", " frag", " not frag", " setup", " established", " icmptypes 8", " ipttl 3"]
OPTIONS += [" via em0", " recv em0", " xmit em0", " { frag or ipttl 3 }", " { in or src-ip 10.0.0.1 }", " diverted"]
ACTIONS = ["allow", "allow", "deny", "deny", "divert 5000", "divert 6000", "count", "skipto 400", "skipto 700"]
ACTIONS += ["tee 5000", "reject", "fwd 192.0.2.1", "reset"]


@st.composite
def commands(draw: st.DrawFn, most: int = 8) -> list[str]:
    """The commands of a list with unique numbers."""
    found = []
    for number in range(1, draw(st.integers(1, most)) + 1):
        protocol = draw(st.sampled_from(PROTOCOLS))
        ports = protocol in ("tcp", "udp")
        source, destination = (draw(st.sampled_from(list(ADDRESSES))) for _ in range(2))
        from_port, to_port = (draw(st.sampled_from(PORTS)) if ports and draw(st.booleans()) else "" for _ in range(2))
        option = draw(st.sampled_from(OPTIONS))
        action = draw(st.sampled_from(ACTIONS))
        found.append(f"add {number}00 {action} {protocol} from {source}{from_port} to {destination}{to_port}{option}")
    return found


def packets(rules: list[str]) -> list[Header]:
    """Every packet of the tiny space, as far as these rules can tell packets apart."""
    text = " ".join(rules)
    addresses = [0x0A000000, 0x0A000001, 0x0A000002, 0xC0000209, 0xC6336401]
    sources = addresses if " from 1" in text or "src-ip" in text else addresses[4:]
    destinations = addresses if " to 1" in text else addresses[4:]
    ports = [80, 85, 25, 2000, 7]
    from_ports = ports if any(f"{end}{port} to" in text for end in ADDRESSES for port in PORTS[1:]) else ports[-1:]
    to_ports = ports if any(f"to {end}{port}" in text for end in ADDRESSES for port in PORTS[1:]) else ports[-1:]
    whole = (0, 0x2000) if "frag" in text else (0,)
    opening = (2, 16) if "setup" in text or "established" in text else (2,)
    ttls = [3, 64] if "ipttl" in text else [64]
    names = ["em0", "em9"] if "em0" in text else ["em9"]
    places: list[tuple[str | None, str | None]] = [(name, None) for name in names]
    places += [(came, leaves) for leaves in names for came in (None, *names)]
    written = [None, "in", "out"] if "diverted" in text else [None]
    transports: list[dict[str, Any]] = [{"protocol": 47}, {"protocol": 47, "fragment": 5}]
    for protocol in (6, 17):
        for source, destination, fragment in product(from_ports, to_ports, whole):
            transport = {"source_port": source, "destination_port": destination, "fragment": fragment}
            for flags in opening if protocol == 6 else (None,):
                transports.append({"protocol": protocol, "tcp_flags": flags, **transport})
        transports.append({"protocol": protocol, "fragment": 5})
    transports += [
        {"protocol": 1, "icmp_type": kind, "icmp_code": 0, "fragment": f} for kind in (0, 8) for f in (0, 0x2000)
    ]
    transports.append({"protocol": 1, "fragment": 5})
    return [
        Header(
            source=source,
            destination=destination,
            ttl=ttl,
            receive_interface=came,
            transmit_interface=leaves,
            reinjected=wrote,
            total_length=100,
            payload_length=80,
            **transport,
        )
        for source, destination, ttl, (came, leaves), wrote, transport in product(
            sources, destinations, ttls, places, written, transports
        )
    ]


def outcome(rules: ipfw.RuleSet, packet: Header, tag: int = 0) -> tuple[Any, ...]:
    """Everything that happens to a packet in one pass: each tee, then the end."""
    verdict = rules.evaluate(packet, tag)
    found = []
    while verdict.resume is not None:
        found.append((verdict.action, verdict.port))
        verdict = rules.evaluate(packet, resume=verdict.resume)
    return (*found, (verdict.action, verdict.port, verdict.code, verdict.next_hop))


def counted(rules: ipfw.RuleSet, packet: Header, tag: int = 0) -> set[int]:
    verdict = rules.evaluate(packet, tag)
    found = set(verdict.counted)
    while verdict.resume is not None:
        verdict = rules.evaluate(packet, resume=verdict.resume)
        found |= set(verdict.counted)
    return found


def ruleset(rules: list[str]) -> ipfw.RuleSet:
    made = ipfw.RuleSet(profile="freebsd-10")
    for command in rules:
        made.run(command)
    return made


def told(found: tuple[Finding, ...], kind: Kind) -> set[object]:
    return {finding.rule for finding in found if finding.kind is kind}


@settings(max_examples=int(os.environ.get("DIVERTSIM_EXAMPLES", "25")), deadline=None)
@given(commands())
def test_never_matches_shadowed_and_redundant_are_what_brute_force_finds(commands: list[str]) -> None:
    rules, space = ruleset(commands), packets(commands)
    note("\n".join(commands))
    result = findings(build(rules))
    assert result.undecided == ()
    numbers = [rule.number for rule in rules if rule.number < 65535]
    alone = {number: ruleset([command]) for number, command in zip(numbers, commands, strict=True)}
    never = {number for number in numbers if not any(number in counted(alone[number], packet) for packet in space)}
    met: set[int] = set()
    for packet in space:
        met |= counted(rules, packet)
    # A program may write anything behind the rule that gave it something.
    handing = {
        number: command.split()[2] in ("divert", "tee") for number, command in zip(numbers, commands, strict=True)
    }
    passes = [(packet, 0) for packet in space]
    for number in numbers:
        if number in met and handing[number]:
            written = [packet for packet in space if packet.reinjected or "diverted" not in " ".join(commands)]
            passes += [(packet, number) for packet in written]
            for packet in written:
                met |= counted(rules, packet, number)
    assert told(result.found, Kind.NEVER_MATCHES) == never
    assert told(result.found, Kind.SHADOWED) == set(numbers) - met - never
    outcomes = [outcome(rules, *each) for each in passes]
    redundant = set()
    for number, command in zip(numbers, commands, strict=True):
        ends = command.split()[2] in ("allow", "deny", "divert", "reject", "fwd", "reset")
        if number in met and ends:
            without = ruleset([other for other in commands if other != command])
            if all(outcome(without, *each) == before for each, before in zip(passes, outcomes, strict=True)):
                redundant.add(number)
    assert told(result.found, Kind.REDUNDANT) == redundant
