"""The chains of ipchains as a program over regions.

What rules are asked about is the packet as the matcher sees it (linux.md F20 to F23): a datagram that ends inside its
transport header counts as a fragment, and a fragment whose offset is a multiple of 256 units as none, its ports 65535.
The regions of packets (:meth:`rules.analysis.space.Space.valid`) are cut so that the matcher sees all packets of one
region in the same way, and each question is asked once for each.  What is dropped or accepted before any rule, and the
policies, are nodes like rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rules.analysis.program import Flow, Node, Outcome, Program
from rules.analysis.space import DIMENSION_OF, Place, Region, Space, header, intersection, unnamed
from rules.blocks import Block, Blocks, allowed_by
from rules.fields import OFFSET_MASK, Fields, Header
from rules.ipchains.chains import BUILT_IN, Chain
from rules.ipchains.engine import as_matched, checked
from rules.ipchains.entry import Entry
from rules.ipchains.questions import interfaces, questions
from rules.ipchains.rule import Action, Flag
from rules.ipchains.switches import Switches
from rules.ipchains.tables import Tables
from rules.predicates import InterfaceName, Predicate, Via

__all__ = ["build"]

_TRANSPORT = frozenset({"source_port", "destination_port", "icmp_type", "icmp_code", "tcp_flags"})
_SEEN = _TRANSPORT | {"fragment_offset"}
"""Fields that the matcher may see otherwise than they are."""

_QUIRK = 256
"""The offset that stands for its multiples (linux.md F23)."""


@dataclass(frozen=True)
class _View:
    """Packets that the matcher sees in the same way."""

    region: Region
    protocol: int | None
    """If it is only one."""
    sample: Fields
    """One of them as it is seen; None fields are None in all of them, unless it is seen as it is."""
    as_it_is: bool


def build(
    tables: Tables,
    *,
    lines: Mapping[int, int] | None = None,
    names: Iterable[str] = (),
    extra: Iterable[tuple[str, Block]] = (),
    hooks: Mapping[str, str] | None = None,
) -> Program:
    """The program of the chains as they stand.

    ``lines``: for the identity (:func:`id`) of each entry the line of the file that added it.  ``names``: interfaces of
    the host or of another program, and ``extra``: blocks of another, so that both have one space.  ``hooks``: what the
    built-in chains are called as hooks, those that are to be looked at; their own names by default.
    """
    hooks = {name: name for name in BUILT_IN} if hooks is None else hooks
    entries = [entry for chain in tables.chains.values() for entry in chain.entries]
    used, cut = _asked(entries, tables.switches)
    for name, block in extra:
        used.add(name)
        cut.setdefault(name, []).append(block)
    if any(entry.action is Action.DIVERT for entry in entries):
        used.add("reinjected")
    places = _places({*names, *_interface_names(entries)}, hooks)
    space = Space(used, cut, places, short=True)
    builder = _Builder(tables, space, lines or {}, hooks)
    nodes = builder.nodes()
    return Program(space, tuple(nodes), builder.starts, "ipchains", tuple(places), chains=builder.user_chains)


def _asked(entries: Iterable[Entry], switches: Switches) -> tuple[set[str], dict[str, list[Block]]]:
    """The dimensions that questions read, and where they cut them."""
    used: set[str] = set()
    cut: dict[str, list[Block]] = {}
    for entry in entries:
        for question in questions(entry.rule, syn_test_spares_others=switches.syn_test_spares_others):
            used |= {DIMENSION_OF[name] for name in question.reads}
            allowed = allowed_by(question)
            if isinstance(allowed, Blocks) and allowed.field in question.reads:
                cut.setdefault(DIMENSION_OF[allowed.field], []).extend(allowed.blocks)
    return used, cut


def _interface_names(entries: Iterable[Entry]) -> Iterator[str]:
    """The names that rules tell apart: those they name, and two for each beginning."""
    for entry in entries:
        match interfaces(entry.rule):
            case None:
                continue
            case InterfaceName(name):
                yield name
            case prefix:
                beginning = str(prefix).removesuffix("+") or "eth"
                yield from (f"{beginning}0", f"{beginning}77")


def _places(names: set[str], hooks: Mapping[str, str]) -> list[Place]:
    """Every place of the chains; two interfaces more than the rules know."""
    known = [*sorted(names), *unnamed(names)]
    came: dict[str, Sequence[str | None]] = {"forward": known, "output": [None, *known]}
    found: list[Place] = []
    for chain, hook in hooks.items():
        if chain == "input":
            found += (Place(hook, name, None) for name in known)
        else:
            found += (Place(hook, received, leaves) for leaves in known for received in came[chain])
    return found


class _Builder:
    def __init__(self, tables: Tables, space: Space, lines: Mapping[int, int], hooks: Mapping[str, str]) -> None:
        self.tables = tables
        self.space = space
        self.lines = lines
        self.hooks = hooks
        self.starts: dict[str, int] = {}
        self.user_chains: dict[str, tuple[int, int]] = {}
        self._firsts: dict[str, int] = {}
        self._allowed: dict[tuple[Predicate, str, int | None], int] = {}
        """Atoms that questions allow, found before."""
        self._behind: dict[str, int] = {}
        self._views = list(self._make_views())
        self._checks = list(self._make_checks())

    # Packets as the matcher sees them

    def _make_views(self) -> Iterator[_View]:
        for region in self.space.valid():
            fragment = self.space.index["fragment"]
            for atoms in self._seen_alike(region[fragment]):
                part = (*region[:fragment], atoms, *region[fragment + 1 :])
                packet = self._sample(part)
                seen = as_matched(packet, self.tables.switches)
                protocols = region[self.space.index["protocol"]]
                yield _View(part, packet.protocol if protocols.bit_count() == 1 else None, seen, seen is packet)

    def _seen_alike(self, fragments: int) -> Iterator[int]:
        """Fragments fields, whose offsets the matcher takes for the same: none, a multiple of 256, others."""
        dimension = self.space.dimensions[self.space.index["fragment"]]
        for offsets in ((0, 0), (_QUIRK, _QUIRK), (1, _QUIRK - 1), (_QUIRK + 1, OFFSET_MASK)):
            within = dimension.where(_offset_between(*offsets))
            if fragments & within:
                yield fragments & within

    def _sample(self, region: Region) -> Header:
        values = {
            name: atoms[-1].high if name == "total_length" else atoms[0].low
            for name, atoms in self.space.values(region).items()
        }
        return header(values)

    # What is decided before any rule

    def _make_checks(self) -> Iterator[tuple[Region, str, Outcome]]:
        """Regions that no rule is asked about, by what, and what becomes of them."""
        fragment = self.space.index["fragment"]
        dimension = self.space.dimensions[fragment]
        for region in self.space.valid():
            for atom in range(len(dimension.atoms)):
                if not region[fragment] >> atom & 1:
                    continue
                part = (*region[:fragment], 1 << atom, *region[fragment + 1 :])
                verdict = checked(self._sample(part), "", self.tables.switches)
                if verdict is not None:
                    yield part, verdict.rule, (verdict.action.name,)

    # Nodes

    def nodes(self) -> list[Node]:
        layout: list[tuple[Chain, bool]] = [(self.tables.chains[name], True) for name in self.hooks]
        layout += [(chain, False) for chain in self.tables.chains.values() if chain.policy is None]
        place = 0
        for chain, is_built_in in layout:
            self._firsts[chain.name] = place
            place += (len(self._checks) if is_built_in else 0) + len(chain.entries) + 1
            self._behind[chain.name] = place
        nodes: list[Node] = []
        for chain, is_built_in in layout:
            if is_built_in:
                self.starts[self.hooks[chain.name]] = len(nodes)
                nodes += (
                    Node(f"{chain.name}:{name}", name, None, (region,), Flow.ENDS, outcome, is_policy=True)
                    for region, name, outcome in self._checks
                )
            else:
                self.user_chains[chain.name] = (self._firsts[chain.name], self._behind[chain.name])
            nodes += [self._rule(chain, entry, len(nodes) + index) for index, entry in enumerate(chain.entries)]
            nodes.append(self._end(chain))
        return nodes

    def _end(self, chain: Chain) -> Node:
        everything = tuple(self.space.valid())
        if chain.policy is None:
            return Node(f"{chain.name}:end", "the end of the chain", None, everything, Flow.RETURNS, is_policy=True)
        label, words = f"{chain.name}:policy", f"-P {chain.name} {chain.policy.name}"
        return Node(label, words, None, everything, Flow.ENDS, (chain.policy.name,), is_policy=True)

    def _rule(self, chain: Chain, entry: Entry, index: int) -> Node:
        asked = questions(entry.rule, syn_test_spares_others=self.tables.switches.syn_test_spares_others)
        reads = frozenset[str]().union(*(question.reads for question in asked))
        flow, outcome, target, comes_back = self._acts(chain, entry, index)
        return Node(
            label=entry.label,
            words=f"-A {chain.name} {entry.rule}",
            line=self.lines.get(id(entry)),
            matches=tuple(self._matches(entry, asked)),
            flow=flow,
            outcome=outcome,
            target=target,
            comes_back=comes_back,
            asks_ports=bool(reads & {"source_port", "destination_port"}),
            counts=not entry.silent or entry.action is None or bool(entry.rule.flags & (Flag.LOG | Flag.NETLINK)),
            loop_outcome=(Action.DENY.name,) if flow is Flow.CALLS else (),
        )

    def _acts(self, chain: Chain, entry: Entry, index: int) -> tuple[Flow, Outcome, int, int]:
        """How a packet goes on: flow, outcome, target, and where a return goes on."""
        if entry.branch is not None:
            return Flow.CALLS, (), self._firsts[entry.branch.name], index + 1
        if entry.returns:
            policy = self._behind[chain.name] - 1
            return (Flow.JUMPS, (), policy, policy) if chain.policy is not None else (Flow.RETURNS, (), -1, -1)
        if entry.action is None:
            return Flow.NEXT, (), -1, -1
        with_port = entry.action in (Action.DIVERT, Action.REDIRECT)
        return Flow.ENDS, (entry.action.name, entry.rule.port) if with_port else (entry.action.name,), -1, -1

    def _matches(self, entry: Entry, asked: Sequence[Predicate]) -> Iterator[Region]:
        for view in self._views:
            regions: list[Region] = [view.region]
            if entry.action is Action.DIVERT:
                # What a divert socket wrote passes DIVERT rules as if they did not match (linux.md T6).
                at = self.space.index["reinjected"]
                none = self.space.dimensions[at].holds(None)
                regions = [(*view.region[:at], view.region[at] & none, *view.region[at + 1 :])]
            for question in asked:
                wanted = self._wanted(question, view)
                if wanted is None:
                    regions = []
                    break
                regions = [part for region in regions if (part := intersection(region, wanted)) is not None]
            yield from regions

    def _wanted(self, question: Predicate, view: _View) -> Region | None:
        """What a question allows of packets that are seen alike; None for nothing."""
        if isinstance(question, Via) or not question.reads & _SEEN:
            return self._by_dimension(question, question.reads)
        transport = question.reads & _TRANSPORT
        if not view.as_it_is or all(getattr(view.sample, name) is None for name in transport):
            return self.space.everything if question.test(view.sample) else None
        return self._by_dimension(question, transport, view.protocol)

    def _by_dimension(self, question: Predicate, reads: frozenset[str], protocol: int | None = None) -> Region | None:
        dimensions = {DIMENSION_OF[name] for name in reads}
        (name,) = dimensions
        key = question, name, protocol
        if key not in self._allowed:
            self._allowed[key] = self._allowed_atoms(question, name, protocol)
        atoms = self._allowed[key]
        return self.space.region(name, atoms) if atoms else None

    def _allowed_atoms(self, question: Predicate, name: str, protocol: int | None) -> int:
        allowed = allowed_by(question)
        blocks = allowed if isinstance(allowed, Blocks) and len(question.reads) == 1 else None
        return self.space.allowed(name, _of_protocol(question, protocol), blocks)


def _of_protocol(question: Predicate, protocol: int | None) -> Callable[[Header], bool]:
    """A test of other fields of packets that have this protocol."""
    if protocol is None or "protocol" not in question.reads:
        return question.test

    return lambda fields: question.test(replace(fields, protocol=protocol))


def _offset_between(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: low <= value & OFFSET_MASK <= high
