"""The options of a rule in the first language: what is typed, in any order, and the questions that it makes.

The tool fills a structure with one place for each option; :class:`Written` is that structure.  Sources: ipfw(8) of
FreeBSD 4, ipfw.c; G-38 of the behavioural notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from rules.ipfw.names import GROUPS, IP_OPTIONS, SINGLE_MASKS, TCP_FLAGS, TCP_OPTIONS, USERS
from rules.ipfw.placewords import interface
from rules.ipfw.questions import (
    AnyInterface,
    Established,
    Incoming,
    InterfaceUnits,
    IpOptions,
    Never,
    OwnedBy,
    ReceivedBy,
    TcpOptions,
    TransmittedBy,
)
from rules.ipfw.rule import Element, Limit
from rules.ipfw.switches import DIALECTS
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, USAGE, RefusalError, Words, leading_number
from rules.predicates import IcmpType, InterfaceName, LaterFragment, Predicate, Ranges, TcpFlags, Via

__all__ = ["Surroundings", "Written", "read_options"]

_ICMP, _TCP = 1, 6
_HIGHEST_ICMP_TYPE = 127
_SWITCHES = DIALECTS["freebsd-4"]["ipfw1"]
_TCP_OPTIONS = {name: TCP_OPTIONS[name] for name in ("mss", "window", "sack", "ts", "cc")}


class Surroundings(Protocol):
    """What the tool asks the host about while it reads."""

    def addresses(self, interface: str) -> tuple[int, ...] | None: ...


@dataclass(slots=True)
class _Flags:
    """Bits that must be set, bits that must be clear."""

    present: int = 0
    absent: int = 0

    def add(self, text: str, table: dict[str, int], what: str) -> None:
        for item in text.split(","):
            name = item.removeprefix("!")
            if not item:
                break  # the tool stops at the first item that is empty
            bits = next((bits for word, bits in table.items() if word.startswith(name)), None)
            if bits is None:
                raise RefusalError(f"invalid {what} ``{name}''", DATA_ERROR)
            if item.startswith("!"):
                self.absent |= bits
            else:
                self.present |= bits

    def __bool__(self) -> bool:
        return bool(self.present or self.absent)


@dataclass(slots=True)
class Written:
    """What the options said so far."""

    protocol: int
    has_ports: bool
    uid: int | None = None
    gid: int | None = None
    state: Limit | None = None
    bridged: bool = False
    directions: set[str] = field(default_factory=set)
    via: Any = None
    recv: Any = None
    xmit: Any = None
    fragment: bool = False
    ip_options: _Flags = field(default_factory=_Flags)
    established: bool = False
    tcp_flags: _Flags = field(default_factory=_Flags)
    tcp_options: _Flags = field(default_factory=_Flags)
    icmp_types: set[int] = field(default_factory=set)

    def check(self) -> None:
        """What the tool refuses when it has read everything."""
        if self.xmit is not None and self.directions != {"out"}:
            raise RefusalError("can't check xmit interface of incoming packets", DATA_ERROR)
        if self.fragment and self.tcp_flags:
            raise RefusalError("can't mix 'frag' and tcpflags", DATA_ERROR)
        if self.fragment and self.has_ports:
            raise RefusalError("can't mix 'frag' and port specifications", DATA_ERROR)

    def elements(self) -> Iterator[Element]:
        """The questions, in the order in which the tool lists them."""
        if self.uid is not None:
            yield Element(OwnedBy("uid", self.uid))
        if self.gid is not None:
            yield Element(OwnedBy("gid", self.gid))
        if self.bridged:
            yield Element(Never("bridged"))
        way = self.directions if len(self.directions) == 1 else set()
        if way:
            yield Element(Incoming(), negated=way == {"out"})
        yield from self._interfaces(way)
        if self.fragment:
            yield Element(LaterFragment())
        if self.ip_options:
            yield Element(IpOptions(self.ip_options.present, self.ip_options.absent))
        if self.established:
            yield from _or_later_fragment(Established())
        if self.tcp_flags:
            yield Element(TcpFlags(self.tcp_flags.present, self.tcp_flags.absent))
        if self.tcp_options:
            yield Element(TcpOptions(self.tcp_options.present, self.tcp_options.absent))
        if self.icmp_types:
            yield from _or_later_fragment(IcmpType(Ranges(tuple((kind, kind) for kind in sorted(self.icmp_types)))))

    def _interfaces(self, way: set[str]) -> Iterator[Element]:
        """``via`` of one direction is ``recv`` or ``xmit``, and listed so."""
        kinds: dict[str, type[Via] | type[ReceivedBy] | type[TransmittedBy]] = {"in": ReceivedBy, "out": TransmittedBy}
        if self.via is not None:
            kind = kinds[next(iter(way))] if way else Via
            yield Element(kind(self.via))
        if self.recv is not None:
            yield Element(ReceivedBy(self.recv))
        if self.xmit is not None:
            yield Element(TransmittedBy(self.xmit))


def _or_later_fragment(question: Predicate) -> Iterator[Element]:
    """That kernel asks types and ``established`` of first fragments only; the later ones pass (ip_fw_chk of ip_fw.c:
    where the offset is not 0, TCP looks at ports, flags and options that a rule names, ICMP at nothing)."""
    yield Element(question, or_next=True)
    yield Element(LaterFragment())


# Reading

Reader = Callable[[Words, Written, Surroundings], None]


def read_options(words: Words, written: Written, surroundings: Surroundings) -> Written:
    """Everything up to the end of the rule.  Raises RefusalError with the tool's text."""
    protocol_only = {_TCP: _FOR_TCP, _ICMP: _FOR_ICMP}.get(written.protocol, ())
    known = (*_OPTIONS, *protocol_only)
    while words:
        for word, read in known:
            if words.accept(word):
                read(words, written, surroundings)
                break
        else:
            order = " or out of order" if protocol_only else ""
            raise RefusalError(f"unknown{order} argument ``{words.peek()}''", USAGE)
    written.check()
    return written


def _owner(what: str, names: dict[str, int]) -> Reader:
    """A name, or any number: whether somebody has it is not asked, unlike in the tool."""

    def read(words: Words, written: Written, surroundings: Surroundings) -> None:
        words.need(f"``{what}'' requires argument")
        word = words.take()
        number, rest = leading_number(word, 0)
        if rest and word not in names:
            raise RefusalError(f'{what} "{word}" is nonexistent', DATA_ERROR)
        setattr(written, what, names[word] if rest else number & 0xFFFFFFFF)

    return read


def _direction(way: str) -> Reader:
    return lambda words, written, surroundings: written.directions.add(way)


def _limit(words: Words, written: Written, surroundings: Surroundings) -> None:
    mask = 0
    while len(words) > 1:
        name = next((name for name in SINGLE_MASKS if words.accept(name)), None)
        if name is None:
            break
        mask |= SINGLE_MASKS[name]
    words.need("limit needs mask and # of connections")
    count = leading_number(words.take())[0] & 0xFFFF
    if not count:
        raise RefusalError("limit: limit must be >0", USAGE)
    if not mask:
        raise RefusalError("missing limit mask", USAGE)
    written.state = Limit(mask, count)


def _keep_state(words: Words, written: Written, surroundings: Surroundings) -> None:
    if leading_number(words.peek() or "")[0]:
        raise RefusalError("a method of keep-state is not modelled here", UNAVAILABLE)
    written.state = Limit()


def _bridged(words: Words, written: Written, surroundings: Surroundings) -> None:
    written.bridged = True


def _fragment(words: Words, written: Written, surroundings: Surroundings) -> None:
    written.fragment = True


def _interface(what: str, excluded: tuple[str, ...]) -> Reader:
    def read(words: Words, written: Written, surroundings: Surroundings) -> None:
        if any(getattr(written, other) is not None for other in excluded):
            raise RefusalError("``via'' is incompatible with ``xmit'' and ``recv''", USAGE)
        words.need(f"missing argument for ``{what}''")
        setattr(written, what, _interfaces(words, surroundings))

    return read


def _interfaces(words: Words, surroundings: Surroundings) -> Any:
    word = words.take()
    if word == "any":
        return AnyInterface()
    found = interface(word, _SWITCHES)
    if isinstance(found, InterfaceName | InterfaceUnits):
        if isinstance(found, InterfaceUnits) and not found.driver:
            raise RefusalError("getsockopt(IP_FW_ADD): Invalid argument", UNAVAILABLE)
        name = str(found).replace("*", "0")
        if surroundings.addresses(name) is None:
            words.warn(f"warning: interface ``{name}'' does not exist")
    elif str(found) == "0.0.0.0":
        return AnyInterface()
    return found


def _flag_list(option: str, place: str, table: dict[str, int], what: str) -> Reader:
    def read(words: Words, written: Written, surroundings: Surroundings) -> None:
        words.need(f"missing argument for ``{option}''")
        getattr(written, place).add(words.take(), table, what)

    return read


def _established(words: Words, written: Written, surroundings: Surroundings) -> None:
    written.established = True


def _setup(words: Words, written: Written, surroundings: Surroundings) -> None:
    written.tcp_flags.add("syn,!ack", TCP_FLAGS, "tcp flag")


def _icmp_types(words: Words, written: Written, surroundings: Surroundings) -> None:
    words.need("missing argument for ``icmptypes''")
    rest = words.take()
    while rest:
        number, rest = leading_number(rest.removeprefix(","), 0)
        if rest and not rest.startswith(","):
            raise RefusalError("invalid ICMP type", DATA_ERROR)
        if not 0 <= number <= _HIGHEST_ICMP_TYPE:
            raise RefusalError("ICMP type out of range", DATA_ERROR)
        written.icmp_types.add(number)


_OPTIONS: tuple[tuple[str, Reader], ...] = (
    ("uid", _owner("uid", USERS)),
    ("gid", _owner("gid", GROUPS)),
    ("in", _direction("in")),
    ("limit", _limit),
    ("keep-state", _keep_state),
    ("bridged", _bridged),
    ("out", _direction("out")),
    ("xmit", _interface("xmit", ("via",))),
    ("recv", _interface("recv", ("via",))),
    ("via", _interface("via", ("xmit", "recv"))),
    ("fragment", _fragment),
    ("ipoptions", _flag_list("ipoptions", "ip_options", IP_OPTIONS, "ip option")),
)
_FOR_TCP: tuple[tuple[str, Reader], ...] = (
    ("established", _established),
    ("setup", _setup),
    ("tcpflags", _flag_list("tcpflags", "tcp_flags", TCP_FLAGS, "tcp flag")),
    ("tcpflgs", _flag_list("tcpflags", "tcp_flags", TCP_FLAGS, "tcp flag")),
    ("tcpoptions", _flag_list("tcpoptions", "tcp_options", _TCP_OPTIONS, "tcp option")),
    ("tcpopts", _flag_list("tcpoptions", "tcp_options", _TCP_OPTIONS, "tcp option")),
)
_FOR_ICMP: tuple[tuple[str, Reader], ...] = (("icmptypes", _icmp_types),)
"""In the order in which the tool tries them."""
