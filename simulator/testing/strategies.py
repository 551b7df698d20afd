"""Hypothesis strategies for octets (datagrams, damaged ones, fragments in any order, TCP conversations), for routers,
and for what divert programs do.

They print as ipfw's words, ready for a scenario (docs/scenarios.md).  Headers, rules and packets drawn from rules are
in :mod:`rules.strategies`; :func:`octets_of` makes a datagram of a header.  Needs hypothesis.
"""

from __future__ import annotations

import rules.strategies  # noqa: F401  # first, as it says what to install where hypothesis is missing

# isort: split

from hypothesis import strategies as st

from rules.fields import MORE_FRAGMENTS, TCP
from rules.strategies import addresses, ports
from rules.strategies.headers import silent_headers
from simulator.fragments import LINUX, fragment
from simulator.testing.behaviours import Behaviour
from simulator.testing.datagrams import Datagram, octets_of
from simulator.testing.drawing import behaviours, commands, worlds
from simulator.testing.traffic import arriving, arriving_at_rules, originated, written
from simulator.testing.worlds import World
from simulator.wire import checksum, ipv4, tcp

__all__ = [
    "Behaviour",
    "Datagram",
    "World",
    "arriving",
    "arriving_at_rules",
    "behaviours",
    "commands",
    "conversations",
    "damaged",
    "datagrams",
    "fragments_of",
    "octets_of",
    "originated",
    "worlds",
    "written",
]


def datagrams(
    *,
    source: st.SearchStrategy[int] | None = None,
    destination: st.SearchStrategy[int] | None = None,
    protocol: st.SearchStrategy[int] | None = None,
    fragments: bool = False,
) -> st.SearchStrategy[Datagram]:
    """Well-formed datagrams; the arguments are those of :func:`rules.strategies.headers`."""
    drawn = silent_headers(source=source, destination=destination, protocol=protocol, fragments=fragments)
    return drawn.map(octets_of)


DAMAGES = ("cut", "padded", "version", "header length", "total length", "header checksum", "octet")
"""What may be wrong with a datagram."""


def damaged(
    whole: st.SearchStrategy[bytes] | None = None, *, damages: tuple[str, ...] = DAMAGES
) -> st.SearchStrategy[Datagram]:
    """Datagrams with one thing wrong, of :data:`DAMAGES`; the header checksum is right unless that is the damage.

    ``octet`` changes any one octet and leaves checksums as they were, so the transport's may be the one that is wrong.
    :raises ValueError: for a damage that is not known.
    """
    unknown = sorted(set(damages) - set(DAMAGES))
    if unknown:
        raise ValueError(f"no such damage: {', '.join(unknown)} (there are {', '.join(DAMAGES)})")
    return _damaged(whole if whole is not None else datagrams(), damages)


@st.composite
def _damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes], damages: tuple[str, ...]) -> Datagram:
    octets = bytearray(draw(whole))
    damage = draw(st.sampled_from(damages))
    header_length = (octets[0] & 15) * 4
    match damage:
        case "cut":
            del octets[draw(st.integers(1, len(octets) - 1)) :]
            return Datagram(octets)
        case "padded":
            return Datagram(bytes(octets) + bytes(draw(st.integers(1, 46))))
        case "header checksum":
            octets[10] ^= 1 << draw(st.integers(0, 7))
            return Datagram(octets)
        case "octet":
            octets[draw(st.integers(0, len(octets) - 1))] ^= draw(st.integers(1, 255))
            return Datagram(octets)
        case "version":
            octets[0] = draw(st.sampled_from((6, 0, 5, 15))) << 4 | octets[0] & 15
        case "header length":
            octets[0] = octets[0] & 0xF0 | draw(st.sampled_from((0, 4, 15)))
        case _:
            octets[2:4] = draw(st.sampled_from((0, header_length - 1, len(octets) + 8, 65535))).to_bytes(2, "big")
    octets[10:12] = b"\0\0"
    octets[10:12] = checksum.checksum(octets[:header_length]).to_bytes(2, "big")
    return Datagram(octets)


@st.composite
def fragments_of(
    draw: st.DrawFn,
    octets: bytes,
    *,
    mtu: st.SearchStrategy[int] | None = None,
    complete: bool = True,
    overlaps: bool = False,
) -> list[Datagram]:
    """The fragments of a datagram in any order; shrinks to their own order.

    ``mtu``: where they are cut, 68 octets unless told otherwise.  ``complete``: every one is there, else some may be
    missing.  ``overlaps``: some come twice, and some cover what others cover, too, with the same octets.

    :raises ValueError: for a datagram that may not be cut.
    """
    parts = fragment(octets, draw(mtu if mtu is not None else st.just(68)), style=LINUX)
    if overlaps:
        again = draw(st.lists(st.sampled_from(parts), max_size=2))
        joined = draw(st.lists(st.integers(0, max(len(parts) - 2, 0)), max_size=2)) if len(parts) > 1 else []
        parts = parts + again + [_joined(parts[at], parts[at + 1]) for at in joined]
    if not complete:
        parts = draw(st.lists(st.sampled_from(parts), min_size=1, max_size=len(parts)))
    return [Datagram(part) for part in draw(st.permutations(parts))]


def _joined(one: bytes, other: bytes) -> bytes:
    """Two neighbouring fragments in one."""
    length = (one[0] & 15) * 4
    data = one[length:] + other[(other[0] & 15) * 4 :]
    field = int.from_bytes(one[6:8], "big") & ~MORE_FRAGMENTS | int.from_bytes(other[6:8], "big") & MORE_FRAGMENTS
    head = bytearray(one[:length])
    head[2:4], head[6:8], head[10:12] = (length + len(data)).to_bytes(2, "big"), field.to_bytes(2, "big"), b"\0\0"
    head[10:12] = checksum.checksum(head).to_bytes(2, "big")
    return bytes(head) + data


@st.composite
def conversations(
    draw: st.DrawFn,
    *,
    client: st.SearchStrategy[int] | None = None,
    server: st.SearchStrategy[int] | None = None,
    port: st.SearchStrategy[int] | None = None,
    most: int = 4,
) -> list[Datagram]:
    """A TCP conversation from its SYN to its end, both sides' segments in order: opened, up to ``most`` pieces of data,
    each acknowledged, then closed by either side, or reset (RFC 9293 section 3.5 and 3.6)."""
    ends = [draw(client if client is not None else addresses()), draw(server if server is not None else addresses())]
    numbers = [draw(st.sampled_from((40000, 1024)) | ports()), draw(port if port is not None else ports())]
    next_sequence = [1000, 5000]
    said: list[Datagram] = []

    def say(side: int, flags: int, data: bytes = b"") -> None:
        segment = tcp.Header(
            source_port=numbers[side],
            destination_port=numbers[1 - side],
            sequence=next_sequence[side],
            acknowledgment=next_sequence[1 - side] if flags & tcp.ACK else 0,
            flags=flags,
        ).emit(data, source=ends[side], destination=ends[1 - side])
        header = ipv4.Header(source=ends[side], destination=ends[1 - side], protocol=TCP, identification=len(said) + 1)
        said.append(Datagram(header.emit(segment)))
        next_sequence[side] += len(data) + bool(flags & (tcp.SYN | tcp.FIN))

    say(0, tcp.SYN)
    say(1, tcp.SYN | tcp.ACK)
    say(0, tcp.ACK)
    for side, length in draw(st.lists(st.tuples(st.integers(0, 1), st.sampled_from((1, 100, 1400))), max_size=most)):
        say(side, tcp.ACK | tcp.PSH, bytes(length))
        say(1 - side, tcp.ACK)
    ending, closer = draw(st.sampled_from(("closed", "reset"))), draw(st.integers(0, 1))
    if ending == "reset":
        say(closer, tcp.RST | tcp.ACK)
        return said
    say(closer, tcp.FIN | tcp.ACK)
    say(1 - closer, tcp.FIN | tcp.ACK)
    say(closer, tcp.ACK)
    return said
