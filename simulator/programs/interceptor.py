"""The example program of the Linux Divert Sockets mini-HOWTO (section 6.4): shows what is diverted and puts it back.

It speaks as the original does, line by line (howto.md 17): progress on standard error, packets on standard output, the
dump always of forty octets, with what the buffer still holds from before where a packet is shorter (howto.md 25), and
the errno of the last failure, never cleared, in the two lines that test for it (howto.md 26). The original's
compile-time flags are options:

REINJECT
    `reinject`: each packet is sent back with the very address that came with it.
MULTICAST
    `multicast`: an outgoing multicast packet has IP_MULTICAST_IF set to its source address first.
FIREWALL
    `set_rule` and `remove_rule`, `--firewall` of the program: a rule of its own diverts all ICMP of the output chain
    for as long as it runs (howto.md 12). The original leaves the rule's TOS masks zero, so each packet loses its TOS
    on the way (howto.md 24); so does ours.

Only methods of CPython's sockets are used, so this source runs over `Router.socket` and, as
`python -m simulator.programs.interceptor PORT`, on a system that has divert sockets itself.
"""

from __future__ import annotations

import argparse
import errno
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from rules.fields import ICMP
from rules.ipchains import Rule
from rules.ipchains.sockopt import SocketOption, pack_change
from simulator.programs.registry import Entry, Output, Surroundings
from simulator.programs.showing import BUFFER_SIZE, shown

__all__ = [
    "PROGRAM",
    "Interceptor",
    "bind_socket",
    "create_socket",
    "main",
    "remove_rule",
    "set_rule",
]

_IPPROTO_DIVERT = 258 if sys.platform.startswith("freebsd") else 254
_TOLD = tuple((getattr(errno, name), name) for name in ("EBADRQC", "ENETUNREACH") if hasattr(errno, name))


def create_socket(make: Callable[..., Any], *, program: str = "interceptor", errors: Output | None = None) -> Any:
    """A divert socket from `make`: `socket.socket` or `Router.socket`.

    Raises OSError: EPERM without the privilege, EPROTONOSUPPORT without divert sockets.
    """
    print(f"{program}:Creating a socket", file=sys.stderr if errors is None else errors)
    return make(socket.AF_INET, socket.SOCK_RAW, _IPPROTO_DIVERT)


def bind_socket(divert: Any, port: int, *, program: str = "interceptor", errors: Output | None = None) -> None:
    """Listen on the divert port `port`, 1 to 65535. Raises OSError, EADDRINUSE for one."""
    print(f"{program}:Binding a socket", file=sys.stderr if errors is None else errors)
    divert.bind(("0.0.0.0", port))


def set_rule(make: Callable[..., Any], port: int, *, program: str = "interceptor", errors: Output | None = None) -> Any:
    """Append the program's own rule to the output chain: the raw socket, from `make`, through which it was done.

    Raises OSError after telling it: EPERM or EACCES without the privilege, ENOENT or ENOPROTOOPT from a kernel without
    DIVERT.
    """
    output = sys.stderr if errors is None else errors
    try:
        firewall = make(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    except OSError as error:
        print(f"{program}: could not create a raw socket: {error.strerror}", file=output)
        raise
    try:
        firewall.setsockopt(socket.IPPROTO_IP, SocketOption.APPEND, _change(port))
    except OSError as error:
        firewall.close()
        # No colon after the name, as in the original.
        print(f"{program} could not set rule: {error.strerror}", file=output)
        raise
    return firewall


def remove_rule(firewall: Any, port: int, *, program: str = "interceptor", errors: Output | None = None) -> None:
    """Delete the rule for that port through the socket that `set_rule` gave, and close the socket.

    Raises OSError after telling it: EINVAL when somebody else has deleted the rule.
    """
    with firewall:
        try:
            firewall.setsockopt(socket.IPPROTO_IP, SocketOption.DELETE, _change(port))
        except OSError as error:
            print(f"{program}: could not remove rule: {error.strerror}", file=sys.stderr if errors is None else errors)
            raise


def _change(port: int) -> bytes:
    """`struct ip_fwchange`: everything zero but the protocol, the upper ends of the ranges, port and output size."""
    rule = Rule(protocol=ICMP, target="DIVERT", port=port, tos_and=0, tos_xor=0, output_size=0xFFFF)
    return pack_change("output", rule)


class Interceptor:
    """The loop's body: calling it with a divert socket takes one packet, shows it, and puts it back.

    It raises what `recvfrom_into` raises, above all BlockingIOError when a non-blocking socket has nothing to read;
    errors of `sendto` are shown, as in the original. `intercepted` counts packets taken, `reinjected` those put back.
    """

    def __init__(
        self,
        *,
        program: str = "interceptor",
        reinject: bool = True,
        multicast: bool = False,
        output: Output | None = None,
    ) -> None:
        self.program = program
        self.reinject = reinject
        self.multicast = multicast
        self.intercepted = 0
        self.reinjected = 0
        self._output = sys.stdout if output is None else output
        self._packet = bytearray(BUFFER_SIZE)
        self._errno = 0

    def start(self) -> None:
        """Say that the program listens now."""
        self._print(f"{self.program}: Waiting for data...")

    def __call__(self, divert: Any) -> None:
        packet = self._packet
        length, address = divert.recvfrom_into(packet)
        self.intercepted += 1
        say = f"{self.program}: "
        for line in shown(self.program, packet, address):
            self._print(line)
        if self.multicast and packet[16] >> 4 == 0xE:
            self._print(f"{say}Multicast address!")
            self._errno = 0
            if address[0] == "0.0.0.0":
                result = self._set_multicast_interface(divert, bytes(packet[12:16]))
                self._print(f"{say}set_interface returns {result} with errno ={self._errno}")
        if self.reinject:
            self._put_back(divert, bytes(packet[:length]), address)

    def _set_multicast_interface(self, divert: Any, source: bytes) -> int:
        """What setsockopt(2) returns: 0, or -1 with errno set."""
        try:
            divert.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, source)
        except OSError as error:
            self._errno = error.errno or 0
            return -1
        return 0

    def _put_back(self, divert: Any, octets: bytes, address: Any) -> None:
        # No colon after the name in this one line: howto.md 17.
        self._print(f"{self.program} Reinjecting DIVERT {len(octets)} bytes")
        try:
            sent = divert.sendto(octets, address)
            self.reinjected += 1
        except OSError as error:
            sent = -1
            self._errno = error.errno or 0
        self._print(f"{self.program}: {sent} bytes reinjected.")
        if sent <= 0:
            self._print(f"{self.program}: Oops: errno = {self._errno}")
        for number, name in _TOLD:
            if self._errno == number:
                self._print(f"errno == {name}")

    def _print(self, text: str) -> None:
        print(text, file=self._output, flush=True)


class _WithOwnRule(Interceptor):
    """Built with FIREWALL: its rule is there until it finishes."""

    def __init__(self, around: Surroundings, **options: Any) -> None:
        super().__init__(output=around.output, **options)
        self._around = around
        self._firewall = set_rule(around.socket, around.port, program=self.program, errors=around.errors)

    def finish(self) -> None:
        """Remove the rule. Raises OSError, EINVAL when somebody else has deleted it."""
        remove_rule(self._firewall, self._around.port, program=self.program, errors=self._around.errors)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-reinject", dest="reinject", action="store_false", help="only show the packets")
    parser.add_argument("--multicast", action="store_true", help="set the interface of outgoing multicast packets")
    parser.add_argument("--firewall", action="store_true", help="divert the output chain's ICMP as long as it runs")


def _make(values: argparse.Namespace, around: Surroundings) -> Interceptor:
    options = {"reinject": values.reinject, "multicast": values.multicast}
    interceptor = _WithOwnRule(around, **options) if values.firewall else Interceptor(output=around.output, **options)
    interceptor.start()
    return interceptor


def _open(port: int, around: Surroundings) -> Any:
    divert = create_socket(around.socket, errors=around.errors)
    bind_socket(divert, port, errors=around.errors)
    return divert


PROGRAM = Entry(
    name="interceptor",
    summary="Show every packet as the HOWTO's example program does, and put it back.",
    make=_make,
    options=_options,
    open=_open,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program itself, on this machine's own divert sockets. 0 after Ctrl-C, 1: no socket, 2: no port or no rule."""
    parser = argparse.ArgumentParser(prog="interceptor", description="Show diverted packets and put them back.")
    parser.add_argument("port", type=int, help="divert port, 1 to 65535")
    _options(parser)
    options = parser.parse_args(arguments)
    program = parser.prog
    try:
        divert = create_socket(socket.socket, program=program)
    except OSError as error:
        print(f"{program}:We could not open a divert socket: {error.strerror}", file=sys.stderr)
        return 1
    with divert:
        try:
            bind_socket(divert, options.port, program=program)
        except (OSError, OverflowError) as error:
            print(f"{program}: Error bind(): {error}", file=sys.stderr)
            return 2
        intercept = Interceptor(program=program, reinject=options.reinject, multicast=options.multicast)
        try:
            with _own_rule(options.port, program) if options.firewall else nullcontext():
                intercept.start()
                _run(intercept, divert)
        except _RuleError:
            return 2
    return 0


def _run(intercept: Interceptor, divert: Any) -> None:
    """Until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        while True:
            intercept(divert)


class _RuleError(Exception):
    """The rule could not be set or removed, and that has been told."""


@contextmanager
def _own_rule(port: int, program: str) -> Iterator[None]:
    """The rule is there inside, however it is left."""
    try:
        firewall = set_rule(socket.socket, port, program=program)
    except OSError as error:
        raise _RuleError from error
    try:
        yield
    finally:
        try:
            remove_rule(firewall, port, program=program)
        except OSError as error:
            raise _RuleError from error


if __name__ == "__main__":
    sys.exit(main())
