"""Programs that do one thing to one datagram and another to the next."""

from __future__ import annotations

from typing import Any

import pytest
from datagrams import udp

from simulator.testing.behaviours import CHANGES, Behaviour

ADDRESS = ("192.168.1.1", 100)
PING = udp("192.168.1.2", "10.0.0.2", data=b"something")


class Socket:
    """Gives what it was given, and keeps what is written; refuses datagrams of odd length."""

    def __init__(self, *datagrams: bytes) -> None:
        self.waiting = [*datagrams]
        self.written: list[tuple[bytes, Any]] = []

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        return self.waiting.pop(0), ADDRESS

    def sendto(self, octets: bytes, address: Any) -> int:
        if len(octets) % 2:
            raise OSError(22, "Invalid argument")
        self.written.append((octets, address))
        return len(octets)

    def send(self, octets: bytes) -> int:
        return self.sendto(octets, None)


def run(behaviour: Behaviour, *datagrams: bytes) -> list[tuple[bytes, Any]]:
    sock = Socket(*datagrams)
    for _ in datagrams:
        behaviour(sock)
    return sock.written


def test_what_it_does_comes_in_turn() -> None:
    one, two, three = (udp("10.0.0.1", "10.0.0.2", data=bytes([number, 0])) for number in range(3))
    written = run(Behaviour("back", "drop"), one, two, three)
    assert written == [(one, ADDRESS), (three, ADDRESS)]


def test_later_is_behind_the_next() -> None:
    one, two, three = (udp("10.0.0.1", "10.0.0.2", data=bytes([number, 0])) for number in range(3))
    written = run(Behaviour("later", "back"), one, two, three)
    assert written == [(two, ADDRESS), (one, ADDRESS)]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ("ttl", {"o8": 32}),
        ("tos", {"o1": 0x10}),
    ],
)
def test_headers_are_mended(change: str, fields: dict[str, int]) -> None:
    [(octets, _)] = CHANGES[change](PING, ADDRESS)
    assert {f"o{at}": octets[at] for at in (int(name[1:]) for name in fields)} == fields
    assert sum(int.from_bytes(octets[at : at + 2], "big") for at in range(0, 20, 2)) % 0xFFFF == 0
    assert octets[20:] == PING[20:]


def test_an_answer_goes_to_the_source() -> None:
    [(octets, _)] = CHANGES["answer"](PING, ADDRESS)
    assert (octets[12:16], octets[16:20]) == (PING[16:20], PING[12:16])


def test_addresses_change() -> None:
    targets = {name: target for name in CHANGES for _, target in CHANGES[name](PING, ADDRESS)}
    assert targets["outgoing"] == ("0.0.0.0", 100)
    assert targets["tag 0"] == ("192.168.1.1", 0)
    assert targets["tag 65535"] == ("192.168.1.1", 65535)
    assert targets["no address"] is None


def test_what_is_refused_is_counted() -> None:
    behaviour = Behaviour("cut")
    assert run(behaviour, PING + b"x" * (len(PING) % 2)) == []
    assert behaviour.refused == {"EINVAL": 1}


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'bakc'.*there are back, drop"):
        Behaviour("back", "bakc")
    with pytest.raises(ValueError, match="nothing"):
        Behaviour()


def test_it_prints_as_what_makes_it() -> None:
    assert repr(Behaviour("back", "tag 0")) == "Behaviour('back', 'tag 0')"
