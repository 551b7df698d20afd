"""RED and gentle RED: how likely a packet is dropped before the queue is full (red_drops, config_red of dummynet).

Fixed point arithmetic with sixteen fractional bits, as in the kernels.  The kernels of FreeBSD 10 and later scale the
slope of the dropping function once more than they undo, so that they drop nearly everything above ``min_th``; here it
is as ipfw(8) describes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from rules.ipfw.pipes.values import RED_UNIT, Red

__all__ = ["Curve", "RedState", "classic_curve", "modern_curve"]

_BITS = 16
_LOOKUP_DEPTH = 256
"""``red_lookup_depth``"""
_AVERAGE_OCTETS = 512
"""``red_avg_pkt_size``"""
_LONGEST_OCTETS = 1500
"""``red_max_pkt_size``"""


@dataclass(frozen=True, slots=True)
class Curve:
    """The dropping function, and how the average falls while a queue is empty."""

    red: Red
    slope: int
    offset: int
    gentle_slope: int
    gentle_offset: int
    step: int
    """Ticks per entry of ``decay``."""
    decay: tuple[int, ...]

    def probability(self, average: int) -> int:
        """Of being dropped, for an average at or above ``min_th``."""
        if average >= self.red.high << _BITS:
            return (self.gentle_slope * average >> _BITS) - self.gentle_offset
        return (self.slope * average >> 2 * _BITS) - self.offset


def _decay(weight: int, factor: int) -> tuple[int, ...]:
    table = [RED_UNIT - weight]
    while len(table) < _LOOKUP_DEPTH:
        table.append(table[-1] * factor >> _BITS)
    return tuple(table)


def _curve(red: Red, slope: int, step: int, factor: int) -> Curve:
    return Curve(
        red=red,
        slope=slope,
        offset=slope * red.low >> _BITS,
        gentle_slope=(RED_UNIT - red.probability) // red.high,
        gentle_offset=RED_UNIT - 2 * red.probability,
        step=step,
        decay=_decay(red.weight, factor),
    )


@lru_cache(maxsize=256)
def modern_curve(red: Red, bandwidth: int, hz: int) -> Curve:
    """FreeBSD 8 and later: worked out in the kernel, from the bandwidth of the link."""
    sending = hz * _AVERAGE_OCTETS * 8 * RED_UNIT // bandwidth if bandwidth else 0
    step = sending * 3 // red.weight // _LOOKUP_DEPTH if red.weight else 0
    step = step or 1
    factor = base = RED_UNIT - red.weight
    for _ in range(step - 1):
        if not factor:
            break
        factor = factor * base >> _BITS
    width = red.high - red.low
    slope = (red.probability << _BITS) // width if width else red.probability << _BITS
    return _curve(red, slope, step, factor)


@lru_cache(maxsize=256)
def classic_curve(red: Red, bandwidth: int, hz: int) -> Curve:
    """FreeBSD 4 and DragonFly: worked out by the tool, which squares where it should multiply."""
    sending = hz * _AVERAGE_OCTETS * 8 // bandwidth if bandwidth else 0
    weight = red.weight / RED_UNIT
    step = int(sending * 3.0 / weight) // _LOOKUP_DEPTH if weight else 0
    step = step or 1
    factor = 1 - weight
    for _ in range(step):
        factor *= factor
        if factor < 1 / RED_UNIT:
            break
    slope = red.probability // (red.high - red.low) << _BITS
    return _curve(red, slope, step, int(factor * RED_UNIT))


class RedState:
    """One queue's average length and luck."""

    __slots__ = ("average", "count", "drawn", "empty_since")

    def __init__(self) -> None:
        self.average = 0
        self.count = 0
        """Packets since the last drop; -1 below ``min_th``."""
        self.drawn = 0
        self.empty_since = 0
        """The tick at which the queue became empty."""

    def drops(
        self, curve: Curve, size: int, length: int, now: int, chance: Callable[[], float], *, in_octets: bool
    ) -> bool:
        """Whether a packet of ``length`` octets is dropped that finds a queue of that ``size`` (slots or octets)."""
        red = curve.red
        if size:
            self.average += ((size << _BITS) - self.average) * red.weight >> _BITS
        elif self.average:
            idle = (now - self.empty_since) // curve.step
            self.average = self.average * curve.decay[idle] >> _BITS if idle < _LOOKUP_DEPTH else 0
        low, high = red.low << _BITS, red.high << _BITS
        if self.average < low:
            self.count = -1
            return False
        if self.average >= high and (red.ecn or not red.gentle):
            self.count = -1 if not red.ecn else self.count
            return True
        if red.ecn and self.average > low:
            return True
        likely = curve.probability(self.average) if self.average > low else 0
        if in_octets:
            likely = likely * length // _LONGEST_OCTETS
        self.count += 1
        if self.count == 0:
            self.drawn = int(chance() * RED_UNIT)
            return False
        if likely * self.count > self.drawn:
            self.count = 0
            self.drawn = int(chance() * RED_UNIT)
            return True
        return False
