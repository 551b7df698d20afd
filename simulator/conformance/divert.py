"""Sequences of socket calls, packets, rules and time on a whole FreeBSD host.

A case has a ``config`` (interfaces, routes, default action) and ``steps``.  :func:`replay` builds that host, plays the
steps and returns ``results``, one for each step, in the very shape the file format has for them; recorded results are
not looked at.  What packets do is observed by listening to the router's trace: a ``tx`` event when an interface gets a
packet, a ``local`` one when a protocol does.

Numbers of options and families in the steps are BSD's; here they are translated to those of the machine this runs on.
"""

from __future__ import annotations

import errno
import shlex
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rules.addresses import dotted
from rules.fields import ICMP
from simulator.conformance.profiles import profile_of
from simulator.interfaces import Interface
from simulator.packet import Packet
from simulator.paths.bsd import BsdPath
from simulator.profiles import PROFILES, BsdProfile
from simulator.router import PF_DIVERT, Router
from simulator.sockets.address import BSD_LAYOUT, Address
from simulator.sockets.base import QueueSocket
from simulator.sockets.buffers import BsdBuffer
from simulator.sockets.divert import DivertSocket
from simulator.trace import Event, Kind

__all__ = ["canonical", "replay"]

Answer = dict[str, Any]

_DIVERT = 258
_OPTIONS = {
    (0xFFFF, 0x0004): (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (0xFFFF, 0x0010): (socket.SOL_SOCKET, socket.SO_DONTROUTE),
    (0xFFFF, 0x0020): (socket.SOL_SOCKET, socket.SO_BROADCAST),
    (0xFFFF, 0x0200): (socket.SOL_SOCKET, socket.SO_REUSEPORT),
    (0xFFFF, 0x1001): (socket.SOL_SOCKET, socket.SO_SNDBUF),
    (0xFFFF, 0x1002): (socket.SOL_SOCKET, socket.SO_RCVBUF),
    (0xFFFF, 0x1008): (socket.SOL_SOCKET, socket.SO_TYPE),
    (0, 1): (socket.IPPROTO_IP, socket.IP_OPTIONS),
    (0, 3): (socket.IPPROTO_IP, socket.IP_TOS),
    (0, 4): (socket.IPPROTO_IP, socket.IP_TTL),
    (0, 9): (socket.IPPROTO_IP, socket.IP_MULTICAST_IF),
    (0, 10): (socket.IPPROTO_IP, socket.IP_MULTICAST_TTL),
    (0, 11): (socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP),
    (0, 12): (socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP),
    (0, 13): (socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP),
}
"""(level, name) of BSD -> of this machine."""

_OPTION_ROOM = 64
_FLAGS = frozenset({socket.SO_REUSEADDR, socket.SO_REUSEPORT, socket.SO_DONTROUTE, socket.SO_BROADCAST})
_SWITCHES: dict[str, tuple[str, type]] = {
    "net.inet.ip.forwarding": ("forwarding", bool),
    "net.inet.ip.redirect": ("redirects", bool),
    "net.inet.ip.ttl": ("icmp_ttl", int),
    "net.inet.icmp.quotelen": ("quoted", int),
    "net.inet.ip.rfc6864": ("identifies_only_fragmentable", bool),
}
"""Kernel variables and the switches that say the same."""

_LIMITS = {
    "net.inet.ip.maxfragsperpacket": "fragments_per_packet",
    "net.inet.ip.maxfragpackets": "packets",
    "net.inet.ip.maxfrags": "fragments",
}
"""Those that are limits of reassembly."""

_NAMES = {errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EAGAIN: "EAGAIN"}
"""Numbers that have two names here."""

_ALWAYS_DENYING = frozenset({"freebsd-13"})
"""Recorded hosts on which ``default_accept`` had no effect: their rule 65535 denies, and is listed so."""

_SILENT = frozenset({"freebsd-11"})
"""Recorded hosts whose kernel messages were not kept."""

_CAST_FLAGS = {None: 0, "broadcast": 1, "multicast": 2}


def replay(case: Mapping[str, Any]) -> Answer:
    """``results``: our answer to each step of a case."""
    host = _Host(case)
    return {"results": [host.step(step) for step in case["steps"]]}


def canonical(answers: Mapping[str, Any], case: Mapping[str, Any]) -> Answer:
    """The answers without what need not be the same: header checksums that no kernel computes, the port that the
    kernel chose for ``bind`` to port 0, how much memory the mbufs of a driver take up."""
    chosen: set[str] = set()
    results: list[Answer] = []
    for step, result in zip(case["steps"], answers["results"], strict=True):
        op, sock = step["op"], step.get("sock")
        result = dict(result)
        if op == "bind" and step["addr"][4:8] == "0000" and result["errno"] is None:
            chosen.add(sock)
        if op == "getsockname" and sock in chosen and result.get("addr"):
            result["addr"] = result["addr"][:4] + "port" + result["addr"][8:]
        if op == "sockinfo":
            result.pop("mbcnt", None)
        if op == "recv" and result.get("addr", "")[8:16] == "00000000":
            result["hex"] = _without_checksum(result["hex"])
        if "events" in result:
            result["events"] = [
                event | {"hex": _without_checksum(event["hex"])} if event["ev"] == "local" else event
                for event in result["events"]
            ]
        results.append(result)
    return {"results": results}


def _without_checksum(octets: str) -> str:
    """A packet in hex, its header checksum left out."""
    return octets[:20] + "...." + octets[24:]


class _Host:
    """The host of one case."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        config = case["config"]
        name = case["profile"]
        profile = profile_of(name)
        switches = _switches(profile, config["sysctl"])
        self.silent = profile in _SILENT
        self.router = Router(
            profile,
            default_accept=config["default_accept"] and profile not in _ALWAYS_DENYING,
            loopback_offload=config["lo0_offload"],
            **switches,
        )
        self.router.sysctl("net.inet.ip.fw.verbose=0")
        assert isinstance(self.router.path, BsdPath)
        self.path = self.router.path
        self.sockets: dict[str, QueueSocket | None] = {}
        self.events: list[Answer] = []
        self.handled = frozenset(config["local_handled"])
        for protocol in [*self.path.host.handlers]:
            if protocol not in self.handled:
                self.path.host.handlers[protocol] = lambda packet, payload: None
        self.path.host.unserved = lambda packet: None
        for interface in config["interfaces"]:
            self._add_interface(interface)
        for prefix, kind, gateway in config["routes"]:
            if kind == "gw":
                self.router.add_route(prefix, via=gateway)
            else:
                self.router.add_route(prefix, kind=kind)
        self.router.node.tracer.add(self._observe)

    def _add_interface(self, given: Mapping[str, Any]) -> None:
        addresses = given["addrs"]
        peer = addresses[0][2] if given["kind"] == "p2p" and addresses else None
        texts = [f"{address}/{length}" for address, length, _ in addresses]
        interface = self.router.add_interface(given["name"], texts, mtu=given["mtu"], peer=peer)
        interface.up = given["up"]

    def _observe(self, event: Event) -> None:
        """What the recordings have as events."""
        if event.kind is Kind.TRANSMITTED:
            self.events.append(
                {
                    "ev": "tx",
                    "if": event.interface,
                    "next": event.address,
                    "flags": _CAST_FLAGS[event.detail],
                    "hex": (event.octets or b"").hex(),
                }
            )
        elif event.kind is Kind.DELIVERED:
            octets = event.octets or b""
            self.events.append(
                {
                    "ev": "local",
                    "if": event.interface,
                    "flags": _CAST_FLAGS[event.detail],
                    "handled": int(octets[9] in self.handled and octets[9] == ICMP),
                    "hex": octets.hex(),
                }
            )

    def step(self, step: Mapping[str, Any]) -> Answer:
        """One step's result: what happened, the errno or null first, and the kernel's messages if there are any."""
        self.events = []
        self.router.node.messages.clear()
        operation: Callable[[Mapping[str, Any]], Answer] = getattr(self, f"_{step['op']}")
        try:
            result: Answer = {"errno": None, **operation(step)}
        except OSError as error:
            result = {"errno": _NAMES.get(error.errno or 0) or errno.errorcode[error.errno or 0]}
        if step["op"] == "ipfw":
            del result["errno"]
        if step["op"] in _WITH_EVENTS:
            result["events"] = self.events
        if self.router.messages and not self.silent:
            result["console"] = "".join(f"{line}\n" for line in self.router.messages)
        return result

    # -- rules, time, the host itself ------------------------------------------------------------------------------

    def _ipfw(self, step: Mapping[str, Any]) -> Answer:
        ran = self.router.rules.execute(shlex.split(step["args"]))
        return {"rc": ran.status, "out": ran.stdout} | ({"err": ran.stderr} if ran.stderr else {})

    def _time(self, step: Mapping[str, Any]) -> Answer:
        self.router.clock.advance(step["ms"] / 1000)
        return {}

    def _link(self, step: Mapping[str, Any]) -> Answer:
        self.router.interfaces[step["if"]].up = step["up"]
        return {}

    def _priv(self, step: Mapping[str, Any]) -> Answer:
        self.router.node.privileged = step["root"]
        return {}

    def _stats(self, step: Mapping[str, Any]) -> Answer:
        return {"ip": self.path.statistics()}

    # -- packets ---------------------------------------------------------------------------------------------------

    def _rx(self, step: Mapping[str, Any]) -> Answer:
        interface: Interface = self.router.interfaces[step["if"]]
        packet = Packet(bytes.fromhex(step["hex"]), interface)
        self.router.node.ledger.received += 1
        self.path.receive(packet, link_broadcast=step["flags"] != 0)
        return {}

    def _tx(self, step: Mapping[str, Any]) -> Answer:
        octets = bytes.fromhex(step["hex"])
        _raise(self.router.send(octets))
        return {"len": len(octets)}

    def _udp(self, step: Mapping[str, Any]) -> Answer:
        with self.router.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("", step["sport"]))
            return {"len": sock.sendto(bytes.fromhex(step["data"]), (step["dst"], step["dport"]))}

    # -- sockets ---------------------------------------------------------------------------------------------------

    def _socket(self, step: Mapping[str, Any]) -> Answer:
        domain, kind, proto = step["domain"], step["type"], step["proto"]
        if domain == PF_DIVERT and not self.path.profile.own_family:
            raise OSError(errno.EAFNOSUPPORT, "no such family")
        if (domain, kind) == (socket.AF_INET, socket.SOCK_RAW) and proto < 256:
            if not self.router.node.privileged:
                raise OSError(errno.EPERM, "a raw socket needs privilege")
            self.sockets[step["sock"]] = None  # an ordinary raw socket, of which the recordings ask nothing more
            return {}
        self.sockets[step["sock"]] = self.router.socket(domain, kind, proto)
        return {}

    def _named(self, step: Mapping[str, Any]) -> DivertSocket:
        sock = self.sockets.get(step["sock"])
        if not isinstance(sock, DivertSocket):
            raise OSError(errno.EBADF, f"no divert socket {step['sock']}")
        return sock

    def _bind(self, step: Mapping[str, Any]) -> Answer:
        sock = self.sockets[step["sock"]]
        octets = bytes.fromhex(step["addr"])
        if isinstance(sock, DivertSocket):
            sock.bind(octets)
        elif sock is not None:
            sock.bind((dotted(int.from_bytes(octets[4:8], "big")), int.from_bytes(octets[2:4], "big")))
        return {}

    def _close(self, step: Mapping[str, Any]) -> Answer:
        sock = self.sockets.pop(step["sock"])
        if sock is not None:
            sock.close()
        return {}

    def _connect(self, step: Mapping[str, Any]) -> Answer:
        self._named(step).connect(bytes.fromhex(step["addr"]))
        return {}

    def _listen(self, step: Mapping[str, Any]) -> Answer:
        self._named(step).listen()
        return {}

    def _accept(self, step: Mapping[str, Any]) -> Answer:
        self._named(step).accept()

    def _shutdown(self, step: Mapping[str, Any]) -> Answer:
        self._named(step).shutdown(step["how"])
        return {}

    def _send(self, step: Mapping[str, Any]) -> Answer:
        data = bytes.fromhex(step["hex"])
        address = bytes.fromhex(step["addr"]) if step["addr"] is not None else None
        ancillary = [(socket.SOL_SOCKET, 0, b"")] if step["control"] else []
        answer = {"len": self._named(step).sendmsg([data], ancillary, 0, address)}
        if address is not None and not any(address[4:8]):
            self._complain(data)
        return answer

    def _complain(self, written: bytes) -> None:
        """The recorded driver's line about a first fragment that kept what was written beyond the total length."""
        length = int.from_bytes(written[2:4], "big")
        first = next((event["hex"] for event in self.events if event["ev"] == "tx"), None)
        if first is None or len(written) == length or len(first) // 2 >= length:
            return
        cut = len(first) // 2
        self.router.node.messages.append(f"dv: pkthdr.len {cut} != chain {cut + len(written) - length}")

    def _recv(self, step: Mapping[str, Any]) -> Answer:
        flags = socket.MSG_DONTWAIT | (socket.MSG_PEEK if step["peek"] else 0)
        octets, _, said, address = self._named(step).recvmsg(step["size"], 0, flags)
        ended = address is None
        answer: Answer = {
            "len": len(octets),
            "trunc": bool(said & socket.MSG_TRUNC),
            "eof": ended,
            "hex": octets.hex(),
        }
        if isinstance(address, Address):
            decoded = BSD_LAYOUT.unpack(address.packed)
            answer["addr"] = address.packed.hex()
            answer["decoded"] = {"tag": decoded.tag, "ip": dotted(decoded.host), "ifname": decoded.name}
        return answer

    def _setsockopt(self, step: Mapping[str, Any]) -> Answer:
        level, name = _option(step)
        self._named(step).setsockopt(level, name, bytes.fromhex(step["hex"]))
        return {}

    def _getsockopt(self, step: Mapping[str, Any]) -> Answer:
        level, name = _option(step)
        value = self._named(step).getsockopt(level, name, _OPTION_ROOM)
        assert isinstance(value, bytes)
        if level == socket.SOL_SOCKET and name in _FLAGS and any(value):
            value = step["name"].to_bytes(4, "little")  # there a flag that is set reads as its own bit
        return {"hex": value.hex()}

    def _getsockname(self, step: Mapping[str, Any]) -> Answer:
        _, port = self._named(step).getsockname()
        return {"addr": (bytes((16, socket.AF_INET)) + port.to_bytes(2, "big") + bytes(12)).hex()}

    def _getpeername(self, step: Mapping[str, Any]) -> Answer:
        self._named(step).getpeername()
        return {}

    def _poll(self, step: Mapping[str, Any]) -> Answer:
        return {"readable": self._named(step).readable, "writable": True}

    def _sockinfo(self, step: Mapping[str, Any]) -> Answer:
        sock = self._named(step)
        buffer = sock.buffer
        assert isinstance(buffer, BsdBuffer)
        return {
            "cc": buffer.used,
            "mbcnt": buffer.memory,
            "hiwat": buffer.limit,
            "mbmax": buffer.memory_limit,
            "snd_hiwat": sock.send_limit,
        }


_WITH_EVENTS = frozenset({"rx", "tx", "udp", "send", "time", "link"})


def _switches(profile: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """What the kernel variables of a case mean for the profile's switches; others than these change nothing here."""
    switches: dict[str, Any] = {}
    for key, value in variables.items():
        if key in _SWITCHES:
            switch, kind = _SWITCHES[key]
            switches[switch] = kind(int(value))
    limits: dict[str, Any] = {_LIMITS[key]: int(value) for key, value in variables.items() if key in _LIMITS}
    base = PROFILES[profile]
    if limits and isinstance(base, BsdProfile):
        switches["reassembly"] = replace(base.reassembly, **limits)
    return switches


def _raise(number: int) -> None:
    if number:
        raise OSError(number, "refused")


def _option(step: Mapping[str, Any]) -> tuple[int, int]:
    """The option by this machine's numbers.  :raises OSError: EINVAL for a level that a divert socket does not have."""
    key = (step["level"], step["name"])
    if key in _OPTIONS:
        return _OPTIONS[key]
    raise OSError(errno.ENOPROTOOPT if step["level"] in (0, 0xFFFF) else errno.EINVAL, f"option {key}")
