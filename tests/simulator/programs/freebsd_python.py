"""Run as a program: Python as it is on FreeBSD, as far as that can be had elsewhere, with a divert socket inside.

    python freebsd_python.py PROGRAM...     each a command line of `python -m simulator.programs`, without the port;
                                            `-m natd` and its options for `python -m simulator.programs.natd`

Names that CPython has only on Linux are gone from errno, socket and select. The divert socket has the methods of
`socket.socket` and no others; three datagrams come, and then Ctrl-C. What was sent is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import select
import shlex
import socket
import subprocess
import sys
import time
from collections import deque
from typing import Any

LINUX_ERRNOS = (
    "EADV EBADE EBADFD EBADR EBADRQC EBADSLT EBFONT ECHRNG ECOMM EDEADLOCK EDOTDOT EISNAM EKEYEXPIRED EKEYREJECTED "
    "EKEYREVOKED EL2HLT EL2NSYNC EL3HLT EL3RST ELIBACC ELIBBAD ELIBEXEC ELIBMAX ELIBSCN ELNRNG EMEDIUMTYPE ENAVAIL "
    "ENOANO ENOCSI ENODATA ENOKEY ENOMEDIUM ENONET ENOPKG ENOSR ENOSTR ENOTNAM ENOTUNIQ EREMCHG EREMOTEIO ERESTART "
    "ERFKILL ESRMNT ESTRPIPE ETIME EUCLEAN EUNATCH EXFULL"
)
LINUX_SOCKETS = (
    "AF_ALG AF_ASH AF_ATMPVC AF_ATMSVC AF_AX25 AF_BRIDGE AF_CAN AF_DECnet AF_ECONET AF_IRDA AF_KEY AF_LLC AF_NETBEUI "
    "AF_NETLINK AF_NETROM AF_PACKET AF_PPPOX AF_QIPCRTR AF_RDS AF_ROSE AF_SECURITY AF_TIPC AF_VSOCK AF_WANPIPE AF_X25 "
    "IP_TRANSPARENT IP_BIND_ADDRESS_NO_PORT MSG_CONFIRM MSG_ERRQUEUE MSG_FASTOPEN MSG_MORE SO_BINDTODEVICE SO_MARK "
    "SO_INCOMING_CPU SO_PASSCRED SO_PASSSEC SO_PEERCRED SO_PEERSEC SO_PRIORITY SCM_CREDENTIALS"
)
LINUX_SELECTS = " ".join(("epoll", *(name for name in dir(select) if name.startswith("EPOLL"))))

PING = bytes.fromhex("4500001c000100004001af34c0a801020a0000020800f7fe00010000")
SYN = bytes.fromhex("4500002c00010000400600000a0000020a0000010fa0005000000001000000006002ffff00000000020405b4")
ARRIVING = [(PING, ("192.168.1.1", 100)), (SYN, ("0.0.0.0", 200)), (PING[:27], ("192.168.1.1", 300))]

METHODS = (
    "accept bind close connect connect_ex detach fileno get_inheritable getblocking getpeername getsockname getsockopt "
    "gettimeout listen recv recv_into recvfrom recvfrom_into recvmsg recvmsg_into send sendall sendmsg sendto "
    "set_inheritable setblocking setsockopt settimeout shutdown"
)


class DivertSocket:
    """A socket of the kernel: its methods take positions alone, as those of `_socket.socket` do."""

    __slots__ = ("_arriving", "_blocking")

    def __init__(self, family: int, kind: int, proto: int, /) -> None:
        if (family, kind, proto) != (socket.AF_INET, socket.SOCK_RAW, 258):
            raise OSError(errno.EPROTONOSUPPORT, os.strerror(errno.EPROTONOSUPPORT))
        self._arriving = deque(ARRIVING)
        self._blocking = True

    def bind(self, address: tuple[str, int], /) -> None:
        assert address == ("0.0.0.0", 8668)

    def fileno(self) -> int:
        return 1 if self._arriving else 0

    def setblocking(self, flag: bool, /) -> None:
        self._blocking = flag

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, tuple[str, int]]:
        if not self._arriving:
            if self._blocking:
                raise KeyboardInterrupt
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        octets, address = self._arriving.popleft()
        return octets[:bufsize], address

    def recvfrom_into(self, buffer: bytearray, nbytes: int = 0, flags: int = 0) -> tuple[int, tuple[str, int]]:
        octets, address = self.recvfrom(nbytes or len(buffer))
        memoryview(buffer)[: len(octets)] = octets
        return len(octets), address

    def sendto(self, data: Any, address: tuple[str, int], /) -> int:
        assert type(address) is tuple
        assert len(address) == 2
        print("sent", bytes(memoryview(data)).hex(), *address)
        return len(data)

    def setsockopt(self, level: int, name: int, value: Any, /) -> None:
        print("option", level, name, value)

    def close(self) -> None:
        print("closed")

    def __enter__(self) -> DivertSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def wait(readers: list[Any], writers: list[Any], others: list[Any], timeout: float | None = None) -> Any:
    """select.select, with Ctrl-C once nothing will come any more."""
    if readers[0].fileno() == 0:
        if timeout is None:
            raise KeyboardInterrupt
        time.sleep(timeout)
    return [each for each in readers if each.fileno()], [], []


def become_freebsd() -> None:
    for module, names in ((errno, LINUX_ERRNOS), (socket, LINUX_SOCKETS), (select, LINUX_SELECTS)):
        for name in names.split():
            with contextlib.suppress(AttributeError):
                delattr(module, name)
    assert all(callable(getattr(socket.socket, name)) for name in METHODS.split())
    assert all(name in METHODS.split() for name in vars(DivertSocket) if not name.startswith("_"))
    sys.platform = "freebsd14"
    socket.socket = DivertSocket  # type: ignore[assignment, misc]
    socket.getprotobyname = lambda name: {"divert": 258}[name]  # type: ignore[assignment]
    select.select = wait  # type: ignore[assignment]


def main() -> None:
    assert argparse
    assert subprocess
    become_freebsd()
    from simulator.programs import natd
    from simulator.programs.running import main as run

    for line in sys.argv[1:]:
        name, *words = shlex.split(line)
        if name == "-m":
            name, *words = words
            print(f"--- {name} itself", flush=True)
            print("status", natd.main(words), flush=True)
        else:
            print(f"--- {name}", flush=True)
            print("status", run([name, "8668", *words]), flush=True)
    # The router itself is not needed there, but it does no harm.
    import simulator.router

    assert simulator.router.Router("freebsd-14")


if __name__ == "__main__":
    main()
