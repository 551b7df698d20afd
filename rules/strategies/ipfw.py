"""Rules and rule lists of ipfw, as the commands that make them.

What a kernel's own language does not have is left out by trying each word once on that kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from hypothesis import strategies as st

from rules.ipfw import RuleSet
from rules.ipfw.switches import Dialect
from rules.strategies.values import networks, port_ranges

__all__ = ["ACTIONS", "NUMBERS", "QUESTIONS", "ipfw_actions", "ipfw_lists", "ipfw_questions", "ipfw_rules"]

ACTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "allow": ("allow",),
        "deny": ("deny",),
        "count": ("count",),
        "divert": ("divert 8668", "divert 5000"),
        "tee": ("tee 8668", "tee 5000"),
        "skipto": ("skipto 300", "skipto 1000", "skipto 65000"),
        "unreach": ("unreach port", "unreach host", "unreach 13"),
        "reset": ("reset",),
        "fwd": ("fwd 10.0.0.9", "fwd 10.0.0.9,80"),
        "reass": ("reass",),
        "defrag": ("defrag",),
        "call": ("call 1000", "call 300"),
        "return": ("return",),
        "setfib": ("setfib 0",),
        "setdscp": ("setdscp ef", "setdscp 0"),
        "setmark": ("setmark 5", "setmark 0"),
        "nat": ("nat 1",),
        "pipe": ("pipe 1",),
        "queue": ("queue 1",),
        "check-state": ("check-state",),
    }
)
"""Every action by its word, as it may be typed."""

QUESTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "in": ("in", "out"),
        "via": ("via em0", "via em1", "via em*", "via 10.0.0.1"),
        "recv": ("recv em0", "recv em1", "recv any"),
        "xmit": ("xmit em1", "xmit em0"),
        "frag": ("frag",),
        "ipfrag": ("ipfrag",),
        "setup": ("setup",),
        "established": ("established",),
        "tcpflags": ("tcpflags syn,!ack", "tcpflags !fin", "tcpflags rst"),
        "tcpoptions": ("tcpoptions mss", "tcpoptions !sack,ts"),
        "tcpseq": ("tcpseq 1",),
        "tcpack": ("tcpack 1",),
        "tcpwin": ("tcpwin 65535", "tcpwin 1024"),
        "tcpdatalen": ("tcpdatalen 0", "tcpdatalen 8-100"),
        "tcpmss": ("tcpmss 536-1460",),
        "icmptypes": ("icmptypes 8", "icmptypes 0,3,11"),
        "ipttl": ("ipttl 64", "ipttl 1"),
        "iplen": ("iplen 28", "iplen 20-60"),
        "ipid": ("ipid 1", "ipid 0-7"),
        "iptos": ("iptos lowdelay", "iptos !throughput"),
        "ipprecedence": ("ipprecedence 0", "ipprecedence 5"),
        "dscp": ("dscp ef", "dscp cs1,af11"),
        "ipoptions": ("ipoptions rr", "ipoptions !ssrr"),
        "ipversion": ("ipversion 4", "ipversion 6"),
        "proto": ("proto tcp", "proto udp"),
        "src-ip": ("src-ip 10.0.0.0/8", "src-ip 192.0.2.1"),
        "dst-ip": ("dst-ip 10.0.0.0/8", "dst-ip 198.51.100.1"),
        "src-port": ("src-port 1024-65535", "src-port 53"),
        "dst-port": ("dst-port 80", "dst-port 1-1023"),
        "tagged": ("tagged 5",),
        "mark": ("mark 5", "mark 0"),
        "diverted": ("diverted", "diverted-loopback", "diverted-output"),
        "verrevpath": ("verrevpath",),
        "versrcreach": ("versrcreach",),
        "antispoof": ("antispoof",),
        "uid": ("uid 7", "uid root"),
        "gid": ("gid 7",),
        "jail": ("jail 1",),
        "fib": ("fib 0",),
        "lookup": ("lookup src-ip 1", "lookup dst-port 2"),
        "flow": ("flow 'table(3)'",),
        "layer2": ("layer2",),
        "ip4": ("ip4", "ip6"),
        "ipsec": ("ipsec",),
        "sockarg": ("sockarg",),
    }
)
"""Every question by its word, as it may be typed behind ``from ... to ...``."""

NUMBERS = (100, 200, 300, 400, 500, 1000, 65000)
"""Rule numbers, round ones first; examples have several rules of one number, too."""

_STATE = ("keep-state", "limit src-addr 2", "limit dst-port 1")
_PROTOCOLS = ("ip", "tcp", "udp", "icmp", "47", "not udp", "{ tcp or udp }")
_OLD_PROTOCOLS = ("ip", "tcp", "udp", "icmp", "47")
_PLACES = ("any", "me", "10.0.0.1", "192.0.2.1", "10.0.0.0/24{1,5-9}", "table(1)", "{ 10.0.0.1 or 192.0.2.1 }")
_OLD_PLACES = ("any", "me", "10.0.0.1", "192.0.2.1")


@cache
def _is_taken(profile: str, dialect: Dialect | None, words: str) -> bool:
    """Whether that kernel takes a rule with these words."""
    return not RuleSet(profile, ipfw_dialect=dialect).execute(f"add 100 {words}").status


def ipfw_actions(profile: str = "freebsd-13", dialect: Dialect | None = None) -> dict[str, tuple[str, ...]]:
    """The actions of :data:`ACTIONS` that a kernel has."""
    ends = {word: "" if word == "check-state" else " ip from any to any" for word in ACTIONS}
    found = {
        word: tuple(each for each in ways if _is_taken(profile, dialect, each + ends[word]))
        for word, ways in ACTIONS.items()
    }
    return {word: ways for word, ways in found.items() if ways}


def ipfw_questions(profile: str = "freebsd-13", dialect: Dialect | None = None) -> dict[str, tuple[str, ...]]:
    """The questions of :data:`QUESTIONS` that a kernel has, each with the protocol that it needs there."""
    found: dict[str, tuple[str, ...]] = {}
    for word, ways in QUESTIONS.items():
        taken = tuple(
            each
            for each in ways
            if any(
                _is_taken(profile, dialect, f"count {protocol} from any to any {each}") for protocol in _OLD_PROTOCOLS
            )
        )
        if taken:
            found[word] = taken
    return found


def _shared(weights: Mapping[str, int], known: Mapping[str, tuple[str, ...]], what: str) -> list[str]:
    unknown = sorted(set(weights) - set(known))
    if unknown:
        raise ValueError(f"no {what} {', '.join(unknown)} there (there are {', '.join(known)})")
    return [word for word, share in weights.items() for _ in range(share)]


_USUAL_ACTIONS = {"allow": 3, "deny": 3, "count": 2, "divert": 3, "tee": 1, "skipto": 1, "unreach": 1}


def ipfw_rules(
    profile: str = "freebsd-13",
    *,
    dialect: Dialect | None = None,
    actions: Mapping[str, int] | None = None,
    questions: Mapping[str, int] | None = None,
    most_questions: int = 3,
    negated: float = 0.2,
    alternatives: float = 0.1,
    ports: float = 0.5,
    anywhere: float = 0.5,
    states: float = 0.0,
    logged: float = 0.0,
    tagged: float = 0.0,
    chance: float = 0.0,
    sets: Sequence[int] = (0,),
    numbers: Sequence[int] = NUMBERS,
) -> st.SearchStrategy[str]:
    """Rules as commands: ``add 100 deny tcp from any to any 25 in``.

    ``profile``, ``dialect``: whose language.  ``actions``, ``questions``: how often each of :data:`ACTIONS` and
    :data:`QUESTIONS`, by shares (``{"divert": 3, "allow": 1}``); usual are some actions, and all the questions that the
    kernel has.  ``most_questions``: behind ``from ... to ...``.  The others are probabilities, from 0 to 1: of ``not``
    before a question, of an ``or`` block of two, of ports where the protocol has them, of ``any`` as a place, and of
    ``keep-state`` or ``limit``, ``log``, ``tag`` and ``prob``.

    :raises ValueError: for an action or a question that the kernel does not have.
    """
    known_actions, known_questions = ipfw_actions(profile, dialect), ipfw_questions(profile, dialect)
    usual = {word: share for word, share in _USUAL_ACTIONS.items() if word in known_actions}
    words = _shared(actions if actions is not None else usual, known_actions, "action")
    asked = _shared(
        questions if questions is not None else dict.fromkeys(known_questions, 1), known_questions, "question"
    )
    second = _is_taken(profile, dialect, "count { tcp or udp } from any to any")
    protocols = _PROTOCOLS if second else _OLD_PROTOCOLS
    fixed_places = [place for place in _PLACES if _is_taken(profile, dialect, f"count ip from {place} to any")]

    @st.composite
    def rule(draw: st.DrawFn) -> str:
        said = [f"add {draw(st.sampled_from(numbers))}"]
        if (owner := draw(st.sampled_from(sets))) != 0:
            said.append(f"set {owner}")
        if _draw_share(draw, chance):
            said.append("prob 0.5")
        action = draw(st.sampled_from(words))
        said.append(draw(st.sampled_from(known_actions[action])))
        if action == "check-state":
            return " ".join(said)
        said += ["log"] if _draw_share(draw, logged) else []
        said += ["tag 5"] if _draw_share(draw, tagged) else []
        chosen = [draw(st.sampled_from(known_questions[draw(st.sampled_from(asked))])) for _ in range(_count(draw))]
        protocol = draw(st.sampled_from(protocols))
        body = [protocol, "from", place(draw), *port(draw, protocol), "to", place(draw), *port(draw, protocol)]
        for question in chosen:
            one = f"not {question}" if second and _draw_share(draw, negated) else question
            if second and _draw_share(draw, alternatives):
                one = f"{{ {one} or {draw(st.sampled_from(known_questions[draw(st.sampled_from(asked))]))} }}"
            if _is_taken(profile, dialect, " ".join(["count", *body, one])):
                body.append(one)
        if _draw_share(draw, states) and _is_taken(profile, dialect, " ".join(["count", *body, _STATE[0]])):
            body.append(draw(st.sampled_from(_STATE if second else _STATE[:1])))
        return " ".join([*said, *body])

    def _count(draw: st.DrawFn) -> int:
        return draw(st.integers(0, most_questions)) if asked else 0

    def place(draw: st.DrawFn) -> str:
        if not _draw_share(draw, 1 - anywhere):
            return "any"
        return draw(st.sampled_from(fixed_places) | networks(shortest=1))

    def port(draw: st.DrawFn, protocol: str) -> list[str]:
        if protocol not in ("tcp", "udp", "{ tcp or udp }") or not _draw_share(draw, ports):
            return []
        low, high = draw(port_ranges())
        return [str(low) if low == high else f"{low}-{high}"]

    return rule()


def _draw_share(draw: st.DrawFn, share: float) -> bool:
    """Whether, in that share of the draws; shrinks to no."""
    if share <= 0:
        return False
    if share >= 1:
        return True
    return draw(st.integers(0, 99)) >= 100 - share * 100


def ipfw_lists(
    profile: str = "freebsd-13",
    *,
    dialect: Dialect | None = None,
    least: int = 0,
    most: int = 8,
    rules: st.SearchStrategy[str] | None = None,
) -> st.SearchStrategy[list[str]]:
    """Rule lists as commands in order of number, which is what a failing test prints.

    ``rules``: where each comes from, :func:`ipfw_rules` of the profile unless told otherwise.
    """
    one = rules if rules is not None else ipfw_rules(profile, dialect=dialect)
    return st.lists(one, min_size=least, max_size=most).map(lambda found: sorted(found, key=_number))


def _number(command: str) -> int:
    return int(command.split()[1])
