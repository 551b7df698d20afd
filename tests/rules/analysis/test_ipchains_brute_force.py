"""The same of ipchains: what lint claims of all packets is what is true of all packets of a tiny space."""

from __future__ import annotations

import os
from itertools import product
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from rules import ipchains
from rules.analysis.finding import Kind
from rules.analysis.findings import findings
from rules.analysis.ipchains import build
from rules.fields import Header
from rules.ipchains.chains import BUILT_IN

ADDRESSES = ["", "-s 10.0.0.0/31", "-s 10.0.0.1", "-s ! 10.0.0.1", "-s 192.0.2.9"]
PROTOCOLS = [
    "",
    "",
    "-p tcp",
    "-p tcp --dport 80",
    "-p tcp --dport ! 80",
    "-p udp --dport 65535",
    "-p icmp",
    "-p ! tcp",
]
PROTOCOLS += ["-p tcp -y", "-p tcp ! -y", "-p icmp --icmp-type 8", "-f", "! -f", "-p tcp --sport ! 0:65535", "-p 47"]
INTERFACES = ["", "", "-i em0", "-i ! em0", "-i em+"]
TARGETS = ["-j ACCEPT", "-j ACCEPT", "-j DENY", "-j REJECT", "-j DIVERT 5000", "-j DIVERT 6000", "", "-j RETURN"]


@st.composite
def commands(draw: st.DrawFn) -> list[str]:
    chains = ["input", "input", "input", "output", "one", "two"]
    found = [f"-P {chain} {draw(st.sampled_from(['ACCEPT', 'DENY']))}" for chain in ("input", "output")]
    found += ["-N one", "-N two"]
    for _ in range(draw(st.integers(1, 7))):
        chain = draw(st.sampled_from(chains))
        targets = [*TARGETS, "-j one", "-j two", "-j one"]
        words = [draw(st.sampled_from(each)) for each in (ADDRESSES, PROTOCOLS, INTERFACES, targets)]
        found.append(" ".join(["-A", chain, *filter(None, words)]))
    return found


def packets() -> list[Header]:
    fragment_fields = [0x2000 | 5, 5, 1, 256, 512, 513]
    transports: list[dict[str, Any]] = [
        {"protocol": protocol, "fragment": f} for protocol in (6, 17, 1, 47) for f in fragment_fields
    ]
    transports += [{"protocol": 47, "fragment": fragment} for fragment in (0, 0x2000)]
    for fragment, length in product((0, 0x2000), (100, 30, 24)):
        for port, flags in product((80, 65535, 7), (2, 16)):
            has = {} if length < 36 else {"source_port": 7, "destination_port": port, "tcp_flags": flags}
            transports.append({"protocol": 6, "fragment": fragment, "total_length": length, **has})
        for port in (80, 65535, 7):
            has = {} if length < 28 else {"source_port": 7, "destination_port": port}
            transports.append({"protocol": 17, "fragment": fragment, "total_length": length, **has})
        for kind in (8, 0):
            has = {} if length < 28 else {"icmp_type": kind, "icmp_code": 0}
            transports.append({"protocol": 1, "fragment": fragment, "total_length": length, **has})
    return [
        Header(source=source, destination=1, payload_length=80, **{"total_length": 100, **transport})
        for source, transport in product((0x0A000000, 0x0A000001, 0xC0000209, 0x01020304), transports)
    ]


SPACE = packets()


def tables(commands: list[str], profile: str) -> ipchains.Tables:
    made = ipchains.Tables(profile)
    for command in commands:
        made.run(command)
    return made


def answers(made: ipchains.Tables) -> list[ipchains.Verdict]:
    found = []
    for packet, interface, chain, diverted in product(SPACE, ("em0", "em5", "lo"), BUILT_IN, (False, True)):
        found.append(made.traverse(chain, packet, interface, diverted=diverted))
    return found


@settings(max_examples=int(os.environ.get("DIVERTSIM_EXAMPLES", "12")), deadline=None)
@given(commands(), st.just("linux-2.2"))
def test_what_lint_claims_is_what_brute_force_finds(commands: list[str], profile: str) -> None:
    note("\n".join(commands))
    made = tables(commands, profile)
    result = findings(build(made))
    assert result.undecided == ()
    before = answers(made)
    met = {label for verdict in before for label in verdict.matched}
    labels = [entry.label for chain in made.chains.values() for entry in chain.entries]
    told = {kind: {each.rule for each in result.found if each.kind is kind} for kind in Kind}
    assert told[Kind.NEVER_MATCHES] | told[Kind.SHADOWED] == set(labels) - met
    looping = {verdict.rule.removeprefix("loop@") for verdict in before if verdict.rule.startswith("loop@")}
    assert {rule for rule in told[Kind.LOOPING_CHAIN] if str(rule) in met} == looping
    ends = ("ACCEPT", "DENY", "REJECT", "DIVERT 5000", "DIVERT 6000")
    numbers: dict[str, int] = {}
    for at, command in enumerate(commands):
        if not command.startswith("-A"):
            continue
        chain = command.split()[1]
        numbers[chain] = numbers.get(chain, 0) + 1
        label = f"{chain}:{numbers[chain]}"
        if label in met and command.endswith(ends):
            without = answers(tables(commands[:at] + commands[at + 1 :], profile))
            same = all((a.action, a.port) == (b.action, b.port) for a, b in zip(before, without, strict=True))
            assert (label in told[Kind.REDUNDANT]) == same, label
