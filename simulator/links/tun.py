"""A TUN device as a link: what the far end's kernel routes into it is read here, what is written here arrives there.

Linux `Documentation/networking/tuntap.rst`: with IFF_TUN and IFF_NO_PI every read and every write is one bare IP
datagram. The device is made with python-pytun, which is an extra (`pip install 'divertsim[lab]'`) and is imported only
when a device is made: a descriptor that somebody else opened and handed over needs nothing but the operating system.
"""

from __future__ import annotations

import errno
import importlib
import os
from typing import Any

__all__ = ["LARGEST_DATAGRAM", "TunLink", "TunUnavailableError", "create_device", "load_pytun", "try_device_file"]

LARGEST_DATAGRAM = 65_535
"""Octets: the total length field of an IPv4 header has 16 bits (RFC 791 section 3.1)."""

_INSTALL = "pip install 'divertsim[lab]'"

_DEVICE_FILE = "/dev/net/tun"
_MODULE = "modprobe tun (in a container: --device /dev/net/tun)"
_REFUSALS = {
    errno.ENOENT: ("does not exist", _MODULE),
    errno.EACCES: (
        f"cannot be opened ({os.strerror(errno.EACCES)})",
        f"run as root, or let users open it: chmod 0666 {_DEVICE_FILE}",
    ),
    errno.EPERM: (
        f"cannot be opened ({os.strerror(errno.EPERM)})",
        f"allow the device here (in a container: --device {_DEVICE_FILE})",
    ),
}
"""What may come of opening the device: the cause and the remedy. EPERM is the answer of a device cgroup."""


class TunUnavailableError(Exception):
    """This machine cannot give us a TUN device. The message is one line: the cause, a colon, the remedy."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause = cause
        self.remedy = remedy


def load_pytun() -> Any:
    """The module of the project python-pytun; another project on PyPI has the name `pytun` itself and is refused.

    Raises TunUnavailableError.
    """
    try:
        module = importlib.import_module("pytun")
    except ImportError as error:
        raise TunUnavailableError(f"python-pytun cannot be imported ({error})", _INSTALL) from error
    if not all(hasattr(module, name) for name in ("TunTapDevice", "IFF_TUN", "IFF_NO_PI")):
        where = getattr(module, "__file__", None) or "unknown place"
        raise TunUnavailableError(
            f"the module pytun in {where} is the project 'pytun', not 'python-pytun'",
            f"pip uninstall pytun; {_INSTALL}",
        )
    return module


def try_device_file() -> None:
    """Open /dev/net/tun and close it again. Raises TunUnavailableError, which names it and the remedy."""
    try:
        os.close(os.open(_DEVICE_FILE, os.O_RDWR))
    except OSError as error:
        cause, remedy = _REFUSALS.get(error.errno or 0, (f"cannot be opened ({error.strerror})", _MODULE))
        raise TunUnavailableError(f"{_DEVICE_FILE} {cause}", remedy) from error


def create_device(name: str = "") -> tuple[int, str]:
    """Make a TUN device in the caller's network namespace: its descriptor and the name that the kernel gave it.

    The device lives as long as a copy of the descriptor is open. Raises TunUnavailableError, or OSError (EPERM without
    CAP_NET_ADMIN, EBUSY when the name is taken).
    """
    pytun = load_pytun()
    try_device_file()
    device = pytun.TunTapDevice(name=name, flags=pytun.IFF_TUN | pytun.IFF_NO_PI)
    try:
        return os.dup(device.fileno()), str(device.name)
    finally:
        device.close()


class TunLink:
    """One end of a TUN device, from the descriptor that opened it; the other end is a network interface of some kernel.

    The descriptor is made non-blocking and belongs to the link: `close` closes it, and the device goes with it unless
    somebody holds a copy.
    """

    __slots__ = ("_descriptor", "name")

    def __init__(self, descriptor: int, name: str = "tun") -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self.name = name

    @classmethod
    def open(cls, name: str = "") -> TunLink:
        """Make a device in the network namespace of this process. Errors: see `create_device`."""
        descriptor, given = create_device(name)
        return cls(descriptor, given)

    def __repr__(self) -> str:
        return f"TunLink({self._descriptor}, {self.name!r})"

    def fileno(self) -> int:
        """The descriptor, for poll; -1 when the link is closed."""
        return self._descriptor

    def receive(self) -> bytes:
        """The next datagram.

        BlockingIOError when there is none; another OSError when the device was deleted (EBADFD, EIO in old kernels).
        """
        return os.read(self._descriptor, LARGEST_DATAGRAM)

    def transmit(self, octets: bytes) -> None:
        """Hand one datagram to the far end's kernel; never blocks.

        OSError as the device gives it: EIO while the far end's interface is down, EINVAL for what is not an IP datagram
        at all, EBADFD when the device was deleted.
        """
        os.write(self._descriptor, octets)

    def close(self) -> None:
        """Give the descriptor back; again is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> TunLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
