"""What ``-M -L`` and ``-M -S`` need of the masquerading code, and how its table is shown.

Source: linux.md U19h, N6; ipchains(8).  The table itself belongs to whoever forwards packets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from rules.addresses import dotted
from rules.fields import TCP, UDP
from rules.ipchains.names import Names

__all__ = ["MasqueradeEntry", "Masquerading", "NoMasquerading", "masquerade_listing"]


class MasqueradeEntry(NamedTuple):
    """One masqueraded connection."""

    protocol: str
    """``TCP``, ``UDP`` or ``ICMP``, as the kernel writes it."""
    expires: int
    """Hundredths of a second from now."""
    source: int
    source_port: int
    destination: int
    destination_port: int
    masqueraded_port: int
    initial_sequence: int = 0
    delta: int = 0
    previous_delta: int = 0


class Masquerading(Protocol):
    """The masquerading table, as the tool sees it."""

    def entries(self) -> Iterable[MasqueradeEntry]: ...

    def set_timeouts(self, tcp: float, tcp_fin: float, udp: float) -> None:
        """Seconds; 0 keeps what was."""


class NoMasquerading:
    """A table that is always empty."""

    def entries(self) -> Iterable[MasqueradeEntry]:
        return ()

    def set_timeouts(self, tcp: float, tcp_fin: float, udp: float) -> None:
        """There is nothing whose time could run out."""


_TRANSPORTS = {"TCP": TCP, "UDP": UDP}


def masquerade_listing(
    entries: Iterable[MasqueradeEntry], *, numeric: bool, verbose: bool, names: Names
) -> Iterator[str]:
    """Lines of ``-M -L``."""
    yield "IP masquerading entries"
    columns = f"prot {'expire':<8} "
    if verbose:
        columns += f"{'initseq':>10} delta prevd "
    columns += f"{'source':<20} {'destination':<20} ports"
    for number, entry in enumerate(entries):
        if not number:
            yield columns
        yield _row(entry, numeric, verbose, names)


def _row(entry: MasqueradeEntry, numeric: bool, verbose: bool, names: Names) -> str:
    minutes, rest = divmod(entry.expires, 6000)
    seconds, hundredths = divmod(rest, 100)
    line = f"{entry.protocol:<5}{minutes:02}:{seconds:02}.{hundredths:02} "
    if verbose:
        line += f"{entry.initial_sequence:>10} {entry.delta:>5} {entry.previous_delta:>5} "
    for address in (entry.source, entry.destination):
        name = None if numeric else names.name_of(address)
        line += f"{name or dotted(address):<20} "
    protocol = _TRANSPORTS.get(entry.protocol)
    source, destination = (
        (None if numeric or protocol is None else names.service(port, protocol)) or str(port)
        for port in (entry.source_port, entry.destination_port)
    )
    return f"{line}{source} ({entry.masqueraded_port}) -> {destination}"
