"""Wrong expectations made from right ones, at the level of the model: each is to make its script fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from simulator.ledger import Reason
from simulator.scenario import model
from simulator.scenario.model import Script
from simulator.spoken import Spoken
from simulator.wire.named import Value

__all__ = ["MUTATIONS", "mutants"]

Mutants = Iterator[tuple[str, Any]]
"""What was changed, and the changed value."""


def mutants(script: Script) -> Iterator[tuple[str, Script]]:
    """Each wrong script, with a word on what is wrong with it.

    An expectation that is to fail is left alone: what the first comment announces is changed in its stead.
    """
    for index, text in enumerate(script.announced):
        wrong = (*script.announced[:index], f"{text}, and more", *script.announced[index + 1 :])
        yield f"Fails: {text}", replace(script, announced=wrong)
    if script.announced:
        yield "a further failure", replace(script, announced=(*script.announced, "a further failure"))
        return
    for index, line in enumerate(script.setup):
        for what, statement in _statements(line.statement, script):
            setup = _put(script.setup, index, replace(line, statement=statement))
            yield f"line {line.place.line}: {what}", replace(script, setup=setup)
    for number, case in enumerate(script.cases):
        for index, line in enumerate(case.lines):
            for what, statement in _statements(line.statement, script):
                lines = _put(case.lines, index, replace(line, statement=statement))
                only = (replace(script.cases[number], lines=lines),)
                yield f"line {line.place.line}: {what}", replace(script, cases=only)


def _something(script: Script) -> model.Transmits:
    """A packet out of some interface of the script."""
    owner = ""
    lines = [*script.setup, *(line for case in script.cases for line in case.lines)]
    for line in lines:
        match line.statement:
            case model.Router(name):
                owner = f"{name}." if name else ""
            case model.Interface(name):
                return model.Transmits(owner + name, model.Any({}, line.place), 0.0)
    raise ValueError(f"{script.file} has no interface")


def _put(items: tuple[Any, ...], index: int, item: Any) -> tuple[Any, ...]:
    return (*items[:index], item, *items[index + 1 :])


def _statements(statement: Any, script: Script) -> Mutants:
    if isinstance(statement, model.Silence):
        yield "a packet instead of nothing", _something(script)
    elif type(statement) in MUTATIONS:
        yield from MUTATIONS[type(statement)](statement)


def _packets(statement: Any) -> Mutants:
    for what, packets in _sent(statement.packets):
        yield what, replace(statement, packets=packets)
    if statement.within:
        yield "at once", replace(statement, within=0.0)


def _sent(packets: model.Sent) -> Mutants:
    match packets:
        case model.Nothing():
            yield "a packet instead of nothing", model.Any({}, model.Place("mutant", 1, 1))
            return
        case model.Any(fields):
            for what, changed in _values(fields):
                yield what, replace(packets, fields=changed)
        case model.Said(spoken):
            for what, words in _spoken(spoken):
                yield what, replace(packets, spoken=words)
        case model.Edited(_, edits):
            for what, changed in _values(edits):
                yield what, replace(packets, edits=changed)
        case model.Fragments(whole, _, order):
            for what, source in _sent(whole):
                if not isinstance(source, model.Nothing):
                    yield what, replace(packets, whole=source)
            yield "the order of fragments", replace(packets, order=order[:-1] if len(order) > 1 else (1, 1))
        case _:
            for name, value in (("ttl", 77), ("id", 7777), ("dst", "192.0.2.77")):
                yield f"{name}={value}", model.Edited(packets, {name: value}, _place(packets))
    yield "nothing instead of a packet", model.Nothing()


def _place(packets: Any) -> model.Place:
    return getattr(packets, "place", model.Place("mutant", 1, 1))


def _reads(statement: model.Reads) -> Mutants:
    yield from _packets(statement)
    address = statement.address
    if address is not None:
        yield "the address", replace(statement, address=replace(address, host="192.0.2.77"))
        if address.tag is not None:
            yield "the tag", replace(statement, address=replace(address, tag=address.tag + 1))
        if address.interface is not None:
            yield "the interface", replace(statement, address=replace(address, interface="wrong0"))


def _values(values: Mapping[str, Value]) -> Iterator[tuple[str, dict[str, Value]]]:
    for name, value in values.items():
        changed = _other(value)
        yield f"{name}={changed!r}", {**values, name: changed}


def _other(value: Value) -> Value:
    match value:
        case int():
            return value ^ 1
        case bytes():
            return value + b"!"
        case str():
            try:
                return str(IPv4Address(int(IPv4Address(value)) ^ 1))
            except ValueError:
                return {"SA": "S", "DF": "MF", "MF": "DF", "MF+DF": "DF", "S": "SA", "A": "R", "RA": "A"}.get(
                    value, value + "!"
                )


def _spoken(spoken: Spoken) -> Iterator[tuple[str, Spoken]]:
    for what, fields in _values(spoken.fields):
        yield what, replace(spoken, fields=fields)
    yield "the protocol", replace(spoken, protocol=spoken.protocol ^ 1)
    if spoken.total_length is not None:
        yield "the length", replace(spoken, total_length=spoken.total_length + 1)


def _failure(statement: model.Failure) -> Mutants:
    yield "the errno", replace(statement, code="EXDEV" if statement.code.startswith("E") else statement.code + "1")
    if statement.text is not None:
        yield "the text", replace(statement, text=statement.text + " or not")


def _output(statement: model.Output) -> Mutants:
    lines = statement.lines
    for index, line in enumerate(lines):
        yield f"line {index + 1} of the output", replace(statement, lines=_put(lines, index, line + "!"))
    yield "a line less of output", replace(statement, lines=lines[:-1]) if lines else replace(statement, lines=("!",))
    yield "a line more of output", replace(statement, lines=(*lines, "!"))


def _log(statement: model.Log) -> Mutants:
    yield "the message", replace(statement, text=statement.text + "!")


def _prints(statement: model.Prints) -> Mutants:
    for index, line in enumerate(statement.lines):
        yield f"line {index + 1} printed", replace(statement, lines=_put(statement.lines, index, line + "!"))
    yield "a line more printed", replace(statement, lines=(*statement.lines, "!"))


_CHAINS = {"input": "output", "output": "forward", "forward": "input"}
_PASSES = {"in": "out", "out": "in"}


def _path(statement: model.Path) -> Mutants:
    for index, step in enumerate(statement.steps):
        for changed in _steps(step):
            yield f"{step} -> {changed}", replace(statement, steps=_put(statement.steps, index, changed))
        yield f"without {step}", replace(statement, steps=(*statement.steps[:index], *statement.steps[index + 1 :]))
    yield "a step more", replace(statement, steps=(*statement.steps, *(statement.steps[-1:] or ("output accept",))))


def _steps(step: str) -> Iterator[str]:
    hook, verdict, *rest = step.split()
    other, accepts = (_CHAINS[hook], "accept") if hook in _CHAINS else (_PASSES[hook], "allow")
    yield " ".join([other, verdict, *rest])
    yield " ".join([hook, "deny" if verdict == accepts else accepts, *rest])
    for index, word in enumerate(rest):
        if word != "by":
            yield " ".join([hook, verdict, *rest[:index], word + "1", *rest[index + 1 :]])


def _counter(statement: model.Counter) -> Mutants:
    yield "the packets", replace(statement, packets=statement.packets + 1)
    if statement.octets is not None:
        yield "the octets", replace(statement, octets=statement.octets + 1)


def _drop(statement: model.Drop) -> Mutants:
    for reason in (Reason.DENIED, Reason.NO_LISTENER, Reason.TTL_EXCEEDED):
        if reason.name != statement.reason:
            yield reason.name, replace(statement, reason=reason.name)


def _ledger(statement: model.LedgerCounts) -> Mutants:
    for name, count in statement.counts.items():
        yield name, replace(statement, counts={**statement.counts, name: count + 1})
    if not statement.counts:
        yield "a count", replace(statement, counts={"received": 7777})


MUTATIONS: dict[type, Callable[[Any], Mutants]] = {
    model.Transmits: _packets,
    model.Reads: _reads,
    model.Delivers: _packets,
    model.Failure: _failure,
    model.Output: _output,
    model.Log: _log,
    model.Prints: _prints,
    model.Path: _path,
    model.Counter: _counter,
    model.Drop: _drop,
    model.LedgerCounts: _ledger,
}
