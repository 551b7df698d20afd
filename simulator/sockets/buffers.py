"""What fits into a receive buffer: each kernel's own arithmetic."""

from __future__ import annotations

from typing import Any, Protocol

from simulator.sockets.address import Address

__all__ = ["BSD_LARGEST", "CAPTURE_DEFAULT", "BpfBuffer", "BsdBuffer", "Buffer", "LinuxBuffer"]


class Buffer(Protocol):
    """A kernel's rule for what fits into a receive buffer."""

    limit: int
    """What SO_RCVBUF says, octets."""
    limits_writes: bool
    """Whether SO_SNDBUF is also the size of the largest datagram that can be written."""

    def take(self, length: int, address: Any = None, /) -> bool:
        """Charge one packet of that many octets, which came with that address; False when it does not fit."""

    def give_back(self, length: int, address: Any = None, /) -> None:
        """The reader has taken a packet of that many octets, which came with that address."""


LINUX_DEFAULT = 32767
"""Octets of counted memory (linux.md D24)."""

CAPTURE_DEFAULT = 2 * 1024 * 1024
"""Octets that libpcap asks of the kernel for a capture (pcap_set_buffer_size(3))."""

BSD_DEFAULT = 65636
"""65536 + 100 octets (bsd.md S-5)."""

_BPF_HEADER = 18
_ADDRESS = 16
_MBUF = 256
_CLUSTER = 2048
_SMALL = 92
"""Octets that fit into an mbuf behind the room for headers."""

_EFFICIENCY = 8
_LARGEST = 2 * 1024 * 1024
"""``kern.ipc.maxsockbuf``."""

BSD_LARGEST = _LARGEST * _CLUSTER // (_MBUF + _CLUSTER)
"""What a program may ask for, octets: the part of that which clusters can fill."""


class LinuxBuffer:
    """Counts the memory of each packet: its octets and the buffer around them (linux.md D24, R15)."""

    __slots__ = ("_used", "limit")

    limits_writes = False
    """A write may use more than SO_SNDBUF as long as nothing else is waiting, and here nothing ever is."""

    def __init__(self, limit: int = LINUX_DEFAULT) -> None:
        self.limit = limit
        self._used = 0

    def take(self, length: int, address: Any = None, /) -> bool:
        charge = (length + 32 + 15) & ~15
        if self._used + charge >= self.limit:
            return False
        self._used += charge
        return True

    def give_back(self, length: int, address: Any = None, /) -> None:
        self._used -= (length + 32 + 15) & ~15


class BsdBuffer:
    """Counts octets with sixteen for the address, and the mbufs that hold them (bsd.md R-16)."""

    __slots__ = ("limit", "memory", "used")

    limits_writes = True
    """No write is larger than SO_SNDBUF (bsd.md W-2)."""

    def __init__(self, limit: int = BSD_DEFAULT) -> None:
        self.limit = limit
        self.used = 0
        """Octets queued, sixteen for each address included (``sb_cc``)."""
        self.memory = 0
        """Octets of mbufs and clusters that hold them (``sb_mbcnt``)."""

    @property
    def memory_limit(self) -> int:
        """What they may take up (``sb_mbmax``)."""
        return min(_EFFICIENCY * self.limit, _LARGEST)

    @staticmethod
    def _memory(length: int, address: Any) -> int:
        """An mbuf for the address, and an mbuf with a cluster for every 2048 octets (divert-observed.md R-16).

        What this host sent itself, and so came from no interface, needs no cluster if it is small.
        """
        if length <= _SMALL and isinstance(address, Address) and address.interface is None:
            return _MBUF + _MBUF
        clusters = max(-(-length // _CLUSTER), 1)
        return _MBUF + clusters * (_MBUF + _CLUSTER)

    def take(self, length: int, address: Any = None, /) -> bool:
        octets = length + _ADDRESS
        if octets > min(self.limit - self.used, self.memory_limit - self.memory):
            return False
        self.used += octets
        self.memory += self._memory(length, address)
        return True

    def give_back(self, length: int, address: Any = None, /) -> None:
        self.used -= length + _ADDRESS
        self.memory -= self._memory(length, address)


class BpfBuffer:
    """Counts a packet's octets and the header in front of them, filled up to a word (bpf(4), BPF_WORDALIGN)."""

    __slots__ = ("_used", "limit")

    limits_writes = False

    def __init__(self, limit: int = CAPTURE_DEFAULT) -> None:
        self.limit = limit
        self._used = 0

    @staticmethod
    def _charge(length: int) -> int:
        return (_BPF_HEADER + length + 3) & ~3

    def take(self, length: int, address: Any = None, /) -> bool:
        charge = self._charge(length)
        if self._used + charge > self.limit:
            return False
        self._used += charge
        return True

    def give_back(self, length: int, address: Any = None, /) -> None:
        self._used -= self._charge(length)
