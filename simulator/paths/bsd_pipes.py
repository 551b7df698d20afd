"""What pipe and queue rules do with a packet on a BSD: dummynet has it, and gives it back to the same pass.

The system remembers the rule; FreeBSD 4 and DragonFly also the way out, and go on behind the header tests or the
routing that the packet has had.  Later systems let it enter ip_input or ip_output anew, so that it is routed by the
table of that moment (dummynet_send of ip_dn_io.c; ip_input.c and ip_output.c of FreeBSD 4).
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from rules.ipfw import Action, RuleSet, Verdict
from rules.ipfw.pipes.values import FlowId, flow_set_of
from simulator.dummynet import make_dummynet
from simulator.dummynet.held import Held
from simulator.dummynet.ticks import Ticks
from simulator.ledger import Reason
from simulator.node import Node
from simulator.packet import Packet
from simulator.paths.bsd_divert import Direction
from simulator.profiles import BsdProfile
from simulator.trace import Kind

__all__ = ["Pipes"]

_ECN_BITS, _NOT_CAPABLE = 3, 0


class Pipes:
    """Between the firewall and dummynet.  Whoever puts the path together sets :attr:`reenter`."""

    reenter: Callable[[Packet, Held], object]
    """Lets a packet go on in the pass that it left."""

    def __init__(self, node: Node, profile: BsdProfile, rules: RuleSet) -> None:
        self._node = node
        self._tells = profile.dummynet_tells
        self.dummynet = make_dummynet(
            rules.pipes,
            Ticks(node.clock, profile.dummynet_hz),
            lambda: rules.world.chance(),
            self,
            io_fast=profile.dummynet_io_fast,
            expire=profile.dummynet_expire,
        )

    def enter(self, packet: Packet, verdict: Verdict, direction: Direction) -> int | None:
        """Into the pipe or queue: the errno that a sender gets, 0 for none; None if it is out again already."""
        node = self._node
        packet.start_after = 0
        packet.reinjected = None
        is_pipe = verdict.action is Action.PIPE
        held = Held(packet, len(packet.octets), direction=direction, resume=verdict.resume, route=packet.route)
        node.ledger.held += 1
        answer = self.dummynet.enter(held, FlowId.of(packet), flow_set_of(verdict.number, is_pipe=is_pipe))
        if answer.reason is not None:
            self.lose(held, answer.reason)
            return errno.ENOBUFS if self._tells and not answer.silent else 0
        if answer.through:
            node.ledger.held -= 1
            return None
        if node.tracer.listening and packet.released is None:
            held.noted = True
            node.tracer.record(Kind.HELD, packet, detail=f"{verdict.action.value} {verdict.number}")
        return 0

    # What dummynet does (simulator.dummynet.held.Outlet)

    def leave(self, held: Held) -> None:
        """It comes out, and goes on in its pass."""
        node, packet = self._node, held.packet
        node.ledger.held -= 1
        if node.tracer.listening and held.noted:
            node.tracer.record(Kind.RELEASED, packet)
        packet.released = held
        self.reenter(packet, held)

    def lose(self, held: Held, reason: Reason) -> None:
        """It is dropped where it was held."""
        self._node.ledger.held -= 1
        self._node.drop(held.packet, reason)

    def mark(self, held: Held) -> bool:
        """Congestion experienced, unless its sender knows no ECN (RFC 3168)."""
        packet = held.packet
        if packet.tos & _ECN_BITS == _NOT_CAPABLE:
            return False
        if packet.tos & _ECN_BITS != _ECN_BITS:
            packet.set_tos(packet.tos | _ECN_BITS)
            packet.fix_checksum()
        return True
