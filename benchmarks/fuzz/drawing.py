"""What happens in an episode, drawn from a random source: a router's switches, and steps, which are plain data.

A step is the name of a method of `machine.Machine` and its arguments.  It depends on nothing but the random source, so
steps can be left out and the rest stays what it was.  Addresses, ports and rule numbers come from small pools around
the router's own networks, or packets would hardly ever meet a rule, a socket, or each other.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address
from random import Random
from typing import Any, NamedTuple

from simulator.fragments import LINUX, fragment
from simulator.profiles import PROFILES, LinuxProfile
from simulator.testing.behaviours import CHANGES
from simulator.wire import icmp, ipv4, tcp, udp
from simulator.wire.checksum import checksum

__all__ = ["GROUPS", "INTERFACES", "NEIGHBOURS", "OWN", "SLOTS", "Step", "is_linux", "steps", "switches"]


class Step(NamedTuple):
    """One thing that is done: `getattr(machine, name)(*arguments)`."""

    name: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(_shown, self.arguments))})"


_SHOWN = 64


def _shown(argument: Any) -> str:
    """Long octets are cut: the whole step comes from the seed."""
    if isinstance(argument, bytes) and len(argument) > _SHOWN:
        return f"{argument[:_SHOWN].hex()}... ({len(argument)} octets)"
    return argument.hex() if isinstance(argument, bytes) else repr(argument)


OWN = ("192.168.1.1", "10.0.0.1", "10.5.0.1", "127.0.0.1")
OTHERS = ("192.168.1.2", "192.168.1.3", "10.0.0.2", "10.0.0.254", "10.5.0.2", "8.8.8.8", "30.0.0.1", "40.0.0.1")
GROUPS = ("224.0.0.1", "224.0.0.9", "239.1.2.3")
MANY = ("192.168.1.255", "10.0.0.0", "255.255.255.255", *GROUPS)
ODD = ("0.0.0.0", "0.0.0.7", "127.8.8.8", "240.0.0.1", "169.254.0.1")
NEIGHBOURS = ("192.168.1.2", "10.0.0.2", "10.5.0.2")

_DESTINATIONS = tuple(int(IPv4Address(text)) for text in OWN * 3 + OTHERS * 3 + MANY + ODD)
_SOURCES = tuple(int(IPv4Address(text)) for text in OTHERS * 6 + OWN + MANY + ODD)
_HOSTS = ("0.0.0.0", "0.0.0.0", *OWN, "192.168.1.255", "8.8.8.8", "224.0.0.9", "")

INTERFACES = ("if0", "if1", "ptp0", "bare0", "loop")
"""`loop` stands for the loopback interface, whatever the kernel calls it."""
SLOTS = (0, 0, 0, 0, 0, 1, 2, 3, 4)
"""Where the machine keeps its sockets; the first is the one that rules mostly divert to."""
DIVERT_PORTS = (1234, 1234, 1234, 8668, 8668, 7, 0, 65535)
_PORTS = ((5000, 53), (53, 5000), (7, 7), (5000, 80), (80, 5000), (61000, 53))
_OPTIONS = (
    b"\1\1\1\0",
    b"\x07\x0b\x04" + bytes(9),
    b"\x07\x07\x04\0\0\0\0\0",
    b"\x44\x0c\x05\x01" + bytes(8),
    b"\x83\x07\x04\x0a\0\0\2\0",
    b"\x89\x0b\x04\x0a\0\0\1\x0a\0\0\xfe\0",
    b"\x83\x07\x08\x0a\0\0\2\0",
    b"\x83\x09\x04\0",
    b"\x07\x28\x04\0",
    b"\x94\x04\0\0",
)
_FRAGMENT_FIELDS = (0,) * 8 + (0x4000, 0x4000, 0x2000, 0x2001, 0x0001, 0x0010, 0x1FFF, 0x8000, 0x3FFF)
_SIZES = (0, 0, 8, 8, 40, 40, 56, 600, 1472, 2000, 9000, 40000)


def is_linux(profile: str) -> bool:
    """Which of the two families of kernels."""
    return isinstance(PROFILES[profile], LinuxProfile)


# -- octets ------------------------------------------------------------------------------------------------------------


def _transport(rng: Random, source: int, destination: int) -> tuple[int, bytes]:
    kind = rng.randrange(12)
    data = bytes(rng.choice(_SIZES))
    if kind < 3:
        return 1, icmp.echo_request(rng.randrange(2), rng.randrange(3), data)
    if kind < 6:
        source_port, destination_port = rng.choice(_PORTS)
        header = udp.Header(source_port=source_port, destination_port=destination_port)
        return 17, header.emit(data, source=source, destination=destination)
    if kind < 9:
        source_port, destination_port = rng.choice(_PORTS)
        segment = tcp.Header(
            source_port=source_port,
            destination_port=destination_port,
            sequence=rng.choice((0, 1000, 0xFFFFFFFF)),
            flags=rng.choice((2, 2, 16, 18, 4, 1, 17, 20, 0, 63)),
            options=rng.choice((b"", b"", b"\2\4\5\xb4", b"\2\0\0\0")),
        )
        return 6, segment.emit(data, source=source, destination=destination)
    if kind == 9:
        quoted = _datagram(rng) if rng.randrange(2) else rng.randbytes(28)
        message = icmp.unreachable(rng.randrange(6), quoted[:28])
        return 1, message
    return rng.choice((1, 2, 4, 6, 17, 47, 99, 255)), rng.randbytes(rng.randrange(50))


def _datagram(rng: Random) -> bytes:
    """Well formed in itself, with fields and options of all kinds."""
    source, destination = rng.choice(_SOURCES), rng.choice(_DESTINATIONS)
    protocol, payload = _transport(rng, source, destination)
    odd = rng.randrange(3) == 0
    header = ipv4.Header(
        source=source,
        destination=destination,
        protocol=protocol,
        ttl=rng.choice((64, 2, 1, 0, 255)) if odd else 64,
        tos=rng.choice((0, 0x10, 0x03, 0xFF)) if odd else 0,
        identification=rng.randrange(4),
        fragment=rng.choice(_FRAGMENT_FIELDS) if odd else 0,
        options=rng.choice(_OPTIONS) if odd and rng.randrange(3) == 0 else b"",
    )
    return header.emit(payload)


def _octets(rng: Random) -> bytes:
    """Mostly a datagram; else one with an octet changed, cut, padded, or noise."""
    kind = rng.randrange(20)
    if kind > 3:
        return _datagram(rng)
    if kind == 0:
        return rng.randbytes(rng.randrange(70))
    whole = bytearray(_datagram(rng))
    if kind == 1:
        whole[rng.randrange(min(len(whole), 44))] = rng.randrange(256)
        length = (whole[0] & 15) * 4
        if rng.randrange(2) and 20 <= length <= len(whole):
            whole[10:12] = b"\0\0"
            whole[10:12] = checksum(bytes(whole[:length])).to_bytes(2, "big")
    elif kind == 2:
        del whole[rng.randrange(len(whole)) :]
    else:
        whole += rng.randbytes(rng.randrange(40))
    return bytes(whole)


def _fragments(rng: Random) -> tuple[bytes, ...]:
    """Fragments of a datagram: all or some, in order or not, some twice, some overlapping others."""
    source, destination = rng.choice(_SOURCES), rng.choice(_DESTINATIONS)
    size = rng.choice((90, 400, 2000))
    payload = icmp.echo_request(1, 1, bytes(size)) if rng.randrange(2) else bytes(size)
    protocol = 1 if payload[0] else rng.choice((17, 6, 99))
    header = ipv4.Header(source=source, destination=destination, protocol=protocol, identification=rng.randrange(4))
    whole = header.emit(payload)
    parts = fragment(whole, rng.choice((68, 100, 576)), style=LINUX)
    if rng.randrange(4) == 0:
        parts += fragment(whole, rng.choice((68, 100, 576)), style=LINUX)
    if rng.randrange(2):
        rng.shuffle(parts)
    if rng.randrange(2):
        del parts[rng.randrange(len(parts))]
    return tuple(parts[:40])


# -- rules -------------------------------------------------------------------------------------------------------------

_IPFW_ACTIONS = (
    ("divert 1234", "divert 1234", "divert 8668", "divert 7", "tee 1234", "tee 8668") * 3
    + ("allow", "allow", "deny", "count", "skipto 300", "skipto 400", "reset", "unreach host", "unreach needfrag")
    + ("reject", "fwd 10.0.0.9", "fwd 10.5.0.1,53", "fwd 127.0.0.1", "reass", "call 300", "return", "setdscp af11")
    + ("count log", "count log logamount 5", "check-state", "nat 1", "nat 1", "nat 2")
    + ("nat global", "pipe 1", "pipe 1", "queue 1", "prob 0.5 allow", "setfib 1")
)  # fmt: skip
_IPFW_FROM = ("ip from any to any",) * 5 + (
    "icmp from any to any",
    "udp from any to any",
    "tcp from any to any",
    "ip from me to any",
    "ip from any to me",
    "ip from 10.0.0.0/8 to any",
    "ip from not 10.0.0.0/8 to any",
    "udp from any to any 53",
    "tcp from any to any 80,1000-2000",
    "ip from table(1) to any",
    "ip from { 192.168.1.2 or 10.0.0.2 } to any",
)
_IPFW_OPTIONS = ("",) * 8 + (
    " in", " out", " via if0", " recv if0", " xmit if1", " frag", " in tagged 5", " diverted", " keep-state",
    " limit src-addr 2", " setup", " established", " iplen 0-100", " ipttl 64", " tcpflags syn", " icmptypes 8",
    " ipoptions rr", " verrevpath", " antispoof", " not via loop0", " diverted-loopback", " uid root",
)  # fmt: skip
_IPFW_OTHERS = (
    "-q flush", "-f flush", "delete 200", "delete 300 400", "zero", "zero 100", "resetlog", "disable firewall",
    "enable firewall", "set disable 1", "set enable 1", "set swap 0 1", "set move rule 100 to 1", "list", "-a list",
    "-d show", "-t -S list", "table 1 add 10.0.0.0/8 5", "table 1 add 192.168.1.2", "table 1 delete 10.0.0.0/8",
    "table 1 flush", "table all list", "add deny ip from", "add 70000 allow ip from any to any", "nonsense",
    "nat 1 config if if1", "nat 1 config ip 10.0.0.1 same_ports redirect_port tcp 192.168.1.2:80 80",
    "nat 2 config ip 192.168.1.1 reverse deny_in", "nat 1 config ip 8.8.8.8 unreg_only reset", "nat show config",
    "nat 2 config if if0 redirect_addr 10.0.0.2 192.168.1.1 redirect_proto udp 10.0.0.2", "nat show log",
    "nat 1 delete", "disable one_pass", "enable one_pass",
    "pipe 1 config bw 1Mbit/s delay 20", "pipe 1 config delay 5 queue 5 plr 0.2", "pipe 1 delete",
    "queue 1 config pipe 1 weight 10", "pipe list", "queue 1 delete", "pipe flush",
)  # fmt: skip
_IPCHAINS_TARGETS = ("ACCEPT", "ACCEPT", "DENY", "REJECT", "own", "") + ("DIVERT 1234", "DIVERT 8668") * 4 + (
    "DIVERT 7", "MASQ", "REDIRECT 7", "RETURN", "nosuch",
)  # fmt: skip
_IPCHAINS_BODIES = ("",) * 4 + (
    "-p icmp", "-p tcp", "-p udp", "-p udp -d 0/0 53", "-p tcp -y", "-f", "! -f", "-i if0", "-i ! lo", "-i if+",
    "-s 192.168.1.0/24", "-s ! 10.0.0.0/8", "-d 10.0.0.1", "-t 01 10", "-m 5", "-l", "-o 100", "-b -s 8.8.8.8",
    "-p icmp --icmp-type echo-request", "-p 99",
)  # fmt: skip
_IPCHAINS_OTHERS = (
    "-F input", "-F forward", "-F output", "-F", "-N own", "-X own", "-X", "-P input DENY", "-P input ACCEPT",
    "-P forward ACCEPT", "-P output REJECT", "-P output ACCEPT", "-Z", "-L -n", "-L -v -x", "-S 10 5 5", "-M -L -n",
    "-D input 1", "-D output 7", "-R forward 1 -j ACCEPT", "-C input -p tcp -s 8.8.8.8 1 -d 10.0.0.1 2 -i if0",
    "-C forward -p icmp -s 192.168.1.2 -d 10.0.0.2 -i if1", "-A input -j", "--nonsense",
)  # fmt: skip


_SERVICES = (
    "nat 1 config ip 10.0.0.1", "nat 1 config if if1 same_ports", "nat 2 config ip 192.168.1.1 reverse",
    "pipe 1 config bw 1Mbit/s delay 20", "pipe 1 config delay 5 queue 3", "queue 1 config pipe 1 weight 3",
)  # fmt: skip
"""What nat, pipe and queue rules need to be there."""


def _ipfw(rng: Random) -> str:
    if rng.randrange(3) == 0:
        return rng.choice(_IPFW_OTHERS)
    number = rng.choice((100, 200, 200, 300, 400, 65000))
    action = rng.choice(_IPFW_ACTIONS)
    if action == "check-state":
        return f"add {number} check-state"
    which_set = "set 1 " if rng.randrange(8) == 0 else ""
    tag = " tag 5" if rng.randrange(8) == 0 and not action.startswith(("nat", "prob")) else ""
    body = rng.choice(_IPFW_FROM) + rng.choice(_IPFW_OPTIONS)
    return f"add {number} {which_set}{action}{tag} {body}"


def _ipchains(rng: Random) -> str:
    if rng.randrange(3) == 0:
        return rng.choice(_IPCHAINS_OTHERS)
    chain = rng.choice(("input", "forward", "output", "own"))
    target = rng.choice(_IPCHAINS_TARGETS)
    where = rng.choice(("-A {}", "-A {}", "-I {} 1", "-I {}")).format(chain)
    return f"{where} {rng.choice(_IPCHAINS_BODIES)} {f'-j {target}' if target else ''}"


# -- sockets -----------------------------------------------------------------------------------------------------------

_KINDS = (
    (socket.AF_INET, socket.SOCK_RAW, 254),
    (socket.AF_INET, socket.SOCK_RAW, 258),
    (44, socket.SOCK_RAW, 0),
    (socket.AF_INET, socket.SOCK_DGRAM, 0),
    (socket.AF_INET, socket.SOCK_RAW, 1),
    (socket.AF_INET, socket.SOCK_RAW, 255),
    (socket.AF_INET, socket.SOCK_RAW, 17),
    (socket.AF_INET, socket.SOCK_STREAM, 254),
    (socket.AF_INET6, socket.SOCK_RAW, 254),
)
_LEVELS = (
    *((socket.SOL_SOCKET, name) for name in (socket.SO_RCVBUF, socket.SO_SNDBUF, socket.SO_REUSEPORT)),
    *((socket.SOL_SOCKET, name) for name in (socket.SO_REUSEADDR, socket.SO_BROADCAST, socket.SO_DONTROUTE)),
    *((socket.SOL_SOCKET, name) for name in (socket.SO_TYPE, socket.SO_ERROR, 9999)),
    *((socket.IPPROTO_IP, name) for name in (socket.IP_TTL, socket.IP_TOS, socket.IP_OPTIONS)),
    *((socket.IPPROTO_IP, name) for name in (socket.IP_MULTICAST_IF, socket.IP_HDRINCL, 9999)),
    (socket.IPPROTO_TCP, 1),
)
_VALUES: tuple[int | bytes, ...] = (
    *(0, 1, 1, 0, 500, 2000, 65535, 100000, -1, 1 << 30),
    *(b"", b"\1", b"\1\1\1\0", b"\x0a\0\0\1", bytes(12), bytes(44), b"\x07\x07\x04\0\0\0\0\0"),
)
_CHANGES = ("back",) * 6 + tuple(CHANGES)
_WAYS = ("packed", "packed", "packed", "pair", "pair", "no address", "message", "short address")
_ZEROS = (b"", b"", b"if0", b"loop0", b"nosuch0", b"wireguar", b"if1\0junk", b"\xff\xff")
_TAGS = (0, 99, 100, 200, 300, 65534, 65535)
_PESTERING = ("connect", "listen", "accept", "getpeername", "getsockname")
_ROUTES = ("10.0.0.254", "if1", "reject", "blackhole", "delete")
_FURTHER = ("10.9.0.1/24", "192.168.1.9/24", "172.16.0.1/31")
_FLAGS = (0,) * 6 + (socket.MSG_PEEK, socket.MSG_DONTWAIT, socket.MSG_TRUNC, socket.MSG_OOB, 0x40000000)


def _open(rng: Random) -> tuple[Any, ...]:
    return rng.choice(SLOTS), *rng.choice(_KINDS[:2] * 4 + _KINDS), rng.choice(DIVERT_PORTS)


def _write(rng: Random) -> tuple[Any, ...]:
    return rng.choice(SLOTS), _octets(rng), rng.choice(_HOSTS), rng.choice(_TAGS), rng.choice(_ZEROS), rng.choice(_WAYS)


_COMMON: tuple[tuple[str, int, Callable[[Random], tuple[Any, ...]]], ...] = (
    ("receive", 30, lambda rng: (rng.choice(INTERFACES), _octets(rng))),
    ("fragments", 6, lambda rng: (rng.choice(INTERFACES), _fragments(rng))),
    ("send", 10, lambda rng: (_octets(rng),)),
    ("reinject", 26, lambda rng: (rng.choice(SLOTS), rng.choice(_CHANGES))),
    ("read", 4, lambda rng: (rng.choice(SLOTS), rng.choice((0, 1, 20, 1500, 65535)), int(rng.choice(_FLAGS)))),
    ("write", 8, _write),
    ("open", 2, _open),
    ("bind", 1, lambda rng: (rng.choice(SLOTS), rng.choice(DIVERT_PORTS))),
    ("close", 1, lambda rng: (rng.choice(SLOTS),)),
    ("option", 2, lambda rng: (rng.choice(SLOTS), *map(int, rng.choice(_LEVELS)), rng.choice(_VALUES))),
    ("ask", 1, lambda rng: (rng.choice(SLOTS), *map(int, rng.choice(_LEVELS)), rng.choice((0, 4, 44)))),
    ("shut", 1, lambda rng: (rng.choice(SLOTS), rng.randrange(4))),
    ("pester", 1, lambda rng: (rng.choice(SLOTS), rng.choice(_PESTERING))),
    ("advance", 2, lambda rng: (rng.choice((0.0, 0.001, 0.1, 0.5, 1.0, 10.0, 31.0, 400.0)),)),
    ("switch", 1, lambda rng: (rng.choice(INTERFACES), rng.randrange(3) > 0)),
    ("resize", 1, lambda rng: (rng.choice(INTERFACES), rng.choice((68, 100, 296, 576, 1500, 1500, 65535)))),
    ("route", 1, lambda rng: (rng.choice(("30.0.0.0/8", "0.0.0.0/0", "8.8.8.8/32")), rng.choice(_ROUTES))),
    ("join", 1, lambda rng: (rng.choice(INTERFACES), rng.choice(GROUPS), bool(rng.randrange(2)))),
    ("readdress", 1, lambda rng: (rng.choice(INTERFACES), rng.choice(_FURTHER))),
    ("privilege", 1, lambda rng: (rng.randrange(4) > 0,)),
)  # fmt: skip
_WEIGHTS = (*(weight for _, weight, _ in _COMMON), 3)


def steps(rng: Random, profile: str, count: int) -> list[Step]:
    """So many steps. The first few give the router rules and a program, or nothing would ever be diverted."""
    linux = is_linux(profile)
    rule = _ipchains if linux else _ipfw
    begin = [Step("command", (rule(rng),)) for _ in range(rng.randrange(6))]
    if not linux and rng.randrange(3) == 0:
        begin.append(Step("command", (rng.choice(_SERVICES),)))
    if rng.randrange(8):
        catch_all = "-A {} -j DIVERT 1234".format(rng.choice(("input", "forward", "output")))
        begin.append(Step("command", (catch_all if linux else "add 200 divert 1234 ip from any to any",)))
    begin.append(Step("open", (0, int(socket.AF_INET), int(socket.SOCK_RAW), 254, 1234)))
    kinds = rng.choices(range(len(_WEIGHTS)), _WEIGHTS, k=max(count - len(begin), 0))
    rest = []
    for kind in kinds:
        if kind == len(_COMMON):
            rest.append(Step("command", (rule(rng),)))
        else:
            name, _, draw = _COMMON[kind]
            rest.append(Step(name, draw(rng)))
    return (begin + rest)[:count]


_LINUX_SWITCHES: dict[str, tuple[Any, ...]] = {
    "pass_through": (True, False),
    "pass_through_goes": ("to the next rule", "accepted"),
    "always_defragment": (True, False),
    "forwarding": (True, True, False),
    "reject_before_routing": (True, False),
    "source_routes": (True, False),
    "tag_byte_order": ("clear", "host"),
}
_BSD_SWITCHES: dict[str, tuple[Any, ...]] = {
    "default_accept": (True, True, True, False),
    "loopback_offload": (True, False),
    "forwarding": (True, True, False),
    "tag_byte_order": ("clear", "host"),
}


def switches(rng: Random, profile: str) -> dict[str, Any]:
    """Some switches set, most as the kernel has them. A BSD router accepts by default in three of four."""
    table = _LINUX_SWITCHES if is_linux(profile) else _BSD_SWITCHES
    return {
        name: value
        for name, values in table.items()
        for value in (rng.choice(values),)
        if name == "default_accept" or rng.randrange(3) == 0
    }
