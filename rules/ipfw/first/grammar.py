"""The grammar of ``ipfw add`` in the first language: words -> :class:`~rules.ipfw.rule.Rule`.

    [number] [prob P] ACTION [log [logamount N]] PROTOCOL from [not] ADDRESS [PORTS] to [not] ADDRESS [PORTS] {OPTION}

Every keyword may be cut short, down to one letter; of several that begin so, the one that the tool tries first is
meant.  Where the tool has one place for an option, the last one typed counts; flags and ICMP types add up.

Sources: ipfw(8) of FreeBSD 4, ipfw.c; G-38 and M-3 of the behavioural notes.
"""

from __future__ import annotations

from rules.addresses import ALL_ONES
from rules.ipfw.first.actions import Block, block_of, read_action
from rules.ipfw.first.options import Surroundings, Written, read_options
from rules.ipfw.first.ports import begins_ports, ports
from rules.ipfw.grammar import read_chance
from rules.ipfw.names import PROTOCOLS
from rules.ipfw.questions import AddressIsLocal, End, Never
from rules.ipfw.rule import DEFAULT_RULE, Action, Element, Log, Rule
from rules.ipfw.words import DATA_ERROR, USAGE, RefusalError, Words, leading_number
from rules.predicates import Destination, Predicate, ProtocolIs, Source

__all__ = ["NOBODY", "is_acceptable", "read_rule"]

_TCP, _UDP = 6, 17
NOBODY = {
    (end, word): Never(f"{'src' if end is End.SOURCE else 'dst'}-ip not {word}")
    for end in End
    for word in ("me", "any")
}
"""``not me`` and ``not any``, by end: no packet is so."""


def read_rule(words: Words, *, verbose_limit: int = 0, surroundings: Surroundings) -> Rule:
    """The rule that the words after ``add`` describe; number 0 where none is given.

    Raises RefusalError with the tool's text.
    """
    number = 0
    if (words.peek() or "")[:1].isdigit():
        number = leading_number(words.take())[0] & 0xFFFF
    chance = None
    if words.peek(1) is not None and words.accept("prob"):
        chance = read_chance(words.take())
    effect = read_action(words)
    if effect.action is Action.CHECK_STATE:
        return Rule(number=number, chance=chance, effect=effect)
    log = _log(words, verbose_limit)
    protocol = _protocol(words)
    if effect.action is Action.RESET and protocol != _TCP:
        raise RefusalError("``reset'' is only valid for tcp packets", DATA_ERROR)
    elements = [Element(ProtocolIs(protocol))] if protocol else []
    places = 0
    for end, keyword, name in ((End.SOURCE, "from", "source"), (End.DESTINATION, "to", "dst")):
        if not words.accept(keyword):
            raise RefusalError(f"missing ``{keyword}''", USAGE)
        elements += _address(words, end, name)
        if words and begins_ports(words.peek() or "", protocol):
            question, used = ports(words.take(), protocol, end, places)
            elements.append(Element(question))
            places += used
    if places and protocol not in (_TCP, _UDP):
        raise RefusalError("only TCP and UDP protocols are valid with port specifications", USAGE)
    options = read_options(words, Written(protocol, has_ports=places > 0), surroundings)
    return Rule(
        number=number,
        chance=chance,
        effect=effect,
        log=log,
        elements=(*elements, *options.elements()),
        state=options.state,
    )


def is_acceptable(rule: Rule) -> bool:
    """Whether the kernel takes a rule that the tool has read (check_ipfw_struct)."""
    if rule.number == DEFAULT_RULE:
        return False
    return rule.effect.action is not Action.CHECK_STATE or rule.chance is None


def _log(words: Words, verbose_limit: int) -> Log | None:
    if not words.accept("log"):
        return None
    if not words.accept("logamount"):
        return Log(verbose_limit)
    amount = leading_number(words.need("``logamount'' requires argument"))[0]
    if amount < 0:
        raise RefusalError("``logamount'' argument must be positive", DATA_ERROR)
    words.take()
    return Log(amount)


def _protocol(words: Words) -> int:
    """A number, ``all`` or a name of protocols(5); 0 is any."""
    word = words.need("missing protocol")
    number = leading_number(word)[0] & 0xFF
    if not number and not words.means("all"):
        if word not in PROTOCOLS:
            raise RefusalError(f"invalid protocol ``{word}''", DATA_ERROR)
        number = PROTOCOLS[word] & 0xFF
    words.take()
    return number


def _address(words: Words, end: End, name: str) -> list[Element]:
    """``[not] me``, ``[not] any`` or ``[not] ADDRESS``; what can never match is a question of its own."""
    negated = words.accept("not")
    words.need(f"missing {name} address")
    if words.accept("me"):
        # That kernel compares the address of ``not me`` with 0.0.0.0/0 besides, which never differs.
        return [Element(NOBODY[end, "me"])] if negated else [Element(AddressIsLocal(end))]
    block = block_of(words)
    if block.mask == 0:
        return [Element(NOBODY[end, "any"])] if negated else []
    return [Element(_block(end, block), negated)]


def _block(end: End, block: Block) -> Predicate:
    kind = Source if end is End.SOURCE else Destination
    return kind(block.address) if block.mask == ALL_ONES else kind(block.address, block.mask)
