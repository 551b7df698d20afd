"""Questions made ready: each element of a rule becomes one function, so that asking costs one call.

The plain questions that rules ask most get a function of their own here, without the lookups of attributes that
``question.test`` needs; it answers the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rules.fields import Fields
from rules.ipfw.questions import Bound, Comment, ReceivedBy, TransmittedBy
from rules.ipfw.rule import Element
from rules.ipfw.world import Test, World
from rules.predicates import (
    Destination,
    DestinationPort,
    IcmpType,
    InterfaceName,
    Predicate,
    ProtocolIs,
    Ranges,
    Source,
    SourcePort,
    Via,
)

__all__ = ["ready"]


def ready(elements: Iterable[Element], world: World) -> tuple[Test, ...]:
    """The questions of a rule in order, alternatives joined into one."""
    tests: list[Test] = []
    alternatives: list[Test] = []
    for element in elements:
        test = _one(element, world)
        if element.or_next:
            alternatives.append(test)
        elif alternatives:
            tests.append(_any_of((*alternatives, test)))
            alternatives = []
        elif not isinstance(element.question, Comment) or element.negated:
            tests.append(test)
    if alternatives:
        tests.append(_any_of(tuple(alternatives)))
    return tuple(tests)


def _one(element: Element, world: World) -> Test:
    test = _ready(element.question, world)
    if element.negated:
        return lambda fields: not test(fields)
    return test


def _any_of(tests: tuple[Test, ...]) -> Test:
    def any_of(fields: Fields) -> bool:
        for test in tests:  # noqa: SIM110 - a loop is faster than any() over a generator
            if test(fields):
                return True
        return False

    return any_of


def _ready(question: Predicate, world: World) -> Test:
    if isinstance(question, Bound):
        return question.bind(world)
    if isinstance(question, ReceivedBy | TransmittedBy | Via):
        bind = getattr(question.interfaces, "bind", None)
        if bind is not None:
            return type(question)(bind(world)).test
    if isinstance(question, IcmpType):
        return _icmp_type(question, world.highest_icmp_type)
    special = _SPECIAL.get(type(question))
    return (special(question) if special else None) or question.test


def _icmp_type(question: IcmpType, highest: int) -> Test:
    types = frozenset(
        number for low, high in question.types.pairs for number in range(low, high + 1) if number <= highest
    )
    return lambda fields: fields.icmp_type in types


def _source(question: Source) -> Test:
    address, mask = question.address, question.mask
    if mask == 0xFFFFFFFF:
        return lambda fields: fields.source == address
    return lambda fields: fields.source & mask == address


def _destination(question: Destination) -> Test:
    address, mask = question.address, question.mask
    if mask == 0xFFFFFFFF:
        return lambda fields: fields.destination == address
    return lambda fields: fields.destination & mask == address


def _protocol(question: ProtocolIs) -> Test:
    number = question.number
    return lambda fields: fields.protocol == number


def _only(ranges: Ranges) -> tuple[int, int] | None:
    return ranges.pairs[0] if len(ranges.pairs) == 1 else None


def _source_port(question: SourcePort) -> Test | None:
    only = _only(question.ports)
    if only is None:
        return None
    low, high = only
    if low == high:
        return lambda fields: fields.source_port == low
    return lambda fields: (port := fields.source_port) is not None and low <= port <= high


def _destination_port(question: DestinationPort) -> Test | None:
    only = _only(question.ports)
    if only is None:
        return None
    low, high = only
    if low == high:
        return lambda fields: fields.destination_port == low
    return lambda fields: (port := fields.destination_port) is not None and low <= port <= high


def _via(question: Via) -> Test | None:
    if not isinstance(question.interfaces, InterfaceName):
        return None
    name = question.interfaces.name
    return lambda fields: (fields.transmit_interface or fields.receive_interface) == name


_SPECIAL: dict[type, Callable[[Any], Test | None]] = {
    Source: _source,
    Destination: _destination,
    ProtocolIs: _protocol,
    SourcePort: _source_port,
    DestinationPort: _destination_port,
    Via: _via,
}
