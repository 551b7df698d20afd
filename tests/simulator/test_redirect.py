"""REDIRECT: what was meant for others reaches a port of the router's, and answers seem to come from those others."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest
from notation import datagram, words

from simulator import Reason, Router

ASKED = "udp 192.168.1.2:5000 > 10.0.0.9:53"


@pytest.fixture
def router() -> Router:
    router = Router("linux-2.2")
    router.add_interface("eth0", "192.168.1.1/24")
    router.add_interface("eth1", "10.0.0.1/24")
    router.ipchains("-A input -p udp -d 10.0.0.0/24 53 -j REDIRECT 5353")
    return router


def udp_socket(router: Router, host: str, port: int) -> Any:
    sock = router.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    sock.setblocking(False)
    return sock


def sent(router: Router) -> list[str]:
    return [f"{name} {words(octets)}" for name in ("eth0", "eth1") for octets in router.interfaces[name].sent]


def receive(router: Router, text: str) -> None:
    router.interfaces["eth0"].receive(datagram(text))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1"])
def test_there_and_back(router: Router, host: str) -> None:
    proxy = udp_socket(router, host, 5353)
    receive(router, ASKED)
    data, address = proxy.recvfrom(99)
    assert (data, address) == (b"data", ("192.168.1.2", 5000))
    proxy.sendto(b"answer", address)
    assert sent(router) == ["eth0 udp 10.0.0.9:53 > 192.168.1.2:5000"]
    assert router.ledger.balanced


def test_a_plain_pair_answers_from_the_socket_itself(router: Router) -> None:
    proxy = udp_socket(router, "0.0.0.0", 5353)
    receive(router, ASKED)
    _, address = proxy.recvfrom(99)
    proxy.sendto(b"answer", tuple(address))
    assert sent(router) == ["eth0 udp 192.168.1.1:5353 > 192.168.1.2:5000"]


def test_the_kernel_s_address_says_what_it_was_meant_for(router: Router) -> None:
    """MSG_PROXY's layout: a second sockaddr_in begins in the sin_zero of the first."""
    proxy = udp_socket(router, "0.0.0.0", 5353)
    receive(router, ASKED)
    _, address = proxy.recvfrom(99)
    assert address.packed == bytes.fromhex("0200 1388 c0a80102 0200 0035 0a000009")


def test_on_a_bsd_it_says_so_in_the_layout_of_a_bsd() -> None:
    """sin_len, sin_family, and a port in network order, twice."""
    router = Router("freebsd-13", default_accept=True)
    router.add_interface("eth0", "192.168.1.1/24")
    router.add_interface("eth1", "10.0.0.1/24")
    router.ipfw("add 100 fwd 192.168.1.1,5353 udp from any to 10.0.0.9 53 in")
    proxy = udp_socket(router, "0.0.0.0", 5353)
    receive(router, ASKED)
    _, address = proxy.recvfrom(99)
    assert address == ("192.168.1.2", 5000)
    assert address.packed == bytes.fromhex("1002 1388 c0a80102 1002 0035 0a000009")
    proxy.sendto(b"answer", address)
    assert sent(router) == ["eth0 udp 10.0.0.9:53 > 192.168.1.2:5000"]


@pytest.mark.parametrize("host", ["10.0.0.1", None])
def test_without_a_socket_there_the_port_is_unreachable(router: Router, host: str | None) -> None:
    if host:
        udp_socket(router, host, 5353)
    receive(router, ASKED)
    assert sent(router) == [f"eth0 icmp 192.168.1.1 > 192.168.1.2 unreachable [{ASKED}] ttl 255"]


def test_the_port_that_was_meant_is_looked_for_too(router: Router) -> None:
    server = udp_socket(router, "0.0.0.0", 53)
    receive(router, ASKED)
    assert server.recv(99) == b"data"
    proxy = udp_socket(router, "0.0.0.0", 5353)
    receive(router, ASKED)
    assert proxy.recv(99) == b"data"


def test_datagrams_to_the_port_itself_are_no_proxy_s(router: Router) -> None:
    proxy = udp_socket(router, "0.0.0.0", 5353)
    receive(router, "udp 192.168.1.2:5000 > 192.168.1.1:5353")
    _, address = proxy.recvfrom(99)
    proxy.sendto(b"answer", address)
    assert sent(router) == ["eth0 udp 192.168.1.1:5353 > 192.168.1.2:5000"]


def test_port_0_means_the_port_that_was_meant(router: Router) -> None:
    router.ipchains("-R input 1 -p udp -j REDIRECT")
    server = udp_socket(router, "0.0.0.0", 53)
    receive(router, ASKED)
    _, address = server.recvfrom(99)
    server.sendto(b"answer", address)
    assert sent(router) == ["eth0 udp 10.0.0.9:53 > 192.168.1.2:5000"]


def test_fragments_are_put_together_first_and_go_where_the_first_one_was_sent(router: Router) -> None:
    router.ipchains("-R input 1 -p udp -j REDIRECT 5353")
    proxy = udp_socket(router, "0.0.0.0", 5353)
    tail = datagram(ASKED, bytes(16))[20:]
    for start, more in ((0, 0x2000), (16, 0)):
        piece = datagram(
            "proto17 192.168.1.2 > 10.0.0.9", tail[start : start + 16], identification=5, fragment=more | start // 8
        )
        router.interfaces["eth0"].receive(piece)
    assert proxy.recv(99) == bytes(16)
    assert router.ledger.balanced


def test_tcp_is_answered_by_a_reset_from_where_it_was_meant_for(router: Router) -> None:
    router.ipchains("-A input -p tcp -j REDIRECT 8080")
    receive(router, "tcp 192.168.1.2:5000 > 10.0.0.9:80 SYN")
    assert sent(router) == ["eth0 tcp 10.0.0.9:80 > 192.168.1.2:5000 RST|ACK"]


@pytest.mark.parametrize(("chain", "way"), [("forward", []), ("output", [f"eth1 {ASKED} ttl 63"])])
def test_misplaced_redirect(router: Router, chain: str, way: list[str]) -> None:
    """In the forward chain it drops, in the output chain it accepts (linux.md F8)."""
    for command in ("-F input", "-N user", "-A user -p udp -j REDIRECT 5353", f"-A {chain} -j user"):
        router.ipchains(command)
    proxy = udp_socket(router, "0.0.0.0", 5353)
    receive(router, ASKED)
    assert sent(router) == way
    assert router.ledger.dropped[Reason.DENIED] == (not way)
    with pytest.raises(OSError) as caught:
        proxy.recv(99)
    assert caught.value.errno == errno.EAGAIN
