"""ipfw: FreeBSD's and DragonFly's firewall as pure rule logic.

Commands in the language of ipfw(8) change a :class:`RuleSet`; it says of each datagram what becomes of it.

Not modelled, and refused with one clear line (exit status 69): of pipes ``profile``, CoDel, PIE and an interface as
clock; ``netgraph`` and ``ngtee``, ``altq``, MAC addresses (``MAC``, ``mac-type``), IPv6 addresses and options
(``src-ip6``, ``dst-ip6``, ``icmp6types``, ``ext6hdr``, ``flow-id``, ``reset6``, ``unreach6``), a preprocessor (``-p``).
"""

from rules.errors import CommandError
from rules.ipfw.keepalives import Keepalive
from rules.ipfw.rule import Action, Effect, Element, Limit, Log, Rule, TagMark
from rules.ipfw.ruleset import Counters, Result, RuleSet
from rules.ipfw.state import Lifetimes
from rules.ipfw.surroundings import NOWHERE, Host, Owner, Route, Surroundings
from rules.ipfw.switches import DIALECTS, PROFILES, Dialect, Switches, switches_of
from rules.ipfw.verdict import Resume, Verdict

__all__ = [
    "DIALECTS",
    "NOWHERE",
    "PROFILES",
    "Action",
    "CommandError",
    "Counters",
    "Dialect",
    "Effect",
    "Element",
    "Host",
    "Keepalive",
    "Lifetimes",
    "Limit",
    "Log",
    "Owner",
    "Result",
    "Resume",
    "Route",
    "Rule",
    "RuleSet",
    "Surroundings",
    "Switches",
    "TagMark",
    "Verdict",
    "switches_of",
]
