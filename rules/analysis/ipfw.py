"""A list of ipfw as a program over regions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rules.addresses import mask_of
from rules.analysis.program import END_OF_CALLS, Flow, Node, Outcome, Program
from rules.analysis.space import (
    DIMENSION_OF,
    Place,
    Region,
    Space,
    Test,
    difference,
    intersection,
    unnamed,
)
from rules.blocks import Block, Blocks, allowed_by
from rules.fields import OFFSET_MASK, TCP
from rules.ipfw.bound import TABLEARG
from rules.ipfw.chain import RESERVED_SET
from rules.ipfw.compiled import ready
from rules.ipfw.first.bogus import GUARD, guarded
from rules.ipfw.questions import (
    AddressInTable,
    AddressIsLocal,
    Comment,
    End,
    Fib,
    InterfacePattern,
    Mark,
    OwnedBy,
    Tagged,
)
from rules.ipfw.rule import DEFAULT_RULE, Action, Element, Rule
from rules.ipfw.ruleset import RuleSet
from rules.ipfw.step import Entry
from rules.predicates import InterfaceName

__all__ = ["HOOKS", "build"]

HOOKS = ("in", "out")

_PORTS = frozenset({"source_port", "destination_port"})
_GOES_ON = frozenset({Action.COUNT, Action.SETFIB, Action.SETDSCP, Action.SETMARK})
_HELD = frozenset({Action.PIPE, Action.QUEUE, Action.NAT})


@dataclass
class _Question:
    """One element of a rule in the terms of the space: a dimension and a test, or the reason why not."""

    dimension: str | None
    test: Test | None
    blocks: Blocks | None = None
    reason: str | None = None
    ports: bool = False


@dataclass
class _Draft:
    """A rule before the space is known."""

    entry: Entry
    blocks: list[list[_Question]] = field(default_factory=list)
    guarded: int | None = None
    """Behind so many blocks TCP fragments with offset 1 are dropped, where a rule does that (bsd.md F-13)."""


def build(
    rules: RuleSet,
    *,
    lines: Mapping[int, int] | None = None,
    interfaces: Sequence[str] = (),
    knows_host: bool = False,
    extra: Iterable[tuple[str, Block]] = (),
    names: Iterable[str] = (),
    short: bool = False,
) -> Program:
    """The program of a rule list as it stands.

    ``lines``: for each entry's serial the line of the file that added it.  ``interfaces``: those of the host, besides
    the ones that rules name; ``knows_host``: the rule set's surroundings know the host's addresses, so ``me`` is exact.
    ``extra`` and ``names``: blocks and interfaces that another program names, so that both have one space; ``short``:
    in it are datagrams that end inside their transport header, which are dropped before any rule (bsd.md F-13), as are
    TCP fragments with offset 1 where the system does so.
    """
    enabled = [entry for entry in rules.chain if not rules.chain.disabled >> entry.rule.set & 1]
    drafts = [_draft(entry, rules, knows_host) for entry in enabled]
    asked = [question for draft in drafts for block in draft.blocks for question in block]
    places = _places({*interfaces, *names, *_interface_names(enabled)})
    cut: dict[str, list[Block]] = {}
    for question in asked:
        if question.dimension is not None and question.blocks is not None:
            cut.setdefault(question.dimension, []).extend(question.blocks.blocks)
    for name, block in extra:
        cut.setdefault(name, []).append(block)
    used = {question.dimension for question in asked if question.dimension is not None} | set(cut)
    space = Space(used, cut, places, short=short)
    checks = _checks(space, rules) if short else []
    nodes = [*checks, *_nodes(drafts, rules, space, lines or {}, len(checks))]
    return Program(space, tuple(nodes), dict.fromkeys(HOOKS, 0), "ipfw", tuple(places), len(checks))


# Questions


def _draft(entry: Entry, rules: RuleSet, knows_host: bool) -> _Draft:
    draft = _Draft(entry)
    block: list[_Question] = []
    elements = entry.rule.elements
    for element in guarded(elements) if rules.switches.tcp_rules_refuse_offset_one else elements:
        if element is GUARD:
            draft.guarded = len(draft.blocks)
            continue
        if isinstance(element.question, Comment) and not element.negated:
            continue
        block.append(_question(element, rules, knows_host))
        if not element.or_next:
            draft.blocks.append(block)
            block = []
    if block:
        draft.blocks.append(block)
    return draft


def _question(element: Element, rules: RuleSet, knows_host: bool) -> _Question:
    question = element.question
    reason = _reason(question, rules, knows_host)
    ports = bool(question.reads & _PORTS)
    if reason is not None:
        return _Question(None, None, reason=reason, ports=ports)
    (made,) = ready((replace(element, or_next=False),), rules.world) or (None,)
    test: Test = made.test if made is not None else (lambda fields: not element.negated)
    dimensions = {DIMENSION_OF.get(name) for name in question.reads - {"protocol"}} or {
        DIMENSION_OF[name] for name in question.reads
    }
    if "tcp_options" in question.reads:
        dimensions = {"tcp_options"}
    if not dimensions:
        return _Question("protocol", lambda fields: test(fields))
    if None in dimensions or len(dimensions) > 1:
        return _Question(None, None, reason=f"a question about {', '.join(sorted(question.reads))}")
    (dimension,) = dimensions
    return _Question(dimension, test, _blocks(element, rules), ports=ports)


def _blocks(element: Element, rules: RuleSet) -> Blocks | None:
    question = element.question
    if isinstance(question, AddressInTable) and question.key is None:
        # Which value is found decides, so only where the table's prefixes begin and end is known here.
        name = "source" if question.end is End.SOURCE else "destination"
        table = rules.world.table(question.table)
        return _Cuts(name, tuple((network, mask_of(length)) for network, length, _ in table))
    allowed = allowed_by(question)
    if not isinstance(allowed, Blocks):
        return None
    return allowed.opposite() if element.negated else allowed


class _Cuts(Blocks):
    """Blocks that say where to cut, and nothing of the answer."""


_REASONS: tuple[tuple[type, str], ...] = (
    (OwnedBy, "the owner of a socket"),
    (Tagged, "packet tags"),
    (Fib, "the routing table"),
    (Mark, "the mark of the packet"),
)


def _reason(question: Any, rules: RuleSet, knows_host: bool) -> str | None:
    """Why a question cannot be decided from header fields; None when it can."""
    for kind, reason in _REASONS:
        if isinstance(question, kind):
            return reason
    name = type(question).__name__
    if name in ("VerifyReversePath", "SourceReachable", "Antispoof"):
        return "the routes of the host"
    if isinstance(question, AddressIsLocal) and not knows_host:
        return "the addresses of the host (me)"
    if isinstance(question, AddressInTable) and question.key not in (None,):
        return f"a lookup of {question.key}"
    if name == "AddressInNumberedTable":
        return "a table that counts how often it is asked"
    interfaces = getattr(question, "interfaces", None)
    if isinstance(interfaces, InterfacePattern) and not _is_prefix(interfaces.pattern):
        return f"the interface pattern {interfaces.pattern}"
    if type(interfaces).__name__ == "InterfaceAddress" and not knows_host:
        return "the addresses of the host (via ADDRESS)"
    if question.reads & {"tcp_data_length"}:
        return "the length of TCP data"
    return None


def _is_prefix(pattern: str) -> bool:
    return pattern.endswith("*") and not any(sign in pattern[:-1] for sign in "*?[")


def _interface_names(entries: Iterable[Entry]) -> Iterator[str]:
    """The names that rules tell apart: those they name, and one for each pattern."""
    for entry in entries:
        for element in entry.rule.elements:
            interfaces = getattr(element.question, "interfaces", None)
            if isinstance(interfaces, InterfaceName):
                yield interfaces.name
            elif isinstance(interfaces, InterfacePattern):
                yield interfaces.pattern.rstrip("*").replace("?", "0") + "0"
                yield interfaces.pattern.rstrip("*").replace("?", "0") + "77"
            elif type(interfaces).__name__ == "InterfaceUnits":
                yield str(interfaces).rstrip("*") + ("0" if str(interfaces).endswith("*") else "")
                yield str(interfaces).rstrip("*0123456789") + "77"


def _places(names: set[str]) -> list[Place]:
    """Every place of both passes; two interfaces more than the rules know."""
    known = [*sorted(names), *unnamed(names)]
    return [
        *(Place("in", name, None) for name in known),
        *(Place("out", received, leaves) for leaves in known for received in (None, *known)),
    ]


# Rules


def _checks(space: Space, rules: RuleSet) -> list[Node]:
    """What is dropped before any rule."""
    short = Node(
        "too short", "a datagram too short for its transport header", None, tuple(space.too_short()), Flow.ENDS
    )
    found = [replace(short, outcome=(Action.DENY.value,), is_policy=True)]
    if rules.switches.offset_one_is_bogus:
        found.append(_bogus("bogus fragment", space, space.valid()))
    return found


def _bogus(label: str, space: Space, regions: Iterable[Region]) -> Node:
    """Drops TCP fragments with offset 1."""
    bogus = list(space.everything)
    for name, test in (
        ("protocol", lambda value: value == TCP),
        ("fragment", lambda value: value & OFFSET_MASK == 1),
    ):
        bogus[space.index[name]] = space.dimensions[space.index[name]].where(test)
    matches = tuple(part for region in regions if (part := intersection(tuple(bogus), region)) is not None)
    words = "a TCP fragment with offset 1"
    return Node(label, words, None, matches, Flow.ENDS, (Action.DENY.value,), is_policy=True)


def _nodes(drafts: list[_Draft], rules: RuleSet, space: Space, lines: Mapping[int, int], offset: int) -> list[Node]:
    """The nodes; a rule with state is two, since it looks for state before it asks anything, and so is one that drops
    packets when it comes to a certain question."""
    changes_tos = any(draft.entry.rule.effect.action is Action.SETDSCP for draft in drafts)
    looks_at_options = {"options", "tcp_options"} & set(space.names) and "total_length" in space.names
    made: list[tuple[Rule, list[Node], Node]] = []
    for draft in drafts:
        rule = draft.entry.rule
        excluded = set()
        if changes_tos:
            excluded.add("tos")
        if looks_at_options:
            excluded.add("total_length")
        matches, reasons = _matches(draft.blocks, draft.entry, space, excluded)
        base = Node(
            label=rule.number,
            words=str(replace(rule, number=0, set=0)),
            line=lines.get(draft.entry.serial),
            matches=matches,
            flow=Flow.ENDS,
            certain=not reasons,
            reasons=tuple(reasons),
            asks_ports=any(question.ports for block in draft.blocks for question in block),
            counts=rule.log is not None or rule.tag is not None or rule.state is not None or draft.guarded is not None,
            is_policy=rule.number == DEFAULT_RULE and rule.set == RESERVED_SET and draft.entry is rules.chain.default,
        )
        before = []
        if rule.state is not None or rule.effect.action is Action.CHECK_STATE:
            state = Node(
                label=rule.number,
                words=base.words,
                line=base.line,
                matches=tuple(space.valid()),
                flow=Flow.ENDS,
                outcome=("state",),
                certain=False,
                reasons=("dynamic state",),
            )
            before.append(state)
        if draft.guarded is not None:
            regions, why = _matches(draft.blocks[: draft.guarded], draft.entry, space, excluded)
            guard = _bogus("refused fragment", space, regions)
            before.append(replace(guard, certain=not why, reasons=tuple(why)))
        made.append((rule, before, base))
    return _linked(made, rules, offset)


def _matches(
    blocks: Iterable[list[_Question]], entry: Entry, space: Space, excluded: set[str]
) -> tuple[tuple[Region, ...], list[str]]:
    """What a rule may match that asks this: disjoint regions, and why not all of it is certain."""
    reasons: list[str] = []
    regions: list[Region] = list(space.valid())
    if entry.rule.chance is not None:
        reasons.append("chance (prob)")
    for block in blocks:
        sets: list[Region] = []
        for question in block:
            if question.reason is not None or question.dimension in excluded:
                reasons.append(question.reason or f"{question.dimension}, which setdscp or options change")
                sets = [space.everything]
                break
            assert question.dimension is not None
            assert question.test is not None
            named = None if isinstance(question.blocks, _Cuts) else question.blocks
            atoms = space.allowed(question.dimension, question.test, named)
            if atoms:
                sets.append(space.region(question.dimension, atoms))
        regions = list(_within(regions, sets))
    return tuple(regions), reasons


def _within(regions: Iterable[Region], sets: Sequence[Region]) -> Iterator[Region]:
    """The parts of disjoint regions that lie in any of the sets: disjoint again."""
    for region in regions:
        rest = [region]
        for wanted in sets:
            left: list[Region] = []
            for piece in rest:
                inside = intersection(piece, wanted)
                if inside is None:
                    left.append(piece)
                    continue
                yield inside
                left += difference(piece, wanted)
            rest = left


def _linked(made: list[tuple[Rule, list[Node], Node]], rules: RuleSet, offset: int) -> list[Node]:
    """The nodes in order, the first being node ``offset``, jumps pointing at their targets."""
    first_of: list[tuple[int, int]] = []
    count = offset
    for rule, before, _ in made:
        first_of.append((rule.number, count))
        count += len(before) + (rule.effect.action is not Action.CHECK_STATE)

    def first_from(number: int) -> int:
        return next((index for other, index in first_of if other >= number), first_of[-1][1])

    numbers = {rule.number for rule, _, _ in made}
    nodes: list[Node] = []
    for rule, before, base in made:
        nodes += before
        if rule.effect.action is Action.CHECK_STATE:
            continue
        acting = _acting(rule, base, rules, first_from, numbers)
        behind = offset + len(nodes) + 1
        if rule.effect.action in (Action.DIVERT, Action.TEE):
            acting = replace(acting, comes_back=first_from(rule.number + 1))
        elif acting.flow is Flow.COLLECTS or (rule.effect.action in _HELD and not rules.variables["one_pass"]):
            acting = replace(acting, comes_back=behind)
        nodes.append(acting)
    return nodes


def _acting(rule: Rule, base: Node, rules: RuleSet, first_from: Callable[[int], int], numbers: set[int]) -> Node:
    """The node with what the rule's action does."""
    effect = rule.effect
    argument: object = "tablearg" if effect.argument == TABLEARG else effect.argument
    if effect.action in _GOES_ON:
        return replace(base, flow=Flow.NEXT, counts=True)
    if effect.action in (Action.SKIPTO, Action.CALL):
        if argument == "tablearg":
            return replace(base, flow=Flow.ENDS, outcome=(effect.action.value, "tablearg"), certain=False)
        wanted = max(effect.argument, rule.number + 1) if effect.action is Action.SKIPTO else effect.argument
        missing = None if effect.argument in numbers else str(effect.argument)
        flow = Flow.JUMPS if effect.action is Action.SKIPTO else Flow.CALLS
        back = first_from(rule.number + 1)
        return replace(base, flow=flow, target=first_from(wanted), comes_back=back, missing_target=missing, counts=True)
    if effect.action in (Action.REASS, Action.DEFRAG):
        return replace(base, flow=Flow.COLLECTS, outcome=(effect.action.value,), counts=True)
    if effect.action is Action.RETURN:
        return replace(base, flow=Flow.RETURNS, target=END_OF_CALLS, counts=True)
    if effect.action is Action.TEE:
        goes_on = rules.switches.tee_original == "next rule"
        return replace(
            base, flow=Flow.NEXT if goes_on else Flow.ENDS, outcome=("tee", argument), forgets_origin=goes_on
        )
    outcome: Outcome = (effect.action.value,)
    if effect.action in (Action.DIVERT, Action.UNREACH, Action.NAT):
        outcome = (effect.action.value, argument)
    elif effect.action is Action.FWD:
        outcome = (effect.action.value, effect.address, argument)
    elif effect.action not in (Action.ALLOW, Action.DENY, Action.RESET):
        outcome = (effect.action.value, argument)
    return replace(base, outcome=outcome)
