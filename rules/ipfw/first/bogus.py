"""Fragments that hide a TCP header, as ip_fw.c meets them (F-13; RFC 1858).

A TCP fragment with offset 1 begins in the middle of the TCP header.  The first ipfw drops it as soon as a rule has
said yes to everything that the IP header answers, and is about to ask something of TCP.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rules.fields import TCP, Fields
from rules.ipfw.first.questions import MaskedPort
from rules.ipfw.questions import Established, OwnedBy, TcpOptions
from rules.ipfw.rule import Element
from rules.ipfw.world import BogusFragmentError
from rules.predicates import DestinationPort, ProtocolIs, SourcePort, TcpFlags

__all__ = ["GUARD", "guarded"]

_OF_THE_SEGMENT = (SourcePort, DestinationPort, MaskedPort, TcpFlags, TcpOptions, Established, OwnedBy)


@dataclass(frozen=True, slots=True)
class _NotBogus:
    """Yes to everything but a TCP fragment with offset 1, for which it raises :class:`BogusFragmentError`."""

    reads: ClassVar[frozenset[str]] = frozenset({"protocol", "fragment_offset"})
    may_raise: ClassVar[bool] = True

    def test(self, fields: Fields) -> bool:
        if fields.protocol == TCP and fields.fragment_offset == 1:
            raise BogusFragmentError
        return True


GUARD = Element(_NotBogus())


def guarded(elements: Sequence[Element]) -> Sequence[Element]:
    """The questions of a rule in the order of that kernel, the guard between IP and TCP; others as they are."""
    if not _asks_about_tcp(elements):
        return elements
    header: list[Element] = []
    segment: list[Element] = []
    for block in _blocks(elements):
        (segment if isinstance(block[0].question, _OF_THE_SEGMENT) else header).extend(block)
    return (*header, GUARD, *segment)


def _asks_about_tcp(elements: Sequence[Element]) -> bool:
    protocols = [each.question.number for each in elements if isinstance(each.question, ProtocolIs)]
    return TCP in protocols or (not protocols and any(isinstance(each.question, OwnedBy) for each in elements))


def _blocks(elements: Sequence[Element]) -> Iterator[list[Element]]:
    """Alternatives stay together."""
    block: list[Element] = []
    for element in elements:
        block.append(element)
        if not element.or_next:
            yield block
            block = []
    if block:
        yield block
