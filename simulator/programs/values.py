"""What the words behind a program's options mean; wrong ones are told with what would have been right."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address

__all__ = ["address", "port", "positive", "seconds", "whole"]


def whole(what: str, lowest: int, highest: int) -> Callable[[str], int]:
    """A type of argparse: a number, decimal or 0x..., within limits."""

    def number(text: str) -> int:
        try:
            found = int(text, 0)
        except ValueError:
            raise ArgumentTypeError(f"{what} is a number from {lowest} to {highest}, not {text!r}") from None
        if not lowest <= found <= highest:
            raise ArgumentTypeError(f"{what} is from {lowest} to {highest}, not {text}")
        return found

    return number


port = whole("a port", 0, 0xFFFF)
positive = whole("this", 1, 1_000_000_000)


def address(text: str) -> int:
    """A dotted quad, as a number."""
    try:
        return int(IPv4Address(text))
    except AddressValueError:
        raise ArgumentTypeError(f"an address is written like 10.0.0.1, not {text!r}") from None


def seconds(text: str) -> float:
    """Not negative, and finite."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise ArgumentTypeError(f"seconds are a number, 0 or more, not {text!r}")
    return found
