"""Lines that begin with ``expect``: what the world must show, now or within a stated time.

An expectation that names a packet takes it: the next one expects the next packet.  Where the far end of a wire is
nobody's, packets are taken strictly in order; where it is another router's, those in between may be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from simulator.ledger import Reason
from simulator.profiles import LinuxProfile
from simulator.scenario import model
from simulator.scenario.acting import Done
from simulator.scenario.model import Place, ScriptError
from simulator.scenario.packets import MismatchError, compare, compare_fields
from simulator.scenario.steps import check_step, step_of
from simulator.scenario.world import CopyReader, ScriptSocket, Station, World
from simulator.sockets.address import Address
from simulator.sockets.tap import TapAddress
from simulator.trace import Kind

__all__ = ["EXPECTATIONS", "UnmetError", "interface_in"]


class UnmetError(Exception):
    """What was expected did not happen: why, and the two packets where there are two."""

    def __init__(self, why: str, *, expected: bytes | None = None, actual: bytes | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.expected = expected
        self.actual = actual


Taken = Callable[[], bytes | None]
"""Takes the next packet of some place, or says that there is none."""


def _expect_packets(
    world: World, wanted: model.Sent, within: float, take: Taken, *, where: str, ignored: frozenset[str], skips: bool
) -> None:
    """Each packet that is wanted, in order; ``skips``: others may come between."""
    if isinstance(wanted, model.Nothing):
        _expect_none(world, within, take, where)
        return
    limit = world.clock.now() + within
    tests = list(_tests(world, wanted, ignored))
    for number, test in enumerate(tests, start=1):
        of = f" ({number} of {len(tests)})" if len(tests) > 1 else ""
        first: MismatchError | None = None
        first_actual = b""
        while True:
            actual = _wait_for(world, take, limit)
            if actual is None:
                if first is not None:
                    raise UnmetError(f"{where}: {first.why}{of}", expected=first.expected, actual=first_actual)
                waited = f" within {within:g} s" if within else ""
                raise UnmetError(f"{where}: no packet{waited}{of}", expected=_whole(world, wanted, number))
            try:
                test(actual)
            except MismatchError as error:
                if not skips:
                    raise UnmetError(f"{where}: {error.why}{of}", expected=error.expected, actual=actual) from None
                if first is None:
                    first, first_actual = error, actual
                continue
            world.packets.seen(actual)
            break


def _tests(
    world: World, wanted: model.Packets | model.Any, ignored: frozenset[str]
) -> Iterator[Callable[[bytes], None]]:
    match wanted:
        case model.Any(fields, place):
            yield lambda actual: compare_fields(fields, actual, place)
        case model.Said(spoken, place):
            said = {"ip.proto": spoken.protocol, **spoken.fields}
            if spoken.total_length is not None:
                said["ip.len"] = spoken.total_length
            yield lambda actual: compare_fields(said, actual, place)
        case _:
            named = wanted.edits if isinstance(wanted, model.Edited) else {}
            left_out = ignored - {"ip.chksum"} if named.keys() & {"chksum", "ip.chksum"} else ignored
            for octets in world.packets.all(wanted):
                yield partial(compare, octets, ignored=left_out)


def _whole(world: World, wanted: model.Packets | model.Any, number: int) -> bytes | None:
    """The packet that did not come, where the script says all of it."""
    if isinstance(wanted, model.Any | model.Said):
        return None
    return world.packets.all(wanted)[number - 1]


def _expect_none(world: World, within: float, take: Taken, where: str) -> None:
    if within:
        world.advance_to(world.clock.now() + within)
    actual = take()
    if actual is not None:
        raise UnmetError(f"{where}: a packet, where none was expected", actual=actual)


def _wait_for(world: World, take: Taken, limit: float) -> bytes | None:
    """The next packet, letting time pass until it comes, to the limit at most."""
    while (actual := take()) is None:
        wait = world.clock.next_deadline()
        if wait is None or world.clock.now() + wait > limit:
            if limit > world.clock.now():
                world.advance_to(limit)
            return take()
        world.advance_to(world.clock.now() + wait)
    return actual


def _sends(world: World, line: model.Transmits, past: Done, place: Place) -> None:
    wire = world.wire(line.interface, place)
    is_joined = wire.far_end is not None
    if is_joined and isinstance(line.packets, model.Nothing):
        wire.taken = max(wire.taken, wire.before)

    def take() -> bytes | None:
        if wire.taken == len(wire.sent):
            return None
        wire.taken += 1
        return wire.sent[wire.taken - 1]

    _expect_packets(
        world,
        line.packets,
        line.within,
        take,
        where=f"{line.interface} sends",
        ignored=frozenset(),
        skips=is_joined,
    )


def _reads(world: World, line: model.Reads, past: Done, place: Place) -> None:
    found = world.socket(line.socket, place)

    def take() -> bytes | None:
        try:
            return found.read()
        except BlockingIOError:
            return None
        except OSError as error:
            raise UnmetError(f"{line.socket} reads: {error.strerror}") from None

    outgoing = frozenset({"ip.chksum"})  # what a divert socket is given outgoing has none that is right (bsd.md R-14)
    _expect_packets(world, line.packets, line.within, take, where=f"{line.socket} reads", ignored=outgoing, skips=False)
    if any(part is not None for part in (line.address.host, line.address.tag, line.address.interface)):
        if isinstance(line.packets, model.Nothing):
            raise UnmetError(f"{line.socket} reads: nothing was read, so no address came with it")
        _check_address(line, found)


def _check_address(line: model.Reads, found: ScriptSocket) -> None:
    wanted, address = line.address, found.address
    have = {
        "address": address[0],
        "tag": getattr(address, "tag", address[1]),
        "interface": interface_in(found),
    }
    want = {"address": wanted.host, "tag": wanted.tag, "interface": wanted.interface}
    wrong = [
        f"{name} is {have[name] or 'empty'}, not {value or 'empty'}"
        for name, value in want.items()
        if value is not None and have[name] != value
    ]
    if wrong:
        raise UnmetError(f"{line.socket} reads: " + ", ".join(wrong))


def interface_in(found: ScriptSocket) -> str:
    """The interface's name, as far as the address carries it: on BSD seven characters of it (bsd.md R-6)."""
    if isinstance(found, CopyReader) or isinstance(found.address, TapAddress):
        return str(found.address[0])
    if not isinstance(found.address, Address):
        return ""
    is_linux = isinstance(found.station.router.profile, LinuxProfile)  # whose octets there hold the chain's name
    return (found.address.interface or "") if is_linux else found.address.destination.name


def _delivers(world: World, line: model.Delivers, past: Done, place: Place) -> None:
    station = world.station(place, line.router)
    if isinstance(line.packets, model.Nothing):
        station.delivered = max(station.delivered, station.delivered_before)

    def take() -> bytes | None:
        if station.delivered == len(station.router.delivered):
            return None
        station.delivered += 1
        return station.router.delivered[station.delivered - 1]

    _expect_packets(
        world,
        line.packets,
        line.within,
        take,
        where=f"{line.router} delivers",
        ignored=frozenset(),
        skips=True,
    )


def _silence(world: World, line: model.Silence, past: Done, place: Place) -> None:
    if line.seconds:
        world.advance_to(world.clock.now() + line.seconds)
    for where, octets in world.leftovers():
        raise UnmetError(f"{where} a packet, where nothing was expected", actual=octets)


def _failure(world: World, line: model.Failure, past: Done, place: Place) -> None:
    done = past
    if done.code is None:
        raise UnmetError("the action before did not fail")
    if done.code != line.code:
        raise UnmetError(f"the action before failed with {done.code} ({done.text.strip()}), not {line.code}")
    if line.text is not None and line.text.strip() != done.text.strip():
        raise UnmetError(f"the failure says {done.text.strip()!r}, not {line.text.strip()!r}")


def _output(world: World, line: model.Output, past: Done, place: Place) -> None:
    _same_lines("the command before", past.output, line.lines)


def _prints(world: World, line: model.Prints, past: Done, place: Place) -> None:
    said = world.said.getvalue()[world.heard :]
    world.heard += len(said)
    _same_lines("programs", said, line.lines)


def _same_lines(who: str, text: str, wanted: tuple[str, ...]) -> None:
    printed = tuple(each.rstrip() for each in text.splitlines())
    if printed == wanted:
        return
    rows = [f"{who} printed something else:"]
    for number in range(max(len(printed), len(wanted))):
        want = wanted[number] if number < len(wanted) else None
        have = printed[number] if number < len(printed) else None
        if want == have:
            rows.append(f"      {want}")
            continue
        rows += [f"    - {want}"] if want is not None else []
        rows += [f"    + {have}"] if have is not None else []
    raise UnmetError("\n".join(rows))


def _log(world: World, line: model.Log, past: Done, place: Place) -> None:
    station = world.station(place)
    messages = list(station.router.messages)
    for index in range(station.messages, len(messages)):
        if line.text in messages[index]:
            station.messages = index + 1
            return
    said = "; ".join(map(repr, messages[station.messages :][-5:])) or "nothing"
    raise UnmetError(f"no message of {station.name} contains {line.text!r}: it said {said}")


def _path(world: World, line: model.Path, past: Done, place: Place) -> None:
    station = past.station or world.station(place)
    for step in line.steps:
        check_step(step, station.router.profile, place)
    events = station.events[station.events_before :]
    packet = events[0].packet if events else 0
    taken = [event for event in events if event.packet == packet and event.kind is Kind.FIREWALL]
    want = [step.lower() for step in line.steps]
    have = [step_of(event, with_rule=" by " in wanted) for event, wanted in zip(taken, want, strict=False)]
    if have != want or len(taken) != len(want):
        raise UnmetError(f"the path is {', '.join(step_of(each, with_rule=True) for each in taken) or 'empty'}")


def _counter(world: World, line: model.Counter, past: Done, place: Place) -> None:
    packets, octets = _counted(world.station(place), line.rule, place)
    if packets != line.packets or line.octets not in (None, octets):
        raise UnmetError(f"rule {line.rule} has counted {packets} packets, {octets} octets")


def _counted(station: Station, rule: str, place: Place) -> tuple[int, int]:
    router = station.router
    if isinstance(router.profile, LinuxProfile):
        name, colon, number = rule.partition(":")
        chain = router.tables.chains.get(name)
        if not colon or chain is None or not 1 <= int(number) <= len(chain.entries):
            raise ScriptError(
                place.at(name), f"no rule {rule!r}: say the chain and the rule's number, such as 'input 1'"
            )
        entry = chain.entries[int(number) - 1]
        return entry.packets, entry.octets
    found = [each for each in router.rules.counters if str(each.number) == rule]
    if not found:
        raise ScriptError(place.at(rule), f"no rule {rule}")
    return sum(each.packets for each in found), sum(each.octets for each in found)


def _drop(world: World, line: model.Drop, past: Done, place: Place) -> None:
    if line.reason not in Reason.__members__:
        known = ", ".join(Reason.__members__)
        raise ScriptError(place.at(line.reason), f"no such reason: {line.reason!r} (there are {known})")
    dropped = [
        event.reason.name
        for station in world.stations.values()
        for event in station.events[station.events_before :]
        if event.reason is not None
    ]
    if line.reason not in dropped:
        raise UnmetError(f"dropped since the last action: {', '.join(dropped) or 'nothing'}")


def _ledger(world: World, line: model.LedgerCounts, past: Done, place: Place) -> None:
    ledger = world.station(place).router.ledger
    if not ledger.balanced:
        raise UnmetError(f"the ledger does not balance: {ledger}")
    wrong: list[str] = []
    for name, count in line.counts.items():
        have = ledger.dropped.total() if name == "dropped" else getattr(ledger, name, None)
        if not isinstance(have, int) or isinstance(have, bool):
            raise ScriptError(place.at(name), f"the ledger has no {name!r}: {ledger}")
        if have != count:
            wrong.append(f"{name} is {have}, not {count}")
    if wrong:
        raise UnmetError(f"{', '.join(wrong)}: {ledger}")


EXPECTATIONS: dict[type, Callable[[World, Any, Done, Place], None]] = {
    model.Transmits: _sends,
    model.Reads: _reads,
    model.Delivers: _delivers,
    model.Silence: _silence,
    model.Failure: _failure,
    model.Output: _output,
    model.Prints: _prints,
    model.Log: _log,
    model.Path: _path,
    model.Counter: _counter,
    model.Drop: _drop,
    model.LedgerCounts: _ledger,
}
"""What each expectation looks at."""
