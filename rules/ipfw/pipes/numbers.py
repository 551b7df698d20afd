"""Numbers and masks in the parameters of pipes, as the tools read them: strtoul(3), strtod(3), expand_number(3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from rules.ipfw.pipes.values import EVERYTHING, PROBABILITY, RED_UNIT, FlowMask, Red
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, RefusalError, Words, leading_number

__all__ = [
    "Wording",
    "check_red",
    "int32",
    "leading_float",
    "read_burst",
    "read_loss",
    "read_mask",
    "read_red",
    "unsigned",
]

_FLOAT = re.compile(r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LONGEST_BURST = 2**48 - 1
_SUFFIXES = {"k": 10, "m": 20, "g": 30, "t": 40, "p": 50, "e": 60}
_PORTS = ("src-port", "dst-port")
_ADDRESSES = ("src-ip", "dst-ip")
_IPV6 = ("src-ip6", "src-ipv6", "dst-ip6", "dst-ipv6", "flow-id")


@dataclass(frozen=True, slots=True)
class Wording:
    """Where the tools' texts about the same mistake differ."""

    ports: str
    """A mask of more than sixteen bits for ports."""
    protocol: str
    """A mask of more than eight bits for the protocol."""
    lowest_probability: str
    """RED's max_p out of range."""
    zero_probability: bool
    """A max_p of 0 is allowed."""
    whole_masks: Collection[str]
    """Words after ``mask`` that say everything at once."""
    ipv6: bool
    """The tool knows masks for IPv6."""


def int32(number: int) -> int:
    """What an ``int`` keeps of a number."""
    return (number + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def unsigned(text: str) -> tuple[int, str]:
    """strtoul(3) in C notation, and the rest; a number with a minus sign wraps round."""
    number, rest = leading_number(text, 0)
    return min(number, 2**64 - 1) & 0xFFFFFFFFFFFFFFFF, rest


def leading_float(text: str) -> float:
    """strtod(3) of a decimal number; 0 where there is none."""
    found = _FLOAT.match(text)
    return float(found.group()) if found else 0.0


def read_loss(text: str) -> int:
    """``plr``: a probability, cut to 0 to 1."""
    return int(min(max(leading_float(text), 0.0), 1.0) * PROBABILITY)


def read_burst(text: str) -> int:
    """Octets, with a suffix K, M, G, T, P or E in powers of 1024 (expand_number(3))."""
    if not re.match(r"\s*[+-]?[0-9]", text):
        raise RefusalError("burst: invalid argument", DATA_ERROR)
    number, rest = unsigned(text)
    suffix = rest[:1].lower()
    if suffix not in ("", "b", *_SUFFIXES):
        raise RefusalError("burst: invalid argument", DATA_ERROR)
    number <<= _SUFFIXES.get(suffix, 0)
    if number > _LONGEST_BURST:
        raise RefusalError("burst: out of range (0..2^48-1)", DATA_ERROR)
    return number


def read_mask(words: Words, wording: Wording) -> tuple[FlowMask, bool]:
    """What follows ``mask``: fields with their bits, as many as there are; the mask, and whether it has any bit."""
    words.need("mask needs mask specifier\n")
    mask, masked = FlowMask(), False
    while words:
        word = words.peek() or ""
        if word in wording.whole_masks:
            words.take()
            return (replace(EVERYTHING, queue=mask.queue) if word == "all" else replace(mask, queue=True)), True
        if wording.ipv6 and word in _IPV6:
            raise RefusalError(f"{word} is not modelled here", UNAVAILABLE)
        if word not in (*_PORTS, *_ADDRESSES, "proto"):
            break
        words.take()
        words.need("mask: value missing")
        bits = _bits(words.take())
        if word in _PORTS and bits > 0xFFFF:
            raise RefusalError(wording.ports, DATA_ERROR)
        if word == "proto" and bits > 0xFF:
            raise RefusalError(wording.protocol, DATA_ERROR)
        mask = _SET[word](mask, bits)
        masked = masked or bits != 0
    return mask, masked


def _bits(text: str) -> int:
    """``0xffff`` and the like, or ``/N`` for the N lowest bits."""
    if not text.startswith("/"):
        return unsigned(text)[0] & 0xFFFFFFFF
    width = unsigned(text[1:])[0]
    return 0xFFFFFFFF if width == 32 else (1 << (width & 31)) - 1


_SET: dict[str, Callable[[FlowMask, int], FlowMask]] = {
    "proto": lambda mask, bits: replace(mask, protocol=bits),
    "src-ip": lambda mask, bits: replace(mask, source=bits),
    "dst-ip": lambda mask, bits: replace(mask, destination=bits),
    "src-port": lambda mask, bits: replace(mask, source_port=bits),
    "dst-port": lambda mask, bits: replace(mask, destination_port=bits),
}


def read_red(words: Words, wording: Wording, *, gentle: bool) -> Red:
    """``w_q/min_th/max_th/max_p``; the thresholds may end in K.  Parts that are missing are 0."""
    words.need("red/gred needs w_q/min_th/max_th/max_p\n")
    parts = words.take().split("/")
    weight = leading_float(parts[0])
    if not 0 < weight <= 1:
        raise RefusalError("0 < w_q <= 1", DATA_ERROR)
    low, high = (_threshold(part) for part in (*parts[1:3], "", "")[:2])
    probability = 0.0
    if len(parts) > 3:
        probability = leading_float(parts[3])
        if probability > 1 or probability < 0 or (probability == 0 and not wording.zero_probability):
            raise RefusalError(wording.lowest_probability, DATA_ERROR)
    return Red(
        weight=int(weight * RED_UNIT), low=low, high=high, probability=int(probability * RED_UNIT), gentle=gentle
    )


def _threshold(text: str) -> int:
    number, rest = unsigned(text)
    return int32(number * 1024 if rest[:1] in ("K", "k") else number)


def check_red(red: Red) -> None:
    """The thresholds in order (a marking one may have both alike)."""
    if red.low > red.high or (red.low == red.high and not red.ecn):
        relation = "=<" if red.ecn else "<"
        raise RefusalError(f"min_th {red.low} must be {relation} than max_th {red.high}", DATA_ERROR)
    if red.high == 0:
        raise RefusalError("max_th must be > 0", DATA_ERROR)
