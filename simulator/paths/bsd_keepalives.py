"""ipfw's keepalives: before the state of an open TCP connection ends, its ends are asked whether they are still there.

Every five seconds of the clock the states that have less than twenty to live give rise to segments without data (bsd.md
D-4).  They meet no pass of the firewall on their way out (H-9); what the ends answer does, and renews the state.
"""

from __future__ import annotations

from collections.abc import Callable

from rules.fields import TCP
from rules.ipfw import Keepalive, RuleSet
from simulator.clock import Clock
from simulator.outgoing import Outgoing
from simulator.profiles import BsdProfile
from simulator.wire import tcp

__all__ = ["Keepalives"]


class Keepalives:
    """The timer, which runs as long as there are states."""

    def __init__(self, clock: Clock, profile: BsdProfile, rules: RuleSet, send: Callable[[Outgoing], object]) -> None:
        self._clock = clock
        self._profile = profile
        self._rules = rules
        self._send = send
        self._running = False
        rules.states.on_first = self._start

    def _start(self) -> None:
        if not self._running:
            self._running = True
            period = self._rules.states.lifetimes.keepalive_period
            self._clock.call_at((self._clock.now() // period + 1) * period, self._tick)

    def _tick(self) -> None:
        self._running = False
        for probe in self._rules.keepalives():
            self._send(self._segment(probe))
        if len(self._rules.states):
            self._start()

    def _segment(self, probe: Keepalive) -> Outgoing:
        profile = self._profile
        segment = tcp.Header(
            source_port=probe.source_port,
            destination_port=probe.destination_port,
            sequence=probe.sequence,
            acknowledgment=probe.acknowledgment,
            flags=tcp.ACK,
            window=0,
        ).emit(source=probe.source, destination=probe.destination)
        return Outgoing(
            TCP,
            probe.destination,
            segment,
            profile.default_ttl,
            source=probe.source,
            tos=profile.reset_tos,
            flags=profile.keepalive_flags,
        )
