"""tcpdump's expressions: what they match, and what happens without libpcap."""

from __future__ import annotations

import pytest
from datagrams import ping, udp
from test_machine import Kernel, needs_linux

from simulator.bpf import compile_filter
from simulator.bpf import compiler as module
from simulator.wire import ipv4


def _there() -> bool:
    try:
        module.library_version()
    except ImportError:
        return False
    return True


needs_libpcap = pytest.mark.skipif(not _there(), reason=f"no libpcap: {module.REMEDY}")

PING = ping("10.0.0.1", "10.0.0.2")
DATA = udp("10.0.0.1", "10.0.0.9", data=b"hello")
EXPRESSIONS = [
    ("", True, True),
    ("icmp", True, False),
    ("udp", False, True),
    ("icmp and host 10.0.0.2", True, False),
    ("src net 10.0.0.0/24 and not udp", True, False),
    ("dst host 10.0.0.9", False, True),
    ("icmp[icmptype] == icmp-echo", True, False),
    ("udp[8:4] = 0x68656c6c", False, True),
    ("ip[8] > 200", False, False),
    ("less 20", False, False),
    ("ip broadcast or ip multicast", None, None),
]


@needs_libpcap
@pytest.mark.parametrize(("expression", "of_ping", "of_data"), EXPRESSIONS[:-1])
def test_what_they_match(expression: str, of_ping: bool, of_data: bool) -> None:
    program = compile_filter(expression)
    assert (program.run(PING) > 0, program.run(DATA) > 0) == (of_ping, of_data)


@needs_linux
@needs_libpcap
@pytest.mark.parametrize("expression", [each for each, *_ in EXPRESSIONS[:-1]])
def test_the_kernel_says_the_same(expression: str) -> None:
    program = compile_filter(expression)
    kernel = Kernel([tuple(each) for each in program])  # type: ignore[misc]
    try:
        for octets in (PING, DATA, ipv4.Header(source=1, destination=2, protocol=99).emit(b"")):
            assert min(program.run(octets), len(octets)) == kernel.run(octets)
    finally:
        kernel.close()


@needs_libpcap
@pytest.mark.parametrize("expression", ["icmp and", "ether host 1:2:3:4:5:6", "nonsense words", "port 99999"])
def test_what_libpcap_refuses_is_said_in_its_words(expression: str) -> None:
    with pytest.raises(ValueError, match=r"^filter '") as caught:
        compile_filter(expression)
    assert len(str(caught.value)) > len(expression) + 12


def test_without_libpcap_the_error_says_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    module._library.cache_clear()
    monkeypatch.setattr(module, "_candidates", list)
    with pytest.raises(ImportError, match=r"libpcap0\.8"):
        compile_filter("icmp")
    module._library.cache_clear()
