"""A TUN link over any descriptor that keeps boundaries, and what is said where no device can be made."""

from __future__ import annotations

import errno
import os
import socket
import sys
import types

import pytest

from simulator.links.tun import LARGEST_DATAGRAM, TunLink, TunUnavailableError, create_device, load_pytun


def pair() -> tuple[socket.socket, TunLink]:
    far, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return far, TunLink(near.detach(), "tun7")


@pytest.mark.parametrize("length", [1, 20, 1500, LARGEST_DATAGRAM])
def test_one_datagram_a_read_and_a_write(length: int) -> None:
    far, link = pair()
    octets = os.urandom(length)
    with far, link:
        far.send(octets)
        far.send(b"next")
        assert link.receive() == octets
        assert link.receive() == b"next"
        link.transmit(octets)
        assert far.recv(LARGEST_DATAGRAM) == octets


def test_nothing_to_read_is_said_at_once() -> None:
    far, link = pair()
    with far, link, pytest.raises(BlockingIOError):
        link.receive()


def test_closed_is_closed() -> None:
    far, link = pair()
    descriptor = link.fileno()
    with far:
        link.close()
        link.close()
        assert link.fileno() == -1
        for use in (link.receive, lambda: link.transmit(b"late"), lambda: os.fstat(descriptor)):
            with pytest.raises(OSError) as caught:
                use()
            assert caught.value.errno == errno.EBADF


def test_without_pytun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytun", None)
    with pytest.raises(TunUnavailableError, match="pip install") as caught:
        load_pytun()
    assert "python-pytun cannot be imported" in caught.value.cause


def test_the_other_project_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytun", types.ModuleType("pytun"))
    with pytest.raises(TunUnavailableError, match="not 'python-pytun'") as caught:
        load_pytun()
    assert caught.value.remedy.startswith("pip uninstall pytun")


def test_without_the_device_file(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("pytun")
    for name in ("TunTapDevice", "IFF_TUN", "IFF_NO_PI"):
        setattr(fake, name, 0)
    monkeypatch.setitem(sys.modules, "pytun", fake)

    def missing(path: str, flags: int) -> int:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(os, "open", missing)
    with pytest.raises(TunUnavailableError, match="modprobe tun"):
        create_device()
