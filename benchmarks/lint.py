"""Lint beside parsing: rule lists as administrators write them, and prefixes that overlap as much as they can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from time import perf_counter

from benchmarks.measure import Effort, Row, compare
from benchmarks.rulemix import ipfw_words, wishes
from rules.addresses import dotted, mask_of
from rules.analysis.findings import findings
from rules.analysis.ipfw import build
from rules.ipfw import RuleSet

__all__ = ["measure", "overlapping"]

_SIZES = (10, 100, 300, 1000)


def overlapping(number: int) -> list[str]:
    """Rules with short prefixes on both sides and wide ranges of ports."""
    random = Random(number)

    def network() -> str:
        length = random.choice((1, 2, 3, 4, 5, 6, 8, 10, 12, 16))
        return f"{dotted(random.getrandbits(32) & mask_of(length))}/{length}"

    def rule() -> str:
        low = random.randrange(60000)
        protocol, ports = random.choice((("tcp", f" {low}-{low + 5000}"), ("udp", f" {low}-{low + 5000}"), ("ip", "")))
        return f"{random.choice(('allow', 'deny'))} {protocol} from {network()} to {network()}{ports}"

    return [rule() for _ in range(number)]


def _parsed(rules: Sequence[str]) -> RuleSet:
    made = RuleSet("freebsd-13")
    for number, words in enumerate(rules, start=100):
        made.run(f"add {number} {words}")
    return made


def _milliseconds(work: Callable[[], object]) -> Callable[[float], float]:
    """How long one run takes, the shortest of those that there is time for."""

    def run(seconds: float) -> float:
        end, best = perf_counter() + seconds, float("inf")
        while perf_counter() < end or best == float("inf"):
            begin = perf_counter()
            work()
            best = min(best, perf_counter() - begin)
        return best * 1000

    return run


def _linted(rules: RuleSet) -> None:
    findings(build(rules))


def measure(effort: Effort) -> list[Row]:
    """Milliseconds, and how many times as long as parsing the rules."""
    found: list[Row] = []
    for size in _SIZES:
        mixes = {"mix": [ipfw_words(wish) for wish in wishes(size)], "overlapping": overlapping(size)}
        for name, rules in mixes.items():
            made = _parsed(rules)
            contestants = {
                "parsing": _milliseconds(partial(_parsed, rules)),
                "lint": _milliseconds(partial(_linted, made)),
            }
            found += compare(f"lint, {size} rules, {name}", "ms", "parsing", contestants, effort)
    return found
