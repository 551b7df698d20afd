"""IPv4 addresses as integers, and their dotted spelling."""

from __future__ import annotations

__all__ = ["ALL_ONES", "dotted", "mask_of", "prefix_length"]

ALL_ONES = 0xFFFFFFFF


def dotted(address: int) -> str:
    """``0x0A000001`` -> ``"10.0.0.1"``."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def mask_of(length: int) -> int:
    """The mask of a prefix length, 0 to 32."""
    return ALL_ONES << (32 - length) & ALL_ONES


def prefix_length(mask: int) -> int | None:
    """The prefix length of a mask, or None when its ones are not contiguous."""
    holes = mask ^ ALL_ONES
    return None if holes & (holes + 1) else 32 - holes.bit_length()
