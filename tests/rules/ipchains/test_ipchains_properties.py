"""What holds for every rule, table and packet of Linux 2.2's filter."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.fields import ICMP, TCP, UDP, Header
from rules.ipchains import CommandError, Decision, Inverse, Rule, Tables, as_matched
from rules.ipchains.numbers import dotted_quad, internet_address, signed, unsigned
from rules.ipchains.questions import questions
from rules.ipchains.saving import restore, save
from rules.ipchains.sockopt import pack_rule, unpack_rule
from rules.strategies import ipchains_rules
from rules.strategies.ipchains import USER_CHAINS

ADDRESSES = st.sampled_from([0x0A000001, 0x0A000002, 0x0A0000FF, 0xC0A80101]) | st.integers(0, 0xFFFFFFFF)
INTERFACES = ("eth0", "eth1", "ppp0", "lo")
PORTS = st.sampled_from([0, 1, 22, 80, 1024, 65535]) | st.integers(0, 65535)


def rules(chain: str = "input", targets: tuple[str, ...] = USER_CHAINS) -> st.SearchStrategy[Rule]:
    return ipchains_rules(chain, user_chains=targets)


@st.composite
def packets(draw: st.DrawFn) -> Header:
    protocol = draw(st.sampled_from([ICMP, TCP, UDP, 47]))
    header_length = draw(st.sampled_from([20, 24]))
    needed = {TCP: 16, UDP: 8, ICMP: 8}.get(protocol, 0)
    length = header_length + draw(st.sampled_from([0, needed - 1, needed, needed + 20]).filter(lambda size: size >= 0))
    offset = draw(st.sampled_from([0, 0, 0, 1, 2, 256, 7936, 511]))
    fragment = offset | draw(st.sampled_from([0, 0x2000, 0x4000]))
    has_ports = not offset and protocol in (TCP, UDP)
    is_icmp = not offset and protocol == ICMP
    return Header(
        source=draw(ADDRESSES),
        destination=draw(ADDRESSES),
        protocol=protocol,
        header_length=header_length,
        total_length=length,
        fragment=fragment,
        tos=draw(st.sampled_from([0, 0x10, 0xFF])),
        source_port=draw(PORTS) if has_ports else None,
        destination_port=draw(PORTS) if has_ports else None,
        icmp_type=draw(st.integers(0, 255)) if is_icmp else None,
        icmp_code=draw(st.integers(0, 255)) if is_icmp else None,
        tcp_flags=draw(st.integers(0, 63)) if has_ports and protocol == TCP else None,
        mark=draw(st.sampled_from([0, 5])),
    )


def empty_tables() -> Tables:
    tables = Tables()
    for chain in USER_CHAINS:
        tables.run(f"-N {chain}")
    return tables


@st.composite
def whole_tables(draw: st.DrawFn) -> Tables:
    tables = empty_tables()
    tables.run(f"-P forward {draw(st.sampled_from(['ACCEPT', 'DENY', 'REJECT', 'MASQ']))}")
    for chain in ("input", "forward", "output", *USER_CHAINS):
        for rule in draw(st.lists(rules(chain=chain), max_size=4)):
            tables.chains.append(chain, rule)
    return tables


@given(rules())
def test_a_rule_is_what_its_command_makes(rule: Rule) -> None:
    tables = empty_tables()
    tables.run(rule.command("input"))
    assert tables.chains["input"].rules == (rule,)
    tables.run(f"-D input {rule}")
    assert tables.chains["input"].rules == ()


@given(rules())
def test_a_rule_is_what_its_octets_make(rule: Rule) -> None:
    assert unpack_rule(pack_rule(rule)) == rule


@given(whole_tables())
def test_what_is_saved_is_restored(tables: Tables) -> None:
    text = save(tables).stdout
    fresh = Tables()
    assert restore(fresh, text).status == 0
    for name, chain in tables.chains.items():
        assert (fresh.chains[name].rules, fresh.chains[name].policy) == (chain.rules, chain.policy)
        assert fresh.chains[name].references == chain.references
    assert list(fresh.chains) == list(tables.chains)
    assert save(fresh).stdout == text


@settings(max_examples=200)
@given(whole_tables(), st.lists(packets(), min_size=1, max_size=8), st.sampled_from(INTERFACES))
def test_counters_are_the_sum_of_the_answers(tables: Tables, sent: list[Header], interface: str) -> None:
    counted: dict[str, list[int]] = {}
    for fields in sent:
        verdict = tables.traverse("forward", fields, interface)
        policy = [verdict.rule] if verdict.decision is Decision.POLICY else []
        for label in [*verdict.matched, *policy]:
            totals = counted.setdefault(label, [0, 0])
            totals[0] += 1
            totals[1] += fields.total_length
        assert verdict.changed == ((verdict.tos, verdict.mark) != (fields.tos, fields.mark))
    for chain in tables.chains.values():
        assert [chain.packets, chain.octets] == counted.pop(f"{chain.name}:policy", [0, 0])
        for entry in chain.entries:
            assert [entry.packets, entry.octets] == counted.pop(entry.label, [0, 0])
    assert not counted


@given(rules(targets=()), packets(), st.sampled_from(INTERFACES))
def test_a_rule_matches_when_all_its_questions_say_yes(rule: Rule, fields: Header, interface: str) -> None:
    tables = Tables()
    tables.chains.append("input", rule)
    verdict = tables.traverse("input", fields, interface)
    if verdict.decision is Decision.CHECK:
        return
    fields.receive_interface = interface
    seen = as_matched(fields, tables.switches)
    assert bool(verdict.matched) == all(question.test(seen) for question in questions(rule))


@given(st.lists(packets(), min_size=1, max_size=8), st.sampled_from(["ACCEPT", "DENY", "REJECT"]), st.booleans())
def test_passing_by_is_traversing_an_empty_chain(sent: list[Header], policy: str, ruled: bool) -> None:
    """Same answer, same counters; what it does not answer is left to the search, uncounted."""
    quick, plain = Tables(), Tables()
    for tables in (quick, plain):
        tables.run(f"-P input {policy}")
        if ruled:
            tables.run("-A input -p udp")
    chain = quick.chains["input"]
    answered = 0
    for fields in sent + sent:
        verdict = chain.pass_by(fields)
        answered += verdict is not None
        assert (verdict or quick.traverse("input", fields, "eth0")) == plain.traverse("input", fields, "eth0")
        assert (chain.packets, chain.octets) == (plain.chains["input"].packets, plain.chains["input"].octets)
    ordinary = [fields for fields in sent if not fields.mark and not fields.fragment & 0x3FFF]
    assert answered >= len(ordinary) * (not ruled)
    assert not (ruled and answered)


@given(whole_tables(), packets(), st.sampled_from(INTERFACES))
def test_a_reinjected_packet_sees_no_divert_rule(tables: Tables, fields: Header, interface: str) -> None:
    """It fares as in the same tables with rules in place of those that never match."""
    other = Tables()
    for chain in USER_CHAINS:
        other.run(f"-N {chain}")
    for name, chain in tables.chains.items():
        if chain.policy is not None:
            other.chains.set_policy(name, chain.policy)
        for rule in chain.rules:
            never = Rule(inverse=Inverse.SOURCE, target="DENY")
            other.chains.append(name, never if rule.target == "DIVERT" else rule)
    assert tables.traverse("output", fields, interface, diverted=True) == other.traverse("output", fields, interface)


LANGUAGE = """
-A -D -I -R -L -F -Z -N -X -P -M -S -C input output u0 none ! ! -s -d 10.0.0.1 10/8 any/0 -p tcp icmp 47 80 1: 0 1 2
--sport --dport ping -j DENY ACCEPT DIVERT REDIRECT MASQ -i eth+ -f -y -b -l -m +5 -o -t 0xFF 0x10 -n -v -x
"""
WORDS = st.sampled_from(LANGUAGE.split())


@settings(max_examples=300)
@given(whole_tables(), st.lists(WORDS, max_size=9))
def test_a_misused_command_changes_nothing(tables: Tables, words: list[str]) -> None:
    def state() -> object:
        return [(name, chain.rules, chain.policy, chain.references) for name, chain in tables.chains.items()]

    before = state()
    result = tables.execute(words)
    if result.status == 2:
        assert state() == before
        assert result.stderr.endswith("for more information.\n")
    assert bool(result.status) == bool(result.stderr)
    references = dict.fromkeys(USER_CHAINS, 0)
    for chain in tables.chains.values():
        for rule in chain.rules:
            if rule.target in references:
                references[rule.target] += 1
    for name, count in references.items():
        if name in tables.chains:
            assert tables.chains[name].references == count


@given(st.integers(-(2**40), 2**40))
def test_numbers_saturate(number: int) -> None:
    assert signed(str(number), 10) == min(max(number, -(2**31)), 2**31 - 1)
    assert unsigned(str(abs(number)), 0) == min(abs(number), 2**32 - 1)
    assert unsigned(hex(abs(number)), 0) == min(abs(number), 2**32 - 1)
    assert signed(f"{number} ", 10) is None


@pytest.mark.parametrize(
    ("text", "dotted", "looked_up"),
    [
        ("1.2.3.4", 0x01020304, 0x01020304),
        ("010.1.1.1", 0x0A010101, 0x08010101),
        ("1.2.3", None, 0x01020003),
        ("10", None, 10),
        ("1.2.65536", None, None),
        ("256.1.1.1", None, None),
        ("1.2.3.4.5", None, None),
        ("1.2.3.4.", None, None),
        (" 1.+2.3.4", 0x01020304, None),
        ("0x0a000001", None, None),
        ("4294967295", None, 0xFFFFFFFF),
        ("", None, None),
    ],
)
def test_addresses(text: str, dotted: int | None, looked_up: int | None) -> None:
    assert (dotted_quad(text), internet_address(text)) == (dotted, looked_up)


def test_a_rule_that_cannot_be_said_is_refused() -> None:
    with pytest.raises(CommandError, match="bit 0"):
        Tables().run(Rule(tos_and=0).command("input"))
