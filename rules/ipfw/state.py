"""Dynamic state: what ``keep-state`` and ``limit`` remember about flows.

Sources: ipfw(8), STATEFUL FIREWALL; statements D-1 to D-10 of the behavioural notes.

A flow is the protocol, both addresses and both ports (0 for everything but TCP and UDP with a transport header), and is
the same flow in the other direction.  Flows live in hash buckets, the last one used in front, which is the order that
``-d`` lists them in.  ``limit`` counts the flows of a *parent* entry, whose key has zeros for the parts not counted.
Time is in seconds and handed in; an entry is gone as soon as its time has come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from rules.fields import TCP, UDP, Fields
from rules.ipfw.log import full_line, limit_line
from rules.ipfw.switches import Switches

__all__ = ["Direction", "Flow", "Kind", "Lifetimes", "State", "StateTable", "flow_of"]

Flow = tuple[int, int, int, int, int]
"""Protocol, source, destination, source port, destination port."""

_FIN, _SYN, _RST = 1, 2, 4
_BOTH_SYN = _SYN | _SYN << 8
_BOTH_FIN = _FIN | _FIN << 8
_OPEN = frozenset({_BOTH_SYN, _BOTH_SYN | _FIN, _BOTH_SYN | _FIN << 8})
_ENTRY_OCTETS, _HEADER_OCTETS = 128, 16


class Kind(Enum):
    """What an entry is, in the word of the listing."""

    STATE = "STATE"
    LIMIT = "LIMIT"
    PARENT = "PARENT"


class Direction(Enum):
    """Whether a packet goes the way of the one that made the state."""

    FORWARD = "forward"
    REVERSE = "reverse"


@dataclass(slots=True)
class Lifetimes:
    """Seconds, and sizes, as the ``net.inet.ip.fw.dyn_*`` variables have them (D-4)."""

    ack: int = 300
    syn: int = 20
    fin: int = 1
    rst: int = 1
    udp: int = 10
    short: int = 5
    keepalive_period: int = 5
    keepalive_interval: int = 20
    keepalive: bool = True
    buckets: int = 256
    maximum: int = 4096
    """States, and parents too where those have no bound of their own."""
    parent_maximum: int | None = None
    """Parents, where they do."""
    keep_states: bool = False
    """States outlive their rule."""


class State:
    """One entry; ``owner`` is the listed rule it belongs to."""

    __slots__ = (
        "acked",
        "acks",
        "children",
        "expires",
        "flags",
        "flow",
        "kind",
        "name",
        "octets",
        "owner",
        "packets",
        "parent",
    )

    def __init__(
        self, kind: Kind, name: str, flow: Flow, owner: Any, expires: float, parent: State | None = None
    ) -> None:
        self.kind = kind
        self.name = name
        self.flow = flow
        self.owner = owner
        self.expires = expires
        self.parent = parent
        self.children = 0
        self.packets = 0
        self.octets = 0
        self.flags = 0
        """TCP flags seen: forward in the low octet, reverse in the next."""
        self.acks = {Direction.FORWARD: 0, Direction.REVERSE: 0}
        self.acked: set[Direction] = set()
        """Directions whose acknowledgment moved since the lifetime was last renewed."""


def flow_of(fields: Fields) -> Flow:
    """The flow of a datagram, in its own direction."""
    return (
        fields.protocol,
        fields.source,
        fields.destination,
        fields.source_port or 0,
        fields.destination_port or 0,
    )


def _reverse(flow: Flow) -> Flow:
    protocol, source, destination, source_port, destination_port = flow
    return (protocol, destination, source, destination_port, source_port)


class StateTable:
    """All dynamic entries of a rule set."""

    def __init__(self, now: Callable[[], float], switches: Switches | None = None) -> None:
        self.switches = switches = switches or Switches()
        self.lifetimes = Lifetimes(maximum=switches.dyn_max, parent_maximum=switches.dyn_parent_max)
        self.on_first: Callable[[], object] = lambda: None
        """Called when a state is made and there was none."""
        self.verbose = True
        """Whether flows beyond their limit are told of."""
        self.complaints: list[str] = []
        """What the last installation has for the log (D-6)."""
        self._complained_in: int | None = None
        self._now = now
        self._flows: dict[tuple[str, Flow], State] = {}
        self._names: dict[str, int] = {}
        """Names of state, with the number of flows that have them."""
        self._parents: dict[tuple[int, Flow], State] = {}
        self._buckets: dict[int, list[State]] = {}
        self.buckets = self.lifetimes.buckets
        """Buckets in use; a change of ``lifetimes.buckets`` waits until there are no entries."""
        self._checked = float("-inf")

    def __len__(self) -> int:
        return len(self._flows) + len(self._parents)

    @property
    def counted(self) -> int:
        """What is held against ``dyn_max``: all entries, or without the parents where those have their own bound."""
        return len(self) if self.lifetimes.parent_maximum is None else len(self._flows)

    @property
    def parents(self) -> int:
        """Parents of ``limit``."""
        return len(self._parents)

    @property
    def octets(self) -> int:
        """Size that the header of a listing gives for the entries (L-17)."""
        return _HEADER_OCTETS + _ENTRY_OCTETS * len(self) if len(self) else 0

    def __iter__(self) -> Iterator[State]:
        """All entries in the order of the listing."""
        self.expire()
        return iter(self._listed())

    def _listed(self) -> list[State]:
        return [state for bucket in sorted(self._buckets) for state in self._buckets[bucket]]

    # Looking up

    def lookup(self, fields: Fields, name: str | None) -> tuple[State, Direction] | None:
        """The entry of a datagram's flow, its lifetime renewed; None if there is none.  ``name`` None: of any name."""
        self.expire()
        if not self._flows:
            return None
        found = self._find(flow_of(fields), [*self._names] if name is None else [name])
        if found is not None:
            self._to_front(found[0])
            self._renew(*found, fields.tcp_flags, fields.tcp_acknowledgment)
        return found

    def _find(self, flow: Flow, names: Iterable[str]) -> tuple[State, Direction] | None:
        for name in names:
            state = self._flows.get((name, flow))
            if state is not None:
                return state, Direction.FORWARD
            state = self._flows.get((name, _reverse(flow)))
            if state is not None:
                return state, Direction.REVERSE
        return None

    def _renew(self, state: State, direction: Direction, flags: int | None, ack: int | None) -> None:
        lifetimes, now = self.lifetimes, self._now()
        match state.flow[0]:
            case 6:
                lifetime = self._tcp_lifetime(state, direction, flags or 0, ack)
                if lifetime is not None:
                    state.expires = now + lifetime
            case 17:
                state.expires = now + lifetimes.udp
            case _:
                state.expires = now + lifetimes.short

    def _tcp_lifetime(self, state: State, direction: Direction, flags: int, ack: int | None) -> int | None:
        """Seconds to live from now, None for no change (D-5)."""
        lifetimes = self.lifetimes
        flags &= _FIN | _SYN | _RST
        state.flags |= flags if direction is Direction.FORWARD else flags << 8
        if state.flags == _SYN:
            return lifetimes.syn
        if state.flags in _OPEN:
            if not self.switches.state_waits_for_acks:
                return lifetimes.ack
            if ack is None:
                return None
            before = state.acks[direction]
            if before == 0 or (ack - before) & 0x80000000 == 0:
                state.acks[direction] = ack
                state.acked.add(direction)
            if len(state.acked) < 2:
                return None
            state.acked.clear()
            return lifetimes.ack
        closed = lifetimes.fin if state.flags == _BOTH_SYN | _BOTH_FIN else lifetimes.rst
        return min(closed, lifetimes.keepalive_period - 1)

    # Installing

    def install(self, owner: Any, fields: Fields, mask: int, count: int, name: str) -> bool:
        """Remember a datagram's flow for a rule; False if its ``limit`` is reached or the table is full.

        ``mask``: parts of the flow that are counted (source address 1, source port 2, destination address 4,
        destination port 8), 0 for ``keep-state``.
        """
        self.complaints = []
        if not len(self):
            self.buckets = self.lifetimes.buckets
        flow = flow_of(fields)
        found = self._find(flow, [name])
        if found is not None:
            self._to_front(found[0])
            self._renew(*found, fields.tcp_flags, None)
            return True
        parent = None
        if mask:
            parent = self._parent(owner, flow, mask, name)
            if parent is None:
                return False
            if parent.children >= count:
                if self.verbose:
                    style, number = self.switches.limit_log, owner.rule.number
                    self._complain(limit_line(style, number, flow, parent.flow, self.counted))
                return False
        if not self._has_room():
            self._complain(full_line(self.switches.limit_log, "state"))
            return False
        if not self._flows:
            self.on_first()
        kind = Kind.STATE if parent is None else Kind.LIMIT
        state = State(kind, name, flow, owner, self._now() + self.lifetimes.syn, parent)
        if parent is not None:
            parent.children += 1
        self._flows[name, flow] = state
        self._names[name] = self._names.get(name, 0) + 1
        self._bucket(flow).insert(0, state)
        self._renew(state, Direction.FORWARD, fields.tcp_flags, None)
        if self.switches.state_counts_first:
            state.packets, state.octets = 1, fields.total_length
        return True

    def _has_room(self, *, parent: bool = False) -> bool:
        lifetimes = self.lifetimes
        if lifetimes.parent_maximum is None:
            return len(self) < lifetimes.maximum
        if parent:
            return len(self._parents) < lifetimes.parent_maximum
        return len(self._flows) < lifetimes.maximum

    def _complain(self, line: str) -> None:
        """For the log, but not twice in one second (D-6)."""
        second = int(self._now())
        if second != self._complained_in:
            self._complained_in = second
            self.complaints.append(line)

    def _parent(self, owner: Any, flow: Flow, mask: int, name: str) -> State | None:
        protocol, source, destination, source_port, destination_port = flow
        key = (
            protocol,
            source if mask & 1 else 0,
            destination if mask & 4 else 0,
            source_port if mask & 2 else 0,
            destination_port if mask & 8 else 0,
        )
        parent = self._parents.get((id(owner), key))
        if parent is not None:
            parent.expires = self._now() + self.lifetimes.short
            return parent
        if not self._has_room(parent=True):
            self._complain(full_line(self.switches.limit_log, "parent"))
            return None
        parent = State(Kind.PARENT, name, key, owner, self._now() + self.lifetimes.syn)
        self._parents[id(owner), key] = parent
        self._bucket(key).insert(0, parent)
        return parent

    def slot_of(self, flow: Flow) -> int:
        """The number of a flow's bucket."""
        _, source, destination, source_port, destination_port = flow
        return (source ^ destination ^ source_port ^ destination_port) & self.buckets - 1

    def _bucket(self, flow: Flow) -> list[State]:
        return self._buckets.setdefault(self.slot_of(flow), [])

    def _to_front(self, state: State) -> None:
        bucket = self._bucket(state.flow)
        if bucket[0] is not state:
            bucket.remove(state)
            bucket.insert(0, state)

    # Removing

    def expire(self) -> None:
        """Remove the entries whose time has come, and the parents that have no flow left."""
        now = self._now()
        if now == self._checked:
            return
        self._checked = now
        self._remove([state for state in self._flows.values() if state.expires <= now])
        self._remove([parent for parent in self._parents.values() if not parent.children])

    def forget(self, owner: Any, heir: Any) -> None:
        """Remove the entries of a rule that is deleted (D-7).

        With ``keep_states`` those of ``keep-state`` live on: as children of ``heir``, rule 65535, or doing what their
        own rule said, as the switch ``kept_states`` says.
        """
        self.expire()
        mine = [state for state in self._flows.values() if state.owner is owner]
        if self.lifetimes.keep_states:
            kept = [state for state in mine if state.kind is Kind.STATE]
            if self.switches.kept_states == "default rule":
                for state in kept:
                    state.owner = heir
            mine = [state for state in mine if state.kind is not Kind.STATE]
        self._remove(mine)
        self._remove([parent for parent in self._parents.values() if parent.owner is owner])

    def _remove(self, states: list[State]) -> None:
        for state in states:
            self._bucket(state.flow).remove(state)
            if state.kind is Kind.PARENT:
                del self._parents[id(state.owner), state.flow]
            else:
                del self._flows[state.name, state.flow]
                self._names[state.name] -= 1
                if not self._names[state.name]:
                    del self._names[state.name]
                if state.parent is not None:
                    state.parent.children -= 1


assert (TCP, UDP) == (6, 17)  # the patterns of _renew
