"""Witnesses as octets, and tried: a packet that does not show what is said of it is not shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rules.analysis.program import Label
from rules.analysis.witness import Witness
from simulator.checking.checker import Checker
from simulator.making import datagram
from simulator.spoken import speak
from simulator.wire import ipv4

__all__ = ["Shown", "meets", "shown", "tried"]

_CHAINS = {"in": "input", "out": "output"}
"""Where ipchains looks at what ipfw has at a hook; its own hooks are its chains."""


@dataclass(frozen=True)
class Shown:
    """A packet, and where it is."""

    hook: str
    interface: str | None
    octets: bytes
    received_on: str | None = None
    reinjected: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Where it is, and the datagram; what else there is to say of it is in its :attr:`words`."""
        return {"hook": self.hook, "interface": self.interface, "octets": self.octets.hex()}

    @property
    def given(self) -> dict[str, Any]:
        """Where it is, as questions say it."""
        given: dict[str, Any] = {
            "hook": self.hook,
            "chain": _CHAINS.get(self.hook, self.hook),
            "interface": self.interface,
        }
        return given | {"received_on": self.received_on, "reinjected": self.reinjected}

    @property
    def forwarded(self) -> Shown:
        """With a TTL one less."""
        header = ipv4.parse(self.octets)
        payload = self.octets[20 + len(header.options) :]
        return replace(self, octets=replace(header, ttl=header.ttl - 1).emit(payload))

    @property
    def words(self) -> str:
        """In ipfw's words."""
        hook = self.hook if self.hook in ("in", "out") else None
        written = f" (written by a divert socket, as {self.reinjected})" if self.reinjected else ""
        said = speak(self.octets, hook=hook, interface=self.interface, received_on=self.received_on)
        return said + ("" if hook else f" [{self.hook}]") + written


def shown(witness: Witness) -> Shown:
    """The datagram of a witness."""
    place = witness.place
    is_in = place.leaves_by is None
    return Shown(
        place.hook,
        place.received_on if is_in else place.leaves_by,
        datagram(replace(witness.header, identification=witness.header.identification or 1)),
        None if is_in else place.received_on,
        witness.reinjected,
    )


def tried(checker: Checker, packet: Shown, *, start_after: int = 0) -> Mapping[str, Any]:
    """What the rules do to it, in the words of the recorded cases."""
    given = {**packet.given, "octets": packet.octets.hex(), "start_after": start_after}
    return checker.decide(given)


def meets(details: Mapping[str, Any], label: Label) -> bool:
    """Whether a packet came to match a rule."""
    met = [*details.get("counted", ()), *details.get("matched", ()), details["decided_by"]]
    return label in met or f"loop@{label}" in met
