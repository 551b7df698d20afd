"""Tables of rules: what a question allows, bit vectors, and lists that change."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import classifier, predicates
from rules.addresses import ALL_ONES
from rules.blocks import Blocks, allowed_by, range_blocks
from rules.classifier import Classifier, Clause, read_attributes, vector
from rules.fields import Header
from rules.ipchains import Tables
from rules.ipfw import RuleSet, questions
from rules.predicates import AnyOf, InterfaceName, InterfacePrefix, Not, Predicate, Ranges
from rules.roster import Engine, Roster
from simulator import Router

# What a question allows is what it says yes to

ADDRESSES = st.sampled_from([0x0A000001, 0x0A000002, 0x0A0000FF, 0x0A000100, 0, ALL_ONES]) | st.integers(0, ALL_ONES)
MASKS = st.sampled_from([0, ALL_ONES, 0xFFFFFF00, 0xFF000000, 0xFFFF0000, 0xFFFFFFFE, 0xFF00FF00, 0x000000FF])
SMALL = st.sampled_from([0, 1, 2, 6, 7, 8, 17, 64, 255])
PAIRS = st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=3).map(lambda pairs: Ranges(tuple(pairs)))
BITS = st.integers(0, 63)
ENDS = st.sampled_from(list(questions.End))
NAMES = st.sampled_from([InterfaceName("em0"), InterfacePrefix("em"), questions.InterfacePattern("*1")])
BLOCKS = st.lists(st.tuples(ADDRESSES, MASKS), min_size=1, max_size=3).map(tuple)

SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "source": st.builds(predicates.Source, ADDRESSES, MASKS),
    "destination": st.builds(predicates.Destination, ADDRESSES, MASKS),
    "protocol": st.builds(predicates.ProtocolIs, SMALL),
    "source port": st.builds(predicates.SourcePort, PAIRS),
    "destination port": st.builds(predicates.DestinationPort, PAIRS),
    "icmp type": st.builds(predicates.IcmpType, PAIRS),
    "icmp code": st.builds(predicates.IcmpCode, PAIRS),
    "later fragment": st.builds(predicates.LaterFragment),
    "tcp flags": st.builds(predicates.TcpFlags, BITS, BITS),
    "via": st.builds(predicates.Via, NAMES),
    "received by": st.builds(questions.ReceivedBy, NAMES),
    "transmitted by": st.builds(questions.TransmittedBy, NAMES),
    "incoming": st.builds(questions.Incoming),
    "fragment": st.builds(questions.FragmentBits, *[st.sampled_from([0, 1, 0x20, 0x40, 0x80, 0x21, 0x41, 0xE1])] * 2),
    "number": st.builds(
        questions.NumberIn, st.sampled_from(["ttl", "identification", "total_length", "tcp_window"]), PAIRS
    ),
    "tcp number": st.builds(questions.TcpNumber, st.sampled_from(["tcp_sequence", "tcp_acknowledgment"]), SMALL),
    "version": st.builds(questions.IpVersion, st.sampled_from([4, 6])),
    "family": st.builds(questions.Family, st.sampled_from([4, 6])),
    "precedence": st.builds(questions.Precedence, st.integers(0, 7)),
    "tos": st.builds(questions.TosBits, st.sampled_from([0, 8, 16, 24]), st.sampled_from([0, 8, 4])),
    "dscp": st.builds(questions.Dscp, st.frozensets(st.integers(0, 63), max_size=3)),
    "established": st.builds(questions.Established),
    "ip options": st.builds(questions.IpOptions, st.integers(0, 15), st.integers(0, 15)),
    "address list": st.builds(questions.AddressIn, ENDS, BLOCKS),
    "address set": st.builds(questions.AddressInSet, ENDS, ADDRESSES, st.just(64), st.integers(0, 2**64 - 1)),
    "never": st.builds(questions.Never, st.just("layer2")),
    "diverted": st.builds(questions.Diverted, st.integers(0, 3)),
}
QUESTIONS = st.one_of(*SIMPLE.values())


@st.composite
def headers(draw: st.DrawFn) -> Header:
    maybe = SMALL | st.none()
    return Header(
        source=draw(ADDRESSES),
        destination=draw(ADDRESSES),
        protocol=draw(SMALL),
        tos=draw(st.integers(0, 255)),
        total_length=draw(SMALL),
        identification=draw(SMALL),
        fragment=draw(st.sampled_from([0, 1, 0x2000, 0x4000, 0x8000, 0x1FFF, 0x2008, 0x1000])),
        ttl=draw(SMALL),
        options=draw(st.sampled_from([b"", b"\x07\x04\x04\0", b"\x83\x03\x04", b"\x07\xff"])),
        source_port=draw(maybe),
        destination_port=draw(maybe),
        icmp_type=draw(maybe),
        icmp_code=draw(maybe),
        tcp_flags=draw(BITS | st.none()),
        tcp_sequence=draw(maybe),
        tcp_acknowledgment=draw(maybe),
        tcp_window=draw(maybe),
        receive_interface=draw(st.sampled_from([None, "em0", "em1", "lo0"])),
        transmit_interface=draw(st.sampled_from([None, "em0", "em1"])),
        reinjected=draw(st.sampled_from([None, "in", "out"])),
    )


def clause(question: Predicate) -> Clause:
    allowed = allowed_by(question)
    assert allowed is not None
    return Clause(allowed, question, question.test)


def answers(asked: list[Predicate], fields: Header) -> list[bool]:
    """What tables of one question a rule say, in order of the rules."""
    tables = Classifier(
        ([clause(each)] if allowed_by(each) is not None else [] for each in asked), len(asked), read_attributes
    )
    found = tables.candidates(fields)
    assert tables.candidates(fields) == found, "remembered"
    return [bool(found >> len(asked) - 1 - place & 1) for place in range(len(asked))]


@pytest.mark.parametrize("kind", SIMPLE)
def test_what_a_question_allows_is_what_it_answers(kind: str) -> None:
    @settings(max_examples=30)
    @given(st.lists(SIMPLE[kind].flatmap(lambda each: st.sampled_from([each, Not(each)])), min_size=1), headers())
    def check(asked: list[Predicate], fields: Header) -> None:
        expected = [each.test(fields) or allowed_by(each) is None for each in asked]
        assert answers(asked, fields) == expected

    check()


@given(
    st.lists(st.lists(QUESTIONS, min_size=1, max_size=3).map(tuple).map(AnyOf), min_size=1), st.booleans(), headers()
)
def test_alternatives_allow_what_one_of_them_allows(asked: list[AnyOf], negated: bool, fields: Header) -> None:
    turned: list[Predicate] = [Not(each) if negated else each for each in asked]
    assert answers(turned, fields) == [each.test(fields) or allowed_by(each) is None for each in turned]


@given(st.lists(st.tuples(st.integers(-3, 70), st.integers(-3, 70)), max_size=4), st.integers(0, 80))
def test_ranges_in_blocks(pairs: list[tuple[int, int]], number: int) -> None:
    assert any(number & mask == base for base, mask in range_blocks(pairs)) == (number in Ranges(tuple(pairs)))


def test_blocks_of_a_range() -> None:
    assert range_blocks([(1024, 65535)]) == tuple((1 << bit, ALL_ONES ^ (1 << bit) - 1) for bit in range(10, 16))
    assert range_blocks([(53, 53), (6, 5)]) == ((53, ALL_ONES),)
    assert range_blocks([(0, ALL_ONES)]) == ((0, 0),)


# Candidates


@given(
    st.lists(st.lists(QUESTIONS, max_size=4), max_size=12), st.lists(headers(), min_size=1, max_size=4), st.booleans()
)
def test_no_rule_that_matches_is_left_out(rules: list[list[Predicate]], sent: list[Header], forgetful: bool) -> None:
    """And of the others only those that ask twice about the same."""
    with patch.multiple(classifier, _REMEMBERED_VALUES=1 if forgetful else 1 << 14):
        tables = Classifier(
            [[clause(each) for each in rule if allowed_by(each) is not None] for rule in rules],
            len(rules),
            read_attributes,
        )
        for fields in sent:
            found = tables.candidates(fields)
            assert found < 1 << len(rules)
            for place, rule in enumerate(rules):
                asked = [allowed.fields for each in rule if (allowed := allowed_by(each)) is not None]
                said = bool(found >> len(rules) - 1 - place & 1)
                matches = all(each.test(fields) for each in rule)
                assert said or not matches
                assert said == matches or len({*asked}) < len(rule)


@given(st.sets(st.integers(0, 300)))
def test_a_vector_has_the_bits(bits: set[int]) -> None:
    assert vector(bits) == sum(1 << bit for bit in bits)


def test_a_block_whose_base_lies_outside_its_mask_holds_nothing() -> None:
    tables = Classifier([[Clause(Blocks("source", ((0x0A000001, 0xFF000000),)), None, bool)], []], 2, read_attributes)
    assert tables.candidates(Header(source=0x0A000001)) == 0b01


def test_the_first_rule_is_the_highest_bit() -> None:
    tables = Classifier(
        [[clause(predicates.ProtocolIs(6))], [], [clause(predicates.ProtocolIs(17))]], 3, read_attributes
    )
    assert [tables.candidates(Header(protocol=number)) for number in (6, 17, 1)] == [0b110, 0b011, 0b010]


# Lists that change

Item = tuple[str, int]
"""A name, and the protocol that it matches; -1 matches nothing."""


def roster(engine: Engine = Engine.FAST) -> Roster[Item]:
    def clauses(item: Item) -> list[Clause]:
        return [Clause(Blocks("protocol", ((item[1] & ALL_ONES, ALL_ONES),)), item[1], lambda _: False)]

    return Roster(engine, clauses, read_attributes)


KINDS = st.sampled_from(["insert", "insert", "remove", "ask", "ask", "make"])
CHANGES = st.lists(st.tuples(KINDS, st.integers(0, 20), st.integers(0, 2)), max_size=30)


@given(st.lists(st.integers(0, 2), max_size=20), CHANGES)
def test_a_changing_list_has_its_matches_in_order(first: list[int], changes: list[tuple[str, int, int]]) -> None:
    """As a plain list has them; an item that left stays as one that never matches, for as long as the tables are."""
    searched = roster()
    listed = [(f"item {number}", protocol) for number, protocol in enumerate(first)]
    searched.take(listed)
    for number, (change, place, protocol) in enumerate(changes):
        item = (f"new {number}", protocol)
        match change:
            case "insert":
                place = min(place, len(listed))
                before = listed[place] if place < len(listed) else None
                searched.insert(len(searched.items) if before is None else searched.items.index(before), item)
                listed.insert(place, item)
            case "remove" if listed:
                gone = listed.pop(min(place, len(listed) - 1))
                searched.remove(searched.items.index(gone), ("gone", -1))
            case "make":
                searched.take(listed)
                searched.make_tables()
            case "ask" if searched.tables is not None:
                found = searched.candidates(searched.tables, Header(protocol=protocol))
                assert [each for each in found if each[1] == protocol] == [
                    each for each in listed if each[1] == protocol
                ]
        assert [each for each in searched.items if each != ("gone", -1)] == listed


def test_one_more_rule_makes_no_tables_and_a_search_asks_it() -> None:
    searched = roster()
    searched.take([(str(number), 6) for number in range(100)])
    tables = searched.make_tables()
    searched.insert(50, ("new", 17))
    assert searched.tables is tables
    assert not searched.is_due
    assert [*searched.candidates(tables, Header(protocol=17))] == [("new", 17)]


def test_new_rules_are_found_where_they_stand_when_others_come_and_go() -> None:
    searched = roster()
    searched.take([(str(number), 6) for number in range(100)])
    tables = searched.make_tables()
    for place, name in ((50, "second"), (10, "first"), (101, "last")):
        searched.insert(place, (name, 17))
    assert [name for name, _ in searched.candidates(tables, Header(protocol=17))] == ["first", "second", "last"]
    assert searched.remove(10, ("gone", -1))
    assert [name for name, _ in searched.candidates(tables, Header(protocol=17))] == ["second", "last"]
    assert not searched.remove(20, ("gone", -1))
    assert [name for name, _ in searched.candidates(tables, Header(protocol=17))] == ["second", "last"]
    names = [name for name, number in searched.candidates(tables, Header(protocol=6)) if number == 6]
    assert names == [str(number) for number in range(100) if number != 20]


@pytest.mark.parametrize(
    ("size", "asked", "searches", "expected"),
    [
        (1000, 1000, 10, False),  # not for a few packets
        (1000, 1000, 100, True),  # for many
        (1000, 3, 100_000, False),  # not if the first rules decide
        (10, 10, 100_000, False),  # not for a short list
    ],
)
def test_when_tables_are_made(size: int, asked: int, searches: int, expected: bool) -> None:
    searched = roster(Engine.AUTO)
    searched.take([(str(number), 6) for number in range(size)])
    due = False
    for _ in range(searches):
        if searched.is_counted:
            searched.asked(asked)
            due = due or searched.is_due
    assert due == expected


def test_a_plain_list_never_has_tables() -> None:
    searched = roster(Engine.PLAIN)
    searched.take([(str(number), 6) for number in range(1000)])
    assert not searched.is_counted


@pytest.mark.parametrize("make", [RuleSet, Tables, Router])
def test_engines_have_names(make: type) -> None:
    assert make(engine="plain")
    with pytest.raises(ValueError, match="engine='quick' is none of plain, fast, auto"):
        make(engine="quick")
