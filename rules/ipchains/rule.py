"""A rule of Linux 2.2 as a value: what ``struct ip_fw`` holds, and the questions it comes to.

Source: linux.md F15-F25, F37; names follow ipchains(8).  A :class:`Rule` says nothing about where it stands or what it
has counted; that is :class:`rules.ipchains.chains.Entry`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntFlag

from rules.fields import ICMP, TCP, UDP
from rules.predicates import (
    AnyOf,
    Destination,
    DestinationPort,
    IcmpCode,
    IcmpType,
    InterfaceName,
    InterfacePrefix,
    LaterFragment,
    Not,
    Predicate,
    ProtocolIs,
    Ranges,
    Source,
    SourcePort,
    TcpFlags,
    Via,
)

__all__ = ["ALL_PORTS", "Action", "Flag", "Inverse", "Rule", "SpecialTarget"]

ALL_PORTS = (0, 0xFFFF)
_SYN, _RST, _ACK = 0x02, 0x04, 0x10


class Action(Enum):
    """What a hook is told to do with a packet; the values are the kernel's codes (linux.md F6), DIVERT's is ours."""

    REJECT = -1
    DENY = 1
    ACCEPT = 2
    REDIRECT = 3
    MASQ = 4
    SKIP = 5
    """The end of a user chain that was asked for by name, which only a check does (linux.md C2)."""
    DIVERT = 6


class SpecialTarget(Enum):
    """Target names that are no chains (linux.md F5); a chain of such a name can never be reached."""

    ACCEPT = Action.ACCEPT
    DENY = Action.DENY
    REJECT = Action.REJECT
    MASQ = Action.MASQ
    REDIRECT = Action.REDIRECT
    DIVERT = Action.DIVERT
    RETURN = None


class Flag(IntFlag):
    """``fw_flg`` (linux.md F16)."""

    LOG = 0x01
    SYN = 0x02
    FRAGMENT = 0x04
    MARK_ABSOLUTE = 0x08
    WILDCARD = 0x10
    NETLINK = 0x20


class Inverse(IntFlag):
    """``fw_invflg``: which questions were asked with ``!`` (linux.md F16)."""

    SOURCE = 0x01
    DESTINATION = 0x02
    PROTOCOL = 0x04
    SOURCE_PORTS = 0x08
    DESTINATION_PORTS = 0x10
    INTERFACE = 0x20
    SYN = 0x40
    FRAGMENT = 0x80


NO_FLAGS = Flag(0)
NOTHING_INVERSE = Inverse(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule; the defaults are those of a rule that asks nothing and has no target."""

    source: int = 0
    source_mask: int = 0
    destination: int = 0
    destination_mask: int = 0
    interface: str = ""
    """Name, or with :attr:`Flag.WILDCARD` the beginning of the name, without the ``+``."""
    protocol: int = 0
    """0 is every protocol; 16 bits, though a packet has only 8 (linux.md F19)."""
    source_ports: tuple[int, int] = ALL_PORTS
    """Lowest and highest; ICMP types under ``-p icmp``."""
    destination_ports: tuple[int, int] = ALL_PORTS
    """Lowest and highest; ICMP codes under ``-p icmp``."""
    target: str = ""
    """A special target, a user chain, or nothing."""
    port: int = 0
    """Where REDIRECT or DIVERT sends the packet (``fw_redirpt``)."""
    flags: Flag = NO_FLAGS
    inverse: Inverse = NOTHING_INVERSE
    tos_and: int = 0xFF
    tos_xor: int = 0
    mark: int = 0
    """Set with :attr:`Flag.MARK_ABSOLUTE`, added modulo 2**32 without."""
    output_size: int = 0
    """Octets of a netlink copy at most; meant only with :attr:`Flag.NETLINK`."""

    def questions(self, *, syn_test_spares_others: bool = False) -> tuple[Predicate, ...]:
        """What must all be answered yes by a packet *as the matcher sees it* (:func:`.engine.as_matched`).

        The interface question is among them; an engine that is told the interface asks :meth:`interfaces` instead.
        """
        interfaces = self.interfaces()
        asked: tuple[Predicate | None, ...] = (
            None if interfaces is None else self._turned(Via(interfaces), Inverse.INTERFACE),
            *self.header_questions(syn_test_spares_others=syn_test_spares_others),
        )
        return tuple(question for question in asked if question is not None)

    def interfaces(self) -> InterfaceName | InterfacePrefix | None:
        """The interfaces it names, inversion not counted; None when every one passes."""
        if Flag.WILDCARD not in self.flags:
            return InterfaceName(self.interface)
        if not self.interface and Inverse.INTERFACE not in self.inverse:
            return None
        return InterfacePrefix(self.interface)

    def header_questions(self, *, syn_test_spares_others: bool = False) -> tuple[Predicate, ...]:
        """The questions about the packet itself, in the kernel's order (linux.md 2.2)."""
        asked: list[Predicate] = []
        if self.source_mask or self.source or Inverse.SOURCE in self.inverse:
            asked.append(self._turned(Source(self.source, self.source_mask), Inverse.SOURCE))
        if self.destination_mask or self.destination or Inverse.DESTINATION in self.inverse:
            asked.append(self._turned(Destination(self.destination, self.destination_mask), Inverse.DESTINATION))
        if Flag.FRAGMENT in self.flags:
            asked.append(self._turned(LaterFragment(), Inverse.FRAGMENT))
        if Flag.SYN in self.flags:
            asked += self._syn_questions(syn_test_spares_others)
        if self.protocol:
            asked.append(self._turned(ProtocolIs(self.protocol), Inverse.PROTOCOL))
            asked += self._port_questions()
        return tuple(asked)

    def _turned(self, question: Predicate, by: Inverse) -> Predicate:
        return Not(question) if by in self.inverse else question

    def _syn_questions(self, spares_others: bool) -> list[Predicate]:
        """linux.md F22, F24, F45: a fragment never passes, not even ``! -y``."""
        opening = self._turned(TcpFlags(present=_SYN, absent=_ACK | _RST), Inverse.SYN)
        if spares_others:
            return [AnyOf((Not(ProtocolIs(TCP)), opening))]
        return [Not(LaterFragment()), opening]

    def _port_questions(self) -> list[Predicate]:
        """linux.md F22, F25, F37: a fragment passes the range 0-65535 and no other, inverted or not."""
        asked: list[Predicate] = []
        icmp = self.protocol == ICMP
        for ports, inverse, question in (
            (self.source_ports, Inverse.SOURCE_PORTS, IcmpType if icmp else SourcePort),
            (self.destination_ports, Inverse.DESTINATION_PORTS, IcmpCode if icmp else DestinationPort),
        ):
            inverted = inverse in self.inverse
            if ports == ALL_PORTS:
                if inverted:
                    asked.append(LaterFragment())
            elif inverted:
                asked += [Not(LaterFragment()), Not(question(Ranges((ports,))))]
            else:
                asked.append(question(Ranges((ports,))))
        return asked

    @property
    def has_ports(self) -> bool:
        """Whether its protocol, not inverted, is one whose ports the kernel lets it ask about (linux.md F15)."""
        return self.protocol in (TCP, UDP, ICMP) and Inverse.PROTOCOL not in self.inverse
