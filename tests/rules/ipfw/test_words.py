"""How lines and words are read: splitting, abbreviations, numbers as strtol(3) has them."""

from __future__ import annotations

import pytest

from rules.ipfw.addressing import inet_aton
from rules.ipfw.words import RefusalError, Words, glue_commas, leading_number, split_line


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("add 100 allow ip from any to any", ["add", "100", "allow", "ip", "from", "any", "to", "any"]),
        ("  list \t 5 # all of it", ["list", "5"]),
        ("from 10.0.0.1,  10.0.0.2 to", ["from", "10.0.0.1,10.0.0.2", "to"]),
        ("dst-port 80,", ["dst-port", "80"]),
        ("# nothing", []),
        ("   ", []),
    ],
)
def test_a_single_argument_is_split(line: str, words: list[str]) -> None:
    assert split_line(line) == words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["from", "10.0.0.1,", "10.0.0.2", "to"], ["from", "10.0.0.1,10.0.0.2", "to"]),
        (["a,", "b,", "c"], ["a,b,c"]),
        (["list", "5,"], ["list", "5,"]),
        (["a b", "c"], ["a b", "c"]),
    ],
)
def test_arguments_that_end_in_a_comma_are_glued(arguments: list[str], words: list[str]) -> None:
    assert glue_commas(arguments) == words


@pytest.mark.parametrize(
    ("text", "base", "number", "rest"),
    [
        ("80x", 10, 80, "x"),
        ("x", 10, 0, "x"),
        ("", 10, 0, ""),
        ("-5", 10, -5, ""),
        ("0x10", 0, 16, ""),
        ("0x10", 10, 0, "x10"),
        ("010", 0, 8, ""),
        ("010", 10, 10, ""),
        ("08", 0, 0, "8"),
        ("0", 0, 0, ""),
        ("1-2", 0, 1, "-2"),
    ],
)
def test_numbers(text: str, base: int, number: int, rest: str) -> None:
    assert leading_number(text, base) == (number, rest)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", 0x0A000001),
        ("1.2.3", 0x01020003),
        ("1.2", 0x01000002),
        ("99999", 0x0001869F),
        ("0x7f.1", 0x7F000001),
        ("010.0.0.1", 0x08000001),
        ("256.0.0.1", None),
        ("1.2.3.4.5", None),
        ("1.2.3.", None),
        ("", None),
        ("08.0.0.1", None),
    ],
)
def test_inet_aton(text: str, address: int | None) -> None:
    assert inet_aton(text) == address


def test_abbreviations_work_and_are_reported_once_each() -> None:
    words = Words(["fr", "an", "from"])
    assert words.accept("from")
    assert not words.accept("from")
    assert words.accept("any")
    assert words.accept("from")
    assert words.warnings == [
        "DEPRECATED: 'fr' matched 'from' as a sub-string",
        "DEPRECATED: 'an' matched 'any' as a sub-string",
    ]


def test_abbreviations_are_silent_where_the_system_is() -> None:
    words = Words(["fr"], deprecates=False)
    assert words.accept("from")
    assert words.warnings == []


def test_a_missing_word_is_a_usage_error() -> None:
    with pytest.raises(RefusalError) as refusal:
        Words([]).need("missing action")
    assert (refusal.value.text, refusal.value.status) == ("missing action", 64)
