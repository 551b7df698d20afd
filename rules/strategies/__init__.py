"""Hypothesis strategies for rule logic: addresses, headers, rules, rule lists, and packets drawn from rules.

>>> from hypothesis import given
>>> from rules.strategies import matching, missing, reaching, ipfw_lists
>>> @given(matching("deny tcp from any to any 25"))
... def test_mail_is_denied(header): ...

Headers are :class:`rules.fields.Header` values, and a failing test prints them in ipfw's words besides;
``simulator.testing.strategies`` has the same as octets.  Rule lists are lists of commands, so that a failing test
prints what can be typed.  Examples shrink to few rules, documentation addresses and well-known ports.  Needs
hypothesis (``pip install 'divertsim[strategies]'``).
"""

from importlib.util import find_spec

if find_spec("hypothesis") is None:
    raise ModuleNotFoundError(
        "rules.strategies and simulator.testing draw with hypothesis: pip install 'divertsim[strategies]'",
        name="hypothesis",
    )

from rules.strategies.drawn import NoPacketError, matching, missing
from rules.strategies.headers import coherent, headers
from rules.strategies.ipchains import ipchains_lists, ipchains_rules, ipchains_tables
from rules.strategies.ipfw import ipfw_actions, ipfw_lists, ipfw_questions, ipfw_rules
from rules.strategies.reaching import reaching
from rules.strategies.values import addresses, networks, port_ranges, ports, protocols
from rules.strategies.words import said

__all__ = [
    "NoPacketError",
    "addresses",
    "coherent",
    "headers",
    "ipchains_lists",
    "ipchains_rules",
    "ipchains_tables",
    "ipfw_actions",
    "ipfw_lists",
    "ipfw_questions",
    "ipfw_rules",
    "matching",
    "missing",
    "networks",
    "port_ranges",
    "ports",
    "protocols",
    "reaching",
    "said",
]
