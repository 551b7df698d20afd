"""Numbers, ports, times and shares as scripts write them; a bad one is an error in its place."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address

from rules.ipfw.names import service_port
from simulator.scenario.model import Place, ScriptError

__all__ = ["LONGEST", "divert_port", "duration", "host", "number", "share"]

LONGEST = 10_000_000.0
"""Seconds: no time in a script is longer (some 115 days)."""

_UNITS = (("us", 1e-6), ("ms", 1e-3), ("s", 1.0))


def duration(text: str, place: Place) -> float:
    """Seconds: ``2``, ``2s``, ``10ms``, ``50us``.  :raises ScriptError: for anything else, or a longer time."""
    text = str(text)
    scale, figures = 1.0, text
    for unit, seconds in _UNITS:
        if text.endswith(unit):
            scale, figures = seconds, text.removesuffix(unit)
            break
    try:
        value = float(figures) * scale
    except ValueError:
        raise ScriptError(place, f"not a time such as 2s or 10ms: {text!r}") from None
    if not 0 <= value <= LONGEST:
        raise ScriptError(place, f"a time is 0 to {LONGEST:,.0f} seconds: {text!r}")
    return value


def number(text: str, place: Place) -> int:
    """A whole number, decimal or ``0x``.  :raises ScriptError: for anything else."""
    text = str(text)
    try:
        return int(text, 0)
    except ValueError:
        raise ScriptError(place, f"not a whole number: {text!r}") from None


def divert_port(text: str, place: Place) -> int:
    """A number, or a service of protocol ``divert`` by its name, as for ipfw.  :raises ScriptError: else."""
    text = str(text)
    if text[:1].isdigit():
        return number(text, place)
    port = service_port(text, "divert")
    if port is None:
        raise ScriptError(place, f"no divert port is called {text!r}: say a number, or 'natd'")
    return port


def host(text: str, place: Place) -> str:
    """One address.  :raises ScriptError: for what is none; no packet would ever come with it."""
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise ScriptError(place, f"not an address such as 10.0.0.1: {text!r}") from None


def share(text: str, place: Place) -> float:
    """``5%`` or ``0.05`` as 0.05.  :raises ScriptError: for anything that is not between 0 and 1."""
    text = str(text)
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ScriptError(place, f"not a share such as 5%: {text!r}") from None
    if not 0 <= value <= 1:
        raise ScriptError(place, f"a share is 0% to 100%: {text!r}")
    return value
