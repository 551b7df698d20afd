"""Sentences that hold for every rule list: re-entry, order, and rules that print themselves back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.fields import Header
from rules.ipfw import Action, RuleSet

HEADER = Header(
    source=0x0A000002,
    destination=0x08080808,
    protocol=17,
    source_port=1000,
    destination_port=53,
    total_length=60,
    payload_length=40,
    receive_interface="em0",
)

NUMBERS = st.sampled_from([100, 100, 100, 200, 200, 300, 65534]) | st.integers(1, 65534)
ACTIONS = st.sampled_from(["allow", "deny", "count", "divert 8668", "tee 5000", "unreach port"])
BODIES = st.sampled_from(["in", "out", "not out", "udp from any to any 53", "tcp from any to any", "src-ip 10.0.0.0/8"])
LISTS = st.lists(st.tuples(NUMBERS, st.sampled_from([0, 0, 0, 5]), ACTIONS, BODIES), max_size=12)


def rule_set(rules: list[tuple[int, int, str, str]]) -> RuleSet:
    made = RuleSet()
    made.run("set disable 5")
    for number, owner, action, body in rules:
        made.run(f"add {number} set {owner} {action} {body}")
    return made


@given(LISTS, st.integers(0, 65534))
@example([(100, 0, "divert 8668", "in"), (100, 0, "deny", "in"), (200, 0, "allow", "in")], 100)
def test_a_datagram_written_back_meets_only_rules_with_a_greater_number(
    rules: list[tuple[int, int, str, str]], tag: int
) -> None:
    """X-1: the search resumes at the first rule whose number is strictly greater than the tag, so it goes exactly as
    it would from the start of a list that never had the others."""
    header = replace(HEADER, reinjected="in")
    resumed = rule_set(rules).evaluate(header, start_after=tag)
    without = rule_set([rule for rule in rules if rule[0] > tag]).evaluate(header)
    assert (resumed.action, resumed.rule, resumed.counted) == (without.action, without.rule, without.counted)


@given(LISTS)
def test_the_search_is_one_rule_after_another(rules: list[tuple[int, int, str, str]]) -> None:
    """The rules counted are those that match, in order of number and then of age, up to the first that ends it."""
    matching = {"in", "not out", "udp from any to any 53", "src-ip 10.0.0.0/8"}
    expected = []
    for number, owner, action, body in sorted(rules, key=lambda rule: rule[0]):
        if owner != 5 and body in matching:
            expected.append(number)
            if action != "count":
                break
    else:
        expected.append(65535)
    assert list(rule_set(rules).evaluate(HEADER).counted) == expected


@given(LISTS)
def test_the_original_of_a_tee_goes_on_at_the_very_next_rule(rules: list[tuple[int, int, str, str]]) -> None:
    """T-3, X-10: with every resumption taken, the rules counted are those of the list with ``count`` in place of
    ``tee``."""
    made = rule_set(rules)
    verdict = made.evaluate(HEADER)
    counted = list(verdict.counted)
    while verdict.action is Action.TEE:
        verdict = made.evaluate(HEADER, resume=verdict.resume)
        counted += verdict.counted
    plain = rule_set([(n, s, "count" if a.startswith("tee") else a, b) for n, s, a, b in rules]).evaluate(HEADER)
    assert (verdict.action, verdict.rule, counted) == (plain.action, plain.rule, list(plain.counted))


@given(LISTS, st.integers(0, 65535))
def test_counters_are_the_sum_of_what_was_counted(rules: list[tuple[int, int, str, str]], tag: int) -> None:
    made = rule_set(rules)
    counts = [0] * len(made)
    for start in (0, tag, 0):
        for position in made.evaluate(HEADER, start_after=start).counted_at:
            counts[position] += 1
    assert [(counter.packets, counter.octets) for counter in made.counters] == [(n, 60 * n) for n in counts]


# Rules print themselves back

ADDRESSES = st.sampled_from(
    [
        "any",
        "me",
        "10.0.0.1",
        "10.1.2.3/8",
        "10.0.0.1:255.0.255.0",
        "1.2.3.4,5.6.7.0/24",
        "1.2.3.0/25{1,5-9}",
        "table(5)",
    ]
)
PORTS = st.sampled_from(["", "53", "80-90", "22,80-90,65535", "not 25"])
OPTIONS = st.sampled_from(
    [
        "in",
        "not in",
        "frag",
        "via em0",
        "recv em*",
        "not xmit 10.0.0.1",
        "icmptypes 0,8",
        "ipttl 1,5-7",
        "not iplen 20-30",
        "tcpflags syn,!ack",
        "tcpflags !fin",
        "iptos lowdelay,!throughput",
        "ipoptions rr",
        "tcpoptions mss,!sack",
        "dscp ef,af11,3",
        "established",
        "tagged 5-9",
        "src-ip 10.0.0.0/8",
        "dst-port 80",
        "proto tcp",
        "{ in or not frag or via em0 }",
        "ip4",
        "verrevpath",
        "diverted-output",
        "lookup dst-ip 7",
        "tcpseq 4294967295",
        "uid root",
    ]
)

MASKS = st.lists(st.sampled_from(["src-addr", "src-port", "dst-addr", "dst-port", "all"]), min_size=1, max_size=5)
LIMITS = st.tuples(MASKS, st.integers(1, 65534)).map(lambda drawn: ["limit", *drawn[0], str(drawn[1])])


@st.composite
def typed_rules(draw: st.DrawFn) -> str:
    words = [str(draw(st.integers(1, 65534)))]
    words += draw(st.sampled_from([[], ["set 7"]]))
    words += draw(st.sampled_from([[], ["prob 0.25"], ["prob 0.0000001"]]))
    words.append(
        draw(
            st.sampled_from(
                ["allow", "deny", "divert 5", "skipto 9", "fwd 1.2.3.4,80", "unreach 5", "reset", "tee tablearg"]
            )
        )
    )
    words += draw(st.sampled_from([[], ["log"], ["log logamount 5", "tag 3"], ["untag 9"]]))
    if draw(st.booleans()):
        protocol = draw(st.sampled_from(["ip", "tcp", "not udp", "{ tcp or udp }", "ip4", "99"]))
        source, destination = draw(ADDRESSES), draw(ADDRESSES)
        words += [protocol, "from", source, draw(PORTS), "to", destination, draw(PORTS)]
        words += draw(st.lists(OPTIONS, max_size=4))
    else:
        words += ["in", *draw(st.lists(OPTIONS, max_size=4))]
    words += draw(st.just([]) | st.just(["keep-state"]) | LIMITS)
    words += draw(st.sampled_from([[], ["// a word"]]))
    return " ".join(filter(None, words))


@given(typed_rules())
@example("1 allow ip from any to any lookup dst-ip 7 ip4")
@example("1 allow tcp from any to 1.2.3.4 src-ip 5.6.7.8 proto udp")
@example("1 allow ip6 from me to any src-ip 10.0.0.1")
@example("1 allow ip from 10.0.0.0/24{} to any in // why not")
@example("1 allow ip from any to any { in or")
@example("1 allow ip from any to any not // nothing")
def test_a_rule_prints_the_words_that_make_it_again(typed: str) -> None:
    first = RuleSet()
    first.run(f"add {typed}")
    rule = next(iter(first))
    second = RuleSet()
    second.run(f"add {rule}")
    again = next(iter(second))
    assert again == rule
    assert hash(again) == hash(rule)
    assert str(again) == str(rule)


@pytest.mark.parametrize(
    ("profile", "dialect"),
    [("freebsd-4", "ipfw1"), ("freebsd-4", "ipfw2"), ("dragonfly", None), ("freebsd-10", None), ("freebsd-14", None)],
)
@given(masks=st.sets(st.sampled_from(["src-addr", "src-port", "dst-addr", "dst-port"]), min_size=1))
def test_every_system_reads_the_masks_that_a_rule_prints(profile: str, dialect: str | None, masks: set[str]) -> None:
    first, second = (RuleSet(profile, ipfw_dialect=dialect) for _ in range(2))
    first.run(f"add 5 allow tcp from any to any limit {' '.join(sorted(masks))} 3")
    second.run(f"add {next(iter(first))}")
    assert list(first) == list(second)


@pytest.mark.parametrize("words", ["check-state :any", "check-state :web", "allow in limit src-addr 3 :web"])
def test_names_of_state_are_printed_back(words: str) -> None:
    first, second = RuleSet("freebsd-14"), RuleSet("freebsd-14")
    first.run(f"add 5 {words}")
    second.run(f"add {next(iter(first))}")
    assert list(first) == list(second)


def test_rules_are_values() -> None:
    first, second = RuleSet(), RuleSet()
    for rules in (first, second):
        rules.run("add 10 allow tcp from any to any 80 setup")
        rules.run("add 5 deny ip from any to any")
    assert list(first) == list(second)
    assert len({*first, *second}) == 3
    assert sorted(first, reverse=True)[-1] == next(iter(first))
    assert str(next(iter(first))) == "5 deny ip from any to any"
