"""The question put to both routers, and their answers held against each other, octet by octet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, groupby

from kernel_difference import Context, Cuts, Detail, Difference, Outcome, Question
from kernel_octets import cut, field, joined
from kernel_router import Answers, KernelRouter
from kernel_world import INTERFACES, our_router

from simulator.testing.octets import explain_many

__all__ = ["agree", "compare", "our_answers"]

_MTU = {interface.name: interface.mtu for interface in INTERFACES}
_FRAGMENT = 0x3FFF
_OWN = {bytes(map(int, interface.host.split("."))) for interface in INTERFACES}


def our_answers(asked: Question, profile: str) -> Answers:
    """What a router of ours sends that has seen nothing else."""
    router = our_router(profile)
    interfaces = router.node.interfaces
    for name, octets in asked:
        interfaces[name].receive(octets)
    assert router.ledger.balanced
    return {each.name: list(interfaces[each.name].sent) for each in INTERFACES if interfaces[each.name].sent}


def agree(kernel: KernelRouter, asked: Question, profile: str, differences: Iterable[Difference]) -> None:
    """Ask both, and fail unless they send the same, but for the differences."""
    compare(asked, kernel.exchange(asked), our_answers(asked, profile), profile, differences)


def compare(asked: Question, kernels: Answers, ours: Answers, profile: str, differences: Iterable[Difference]) -> None:
    """Fail unless these answers are the same, but for the differences."""
    rows = [row for row in differences if profile in row.profiles]
    numbers = count()
    expected = {
        name: [octets for sent in _whole(given) for octets in _as_ours(asked, name, sent, numbers, rows)]
        for name, given in kernels.items()
    }
    for row in rows:
        if isinstance(row, Outcome) and row.applies(asked):
            _same(f"the kernel, by the row {row.name!r}", row.kernel_sends(asked), expected)
            _same(f"{profile}, by the row {row.name!r}", row.we_send(asked), ours)
            return
    _same(f"{profile} as the kernel", expected, ours)


def _as_ours(
    asked: Question, name: str, sent: list[bytes], numbers: Iterator[int], rows: list[Difference]
) -> list[bytes]:
    """What ours sends in the place of one datagram of the kernel's, which may have come in pieces."""
    own = sent[0][12:16] in _OWN
    number = next(numbers) if own else 0

    def detailed(octets: bytes) -> bytes:
        for row in rows:
            if isinstance(row, Detail) and row.applies(context := Context(asked, octets, own, number, _MTU[name])):
                octets = row.as_ours(context)
        return octets

    cuts = next((row for row in rows if isinstance(row, Cuts) and row.own in (own, None)), None)
    if cuts is None:
        return [detailed(each) for each in sent]
    whole = joined(sent) if len(sent) > 1 else sent[0]
    assert cut(whole, _MTU[name], cuts.of_kernel) == sent, f"the kernel does not cut as {cuts.name!r} says"
    return cut(detailed(whole), _MTU[name], cuts.of_ours)


def _whole(sent: list[bytes]) -> Iterator[list[bytes]]:
    """The pieces of each datagram together: its fragments come one after the other."""
    for fragments, run in groupby(
        sent, lambda octets: field(octets, 6, 2) & _FRAGMENT and octets[4:6] + octets[9:10] + octets[12:20]
    ):
        if fragments:
            yield list(run)
        else:
            yield from ([each] for each in run)


def _same(what: str, expected: Answers, actual: Answers) -> None:
    """Fail with the first difference field by field."""
    __tracebackhide__ = True
    if expected == actual:
        return
    lines = [f"not {what}"]
    for interface in INTERFACES:
        one, other = expected.get(interface.name, []), actual.get(interface.name, [])
        if one != other:
            lines += [f"out of {interface.name}:", *explain_many(one, other)]
    raise AssertionError("\n".join(lines))
