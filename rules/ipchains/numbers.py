"""Numbers as a C program of a 32-bit machine reads them from words: ``strtol``, ``strtoul``, ``inet_aton``.

The tool takes blanks and a sign before a number, and values too large saturate (linux.md U17, U18, U19d, U9).
"""

from __future__ import annotations

import re

__all__ = ["dotted_quad", "internet_address", "number_between", "signed", "unsigned"]

_BLANKS = " \t\n\v\f\r"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LONG_MAX = 0x7FFFFFFF
_UNSIGNED_LONG_MAX = 0xFFFFFFFF


def _scan(text: str, base: int) -> tuple[bool, int] | None:
    """Sign and magnitude of a word that is one number and nothing else; None for any other word."""
    rest = text.lstrip(_BLANKS)
    negative = rest.startswith("-")
    if rest[:1] in ("-", "+"):
        rest = rest[1:]
    rest = rest.lower()
    if base in (0, 16) and rest.startswith("0x") and rest[2:3] and rest[2] in _DIGITS[:16]:
        base, rest = 16, rest[2:]
    elif base == 0:
        base = 8 if rest.startswith("0") else 10
    if not rest or any(digit not in _DIGITS[:base] for digit in rest):
        return None
    return negative, int(rest, base)


def signed(text: str, base: int) -> int | None:
    """The whole word as ``strtol`` has it, or None."""
    scanned = _scan(text, base)
    if scanned is None:
        return None
    negative, magnitude = scanned
    return max(-magnitude, -_LONG_MAX - 1) if negative else min(magnitude, _LONG_MAX)


def unsigned(text: str, base: int) -> int | None:
    """The whole word as ``strtoul`` has it, or None: a minus sign wraps, too much saturates."""
    scanned = _scan(text, base)
    if scanned is None:
        return None
    negative, magnitude = scanned
    if magnitude > _UNSIGNED_LONG_MAX:
        return _UNSIGNED_LONG_MAX
    return -magnitude & _UNSIGNED_LONG_MAX if negative else magnitude


def number_between(text: str, low: int, high: int) -> int | None:
    """The word as a decimal number if it is one within these bounds."""
    number = signed(text, 10)
    return number if number is not None and low <= number <= high else None


def dotted_quad(text: str) -> int | None:
    """Four decimal octets, each as the tool reads a number; the tool looks at 19 characters only."""
    parts = text[:19].split(".")
    if len(parts) != 4:
        return None
    address = 0
    for part in parts:
        octet = number_between(part, 0, 255)
        if octet is None:
            return None
        address = address << 8 | octet
    return address


_DIGITS_AND_DOTS = re.compile(r"[0-9.]*[0-9]", re.ASCII)


def internet_address(text: str) -> int | None:
    """What the host look-up makes of a name of digits and dots: one to four parts, the last filling what is left.

    ``1.2.3`` is 1.2.0.3 and ``10`` is 0.0.0.10 (linux.md U9); a part with a leading zero is octal.
    """
    if not _DIGITS_AND_DOTS.fullmatch(text):
        return None
    numbers = [unsigned(part, 0) for part in text.split(".")]
    if len(numbers) > 4 or None in numbers:
        return None
    *leading, last = [number for number in numbers if number is not None]
    if any(number > 0xFF for number in leading) or last >= 1 << 8 * (4 - len(leading)):
        return None
    address = 0
    for number in leading:
        address = address << 8 | number
    return address << 8 * (4 - len(leading)) | last


def looks_numeric(text: str) -> bool:
    """Whether a name consists of digits and dots, so that no name table is asked."""
    return _DIGITS_AND_DOTS.fullmatch(text) is not None
