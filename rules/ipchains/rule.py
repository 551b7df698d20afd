"""A rule of Linux 2.2 as a value: what ``struct ip_fw`` holds, and how it is said to ipchains.

Source: linux.md F5-F7, F15, F16, U6; names follow ipchains(8).  A :class:`Rule` says nothing about where it stands or
what it has counted; that is :class:`rules.ipchains.chains.Entry`.  What it asks is in
:mod:`rules.ipchains.questions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntFlag

from rules.addresses import dotted, prefix_length
from rules.fields import ICMP, TCP, UDP

__all__ = ["ALL_PORTS", "Action", "Flag", "Inverse", "Rule", "SpecialTarget"]

ALL_PORTS = (0, 0xFFFF)

_PROTOCOLS = {TCP: "tcp", UDP: "udp", ICMP: "icmp"}


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

    def __post_init__(self) -> None:
        """No interface name is every interface, as the kernel has it (linux.md F15)."""
        if not self.interface:
            object.__setattr__(self, "flags", self.flags | Flag.WILDCARD)

    @property
    def has_ports(self) -> bool:
        """Whether its protocol, not inverted, is one whose ports the kernel lets it ask about (linux.md F15)."""
        return self.protocol in _PROTOCOLS and Inverse.PROTOCOL not in self.inverse

    # -- how it is said ------------------------------------------------------------------------------------------

    def command(self, chain: str) -> str:
        """The ipchains command that appends this rule; blanks in names are not quoted.

        What the tool cannot say it refuses: TOS masks that change bit 0, a size of copies without copies.
        """
        return " ".join(("-A", chain, *self.words()))

    def __str__(self) -> str:
        return " ".join(self.words())

    def words(self) -> tuple[str, ...]:
        """The rule in options of ipchains, only those that say something."""
        said: list[str] = []
        if self.protocol:
            said += ["-p", *self.bang(Inverse.PROTOCOL), _PROTOCOLS.get(self.protocol, str(self.protocol))]
        for option, address, mask, inverse in (
            ("-s", self.source, self.source_mask, Inverse.SOURCE),
            ("-d", self.destination, self.destination_mask, Inverse.DESTINATION),
        ):
            if address or mask or inverse in self.inverse:
                length = prefix_length(mask)
                said += [option, *self.bang(inverse), f"{dotted(address)}/{dotted(mask) if length is None else length}"]
        for option, (low, high), inverse in (
            ("--sport", self.source_ports, Inverse.SOURCE_PORTS),
            ("--dport", self.destination_ports, Inverse.DESTINATION_PORTS),
        ):
            if (low, high) != ALL_PORTS or inverse in self.inverse:
                said += [option, *self.bang(inverse), str(low) if low == high else f"{low}:{high}"]
        return (*said, *self.interface_words(), *self.flag_words(), *self.target_words(), *self.effect_words())

    def bang(self, inverse: Inverse) -> tuple[str, ...]:
        """``!`` if that question is turned round."""
        return ("!",) if inverse in self.inverse else ()

    def interface_words(self) -> tuple[str, ...]:
        if not self.interface and Inverse.INTERFACE not in self.inverse:
            return ()
        wildcard = "+" if Flag.WILDCARD in self.flags else ""
        return "-i", *self.bang(Inverse.INTERFACE), self.interface + wildcard

    def flag_words(self) -> tuple[str, ...]:
        said: tuple[str, ...] = ()
        if Flag.SYN in self.flags:
            said += (*self.bang(Inverse.SYN), "-y")
        if Flag.FRAGMENT in self.flags:
            said += (*self.bang(Inverse.FRAGMENT), "-f")
        return said

    def target_words(self) -> tuple[str, ...]:
        """The target, with its port if it is one that has a port."""
        if not self.target:
            return ()
        return ("-j", self.target, str(self.port)) if self.target in ("REDIRECT", "DIVERT") else ("-j", self.target)

    def effect_words(self) -> tuple[str, ...]:
        return (*self.log_words(), *self.tos_words(), *self.mark_words(), *self.copy_words())

    def log_words(self) -> tuple[str, ...]:
        return ("-l",) if Flag.LOG in self.flags else ()

    def tos_words(self) -> tuple[str, ...]:
        unchanged = (self.tos_and, self.tos_xor) == (0xFF, 0)
        return () if unchanged else ("-t", f"0x{self.tos_and:02X}", f"0x{self.tos_xor:02X}")

    def mark_words(self) -> tuple[str, ...]:
        if Flag.MARK_ABSOLUTE in self.flags:
            return "-m", str(self.mark)
        return ("-m", f"+{self.mark}") if self.mark else ()

    def copy_words(self) -> tuple[str, ...]:
        return ("-o", str(self.output_size)) if Flag.NETLINK in self.flags else ()
