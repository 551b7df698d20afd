"""A router to which steps are done, and what each may raise."""

from __future__ import annotations

import errno
import socket
from collections import Counter
from contextlib import suppress
from typing import Any

from benchmarks.fuzz.drawing import NEIGHBOURS, Step, is_linux
from rules.errors import CommandError
from simulator.router import Router
from simulator.sockets.address import BSD_LAYOUT, LINUX_LAYOUT
from simulator.sockets.base import QueueSocket
from simulator.sockets.divert import DivertSocket
from simulator.testing.behaviours import CHANGES
from simulator.testing.invariants import Invariants

__all__ = ["EXPECTED", "Machine", "UnexpectedError"]

_READING = frozenset({errno.EAGAIN, errno.EBADF, errno.EOPNOTSUPP, errno.EINVAL})
_WRITING = frozenset(
    {
        errno.EINVAL,  # no IPv4 header, lengths that contradict each other, options twice
        errno.EMSGSIZE,  # larger than the send buffer, or than the MTU and not to be fragmented
        errno.EACCES,  # denied by ipfw; broadcast without permission
        errno.EPERM,  # denied by ipchains
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,  # an address that is no interface's
        errno.EDESTADDRREQ,
        errno.ENOBUFS,
        errno.EPIPE,
        errno.EBADF,
        errno.EAFNOSUPPORT,
        getattr(errno, "EBADRQC", errno.EINVAL),  # Linux's word for no IPv4 header
        errno.EOPNOTSUPP,
        errno.ENOTCONN,
        errno.EAGAIN,
        errno.EISCONN,  # an address on a connected socket
    }
)
_OPTIONS = frozenset(
    {errno.ENOPROTOOPT, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.EBADF, errno.EACCES}
    | {errno.EDOM, errno.EPERM}
)

EXPECTED: dict[str, frozenset[int]] = {
    "open": frozenset({errno.EPERM, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EPROTOTYPE}),
    "bind": frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EINVAL, errno.EACCES, errno.EBADF, errno.EPERM}),
    "read": _READING,
    "reinject": _READING | _WRITING,
    "write": _WRITING,
    "option": _OPTIONS,
    "ask": _OPTIONS,
    "shut": frozenset({errno.ENOTCONN, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}),
    "pester": frozenset(
        {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTCONN, errno.EBADF, errno.EISCONN, errno.ENETUNREACH}
    ),
}
"""The errnos with which each step may fail; a step that is not here fails with none."""


class UnexpectedError(Exception):
    """Something is wrong that raised nothing by itself: an unbalanced ledger, a packet with two fates."""


class _Moody:
    """A link that refuses every other datagram."""

    def __init__(self) -> None:
        self._asked = 0

    def transmit(self, octets: bytes) -> None:
        self._asked += 1
        if self._asked % 2:
            raise OSError(errno.ENOBUFS, "not this one")


class Machine:
    """A router with four interfaces and a few sockets; each step is a method."""

    def __init__(self, profile: str, switches: dict[str, Any], *, traced: bool) -> None:
        self.router = router = Router(profile, **switches)
        self.failed: Counter[str] = Counter()
        """What steps failed with, by the errno's name."""
        router.add_interface("if0", "192.168.1.1/24")
        router.add_interface("if1", "10.0.0.1/24", mtu=576)
        router.add_interface("ptp0", "10.5.0.1/32", mtu=1400, peer="10.5.0.2", link=_Moody())
        router.add_interface("bare0", None, mtu=296)
        router.add_route("0.0.0.0/0", via="10.0.0.254")
        router.add_route("30.0.0.0/8", kind="reject")
        router.add_route("40.0.0.0/8", kind="blackhole")
        self._linux = is_linux(profile)
        self._layout = LINUX_LAYOUT if self._linux else BSD_LAYOUT
        self._run = router.ipchains if self._linux else router.ipfw
        self._loopback = router.profile.loopback[0]
        self._sockets: dict[int, QueueSocket] = {}
        service = router.socket(socket.AF_INET, socket.SOCK_DGRAM)
        service.bind(("0.0.0.0", 53))
        service.setblocking(False)
        self._sockets[4] = service
        self._invariants = Invariants(router) if traced else None

    def do(self, step: Step) -> str:
        """Do it and look at the ledger; the errno's name if it failed with one that is expected, else nothing.

        Raises what the step raised otherwise, and UnexpectedError.
        """
        failed = ""
        try:
            getattr(self, step.name)(*step.arguments)
        except OSError as error:
            if error.errno not in EXPECTED.get(step.name, ()):
                raise
            failed = errno.errorcode[error.errno]
            self.failed[failed] += 1
        if self._invariants is not None:
            self._invariants.check()
        elif not self.router.ledger.balanced:
            raise UnexpectedError(f"the ledger does not balance: {self.router.ledger}")
        return failed

    def end(self) -> None:
        """After hours nothing is held any more, and every packet has had one beginning and one fate."""
        router = self.router
        router.clock.advance(100_000.0)
        if not router.ledger.balanced:
            raise UnexpectedError(f"the ledger does not balance at the end: {router.ledger}")
        if router.ledger.held:
            raise UnexpectedError(f"{router.ledger.held} packets are still held at the end")
        for sock in self._sockets.values():
            sock.close()
        if self._invariants is not None:
            self._invariants.check_end()

    # -- packets -----------------------------------------------------------------------------------------------------

    def _interface(self, name: str) -> Any:
        return self.router.interfaces[self._loopback if name == "loop" else name]

    def receive(self, interface: str, octets: bytes) -> None:
        self._interface(interface).receive(octets)

    def fragments(self, interface: str, parts: tuple[bytes, ...]) -> None:
        receive = self._interface(interface).receive
        for part in parts:
            receive(part)

    def send(self, octets: bytes) -> None:
        number = self.router.send(octets)
        if number and number not in _WRITING:
            raise UnexpectedError(f"send gave errno {number}")

    # -- sockets -----------------------------------------------------------------------------------------------------

    def open(self, slot: int, family: int, kind: int, proto: int, port: int) -> None:
        sock = self.router.socket(family, kind, proto)
        sock.setblocking(False)
        if slot in self._sockets:
            self._sockets[slot].close()
        self._sockets[slot] = sock
        if (kind, proto) == (socket.SOCK_RAW, 255):
            return  # a raw socket's bind takes an address
        try:
            sock.bind(("0.0.0.0", port))
        except OSError as error:
            if error.errno not in EXPECTED["bind"]:
                raise

    def bind(self, slot: int, port: int) -> None:
        if slot in self._sockets:
            self._sockets[slot].bind(("", port))

    def close(self, slot: int) -> None:
        """It stays in its slot: what a program does with a closed socket is worth a try."""
        if slot in self._sockets:
            self._sockets[slot].close()

    def read(self, slot: int, size: int, flags: int) -> None:
        if slot in self._sockets:
            self._sockets[slot].recvmsg(size, 0, flags)

    def reinject(self, slot: int, change: str) -> None:
        sock = self._sockets.get(slot)
        if sock is None or not sock.readable:
            return
        octets, sender = sock.recvfrom(65535)
        if sender is None or len(octets) < 20:  # the end of what a shut socket gives, or what came over UDP
            return
        if change == "packed" and not isinstance(sock, DivertSocket):
            change = "pair"
        for data, target in CHANGES[change](octets, sender):
            sock.send(data) if target is None else sock.sendto(data, target)

    def write(self, slot: int, octets: bytes, host: str, tag: int, zero: bytes, way: str) -> None:
        sock = self._sockets.get(slot)
        if sock is None:
            return
        divert = isinstance(sock, DivertSocket)
        packed = self._layout.pack(int.from_bytes(socket.inet_aton(host or "0"), "big"), tag, zero.ljust(8, b"\0")[:8])
        match way:
            case "packed" if divert:
                sock.sendto(octets, packed)
            case "short address" if divert:
                sock.sendto(octets, packed[: 8 + tag % 9])
            case "message":
                sock.sendmsg([octets[:10], octets[10:]], [], 0, (host, tag))
            case "no address":
                sock.send(octets)
            case _:
                sock.sendto(octets, (host, tag))

    def option(self, slot: int, level: int, name: int, value: int | bytes) -> None:
        if slot in self._sockets:
            self._sockets[slot].setsockopt(level, name, value)

    def ask(self, slot: int, level: int, name: int, length: int) -> None:
        if slot in self._sockets:
            self._sockets[slot].getsockopt(level, name, length)

    def shut(self, slot: int, how: int) -> None:
        if slot in self._sockets:
            self._sockets[slot].shutdown(how)

    def pester(self, slot: int, what: str) -> None:
        """What a divert socket cannot do, and where it is."""
        if slot in self._sockets:
            getattr(self._sockets[slot], what)(*([(NEIGHBOURS[0], 5000)] if what == "connect" else []))

    # -- the router --------------------------------------------------------------------------------------------------

    def command(self, words: str) -> None:
        try:
            self._run(words.replace("loop0", self._loopback))
        except CommandError as error:
            if not error.status or not (error.stderr or error.stdout):
                raise UnexpectedError(f"refused with status {error.status} and no word") from error

    def advance(self, seconds: float) -> None:
        self.router.clock.advance(seconds)

    def switch(self, interface: str, up: bool) -> None:
        self._interface(interface).up = up

    def resize(self, interface: str, mtu: int) -> None:
        self._interface(interface).mtu = mtu

    def route(self, prefix: str, how: str) -> None:
        router = self.router
        try:
            if how == "delete":
                router.delete_route(prefix)
            elif how in ("reject", "blackhole"):
                router.add_route(prefix, kind=how)
            elif how in router.interfaces:
                router.add_route(prefix, interface=how)
            else:
                router.add_route(prefix, via=how)
        except ValueError:
            pass  # no such route, a gateway out of reach, an interface that is down

    def join(self, interface: str, group: str, member: bool) -> None:
        found = self._interface(interface)
        found.join(group) if member else found.leave(group)

    def readdress(self, interface: str, address: str) -> None:
        with suppress(ValueError):  # it has that one already
            self.router.add_address(self._interface(interface), address)

    def privilege(self, privileged: bool) -> None:
        self.router.node.privileged = privileged
