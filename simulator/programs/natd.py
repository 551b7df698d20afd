"""natd: address translation over a divert socket, as natd(8) does it with its own option names.

    ipfw add divert natd ip from any to any via em1
    natd -interface em1

What the socket says came from no interface is outgoing and has its source changed; the rest is incoming and has its
destination changed; both go back with the address that they came with.  The translation is
:class:`simulator.aliasing.Aliasing`, the one that ipfw's ``nat`` uses.

As natd does, it drops refused incoming packets (``-deny_incoming``), tries again later what met a full buffer
(ENOBUFS), and answers a packet that is too long for its way with an ICMP message that says so (EMSGSIZE; only where the
MTU is known, by ``-interface``).  Other than natd, it goes on with the address it had when the interface loses its own.
Only methods of CPython's sockets are used, so this source runs over `Router.socket` and, as `python -m
simulator.programs.natd -interface em1`, on a system that has divert sockets itself.
"""

from __future__ import annotations

import errno
import random
import select
import signal
import socket
import struct
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from rules.addresses import dotted
from rules.fields import ICMP, OFFSET_MASK, TCP, UDP
from simulator.aliasing import Aliasing, Outcome
from simulator.programs.natd_options import DIVERT_PORT, OptionError, Options, described, read_options, usage
from simulator.programs.registry import Entry, Output, ProgramError, Surroundings
from simulator.programs.sites import Site, site_of
from simulator.wire import icmp, ipv4

__all__ = ["PROGRAM", "Natd", "NatdError", "main"]

_OUTGOING = "0.0.0.0"
_OVERHEAD = 12
"""Octets that natd leaves for packets that grow in translation."""
_IPPROTO_DIVERT = 258 if sys.platform.startswith("freebsd") else 254
_NAMES = {TCP: "[TCP]  ", UDP: "[UDP]  ", ICMP: "[ICMP] "}


_AGAIN = 0.01
"""Seconds until what met a full buffer is tried again, where nobody can wait for room."""


class NatdError(Exception):
    """Why natd cannot start; one line, its name not in it."""


class _Pending(NamedTuple):
    """A translated packet that has not been written back yet."""

    divert: Any
    octets: bytes
    address: Any
    outgoing: bool


class Natd:
    """The loop's body: calling it with a divert socket takes one packet, translates it, and puts it back.

    It raises what `recvfrom` raises, above all BlockingIOError when a non-blocking socket has nothing to read.
    `site` tells of an interface by its name, and raises KeyError for one that does not exist; `now` gives seconds,
    `choose(n)` a random number from 0 to n - 1; `icmp` makes the socket by which ICMP messages are sent.

    Raises NatdError when the aliasing address cannot be had.
    """

    def __init__(
        self,
        options: Options,
        *,
        site: Callable[[str], Site] = site_of,
        now: Callable[[], float] = time.monotonic,
        choose: Callable[[int], int] = random.randrange,
        icmp: Callable[[], Any] | None = None,
        output: Output | None = None,
        errors: Output | None = None,
    ) -> None:
        self.options = options
        self._site = site
        self._make_icmp = icmp or (lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
        self._icmp: Any = None
        self._output = sys.stdout if output is None else output
        self._errors = sys.stderr if errors is None else errors
        self._pending: _Pending | None = None
        self._mtu: int | None = None
        self._told = self._complaint = ""
        self.aliasing = Aliasing(
            now=now,
            choose=choose,
            address=options.alias_address or 0,
            mode=options.mode,
            target=options.target_address,
        )
        self.aliasing.redirects = options.redirects
        for note in options.notes:
            self.warn(note)
        self._refresh = False
        if options.interface is not None:
            self._take_address(options.interface)

    # -- the aliasing address ----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Look at the interface's address again before the next packet, as natd does for SIGHUP."""
        self._refresh = True

    def _follow(self) -> None:
        """Take the interface's address as it is now; complain once when it has none, and keep the old one."""
        interface = self.options.interface
        if interface is None or not (self._refresh or self.options.dynamic):
            return
        self._refresh = False
        try:
            self._take_address(interface)
            self._complaint = ""
        except NatdError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                self.warn(self._complaint)

    def _take_address(self, name: str) -> None:
        try:
            site = self._site(name)
        except KeyError:
            raise NatdError(f"unknown interface name {name}") from None
        if site.address is None:
            raise NatdError(f"{name}: cannot get interface address")
        if (site.address, site.mtu) != (self.aliasing.address, self._mtu) and self.options.verbose:
            self._log(f"Aliasing to {dotted(site.address)}, mtu {site.mtu} bytes")
        self.aliasing.address, self._mtu = site.address, site.mtu

    # -- packets -----------------------------------------------------------------------------------------------------

    def __call__(self, divert: Any) -> None:
        """One packet of a socket for both directions: its address says which way it goes."""
        self._take(divert, None)

    def outgoing(self, divert: Any) -> None:
        """One packet of the socket of ``-out_port``."""
        self._take(divert, True)

    def incoming(self, divert: Any) -> None:
        """One packet of the socket of ``-in_port``."""
        self._take(divert, False)

    @property
    def waiting(self) -> Any:
        """The divert socket whose buffer was full; None if nothing waits.  Nothing is read meanwhile."""
        return self._pending.divert if self._pending is not None else None

    def flush(self) -> None:
        """Try again to write what met a full buffer."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self._write(pending)

    def _take(self, divert: Any, outgoing: bool | None) -> None:
        self.flush()
        if self._pending is not None:
            return
        octets, address = divert.recvfrom(65535)
        self._follow()
        if outgoing is None:
            outgoing = address[0] == _OUTGOING
        translate = self.aliasing.alias if outgoing else self.aliasing.dealias
        outcome, translated = translate(octets)
        refused = not outgoing and outcome is Outcome.IGNORED and self.options.mode.deny_in
        self._tell(octets, translated, outgoing=outgoing, refused=refused)
        if refused:
            if self.options.log_denied:
                self._log(f"denied {_shown(octets)}")
            return
        self._write(_Pending(divert, translated, address, outgoing))

    def _write(self, pending: _Pending) -> None:
        try:
            pending.divert.sendto(pending.octets, pending.address)
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                self._pending = pending
            elif error.errno == errno.EMSGSIZE:
                if pending.outgoing and self._mtu is not None:
                    self._needs_fragmenting(pending.octets, self._mtu - _OVERHEAD)
            elif error.errno == errno.EBADF:
                raise
            elif error.errno != errno.EACCES or self.options.tells_denied_writes:
                self.warn(f"failed to write packet back: {error.strerror}")

    def _needs_fragmenting(self, octets: bytes, mtu: int) -> None:
        """Tell the sender inside: the message is translated as if it had come in from outside."""
        header = ipv4.View(octets)
        if header.fragment & OFFSET_MASK or header.protocol == ICMP:
            return
        message = icmp.needs_fragmenting(mtu, octets[: header.header_length + 8])
        came = ipv4.Header(source=header.destination, destination=header.source, protocol=ICMP).emit(message)
        answer = ipv4.View(self.aliasing.dealias(came).octets)
        try:
            if self._icmp is None:
                self._icmp = self._make_icmp()
                with suppress(OSError):
                    self._icmp.shutdown(socket.SHUT_RD)
            self._icmp.sendto(answer.payload, (dotted(answer.destination), 0))
        except OSError as error:
            self.warn(f"Cannot send ICMP message.: {error.strerror}")

    def due(self, divert: Any) -> float | None:
        """Try again what waits; seconds until the next time, None when nothing does."""
        self.flush()
        return None if self._pending is None else _AGAIN

    def finish(self) -> None:
        """Close the ICMP socket, if there is one."""
        if self._icmp is not None:
            self._icmp.close()
            self._icmp = None

    # -- telling -----------------------------------------------------------------------------------------------------

    def _tell(self, before: bytes, after: bytes, *, outgoing: bool, refused: bool) -> None:
        if self.aliasing.log != self._told:
            self._told = self.aliasing.log
            self._log(self._told)
        if not self.options.verbose:
            return
        protocol = _NAMES.get(before[9], f"[{before[9]}]    ")
        ending = " dropped." if refused else f" aliased to\n           {_shown(after)}"
        self._output.write(f"{'Out ' if outgoing else 'In  '}{protocol}{_shown(before)}{ending}\n")

    def warn(self, text: str) -> None:
        """A line on standard error."""
        self._errors.write(f"natd: {text}\n")

    _log = warn


def _shown(octets: bytes) -> str:
    """A packet in natd's words."""
    source, destination = dotted(int.from_bytes(octets[12:16], "big")), dotted(int.from_bytes(octets[16:20], "big"))
    protocol, at = octets[9], (octets[0] & 15) << 2
    first = octets[at : at + 4].ljust(4, b"\0")
    if protocol in (TCP, UDP):
        ports = struct.unpack("!HH", first)
        return f"[{'TCP' if protocol == TCP else 'UDP'}] {source}:{ports[0]} -> {destination}:{ports[1]}"
    if protocol == ICMP:
        return f"[ICMP] {source} -> {destination} {first[0]}({first[1]})"
    return f"[{protocol}] {source} -> {destination} "


# == as one of the programs ============================================================================================


def _read_file(name: str) -> str:
    return Path(name).read_text(encoding="utf-8")


class _Parser(ArgumentParser):
    """Shows natd's options as argparse does, and reads them as natd does."""

    def __init__(self, around: Surroundings | None, **more: Any) -> None:
        super().__init__(add_help=False, **more)
        self._around = around
        for names, parameter, description in described():
            self.add_argument(*names, metavar=parameter, help=description)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        try:
            return Namespace(options=read_options(args or (), self._read_file))
        except OptionError as error:
            raise ProgramError(f"natd: {error}") from None

    def _read_file(self, name: str) -> str:
        if self._around is None:
            return _read_file(name)
        with self._around.open(name, "r") as file:
            return str(file.read())


class _Entry(Entry):
    def parser(self, around: Surroundings | None = None) -> ArgumentParser:
        return _Parser(around, prog=self.name, description=self.summary)


def _make(chosen: Namespace, around: Surroundings) -> Natd:
    options: Options = chosen.options
    if options.in_port is not None:
        raise ProgramError("natd: in_port and out_port are two sockets, and there is one")
    if options.port not in (None, around.port) and around.port:
        raise ProgramError(f"natd: port {options.port} is not the port of its socket, {around.port}")
    try:
        return Natd(
            options,
            site=around.site,
            now=around.now,
            choose=around.choose,
            icmp=lambda: around.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
            output=around.output,
            errors=around.errors,
        )
    except NatdError as error:
        raise ProgramError(f"natd: {error}") from None


PROGRAM = _Entry(name="natd", summary="Translate addresses and ports, with the options of natd(8).", make=_make)


# == on a machine's own divert sockets ================================================================================


def main(arguments: Sequence[str] | None = None) -> int:
    """The program itself.  0 after Ctrl-C or SIGTERM, 1 for everything that is wrong, as natd has it."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words in (["-h"], ["-help"], ["--help"]):
        print(usage())
        return 0
    try:
        options = read_options(words, _read_file)
        natd = Natd(options)
    except (OptionError, NatdError) as error:
        print(f"natd: {error}", file=sys.stderr)
        if str(error).startswith(("unknown option", "invalid option")):
            print(usage(), file=sys.stderr)
        return 1
    with ExitStack() as stack:
        stack.callback(natd.finish)
        try:
            actions = dict(_sockets(natd, options, stack))
        except OSError as error:
            print(f"natd: Unable to create divert socket.: {error.strerror}", file=sys.stderr)
            return 1
        signal.signal(signal.SIGHUP, lambda *_: natd.refresh())
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            _run(natd, actions)
    return 0


def _sockets(natd: Natd, options: Options, stack: ExitStack) -> list[tuple[Any, Callable[[Any], None]]]:
    """The divert sockets, bound, each with what is done with a packet of it."""
    wanted: list[tuple[int | None, Callable[[Any], None]]] = [(options.port or DIVERT_PORT, natd)]
    if options.in_port is not None and options.port is None:
        wanted = [(options.in_port, natd.incoming), (options.out_port, natd.outgoing)]
    opened = []
    for port, action in wanted:
        divert = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_RAW, _IPPROTO_DIVERT))
        divert.bind(("0.0.0.0", port))
        opened.append((divert, action))
    return opened


def _run(natd: Natd, actions: dict[Any, Callable[[Any], None]]) -> None:
    """Until Ctrl-C.  Nothing is read as long as something waits to be written."""
    while True:
        waiting = natd.waiting
        if waiting is not None:
            select.select([], [waiting], [])
            natd.flush()
            continue
        for divert in select.select([*actions], [], [])[0]:
            if natd.waiting is None:
                actions[divert](divert)


if __name__ == "__main__":
    sys.exit(main())
