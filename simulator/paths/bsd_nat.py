"""ipfw's in-kernel ``nat`` at work: each instance is a translation (ip_fw_nat.c; :mod:`simulator.aliasing`).

The in pass looks at a datagram as coming in, the out pass as going out, whatever the rule says.  ``nat global`` works
in the out pass alone, where the first instance that knows the conversation translates; nothing new begins there.
"""

from __future__ import annotations

from rules.addresses import dotted
from rules.aliasing import FIRST_PORT, LAST_PORT
from rules.ipfw import RuleSet
from rules.ipfw.nat.instances import GLOBAL, Instance
from simulator.aliasing import Aliasing, Outcome
from simulator.node import Node
from simulator.packet import Packet
from simulator.paths.bsd_divert import Direction
from simulator.trace import Kind

__all__ = ["Nat"]


class Nat:
    """The translations of one router, kept in step with the instances of its rule set."""

    def __init__(self, node: Node, rules: RuleSet) -> None:
        self._node = node
        self._instances = rules.nats
        self._chance = rules.world.chance
        self._translations: dict[int, Aliasing] = {}
        rules.nats.translator = self

    # -- what the rule set tells (rules.ipfw.nat.instances.Translator) -----------------------------------------------

    def configured(self, instance: Instance) -> None:
        """New, or changed: the links of an instance live through a change."""
        translation = self._translations.get(instance.number)
        if translation is None:
            translation = Aliasing(now=self._node.clock.now, choose=lambda bound: int(self._chance() * bound))
            self._translations[instance.number] = translation
        translation.mode = instance.mode
        translation.address = instance.address
        first, last = instance.ports or (FIRST_PORT, LAST_PORT)
        translation.links.ports = range(first, last + 1)
        if translation.redirects != instance.redirects:
            translation.redirects = instance.redirects

    def deleted(self, number: int) -> None:
        del self._translations[number]

    def log(self, number: int) -> str:
        return self._translations[number].log

    # -- packets -----------------------------------------------------------------------------------------------------

    def translate(self, packet: Packet, number: int, direction: Direction) -> bool:
        """What a rule's ``nat`` does to a packet; False when it is refused."""
        if number == GLOBAL:
            self._translate_known(packet, direction)
            return True
        translation = self._translations[number]
        result = translation.alias(packet.octets) if direction == "out" else translation.dealias(packet.octets)
        outcome = result.outcome
        if outcome is Outcome.ERROR:
            return False
        if direction == "in" and outcome is Outcome.UNRESOLVED_FRAGMENT:
            return False
        if direction == "in" and outcome is Outcome.IGNORED and translation.mode.deny_in:
            return False
        self._change(packet, number, result.octets)
        return True

    def _translate_known(self, packet: Packet, direction: Direction) -> None:
        if direction == "in":
            return
        for instance in self._instances:
            if instance.mode.skip_global:
                continue
            result = self._translations[instance.number].alias(packet.octets, create=False)
            if result.outcome is Outcome.OK:
                self._change(packet, instance.number, result.octets)
                return

    def _change(self, packet: Packet, number: int, octets: bytes) -> None:
        if octets == packet.octets:
            return
        before = _ends(packet)
        packet.readdress(octets)
        if self._node.tracer.listening:
            self._node.tracer.record(Kind.CHANGED, packet, detail=f"nat {number}: {before} is now {_ends(packet)}")


def _ends(packet: Packet) -> str:
    ports = packet.source_port, packet.destination_port
    source, destination = (f":{port}" if port is not None else "" for port in ports)
    return f"{dotted(packet.source)}{source} to {dotted(packet.destination)}{destination}"
