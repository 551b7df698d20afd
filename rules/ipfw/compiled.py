"""Questions made ready: each element of a rule becomes one function, so that asking costs one call.

The plain questions that rules ask most get a function of their own here, without the lookups of attributes that
``question.test`` needs; it answers the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from rules.blocks import Allowed, allowed_by, either
from rules.fields import Fields
from rules.ipfw.questions import Bound, Comment, ReceivedBy, TcpOptions, TransmittedBy
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

__all__ = ["Ready", "ready"]


class Ready(NamedTuple):
    """A question made ready, or several joined by ``or``."""

    test: Test
    alternatives: tuple[tuple[Predicate, bool], ...]
    """The questions, and whether each is negated."""

    @property
    def allowed(self) -> Allowed | None:
        """What tables may know of it."""
        answers = []
        for question, negated in self.alternatives:
            answer = allowed_by(question)
            answers.append(answer.opposite() if answer is not None and negated else answer)
        return answers[0] if len(answers) == 1 else either(answers)

    @property
    def may_raise(self) -> bool:
        """Asking may end the search (F-13)."""
        return any(getattr(question, "may_raise", False) for question, _ in self.alternatives)

    @property
    def reads_register(self) -> bool:
        """The answer depends on the register ``tablearg``."""
        return any(getattr(question, "reads_register", False) for question, _ in self.alternatives)

    @property
    def may_set_register(self) -> bool:
        """Asking may leave a value in the register."""
        return any(_sets_register(question) for question, _ in self.alternatives)

    @property
    def sets_register(self) -> bool:
        """A yes has certainly left one there."""
        return self.may_set_register and len(self.alternatives) == 1 and not self.alternatives[0][1]


def _sets_register(question: Predicate) -> bool:
    interfaces = getattr(question, "interfaces", None)
    return bool(getattr(question, "sets_register", False) or getattr(interfaces, "sets_register", False))


def ready(elements: Iterable[Element], world: World) -> tuple[Ready, ...]:
    """The questions of a rule in order, alternatives joined into one."""
    made: list[Ready] = []
    alternatives: list[Ready] = []
    for element in elements:
        one = _one(element, world)
        if element.or_next:
            alternatives.append(one)
        elif alternatives:
            made.append(_either((*alternatives, one)))
            alternatives = []
        elif not isinstance(element.question, Comment) or element.negated:
            made.append(one)
    if alternatives:
        made.append(_either(tuple(alternatives)))
    return tuple(made)


def _one(element: Element, world: World) -> Ready:
    question, negated = _within(element.question, world), element.negated
    test = _ready(question, world)
    return Ready((lambda fields: not test(fields)) if negated else test, ((question, negated),))


def _within(question: Predicate, world: World) -> Predicate:
    """The question as this system asks it."""
    if not isinstance(question, IcmpType):
        return question
    highest = world.highest_icmp_type
    return IcmpType(Ranges(tuple((low, min(high, highest)) for low, high in question.types.pairs)))


def _either(alternatives: tuple[Ready, ...]) -> Ready:
    return Ready(
        _any_of(tuple(one.test for one in alternatives)),
        tuple(question for one in alternatives for question in one.alternatives),
    )


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
    if isinstance(question, TcpOptions) and world.transaction_tcp:
        return question.test_with_transactions
    special = _SPECIAL.get(type(question))
    return (special(question) if special else None) or question.test


def _icmp_type(question: IcmpType) -> Test:
    types = frozenset(number for low, high in question.types.pairs for number in range(low, high + 1))
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
    IcmpType: _icmp_type,
    ProtocolIs: _protocol,
    SourcePort: _source_port,
    DestinationPort: _destination_port,
    Via: _via,
}
