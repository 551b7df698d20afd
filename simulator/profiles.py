"""Every behaviour in which kernels differ, a named switch with its source; a kernel is one value.

The switches of the rule engines are values of their own (:mod:`rules.ipchains.switches`, :mod:`rules.ipfw.switches`)
and hang below ``rules``.  :func:`resolve` finds a profile by name and sets any switch of either by keyword.
"""

from __future__ import annotations

import dataclasses
import difflib
import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rules.ipchains import switches as ipchains
from rules.ipfw import switches as ipfw
from simulator.fragments import DRAGONFLY, FREEBSD_4, FREEBSD_5, FREEBSD_13, FREEBSD_14, BsdPolicy

__all__ = ["PROFILES", "BsdProfile", "LinuxProfile", "Profile", "read_switches", "resolve"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What every kernel answers in some way."""

    name: str

    rules: ipchains.Switches | ipfw.Switches
    """The switches of the rule engine."""

    tag_byte_order: Literal["clear", "host"] = "clear"
    """How ``address[1]`` shows the tag: the number itself, or as a program on a little-endian machine sees it after
    Python's ntohs (bsd.md R-2, P-3).  Sending expects the same order."""

    forwarding: bool = True
    """Whether datagrams for other hosts are forwarded (linux.md H14; net.inet.ip.forwarding)."""

    redirects: bool = True
    """Whether a forwarded datagram that leaves where it came in earns its sender an ICMP redirect (linux.md H5)."""

    loopback: tuple[str, int] = ("lo", 3924)
    """Name and MTU of the loopback interface (linux.md H11)."""

    default_ttl: int = 64
    """TTL of this host's own UDP and TCP datagrams (IPDEFTTL of RFC 1700; ``net.inet.ip.ttl``)."""

    icmp_ttl: int = 255
    """TTL of this host's own ICMP messages: the greatest on Linux (icmp.c), the default one on BSD (bsd.md H-10)."""

    first_identification: int = 0
    """The first IP id of the global counter (linux.md O4)."""

    divert_protocol: int = 0
    """The number of ``divert`` in /etc/protocols, which ``getprotobyname`` gives; 0: no such line (bsd.md S-1)."""

    tap_hears_itself: bool = False
    """A packet tap sees what was sent through itself: bpf(4) does; Linux leaves out the sender (dev_queue_xmit_nit of
    net/core/dev.c)."""

    tap_sees_loopback_twice: bool = True
    """What goes round by the loopback interface passes its taps going out and coming in; bpf(4) is shown it once
    (if_simloop of if_loop.c)."""


@dataclass(frozen=True, kw_only=True)
class LinuxProfile(Profile):
    """Linux with the divert patch.  What the patch did where nobody wrote it down follows linux.md T6."""

    rules: ipchains.Switches

    pass_through: bool = False
    """A DIVERT rule without a listener lets the packet go on instead of dropping it (linux.md D5, D6)."""

    pass_through_goes: Literal["to the next rule", "accepted"] = "to the next rule"
    """Where it goes on: as if the rule had not matched, or out of the chain as by ACCEPT (linux.md D6, Q2)."""

    always_defragment: bool = False
    """Reassembly before the input chain instead of at local delivery (linux.md D8, R1; always so in 2.0, D21)."""

    source_routes: bool = False
    """Whether source routes are followed, else datagrams with one are dropped (``accept_source_route`` of
    ip_options.c)."""

    answers_unroutable: bool = True
    """A received datagram for which there is no route, or whose route says reject, earns its sender an ICMP network or
    host unreachable (ip_error of net/ipv4/route.c); only with forwarding on, see linux.md H14."""

    reject_before_routing: bool = False
    """REJECT of the input chain answers without looking for a route first (linux.md Z2: 2.0; H3 otherwise)."""

    foreign_inbound_errno: int = errno.EADDRNOTAVAIL
    """A divert write as incoming with an address that is no interface's (linux.md Q6)."""

    malformed_errno: int = getattr(errno, "EBADRQC", errno.EINVAL)  # a BSD has no such errno
    """A divert write of something that has no IPv4 header (linux.md D18)."""

    unbound_errno: int = errno.EINVAL
    """A divert write on a socket that is not bound (linux.md D14, Q7)."""


@dataclass(frozen=True, kw_only=True)
class BsdProfile(Profile):
    """FreeBSD and DragonFly."""

    rules: ipfw.Switches

    default_accept: bool = False
    """Rule 65535 accepts instead of denying (bsd.md E-2)."""

    send_without_address: bool = False
    """``send`` without an address writes as outgoing with tag 0; else EDESTADDRREQ (bsd.md S-7, W-3)."""

    reassembles: frozenset[str] = frozenset({"in", "out"})
    """In which passes a fragment that matches divert waits for the rest (bsd.md F-2, F-3)."""

    reassembles_tee: bool = False
    """Whether tee does so too, in those passes (bsd.md T-7)."""

    reassembled_rule_of: Literal["first", "last"] = "last"
    """Whose rule and port a reassembled packet is diverted by: the fragment with offset 0, or the one that arrived
    last (bsd.md F-6)."""

    reassembled_interface_of: Literal["first", "last"] = "last"
    """Whose receive interface it has (divert-observed.md F-6)."""

    reassembly: BsdPolicy = FREEBSD_5
    """Overlaps and limits of reassembly (bsd.md F-10)."""

    looks_up_interface: bool = True
    """A write as incoming finds its interface by name or address; DragonFly lost both lookups (bsd.md W-8 to W-10)."""

    divert_protocol: int = 258

    version_errno: int = 0
    """A write with an IP version other than 4; 0: not looked at (bsd.md W-6, divert-observed.md).  Version 6 is refused
    as by a kernel without INET6: there is none here."""

    refuses_nowhere: bool = False
    """What is received for 0.0.0.0 is dropped as badaddr (bsd.md W-18: FreeBSD 14), else this host takes it."""

    restores_broadcast: bool = False
    """A packet written as incoming is marked as broadcast or multicast again by its destination (bsd.md W-20)."""

    delivers_undiverted: bool = False
    """A datagram whose first fragment was not diverted, completed by one that was, is delivered to this host; else it
    is dropped (bsd.md F-7: F4 and DF; elsewhere the completing fragment's rule counts)."""

    counts_unheard: bool = True
    """A packet that nobody listens for counts as ``noproto`` and off ``delivered``; M counts apart (bsd.md R-19)."""

    counts_overflow: bool = True
    """A packet that a full socket does not take counts as if nobody had listened (bsd.md R-17)."""

    tells_overflow: bool = False
    """SO_RERROR can be set on a socket: that a packet did not fit is then told once, as ENOBUFS, to a read that finds
    nothing queued (bsd.md R-17; soroverflow of FreeBSD 14 and DragonFly since 2019)."""

    routing_tables: int = 0
    """How many SO_SETFIB may choose from (net.fibs), of which there is one here; 0: no such option (bsd.md S-11)."""

    newest_receives: bool = True
    """Of several sockets that share a divert port the most recently created one receives, else the oldest (B-8)."""

    own_family: bool = False
    """Divert sockets are a protocol family of their own: a port has one socket whatever SO_REUSEPORT says, another bind
    moves the socket, port 0 is a port, ports below 1024 are like the others, there is no ``getsockname`` and no option
    of IP; ``sendto`` looks at the address's family and length (bsd.md B-1, B-4 to B-6, S-10, S-12, W-5)."""

    socket_options_of_ip: bool = True
    """IP_OPTIONS, IP_TTL, IP_TOS can be set on a divert socket, to whatever effect (bsd.md S-12)."""

    shutdown_errno: int = errno.ENOTCONN
    """What ``shutdown`` fails with; 0: it works (bsd.md S-9, divert-observed.md)."""

    ephemeral: tuple[int, int] = (10000, 65535)
    """Where ``bind`` to port 0 looks for a port (bsd.md B-4 as observed)."""

    fast_forward: bool = True
    """Unicast datagrams without options are forwarded on the fast path, which keeps the header checksum right between
    the passes; the slow path leaves the received one until the packet is sent (bsd.md H-4, R-14)."""

    quoted: int = 8
    """Octets of data that an ICMP error quotes after the IP header (bsd.md H-10)."""

    quotes_tcp_header: bool = True
    """It quotes all of a TCP header at least (bsd.md H-10)."""

    reset_tos: int = 0x10
    """Type of service of the resets and keepalives that ipfw sends: low delay (ipfw_send_pkt of ip_fw_dynamic.c and
    ip_fw2.c)."""

    keepalive_flags: int = 0
    """Fragment flags of the keepalives that ipfw sends; 0x4000 is DF (dyn_make_keepalive_ipv4 of ip_fw_dynamic.c)."""

    lo0_refuses: bool = True
    """What follows a reject or blackhole route is refused with EHOSTUNREACH; else it goes round lo0 once, and its
    sender gets an ICMP error when it is forwarded (divert-observed.md, after W-25)."""

    loopback_offload: bool = False
    """lo0 has checksum offload: the header checksum of what comes in there is 0 (divert-observed.md R-12)."""

    counts_raw_as_localout: bool = True
    """What raw and divert sockets send counts as ``localout`` (divert-observed.md, counters)."""

    identifies_only_fragmentable: bool = True
    """A datagram with DF is sent with the IP id 0 (RFC 6864; README of the recordings)."""

    fast_redirects: bool = False
    """The fast path sends redirects as well, even by way of a default route, where they name the gateway 0.0.0.0
    (divert-observed.md H-4)."""

    multicast_to_gateway: bool = False
    """A multicast datagram whose route has a gateway is sent to that (seen on 13), else to the group itself."""

    raw_fields: Literal["host order without header", "host order", "network order"] = "network order"
    """How ``ip_len`` and ``ip_off`` look to the reader of a raw socket, and are written with IP_HDRINCL: before FreeBSD
    11 in the machine's order, in FreeBSD 4 and DragonFly read without the header's octets besides (ip(4); rip_input,
    rip_output and ip_input.c).  For DragonFly this is assumed: its raw_ip.c had it so around 2012, and no later one
    was looked at, nor a running system."""

    raw_length_exact: bool = False
    """What is written with IP_HDRINCL has to have its very length in its header, and well-formed options; else a length
    that is no longer than what is there will do (rip_send of raw_ip.c)."""

    raw_buffer: int = 9216
    """Octets of a raw socket's buffers, and so of the largest datagram that it sends (net.inet.raw.maxdgram)."""

    answers_unserved_protocol: bool = False
    """A datagram of a protocol that nobody has earns its sender an ICMP protocol unreachable (rip_input of raw_ip.c;
    read in 14, absent in 10 and 11.0, and taken to be in 13)."""

    dummynet_hz: int = 1000
    """Ticks a second by which pipes count time: kern.hz, on DragonFly net.inet.ip.dummynet.hz.  FreeBSD 4 comes with
    100, and dummynet(4) asks for 1000."""

    dummynet_io_fast: bool = False
    """A packet that an idle pipe can send within a tick passes at once (net.inet.ip.dummynet.io_fast, off by default;
    FreeBSD 8 and later)."""

    dummynet_expire: bool = True
    """Idle flows and instances are forgotten, with their counters (net.inet.ip.dummynet.expire): every one of them
    within 64 ticks on FreeBSD 8 and later (dn_drain_queue of ip_dummynet.c), where masks are used when a like flow
    comes on FreeBSD 4 and DragonFly."""

    dummynet_tells: bool = True
    """A sender of this host gets ENOBUFS for what a pipe or queue drops at once, unless it has ``noerror``: what
    dummynet_io returns reaches ip_output in FreeBSD 4 to 11; 13 and later ignore it (ip_fw_pfil.c), and DragonFly
    calls it later (ip_dn_queue)."""

    dummynet_remembers_route: bool = False
    """What comes out of a pipe goes on behind the firewall, by the route it had before (FreeBSD 4, DragonFly); else it
    enters ip_input or ip_output anew (dummynet_send of ip_dn_io.c)."""

    loopback: tuple[str, int] = ("lo0", 16384)
    icmp_ttl: int = 64
    first_identification: int = 1
    tap_hears_itself: bool = True
    tap_sees_loopback_twice: bool = False


_FREEBSD_11 = BsdProfile(
    name="freebsd-11",
    rules=ipfw.PROFILES["freebsd-11"],
    version_errno=errno.EINVAL,
    routing_tables=1,
    reassembled_interface_of="first",
    counts_raw_as_localout=False,
)

_FREEBSD_13 = dataclasses.replace(
    _FREEBSD_11,
    name="freebsd-13",
    rules=ipfw.PROFILES["freebsd-13"],
    dummynet_tells=False,
    keepalive_flags=0x4000,
    version_errno=errno.EAFNOSUPPORT,
    reassembled_interface_of="last",
    reassembly=FREEBSD_13,
    restores_broadcast=True,
    quoted=548,
    fast_redirects=True,
    multicast_to_gateway=True,
    raw_length_exact=True,
    answers_unserved_protocol=True,
    lo0_refuses=False,
    counts_raw_as_localout=True,
)

_FREEBSD_4 = BsdProfile(
    name="freebsd-4",
    divert_protocol=254,
    rules=ipfw.PROFILES["freebsd-4"],
    dummynet_remembers_route=True,
    send_without_address=True,
    reassembles=frozenset({"in"}),
    reassembles_tee=True,
    reassembled_rule_of="first",
    reassembled_interface_of="first",
    reassembly=FREEBSD_4,
    delivers_undiverted=True,
    counts_overflow=False,
    newest_receives=False,
    ephemeral=(1024, 5000),
    shutdown_errno=0,
    fast_forward=False,
    quotes_tcp_header=False,
    reset_tos=0,
    identifies_only_fragmentable=False,
    raw_fields="host order without header",
    raw_buffer=8192,
)

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        LinuxProfile(name="linux-2.2", rules=ipchains.PROFILES["linux-2.2"]),
        LinuxProfile(
            name="linux-2.0",
            rules=ipchains.PROFILES["linux-2.0"],
            always_defragment=True,
            reject_before_routing=True,
        ),
        _FREEBSD_4,
        dataclasses.replace(
            _FREEBSD_11,
            name="freebsd-10",
            rules=ipfw.PROFILES["freebsd-10"],
            shutdown_errno=0,
            fast_forward=False,
            identifies_only_fragmentable=False,
            raw_fields="host order",
        ),
        _FREEBSD_11,
        _FREEBSD_13,
        dataclasses.replace(
            _FREEBSD_13,
            name="freebsd-14",
            rules=ipfw.PROFILES["freebsd-14"],
            reassembly=FREEBSD_14,
            counts_unheard=False,
            counts_overflow=False,
            refuses_nowhere=True,
            tells_overflow=True,
            own_family=True,
            shutdown_errno=errno.EOPNOTSUPP,
        ),
        dataclasses.replace(
            _FREEBSD_4,
            name="dragonfly",
            rules=ipfw.PROFILES["dragonfly"],
            dummynet_tells=False,
            reassembly=DRAGONFLY,
            delivers_undiverted=False,
            tells_overflow=True,
            socket_options_of_ip=False,
        ),
    )
}
"""Every profile by its name."""


def resolve(name: str, **switches: Any) -> Profile:
    """The profile of that name, with switches set by keyword: the profile's own or its rule engine's.

    :raises ValueError: for a name that is no profile, or a value that a switch does not have.
    :raises TypeError: for a keyword that is no switch of it.
    """
    profile = PROFILES.get(name)
    if profile is None:
        raise ValueError(f"no such profile: {name!r} (there are {', '.join(PROFILES)})")
    own, engine = _switches(profile), _switches(profile.rules)
    for key, value in switches.items():
        hint = own.get(key, engine.get(key))
        if hint is None:
            near = difflib.get_close_matches(key, own | engine, n=1)
            said = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(own | engine))}"
            raise TypeError(f"{name} has no switch {key!r} ({said})")
        _check(key, value, hint)
    base = profile.rules
    if "ipfw_dialect" in switches:
        base = ipfw.switches_of(name, switches["ipfw_dialect"])
    rules = dataclasses.replace(base, **{key: switches[key] for key in switches if key in engine})
    return dataclasses.replace(profile, rules=rules, **{key: switches[key] for key in switches if key in own})


_TRUTHS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


def read_switches(name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Switches of a profile from words that people type: ``yes``, ``576``, ``EPERM``, ``in+out``.

    :raises ValueError, TypeError: as :func:`resolve`.
    """
    read: dict[str, Any] = {}
    for key, text in texts.items():
        told: Exception | None = None
        for value in _readings(text):
            try:
                resolve(name, **{key: value})
            except (TypeError, ValueError) as error:
                told = told or error
                continue
            read[key] = value
            break
        else:
            assert told is not None
            raise told
    return read


def _readings(text: str) -> Iterator[Any]:
    """What a word may mean, the likeliest first."""
    yield text
    if text in _TRUTHS:
        yield _TRUTHS[text]
    if text.isdigit():
        yield int(text)
    if hasattr(errno, text):
        yield getattr(errno, text)
    yield frozenset(text.split("+"))


def _switches(value: Profile | ipchains.Switches | ipfw.Switches) -> MappingProxyType[str, Any]:
    """The names of the switches, each with its type."""
    kind: Any = type(value)
    return _hints(kind)


@cache
def _hints(kind: Any) -> MappingProxyType[str, Any]:
    """Looked up once: it takes longer than all the rest of making a router."""
    hints = get_type_hints(kind)
    return MappingProxyType({key: hint for key, hint in hints.items() if key not in ("name", "rules")})


def _check(key: str, value: object, hint: Any) -> None:
    """A wrong value would be taken for some other one in silence.  :raises ValueError: with the legal ones."""
    if get_origin(hint) is Literal:
        good, legal = value in get_args(hint), " or ".join(map(repr, get_args(hint)))
    else:
        kinds = get_args(hint) if isinstance(hint, UnionType) else (get_origin(hint) or hint,)
        good, legal = type(value) in kinds, f"a value of type {' or '.join(kind.__name__ for kind in kinds)}"
    if not good:
        raise ValueError(f"{key}={value!r} is not {legal}")
