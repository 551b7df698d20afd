"""The kernel of this machine as a router to compare ours with: octets in by one TUN device, octets out by others.

    with KernelRouter() as kernel:
        kernel.exchange([("eth0", datagram)])   # {"eth1": [the datagram as it was forwarded]}

Nobody sleeps to find out whether the kernel is done.  It works a datagram off before it looks at the next one, and
each device gives what it sends in order; so a marker follows the datagrams to every device, and what a device gives
before its marker is all that it has to give.
"""

from __future__ import annotations

import os
import pickle
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from ipaddress import IPv4Interface
from itertools import count
from pathlib import Path

import kernel_agent
from datagrams import ip
from kernel_world import INTERFACES, Interface

from simulator.links.tun import TunLink

__all__ = ["Answers", "KernelRouter", "Sent", "SilenceError"]

Sent = tuple[str, bytes]
"""A datagram handed to the router: the interface's name, and the octets."""

Answers = dict[str, list[bytes]]
"""What a router sent out of each interface, in order; interfaces that sent nothing are left out."""

PATIENCE = 20.0
"""Seconds to wait for a marker: it comes within microseconds, unless the machine is very busy."""

_MARKED = 254
"""The protocol of markers: for experiments (RFC 3692)."""


class SilenceError(Exception):
    """The kernel's router could not be made, or does not answer."""


class KernelRouter:
    """The namespace and the devices, until `close`.  Raises SilenceError where there can be none."""

    def __init__(self) -> None:
        self._numbers = count(1)
        with ExitStack() as stack:
            self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(self._channel)
            with theirs:
                self._process = _start(theirs)
            stack.callback(self._end)
            self._channel.settimeout(PATIENCE)
            octets, descriptors, _, _ = socket.recv_fds(self._channel, 4096, len(INTERFACES))
            links = [stack.enter_context(TunLink(each)) for each in descriptors]
            why = pickle.loads(octets) if octets else "its process ended before it said a word"
            if why:
                raise SilenceError(why)
            self._links = dict(zip((each.name for each in INTERFACES), links, strict=True))
            self._stack = stack.pop_all()

    @property
    def process(self) -> int:
        """The process that the namespace lives by."""
        return self._process.pid

    def set(self, variable: str, value: int) -> None:
        """Set a variable of sysctl(8) there, by its path below /proc/sys/net."""
        self._channel.send(pickle.dumps((variable, value)))
        if not self._channel.recv(4096):
            raise SilenceError(f"{variable} cannot be set")

    def exchange(self, sent: Iterable[Sent]) -> Answers:
        """Hand datagrams to the kernel, one after the other; what it sent until it had worked off the last."""
        for name, octets in sent:
            self._give(name, octets)
        answers = {interface.name: self._until_marker(interface) for interface in INTERFACES}
        return {name: given for name, given in answers.items() if given}

    def wait(self, name: str, seconds: float) -> bytes | None:
        """The next datagram that the kernel sends there by itself, by a timer; None when none came in that time."""
        return self._next(name, time.monotonic() + seconds)

    def _give(self, name: str, octets: bytes) -> None:
        """The device takes no datagram that is empty or of another version than 4 and 6: EINVAL, and it is lost."""
        try:
            self._links[name].transmit(octets)
        except OSError as error:
            if octets and octets[0] >> 4 in (4, 6):
                raise SilenceError(f"{name} does not take {octets.hex()}: {error}") from error

    def _until_marker(self, interface: Interface) -> list[bytes]:
        number = next(self._numbers).to_bytes(8, "big")
        by = INTERFACES[0] if interface is not INTERFACES[0] else INTERFACES[1]
        self._give(by.name, ip(_neighbour(by), _neighbour(interface), _MARKED, number))
        deadline = time.monotonic() + PATIENCE
        given: list[bytes] = []
        while (octets := self._next(interface.name, deadline)) is not None:
            if octets[9] == _MARKED and octets[20:] == number:
                return given
            given.append(octets)
        raise SilenceError(f"no marker out of {interface.name} in {PATIENCE} seconds")

    def _next(self, name: str, deadline: float) -> bytes | None:
        link = self._links[name]
        while True:
            try:
                return link.receive()
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([link], [], [], left)[0]:
                    return None

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process, and with it everything in its namespace.  Again is harmless."""
        self._stack.close()

    def __enter__(self) -> KernelRouter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _neighbour(interface: Interface) -> str:
    """A host on the link that no test speaks for: the last but four of its addresses."""
    return str(IPv4Interface(interface.address).network.broadcast_address - 4)


def _start(channel: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", str(Path(kernel_agent.__file__)), str(channel.fileno())],
        pass_fds=[channel.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
