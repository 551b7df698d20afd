"""Rule lists of 10 to 10,000 rules: searched by tables against rule by rule, and long lists against short ones.

Packets are made for rules from anywhere in the list, for its last tenth, and for none.  *Known flows*: the same packets
again and again, as the packets of connections are.  *New flows*: so many different ones that tables remember nothing of
them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle, islice

from benchmarks import rulemix
from benchmarks.measure import Effort, Row, compare
from rules.fields import Header
from rules.ipchains import Tables
from rules.ipfw import RuleSet

__all__ = ["measure"]

_SIZES = (10, 100, 1_000, 10_000)
_KNOWN_FLOWS = 2_000
_NEW_FLOWS = 20_000
_AT_A_TIME = 50
_SHARE = 0.25
"""Of a contestant's seconds; there are many of them here."""

Search = Callable[[Header], object]


def _ipfw(asked: Sequence[rulemix.Wish], engine: str) -> Search:
    rules = RuleSet("freebsd-13", engine=engine)
    for wish in asked:
        rules.run(f"add {rulemix.ipfw_words(wish)}")
    return rules.evaluate


def _ipchains(asked: Sequence[rulemix.Wish], engine: str) -> Search:
    tables = Tables(engine=engine)
    for wish in asked:
        tables.run(f"-A input {rulemix.ipchains_words(wish)}")
    traverse = tables.traverse
    return lambda fields: traverse("input", fields, fields.receive_interface or "")


def _timed(search: Search, packets: Sequence[Header]) -> Callable[[float], float]:
    """Searches a second, the packets in turn."""
    turns = cycle(packets)

    def run(seconds: float) -> float:
        start = time.perf_counter()
        done = 0
        while (passed := time.perf_counter() - start) < seconds * _SHARE:
            for fields in islice(turns, _AT_A_TIME):
                search(fields)
            done += _AT_A_TIME
        return done / passed

    return run


def _settle(search: Search, packets: Iterable[Header]) -> None:
    """Enough packets for a list that has to find out whether tables pay."""
    for fields in packets:
        search(fields)


def measure(effort: Effort) -> list[Row]:
    """Rows for each dialect: tables against rule by rule in each size, then each size against the smallest."""
    rows = []
    for dialect, make in (("ipfw", _ipfw), ("ipchains", _ipchains)):
        known: dict[str, Callable[[float], float]] = {}
        new: dict[str, Callable[[float], float]] = {}
        for size in _SIZES:
            asked = rulemix.wishes(size)
            packets = rulemix.headers(asked, _KNOWN_FLOWS)
            plain, chosen = make(asked, "plain"), make(asked, "auto")
            _settle(chosen, packets)
            known[f"{size:,} rules"] = _timed(chosen, packets)
            new[f"{size:,} rules"] = _timed(chosen, rulemix.headers(asked, _NEW_FLOWS))
            contestants = {"rule by rule": _timed(plain, packets), "as it comes": known[f"{size:,} rules"]}
            rows += compare(f"{dialect}, {size:,} rules", "packets/s", "rule by rule", contestants, effort)
        for subject, contestants in (("known flows", known), ("new flows", new)):
            rows += compare(f"{dialect}, {subject}", "packets/s", f"{_SIZES[0]} rules", contestants, effort)
    return rows
