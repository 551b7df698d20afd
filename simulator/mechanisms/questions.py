"""What is asked of every mechanism, and how the answer is found: by doing it, on a router of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import NamedTuple

from simulator.mechanisms.bench import HERE, LEFT, RIGHT, Bench, Place, datagram
from simulator.mechanisms.readers import Mechanism, Reader
from simulator.packet import Packet
from simulator.trace import Kind

__all__ = ["QUESTIONS", "Answer", "Question", "ask"]

STRANGER = "172.16.9.9"
"""An address that is not the router's, nor on its networks."""


class Answer(NamedTuple):
    """Yes or no, None when there is no way to try; and what happened."""

    yes: bool | None
    evidence: str

    @property
    def word(self) -> str:
        return "-" if self.yes is None else "yes" if self.yes else "no"


class Question(NamedTuple):
    text: str
    tried: str
    """What is done to find out."""
    find_out: Callable[[str, Mechanism], Answer]


def ask(profile: str, mechanism: Mechanism) -> list[tuple[Question, Answer]]:
    """All of them."""
    return [(question, question.find_out(profile, mechanism)) for question in QUESTIONS]


def _everything(reader: Reader) -> list[str]:
    """Where all that is there was seen."""
    found = []
    while (seen := reader.read()) is not None:
        found.append(seen.where)
    return found


def _opened(profile: str, mechanism: Mechanism, place: Place = "forward") -> tuple[Bench, Reader]:
    bench = Bench(profile)
    return bench, mechanism.open(bench, place, None)


def _sees(place: Place, octets: bytes) -> Callable[[str, Mechanism], Answer]:
    def find_out(profile: str, mechanism: Mechanism) -> Answer:
        bench, reader = _opened(profile, mechanism, place)
        if place == "output":
            bench.router.send(octets)
        else:
            bench.eth0.receive(octets)
        where = [each for each in _everything(reader) if place != "input" or "out" not in each.split()]
        return Answer(bool(where), "; ".join(where) or "nothing to read")

    return find_out


def _sees_denied(profile: str, mechanism: Mechanism) -> Answer:
    bench = Bench(profile)
    bench.deny("input")
    reader = mechanism.open(bench, "input", None)
    bench.eth0.receive(datagram(LEFT, HERE))
    where = _everything(reader)
    return Answer(bool(where), "; ".join(where) or "nothing to read")


def _holds(profile: str, mechanism: Mechanism) -> Answer:
    bench, reader = _opened(profile, mechanism)
    bench.eth0.receive(datagram(LEFT, RIGHT))
    reader.read()
    left = len(bench.eth1.sent)
    return Answer(not left, "it went out all the same" if left else "nothing went out")


def _changes(profile: str, mechanism: Mechanism) -> Answer:
    bench, reader = _opened(profile, mechanism)
    bench.eth0.receive(datagram(LEFT, RIGHT))
    seen = reader.read()
    if seen is None:
        return Answer(None, "it saw none to change")
    reader.back(seen, seen.octets[:-1] + b"!")
    last = [octets[-1:] == b"!" for octets in bench.eth1.sent]
    if last == [True]:
        return Answer(True, "the changed one went out, the first one did not")
    return Answer(False, "the first one went out" + (", and the changed one besides" if any(last) else ""))


def _sends(profile: str, mechanism: Mechanism) -> Answer:
    bench, reader = _opened(profile, mechanism, "input")
    octets = datagram(STRANGER, RIGHT)
    try:
        reader.outward(octets)
    except NotImplementedError:
        return Answer(None, "there is no call for that")
    sent = octets in bench.eth1.sent
    return Answer(sent, f"from {STRANGER}: it went out" if sent else "nothing went out")


def _asked(profile: str, mechanism: Mechanism) -> Answer:
    bench = Bench(profile)
    bench.deny("output")
    reader = mechanism.open(bench, "input", None)
    try:
        reader.outward(datagram(STRANGER, RIGHT))
    except NotImplementedError:
        return Answer(None, "it cannot send")
    except OSError as error:
        return Answer(True, f"denied: {os.strerror(error.errno or 0)}")
    return Answer(not bench.eth1.sent, "it went out past the rule" if bench.eth1.sent else "denied in silence")


def _puts_in(profile: str, mechanism: Mechanism) -> Answer:
    bench, reader = _opened(profile, mechanism)
    service = bench.router.socket(socket.AF_INET, socket.SOCK_DGRAM)
    service.bind(("0.0.0.0", 53))
    octets = datagram(LEFT, HERE)
    with bench.router.trace() as trace:
        try:
            reader.inward(octets)
        except NotImplementedError:
            return Answer(None, "there is no call for that")
    entered = {event.interface for event in trace if event.kind is Kind.FIREWALL and event.hook in ("input", "in")}
    if entered == {"eth0"} and service.readable:
        return Answer(True, "it came in by eth0, and to its port")
    where = ", ".join(sorted(each for each in entered if each)) or "nowhere"
    return Answer(False, f"it came in by {where}")


def _again(profile: str, mechanism: Mechanism) -> Answer:
    bench, reader = _opened(profile, mechanism)
    bench.eth0.receive(datagram(LEFT, RIGHT))
    seen = reader.read()
    if seen is None:
        return Answer(None, "it saw none to give back")
    _everything(reader)
    before = len(bench.eth1.sent)
    reader.back(seen, seen.octets)
    if len(bench.eth1.sent) == before:
        return Answer(None, "what it gives back goes nowhere")
    where = _everything(reader)
    return Answer(bool(where), "; ".join(where) or "nothing to read")


def _sees_sent(profile: str, mechanism: Mechanism) -> Answer:
    _, reader = _opened(profile, mechanism, "output")
    try:
        reader.outward(datagram("10.0.0.1", RIGHT))
    except NotImplementedError:
        return Answer(None, "it cannot send")
    where = _everything(reader)
    return Answer(bool(where), "; ".join(where) or "nothing to read")


def _shares(profile: str, mechanism: Mechanism) -> Answer:
    bench = Bench(profile)
    readers = {port: mechanism.open(bench, "input", port) for port in (53, 123)}
    for port in readers:
        bench.eth0.receive(datagram(LEFT, HERE, port=port))
    got = {}
    for port, reader in readers.items():
        found = set()
        while (seen := reader.read()) is not None:
            found.add(Packet(seen.octets).destination_port)
        got[port] = found
    if not any(got.values()):
        return Answer(None, "neither saw anything")
    own = all(found == {port} for port, found in got.items())
    return Answer(own, "each got its own port" if own else "each got both")


QUESTIONS = (
    Question(
        "sees what is forwarded", "a datagram from the left to the right", _sees("forward", datagram(LEFT, RIGHT))
    ),
    Question("sees what is for this host", "one from the left to the router", _sees("input", datagram(LEFT, HERE))),
    Question("sees what this host sends", "one of the router's own", _sees("output", datagram("10.0.0.1", RIGHT))),
    Question("sees what an earlier rule denied", "one to the router, behind a rule that denies it", _sees_denied),
    Question("can hold a packet back", "it reads a forwarded one and does nothing", _holds),
    Question("can change a packet", "it reads a forwarded one and gives back another", _changes),
    Question("can send under any source", f"it sends one from {STRANGER} to the right", _sends),
    Question("what it sends meets the firewall", "the same, with a rule that denies all that leaves", _asked),
    Question("can put a packet in as received", "it gives one to the router as if come by eth0", _puts_in),
    Question("sees again what it gives back", "it gives back a forwarded one as it was", _again),
    Question("sees what it sends itself", "it watches what leaves, and sends one of its own", _sees_sent),
    Question(
        "several programs share the traffic", "two readers, for ports 53 and 123, and one datagram to each", _shares
    ),
)
