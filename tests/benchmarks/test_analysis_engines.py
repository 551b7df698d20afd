"""The engines that are measured against each other do the same work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import engines
from benchmarks.engines import ENGINES, FiveFields, TooSlowError, administrators, overlapping, shadowed
from rules.fields import TCP, UDP

ANY = (0, 0)
NET = (0xC0000200, 24)
KNOWN = [
    FiveFields(TCP, ANY, NET, None, (0, 1023)),
    FiveFields(TCP, ANY, NET, None, (1024, 65535)),
    FiveFields(TCP, (0x0A000000, 8), (0xC0000280, 25), (7, 7), (80, 90)),  # by both together
    FiveFields(TCP, ANY, NET, None, None),  # later fragments have no ports
    FiveFields(UDP, ANY, NET, None, None),
    FiveFields(UDP, ANY, (0xC0000207, 32), (53, 53), None),
    FiveFields(0, ANY, NET, None, None),
    FiveFields(0, ANY, ANY, None, None),
    FiveFields(1, ANY, ANY, None, None),
]


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_finds_the_rules_that_nothing_reaches(name: str) -> None:
    module, _ = ENGINES[name]
    if module is not None:
        pytest.importorskip(module, reason="pip install dd z3-solver")
    assert shadowed(name, KNOWN, 60.0)[0] == {2, 5, 8}


@pytest.mark.parametrize("mix", [administrators, overlapping])
@pytest.mark.parametrize("name", [name for name, (module, _) in ENGINES.items() if module is not None])
def test_the_engines_agree(name: str, mix: Callable[[int], list[FiveFields]]) -> None:
    pytest.importorskip(str(ENGINES[name][0]), reason="pip install dd z3-solver")
    assert shadowed(name, mix(60), 60.0)[0] == shadowed("regions", mix(60), 60.0)[0]


def test_one_that_is_too_slow_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(rules: object, deadline: engines.Deadline) -> set[int]:
        while True:
            deadline()

    monkeypatch.setitem(ENGINES, "slow", (None, slow))
    with pytest.raises(TooSlowError):
        shadowed("slow", KNOWN, 0.01)
    (ours, theirs) = engines.measure(KNOWN, ["regions", "slow"], 2, 1.0)
    assert ours[1] is not None
    assert theirs == ("slow", None, None)


def test_engines_that_disagree_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "wrong", (None, lambda rules, deadline: {1, 2, 5, 8}))
    with pytest.raises(SystemExit, match=r"regions and wrong disagree about the rules \[1\]"):
        list(engines.measure(KNOWN, ["regions", "wrong"], 1, 5.0))
