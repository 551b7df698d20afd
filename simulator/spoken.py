"""Packets in ipfw's words: ``tcp from 10.0.0.2 1024 to 10.0.0.1 80 setup in via em0``.

A packet is said as the body of an ipfw rule that matches it and little else, so that people who write rules need no
second language (ipfw(8)); what is not said has the value of an ordinary small datagram.  :func:`parse` reads the words,
:func:`build` makes the datagram, :func:`speak` says any datagram in words that :func:`parse` reads again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from rules.addresses import dotted
from rules.fields import ICMP, TCP, UDP
from rules.ipfw.names import PROTOCOL_NAMES, PROTOCOLS, TCP_FLAGS, service_port
from simulator.nopacket import NoPacketError
from simulator.wire import icmp, ipv4, tcp, udp
from simulator.wire.named import Value, alter, dissect

__all__ = ["Spoken", "SpokenError", "build", "parse", "speak", "spoken_exactly"]


class SpokenError(NoPacketError):
    """Words that say no packet."""


@dataclass(kw_only=True)
class Spoken:
    """What was said of a packet."""

    protocol: int
    fields: dict[str, Value] = field(default_factory=dict)
    """Header fields by their names in :mod:`simulator.wire.named`; only those that were said."""
    total_length: int | None = None
    """``iplen``: octets in all; the data is filled up with zeros."""
    hook: str | None = None
    """``in`` or ``out``."""
    interface: str | None = None
    """``via``, ``recv`` on the way in, ``xmit`` on the way out."""
    received_on: str | None = None
    """``recv`` of a packet on the way out: where a forwarded packet came in."""


_WORD = re.compile(r'"[^"]*"|\S+')


class _Words:
    """The words with their columns, taken one after the other."""

    def __init__(self, text: str) -> None:
        self._words = [(match.group(), match.start()) for match in _WORD.finditer(text)]
        self._end = len(text.rstrip())
        self._at = 0

    def peek(self) -> str | None:
        return self._words[self._at][0] if self._at < len(self._words) else None

    def take(self, expected: str) -> str:
        """The next word; ``expected`` says what it should be when there is none."""
        if self._at == len(self._words):
            raise SpokenError(f"expected {expected} after the last word", self._end)
        self._at += 1
        return self._words[self._at - 1][0]

    def fail(self, text: str) -> SpokenError:
        """An error about the word taken last."""
        return SpokenError(text, self._words[self._at - 1][1])


def parse(text: str) -> Spoken:
    """The packet that the words say.  :raises SpokenError: with the place, when they say none."""
    words = _Words(text)
    spoken = Spoken(protocol=_protocol(words))
    for side, layer_word in (("src", "from"), ("dst", "to")):
        word = words.take(f"{layer_word!r}")
        if word != layer_word:
            raise words.fail(f"expected {layer_word!r}, not {word!r}")
        spoken.fields[f"ip.{side}"] = _address(words)
        if spoken.protocol in _PORTS and (port := words.peek()) is not None and port not in _ENDS:
            spoken.fields[f"{_PORTS[spoken.protocol]}.{side[0]}port"] = _port(words, spoken.protocol)
    while words.peek() is not None:
        word = words.take("an option")
        option = _OPTIONS.get(word)
        if option is None:
            raise words.fail(f"no such word about a packet: {word!r} (there are {', '.join(_OPTIONS)})")
        option(spoken, words)
    return spoken


_PORTS = {TCP: "tcp", UDP: "udp"}


def _protocol(words: _Words) -> int:
    word = words.take("a protocol, such as icmp, tcp or udp")
    if word.isdigit():
        if int(word) > 255:
            raise words.fail(f"a protocol is 0 to 255: {word}")
        return int(word)
    number = PROTOCOLS.get(word)
    if word in ("ip", "all") or number is None:
        raise words.fail(f"a packet has one protocol, such as icmp, tcp, udp or a number: {word!r}")
    return number


def _address(words: _Words) -> str:
    word = words.take("an address")
    if not re.fullmatch(r"(\d{1,3}\.){3}\d{1,3}", word) or any(int(part) > 255 for part in word.split(".")):
        raise words.fail(f"a packet has one address on each side, such as 10.0.0.1: {word!r}")
    return word


def _port(words: _Words, protocol: int) -> int:
    word = words.take("a port")
    number = int(word) if word.isdigit() else service_port(word, _PORTS[protocol])
    if number is None or number > 0xFFFF:
        raise words.fail(f"not a port (0 to 65535) or a service of {_PORTS[protocol]}: {word!r}")
    return number


def _number(words: _Words, what: str, most: int) -> int:
    word = words.take(f"a number after {what}")
    try:
        number = int(word, 0)
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        raise words.fail(f"{what} is 0 to {most}: {word!r}")
    return number


Option = Callable[[Spoken, _Words], None]


def _sets(name: str, most: int) -> Option:
    """An option with a number, for one field; fields of a transport only where the packet has that transport."""

    def option(spoken: Spoken, words: _Words) -> None:
        _transport_only(spoken, words, name)
        spoken.fields[name] = _number(words, name, most)

    return option


def _transport_only(spoken: Spoken, words: _Words, name: str) -> None:
    layer = name.partition(".")[0]
    if layer != "ip" and PROTOCOL_NAMES.get(spoken.protocol) != layer:
        raise words.fail(f"only {layer} has {name}")


def _flags(spoken: Spoken, words: _Words) -> None:
    _transport_only(spoken, words, "tcp.flags")
    value = 0
    said = words.take("flags, such as syn,ack")
    for name in said.split(",") if said != "none" else ():
        if name not in TCP_FLAGS:
            raise words.fail(f"no TCP flag {name!r} (there are {', '.join(TCP_FLAGS)})")
        value |= TCP_FLAGS[name]
    spoken.fields["tcp.flags"] = value


def _flag(value: int) -> Option:
    def option(spoken: Spoken, words: _Words) -> None:
        _transport_only(spoken, words, "tcp.flags")
        spoken.fields["tcp.flags"] = value

    return option


def _fragment_flag(bit: int) -> Option:
    def option(spoken: Spoken, words: _Words) -> None:
        value = spoken.fields.get("ip.flags", 0)
        assert isinstance(value, int)
        spoken.fields["ip.flags"] = value | bit

    return option


def _offset(spoken: Spoken, words: _Words) -> None:
    octets = _number(words, "offset", 65528)
    if octets % 8:
        raise words.fail(f"offset counts octets, a multiple of 8: {octets}")
    spoken.fields["ip.frag"] = octets // 8


def _length(spoken: Spoken, words: _Words) -> None:
    spoken.total_length = _number(words, "iplen", 0xFFFF)


def _data(spoken: Spoken, words: _Words) -> None:
    word = words.take('data, such as "hello" or 0x00ff')
    if word.startswith('"'):
        spoken.fields["load"] = word.strip('"').encode("utf-8")
        return
    try:
        spoken.fields["load"] = bytes.fromhex(word.removeprefix("0x"))
    except ValueError:
        raise words.fail(f"data is text in double quotes, or octets in hex: {word!r}") from None


def _direction(name: str) -> Option:
    def option(spoken: Spoken, words: _Words) -> None:
        if spoken.hook not in (None, name):
            raise words.fail(f"the packet is {spoken.hook} already")
        spoken.hook = name

    return option


def _interface(spoken: Spoken, words: _Words) -> None:
    spoken.interface = words.take("an interface")


def _received(spoken: Spoken, words: _Words) -> None:
    spoken.received_on = words.take("an interface")


def _transmitted(spoken: Spoken, words: _Words) -> None:
    spoken.interface = words.take("an interface")
    spoken.hook = spoken.hook or "out"
    if spoken.hook != "out":
        raise words.fail("only a packet that is out has a transmit interface")


_OPTIONS: dict[str, Option] = {
    "in": _direction("in"),
    "out": _direction("out"),
    "via": _interface,
    "recv": _received,
    "xmit": _transmitted,
    "ttl": _sets("ip.ttl", 0xFF),
    "ipttl": _sets("ip.ttl", 0xFF),
    "tos": _sets("ip.tos", 0xFF),
    "ipid": _sets("ip.id", 0xFFFF),
    "iplen": _length,
    "df": _fragment_flag(2),
    "mf": _fragment_flag(1),
    "offset": _offset,
    "setup": _flag(tcp.SYN),
    "established": _flag(tcp.ACK),
    "tcpflags": _flags,
    "tcpseq": _sets("tcp.seq", 0xFFFFFFFF),
    "tcpack": _sets("tcp.ack", 0xFFFFFFFF),
    "tcpwin": _sets("tcp.window", 0xFFFF),
    "icmptypes": _sets("icmp.type", 0xFF),
    "icmpcode": _sets("icmp.code", 0xFF),
    "icmpid": _sets("icmp.id", 0xFFFF),
    "icmpseq": _sets("icmp.seq", 0xFFFF),
    "data": _data,
}
_ENDS = frozenset({"to", *_OPTIONS})


# Words -> octets


def build(spoken: Spoken) -> bytes:
    """The datagram, lengths and checksums right.  :raises ValueError: for an ``iplen`` that its headers exceed."""
    later = bool(spoken.fields.get("ip.frag"))
    payload = b"" if later else _PAYLOADS.get(spoken.protocol, lambda: b"")()
    plain = ipv4.Header(source=0, destination=0, protocol=spoken.protocol, identification=1)
    changes = dict(spoken.fields)
    if later:
        changes = {name: value for name, value in changes.items() if name.startswith("ip.") or name == "load"}
    octets = alter(plain.emit(payload), changes)
    if spoken.total_length is None:
        return octets
    missing = spoken.total_length - len(octets)
    if missing < 0 and "load" not in changes:
        raise ValueError(f"iplen {spoken.total_length}: the headers alone are {len(octets)} octets")
    load = changes.get("load", b"")
    assert isinstance(load, bytes)
    if len(load) + missing < 0:
        raise ValueError(f"iplen {spoken.total_length}: the headers alone are {len(octets) - len(load)} octets")
    return alter(octets, {"load": load[: len(load) + missing] + bytes(max(missing, 0))})


_PAYLOADS: dict[int, Callable[[], bytes]] = {
    ICMP: lambda: icmp.echo_request(1, 1),
    TCP: lambda: tcp.Header(source_port=1024, destination_port=80, flags=tcp.SYN, window=65535).emit(
        source=0, destination=0
    ),
    UDP: lambda: udp.Header(source_port=1024, destination_port=53).emit(source=0, destination=0),
}
"""What an ordinary small datagram of a protocol carries."""


# Octets -> words


def speak(
    octets: bytes, *, hook: str | None = None, interface: str | None = None, received_on: str | None = None
) -> str:
    """A datagram in words: those with which :func:`parse` and :func:`build` make one with the same header fields.

    Data is said when there is any and it is at most 64 octets; longer data by its length.  IP and TCP options have no
    words.  Octets that are no IPv4 datagram are said in hex.
    """
    found = {each.name: each.value for each in dissect(octets)}
    if "ip.src" not in found:
        return f"hex {octets.hex()}"
    protocol = octets[9]
    name = PROTOCOL_NAMES.get(protocol, str(protocol))
    layer = name if f"{name}.chksum" in found else ""
    said = [name if name not in ("ip", "all") else str(protocol)]
    for word, side in (("from", "src"), ("to", "dst")):
        said += [word, dotted(int.from_bytes(octets[12:16] if side == "src" else octets[16:20], "big"))]
        if (port := found.get(f"{layer}.{side[0]}port")) is not None:
            said.append(str(port))
    usual = {each.name: each.value for each in dissect(build(Spoken(protocol=protocol)))}
    for word, field_name in _SAID:
        value = found.get(field_name)
        if value is not None and value != usual.get(field_name):
            said += [word, str(value)]
    flags = found.get("tcp.flags")
    if isinstance(flags, int) and flags != tcp.SYN:
        names = [flag for flag, bit in TCP_FLAGS.items() if flags & bit]
        said += ["tcpflags", ",".join(names) or "none"]
    fragment = int.from_bytes(octets[6:8], "big")
    said += [word for word, bit in (("df", 0x4000), ("mf", 0x2000)) if fragment & bit]
    if offset := fragment & 0x1FFF:
        said += ["offset", str(offset * 8)]
    load = found.get("load")
    if isinstance(load, bytes) and load:
        said += ["data", f"0x{load.hex()}"] if len(load) <= 64 and any(load) else ["iplen", str(len(octets))]
    said += [hook] if hook else []
    said += ["recv", received_on] if received_on else []
    said += ["via", interface] if interface else []
    return " ".join(said)


def spoken_exactly(octets: bytes) -> str | None:
    """The words that make just these octets; None when there are none."""
    words = speak(octets)
    if words.startswith("hex "):
        return None
    try:
        return words if build(parse(words)) == octets else None
    except ValueError:  # a transport header that is cut off has no words
        return None


_SAID = (
    ("ttl", "ip.ttl"),
    ("tos", "ip.tos"),
    ("ipid", "ip.id"),
    ("tcpseq", "tcp.seq"),
    ("tcpack", "tcp.ack"),
    ("tcpwin", "tcp.window"),
    ("icmptypes", "icmp.type"),
    ("icmpcode", "icmp.code"),
    ("icmpid", "icmp.id"),
    ("icmpseq", "icmp.seq"),
)
"""Words for fields that are said where they differ from those of an ordinary datagram."""
