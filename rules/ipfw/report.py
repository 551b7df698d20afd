"""Listings of the whole rule list: ``list``, ``show`` and ``-d`` (L-1, L-14 to L-20 of the behavioural notes)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from rules.addresses import dotted
from rules.ipfw.first import listing as first
from rules.ipfw.listing import Style
from rules.ipfw.names import PROTOCOL_NAMES
from rules.ipfw.ruleline import second_body
from rules.ipfw.state import Kind, State
from rules.ipfw.step import Entry

__all__ = ["Columns", "Report"]

_BODIES = {"ipfw1": first.body, "ipfw2": second_body}


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What stands before each rule: ``-a``, ``-S``, and the time of the last match, ``-t`` or ``-T``."""

    counters: bool = False
    sets: bool = False
    time: str | None = None
    expired: bool = False


class Report:
    """Prints lines whose counters are aligned to the widest ones in the listing."""

    def __init__(
        self,
        style: Style,
        columns: Columns,
        disabled: int = 0,
        entries: Iterable[Entry] = (),
        states: Iterable[State] = (),
    ) -> None:
        self.style = style
        self.columns = columns
        self.disabled = disabled
        counted = [(entry.packets, entry.octets) for entry in entries if columns.counters]
        counted += [(state.packets, state.octets) for state in states]
        self.packets_width = max((len(str(packets)) for packets, _ in counted), default=1)
        self.octets_width = max((len(str(octets)) for _, octets in counted), default=1)

    def _counters(self, packets: int, octets: int) -> str:
        return f"{packets:{self.packets_width}} {octets:{self.octets_width}} "

    def line(self, entry: Entry) -> str:
        """One rule, its line ended; nothing for one of a disabled set unless sets are shown."""
        rule, columns = entry.rule, self.columns
        words = f"{rule.number:05} "
        if self.disabled >> rule.set & 1:
            if not columns.sets:
                return ""
            words = "# DISABLED " + words
        if columns.counters:
            words += self._counters(entry.packets, entry.octets)
        if columns.time is not None:
            words += self._time(entry.matched_at)
        if columns.sets:
            words += f"set {rule.set} "
        return f"{words}{_BODIES[self.style.switches.ipfw_dialect](rule, self.style)}\n"

    def _time(self, matched_at: float | None) -> str:
        if self.columns.time == "T":
            return f"{int(matched_at or 0):10} "
        switches = self.style.switches
        if matched_at is None:
            return ("\t\t\t" if switches.tabs_for_no_time else " " * 24) + " " * switches.blank_after_time
        return f"{datetime.fromtimestamp(matched_at, UTC):%a %b %e %H:%M:%S %Y} "

    def state(self, state: State, now: float) -> str:
        """One dynamic entry, its line ended (L-17)."""
        protocol, source, destination, source_port, destination_port = state.flow
        remaining = max(int(state.expires - now), 0)
        if remaining == 0 and state.kind is not Kind.PARENT and not self.columns.expired:
            return ""
        words = f"{state.owner.rule.number:05}"
        if self.columns.counters or self.style.switches.dynamic_always_counts:
            words += f" {self._counters(state.packets, state.octets)}({remaining}s)"
        words += f" {state.kind.value}"
        if state.kind is Kind.PARENT:
            words += f" {state.children}"
        name = PROTOCOL_NAMES.get(protocol)
        words += f" {name}" if name else f" proto {protocol}"
        words += f" {dotted(source)} {source_port} <-> {dotted(destination)} {destination_port}"
        if self.style.switches.state_names:
            words += f" :{state.name}"
        return words + "\n"
