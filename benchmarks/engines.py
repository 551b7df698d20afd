"""`python -m benchmarks.engines`: which rules of a list are shadowed, by our regions, decision diagrams and a solver.

All get the same rules, five fields each (protocol, addresses, ports), and begin with making their own form of them.
The engines that are not ours are not part of the project: `pip install dd z3-solver` has them; what is missing is
named, and the rest is measured.  Answers are compared, and a difference ends the run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.rulemix import wishes
from rules.addresses import dotted, mask_of
from rules.analysis.ipfw import build
from rules.analysis.space import intersection
from rules.analysis.survey import Survey
from rules.fields import ICMP, TCP, UDP
from rules.ipfw import RuleSet

__all__ = ["ENGINES", "FiveFields", "TooSlowError", "administrators", "overlapping", "shadowed"]

_WORDS = {TCP: "tcp", UDP: "udp", ICMP: "icmp", 0: "ip"}
_SIZES = (10, 100, 300, 1000)

Network = tuple[int, int]
"""Address and length."""


@dataclass(frozen=True, slots=True)
class FiveFields:
    """What a rule asks."""

    protocol: int
    """0 for any."""
    source: Network
    destination: Network
    source_ports: tuple[int, int] | None
    destination_ports: tuple[int, int] | None

    @property
    def words(self) -> str:
        ends = (self.source, self.source_ports), (self.destination, self.destination_ports)
        source, destination = (
            f"{dotted(address)}/{length}" + (f" {ports[0]}-{ports[1]}" if ports else "")
            for (address, length), ports in ends
        )
        return f"deny {_WORDS[self.protocol]} from {source} to {destination}"


def administrators(size: int) -> list[FiveFields]:
    """Rules as administrators write them, as far as five fields go; some ask for a client's port as well."""
    random = Random(size)
    found = []
    for wish in wishes(size):
        client = (1024, 65535) if wish.ports and random.random() < 0.2 else None
        found.append(FiveFields(wish.protocol, wish.source, wish.destination, client, wish.ports))
    return found


def overlapping(size: int) -> list[FiveFields]:
    """Short prefixes on both sides and wide ranges of ports: nearly each overlaps nearly each."""
    random = Random(size)

    def network() -> Network:
        length = random.choice((1, 2, 3, 4, 5, 6, 8, 10, 12, 16))
        return random.getrandbits(32) & mask_of(length), length

    def rule() -> FiveFields:
        low = random.randrange(60000)
        protocol, ports = random.choice(((TCP, (low, low + 5000)), (UDP, (low, low + 5000)), (0, None)))
        return FiveFields(protocol, network(), network(), None, ports)

    return [rule() for _ in range(size)]


class TooSlowError(Exception):
    """An engine has had its time."""


Deadline = Callable[[], None]
"""Asked between rules; raises :class:`TooSlowError`."""

Engine = Callable[[Sequence[FiveFields], Deadline], set[int]]
"""The positions of the rules that no packet reaches."""


def _regions(rules: Sequence[FiveFields], deadline: Deadline) -> set[int]:
    """Ours, parsing included: one packet that comes to each rule, or none."""
    made = RuleSet("freebsd-13")
    for number, rule in enumerate(rules, start=1):
        made.run(f"add {number} {rule.words}")
    survey = Survey(build(made))

    def is_reached(number: int) -> bool:
        pieces = (
            intersection(region, match)
            for _, region in survey.starts()
            for match in survey.program.nodes[number].matches
        )
        return any(
            next(survey.walker.arrivals(piece, 0, until=number), None) is not None
            for piece in pieces
            if piece is not None
        )

    found = set()
    for number in range(len(rules)):
        deadline()
        if not is_reached(number):
            found.add(number)
    return found


_FIELDS = (("protocol", 8), ("source", 32), ("destination", 32), ("source_port", 16), ("destination_port", 16))


def _diagrams(module: str) -> Engine:
    """Binary decision diagrams of :mod:`dd`: one diagram of everything that earlier rules take."""

    def engine(rules: Sequence[FiveFields], deadline: Deadline) -> set[int]:
        manager = import_module(module).BDD()
        bits = {name: [f"{name}{bit}" for bit in range(width)] for name, width in _FIELDS}
        # A packet that has ports, unlike later fragments and other protocols.
        manager.declare("has_ports", *(bit for name, _ in _FIELDS for bit in bits[name]))

        def prefix(name: str, value: int, length: int) -> Any:
            width = len(bits[name])
            values = {bits[name][at]: bool(value >> (width - 1 - at) & 1) for at in range(length)}
            return manager.cube(values)

        def at_least(name: str, low: int) -> Any:
            found = manager.true
            for at in reversed(range(16)):
                bit = manager.var(bits[name][at])
                found = bit & found if low >> (15 - at) & 1 else bit | found
            return found

        def between(name: str, low: int, high: int) -> Any:
            found = at_least(name, low)
            return found if high == 0xFFFF else found & ~at_least(name, high + 1)

        def encoded(rule: FiveFields) -> Any:
            found = prefix("source", *rule.source) & prefix("destination", *rule.destination)
            if rule.protocol:
                found &= prefix("protocol", rule.protocol, 8)
            for name, ports in (("source_port", rule.source_ports), ("destination_port", rule.destination_ports)):
                if ports is not None:
                    found &= manager.var("has_ports") & between(name, *ports)
            return found

        transport = prefix("protocol", TCP, 8) | prefix("protocol", UDP, 8)
        left = transport | ~manager.var("has_ports")
        found = set()
        for number, rule in enumerate(rules):
            deadline()
            matching = encoded(rule)
            if left & matching == manager.false:
                found.add(number)
            left &= ~matching
        return found

    return engine


def _solver(rules: Sequence[FiveFields], deadline: Deadline) -> set[int]:
    """Bit vectors in z3, one solver that is told rule after rule what no longer comes."""
    z3 = import_module("z3")
    fields = {name: z3.BitVec(name, width) for name, width in _FIELDS}
    has_ports = z3.Bool("has_ports")

    def encoded(rule: FiveFields) -> Any:
        asked = []
        for name, (address, length) in (("source", rule.source), ("destination", rule.destination)):
            if length:
                asked.append(z3.Extract(31, 32 - length, fields[name]) == address >> (32 - length))
        if rule.protocol:
            asked.append(fields["protocol"] == rule.protocol)
        for name, ports in (("source_port", rule.source_ports), ("destination_port", rule.destination_ports)):
            if ports is not None:
                asked += [has_ports, z3.UGE(fields[name], ports[0]), z3.ULE(fields[name], ports[1])]
        return z3.And(*asked)

    solver = z3.Solver()
    solver.add(z3.Or(z3.Not(has_ports), fields["protocol"] == TCP, fields["protocol"] == UDP))
    found = set()
    for number, rule in enumerate(rules):
        deadline()
        matching = encoded(rule)
        if solver.check(matching) == z3.unsat:
            found.add(number)
        solver.add(z3.Not(matching))
    return found


ENGINES: dict[str, tuple[str | None, Engine]] = {
    "regions": (None, _regions),
    "dd.cudd": ("dd.cudd", _diagrams("dd.cudd")),
    "dd.autoref": ("dd.autoref", _diagrams("dd.autoref")),
    "z3": ("z3", _solver),
}
"""Each with the module that it needs; the first is ours."""


def shadowed(engine: str, rules: Sequence[FiveFields], limit: float) -> tuple[set[int], float]:
    """The answer of an engine, and the seconds that it took.

    :raises TooSlowError: when that is more than the limit, at the end of a rule.
    """
    begin = perf_counter()

    def deadline() -> None:
        if perf_counter() - begin > limit:
            raise TooSlowError

    found = ENGINES[engine][1](rules, deadline)
    return found, perf_counter() - begin


def measure(
    rules: Sequence[FiveFields], engines: Sequence[str], rounds: int, limit: float
) -> Iterator[tuple[str, float | None, float | None]]:
    """For each engine the median of its seconds, and of the rounds' ratios to the first; None for one too slow."""
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    slow: set[str] = set()
    for _ in range(rounds):
        answers: dict[str, set[int]] = {}
        for name in engines:
            if name in slow:
                continue
            try:
                answers[name], taken = shadowed(name, rules, limit)
            except TooSlowError:
                slow.add(name)
                continue
            seconds[name].append(taken)
        first = next(iter(answers), None)
        for name in answers if first is not None else ():
            if answers[name] != answers[str(first)]:
                odd = sorted(answers[name] ^ answers[str(first)])
                raise SystemExit(f"{first} and {name} disagree about the rules {odd}")
    for name in engines:
        if name in slow or engines[0] in slow:
            yield name, None, None  # without the first there is nothing to compare with
        else:
            ratios = [one / ours for one, ours in zip(seconds[name], seconds[engines[0]], strict=True)]
            yield name, median(seconds[name]), median(ratios)


def _installed() -> list[str]:
    found = []
    for name, (module, _) in ENGINES.items():
        try:
            if module is not None:
                import_module(module)
        except ImportError as error:
            print(f"{name}: not measured, {error} (pip install dd z3-solver)", file=sys.stderr)
        else:
            found.append(name)
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES, metavar="N")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=60.0, metavar="SECONDS", help="for one engine and list (60)")
    parser.add_argument("--json", action="store_true", help="print a JSON array of rows, and nothing else")
    options = parser.parse_args()
    engines = _installed()
    rows = []
    for size in options.sizes:
        for mix in (administrators, overlapping):
            for name, seconds, ratio in measure(mix(size), engines, options.rounds, options.limit):
                row = {"rules": size, "mix": mix.__name__, "engine": name, "seconds": seconds, "ratio": ratio}
                rows.append(row)
                if not options.json:
                    figures = f"more than {options.limit:g} s" if seconds is None else f"{seconds:9.3f} s {ratio:9.2f}"
                    print(f"{size:5} {mix.__name__:15} {name:12} {figures}", flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
