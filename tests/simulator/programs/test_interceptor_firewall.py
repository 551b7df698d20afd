"""The interceptor sets a rule of its own and removes it again (howto.md 7, 12, 24), over the router's sockets."""

from __future__ import annotations

import errno
import io
import os
import socket
from ipaddress import IPv4Address
from typing import Any

import pytest

from simulator import Router
from simulator.programs import interceptor
from simulator.programs.interceptor import Interceptor, bind_socket, create_socket, main, remove_rule, set_rule
from simulator.wire import icmp, ipv4

pytestmark = pytest.mark.profiles("linux-2.2")

PORT = 1234
RULE = "DIVERT     icmp ------  0.0.0.0/0            0.0.0.0/0             * ->   * => 1234"


@pytest.fixture
def router() -> Router:
    router = Router("linux-2.2")
    router.add_interface("eth0", "192.168.1.1/24")
    router.add_interface("eth1", "10.0.0.1/24")
    return router


def listed(router: Router) -> list[str]:
    return router.ipchains("-L output -n").splitlines()[2:]


def ping(tos: int) -> bytes:
    header = ipv4.Header(
        source=int(IPv4Address("192.168.1.7")), destination=int(IPv4Address("10.0.0.9")), protocol=1, tos=tos
    )
    return header.emit(icmp.echo_request(1, 1))


@pytest.mark.statement("howto.md 7", "howto.md 12")
def test_the_rule_comes_and_goes(router: Router) -> None:
    router.ipchains("-A output -p icmp -j ACCEPT")
    firewall = set_rule(router.socket, PORT)
    assert listed(router)[1:] == [RULE]
    remove_rule(firewall, PORT)
    assert len(listed(router)) == 1
    assert firewall.closed


@pytest.mark.statement("howto.md 12", "howto.md 27")
def test_the_rule_that_is_written() -> None:
    """Octet by octet."""
    written: list[bytes] = []

    class Firewall:
        def setsockopt(self, level: int, name: int, value: bytes) -> None:
            assert (level, name) == (socket.IPPROTO_IP, 64)
            written.append(value)

    set_rule(lambda *_: Firewall(), PORT)
    rule = (
        "00000000 00000000 00000000 00000000"  # addresses and masks
        "00000000 0100 1000 0000"  # mark, protocol, flags (every interface, linux.md F15), inverse flags
        "0000 ffff 0000 ffff"  # ports
        "d204 ffff"  # divert port in host order, output size
        "00000000 00000000 00000000 00000000"  # interface
        "00 00"  # TOS masks
    )
    labels = b"DIVERT".ljust(12, b"\0") + b"output".ljust(12, b"\0")
    assert written == [bytes.fromhex(rule) + labels]


@pytest.mark.statement("howto.md 24")
def test_every_packet_of_the_rule_loses_its_tos(router: Router) -> None:
    divert = create_socket(router.socket, errors=io.StringIO())
    bind_socket(divert, PORT, errors=io.StringIO())
    firewall = set_rule(router.socket, PORT)
    router.interfaces["eth0"].receive(ping(tos=0x10))
    output = io.StringIO()
    Interceptor(output=output)(divert)
    (sent,) = router.interfaces["eth1"].sent
    assert ipv4.parse(sent).tos == 0
    assert "28 bytes reinjected." in output.getvalue()
    remove_rule(firewall, PORT)
    router.interfaces["eth0"].receive(ping(tos=0x10))
    assert ipv4.parse(router.interfaces["eth1"].sent[-1]).tos == 0x10
    assert not divert.readable
    assert router.ledger.balanced


def test_failures_are_told_and_raised(router: Router) -> None:
    told = io.StringIO()

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    with pytest.raises(PermissionError):
        set_rule(refuse, PORT, program="P", errors=told)
    firewall = set_rule(router.socket, PORT)
    router.ipchains("-F output")
    with pytest.raises(OSError, match="Invalid argument"):
        remove_rule(firewall, PORT, program="P", errors=told)
    assert firewall.closed
    with pytest.raises(FileNotFoundError):
        set_rule(Router("linux-2.2", divert=False).socket, PORT, program="P", errors=told)
    assert told.getvalue().splitlines() == [
        "P: could not create a raw socket: Operation not permitted",
        "P: could not remove rule: Invalid argument",
        "P could not set rule: No such file or directory",
    ]


class Interrupted(Interceptor):
    """Shows the rules at its first packet, then Ctrl-C is pressed."""

    router: Router
    seen: list[str]

    def __call__(self, divert: Any) -> None:
        Interrupted.seen = listed(self.router)
        raise KeyboardInterrupt


@pytest.fixture
def program(router: Router, monkeypatch: pytest.MonkeyPatch) -> type[Interrupted]:
    """The program itself, on the router's sockets instead of this machine's."""
    Interrupted.router = router
    Interrupted.seen = []
    monkeypatch.setattr(interceptor.socket, "socket", router.socket)
    monkeypatch.setattr(interceptor, "Interceptor", Interrupted)
    return Interrupted


@pytest.mark.statement("howto.md 6", "howto.md 7")
def test_the_program_has_its_rule_while_it_runs(program: type[Interrupted]) -> None:
    assert main([str(PORT), "--firewall"]) == 0
    assert program.seen == [RULE]
    assert listed(program.router) == []


@pytest.mark.statement("howto.md 6")
def test_without_the_option_there_is_no_rule(program: type[Interrupted]) -> None:
    assert main([str(PORT)]) == 0
    assert program.seen == []


@pytest.mark.statement("howto.md 7")
def test_the_program_fails_if_its_rule_is_gone(
    program: type[Interrupted], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def flush(self: Interrupted, divert: Any) -> None:
        self.router.ipchains("-F")
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "__call__", flush)
    assert main([str(PORT), "--firewall"]) == 2
    assert capsys.readouterr().err.endswith("interceptor: could not remove rule: Invalid argument\n")


def test_a_crash_removes_the_rule_too(program: type[Interrupted], monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(self: Interrupted, divert: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(program, "__call__", crash)
    with pytest.raises(ZeroDivisionError):
        main([str(PORT), "--firewall"])
    assert listed(program.router) == []


def test_the_program_without_a_rule_does_not_start(
    program: type[Interrupted], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stock = Router("linux-2.2", divert=False)
    monkeypatch.setattr(interceptor.socket, "socket", stock.socket)
    assert main([str(PORT), "--firewall"]) == 2
    captured = capsys.readouterr()
    assert captured.err.endswith("interceptor could not set rule: No such file or directory\n")
    assert captured.out == ""
