"""The actions of the first ipfw: word -> how its argument is read (ipfw.c; M-3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rules.addresses import ALL_ONES
from rules.ipfw.addressing import address_of_host, inet_aton
from rules.ipfw.first.ports import port_of
from rules.ipfw.names import UNREACH_CODES, service_port
from rules.ipfw.rule import Action, Effect
from rules.ipfw.words import DATA_ERROR, NO_HOST, RefusalError, Words, leading_number

__all__ = ["Block", "block_of", "read_action"]


class Block(NamedTuple):
    """An address and its mask; (0, 0) is ``any``."""

    address: int
    mask: int


def block_of(words: Words) -> Block:
    """``any``, or an address with ``/LENGTH`` or ``:MASK``; taken."""
    if words.accept("any"):
        return Block(0, 0)
    word = words.take()
    separator = "/" if "/" in word else ":"
    host, separated, mask_text = word.partition(separator)
    address = address_of_host(host)
    if address is None:
        raise RefusalError(f"hostname ``{host}'' unknown", NO_HOST)
    mask = ALL_ONES
    if separated and separator == ":":
        typed = inet_aton(mask_text)
        if typed is None:
            raise RefusalError(f"bad netmask ``{mask_text}''", DATA_ERROR)
        mask = typed
    elif separated:
        length = leading_number(mask_text)[0]
        if length > 32 or length < 0:  # a negative length is a very great unsigned one
            raise RefusalError(f"bad width ``{mask_text}''", DATA_ERROR)
        mask = ALL_ONES << (32 - length) & ALL_ONES if length else 0
    return Block(address & mask, mask)


Reader = Callable[[Words], Effect]


def _plain(action: Action, argument: int = 0) -> Reader:
    return lambda words: Effect(action, argument)


def _divert(action: Action, name: str) -> Reader:
    """A port in C notation, cut to sixteen bits; what gives 0 is a service of protocol ``divert`` (B-10, M-3)."""

    def read(words: Words) -> Effect:
        words.need(f"missing {name} port")
        text = words.take()
        number = leading_number(text, 0)[0] & 0xFFFF or service_port(text, "divert")
        if not number:
            raise RefusalError(f"illegal {name} port", DATA_ERROR)
        return Effect(action, number)

    return read


def _forward(words: Words) -> Effect:
    word = words.need("missing forwarding IP address")
    separator = ":" if ":" in word else ","
    host, separated, port_text = word.partition(separator)
    port = 0
    if separated:
        found = port_of(port_text, 0)
        if found is None:
            raise RefusalError(f"illegal forwarding port ``{port_text}''", DATA_ERROR)
        port = found
    words.take()
    address = block_of(Words([host], deprecates=False)).address
    if not address:
        raise RefusalError("illegal forwarding IP address", DATA_ERROR)
    return Effect(Action.FWD, port, address)


def _skip_to(words: Words) -> Effect:
    words.need("missing skipto rule number")
    return Effect(Action.SKIPTO, leading_number(words.take())[0] & 0xFFFF)


def _unreach(words: Words) -> Effect:
    if not words:
        raise RefusalError("missing unreachable code", DATA_ERROR)
    text = words.take()
    number, rest = leading_number(text, 0)
    if not text[:1].isdigit() or rest or number > 0xFF:
        if text.lower() not in UNREACH_CODES:
            raise RefusalError(f"unknown ICMP unreachable code ``{text}''", DATA_ERROR)
        number = UNREACH_CODES[text.lower()]
    return Effect(Action.UNREACH, number)


def _shape(action: Action) -> Reader:
    """``pipe N`` and ``queue N``."""

    def read(words: Words) -> Effect:
        words.need(f"missing {action.value} number")
        return Effect(action, leading_number(words.take())[0] & 0xFFFF)

    return read


_ACTIONS: tuple[tuple[str, Reader], ...] = (
    ("accept", _plain(Action.ALLOW)),
    ("pass", _plain(Action.ALLOW)),
    ("allow", _plain(Action.ALLOW)),
    ("permit", _plain(Action.ALLOW)),
    ("count", _plain(Action.COUNT)),
    ("pipe", _shape(Action.PIPE)),
    ("queue", _shape(Action.QUEUE)),
    ("divert", _divert(Action.DIVERT, "divert")),
    ("tee", _divert(Action.TEE, "tee divert")),
    ("fwd", _forward),
    ("forward", _forward),
    ("skipto", _skip_to),
    ("deny", _plain(Action.DENY)),
    ("drop", _plain(Action.DENY)),
    ("reject", _plain(Action.UNREACH, UNREACH_CODES["host"])),
    ("reset", _plain(Action.RESET)),
    ("unreach", _unreach),
    ("check-state", _plain(Action.CHECK_STATE)),
)
"""In the order in which the tool tries them: of several that begin like the word, the first one is meant."""


def read_action(words: Words) -> Effect:
    """The action that the next words name, taken."""
    words.need("missing action")
    for word, read in _ACTIONS:
        if words.accept(word):
            return read(words)
    raise RefusalError(f"invalid action ``{words.peek()}''", DATA_ERROR)
