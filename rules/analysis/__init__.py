"""Exact answers about rule sets: what is true of all packets, as far as header fields decide (docs/lint.md).

    from rules import analysis, ipfw

    rules = ipfw.RuleSet("freebsd-13")
    rules.run("add 100 allow ip from any to any")
    rules.run("add 200 deny tcp from any to any 23")
    analysis.lint(rules).found  # rule 200 is shadowed by rule 100

Everything here computes with sets of packets, and opens, reads and prints nothing.  What stands in other modules of
this package is how it is done, and may change.
"""

from rules.analysis.difference import Difference
from rules.analysis.finding import Finding, Findings, Kind
from rules.analysis.front import Comparison, Reached, differences, lint, reaches
from rules.analysis.space import Place
from rules.analysis.walk import TooManyPiecesError
from rules.analysis.witness import Witness

__all__ = [
    "Comparison",
    "Difference",
    "Finding",
    "Findings",
    "Kind",
    "Place",
    "Reached",
    "TooManyPiecesError",
    "Witness",
    "differences",
    "lint",
    "reaches",
]
