"""Redirections as ipfw(8) and natd(8) write them, which is all but the same way; read into :mod:`rules.aliasing`'s
values.

Source: the functions that sbin/natd/natd.c and sbin/ipfw/nat.c have in common.  Services are looked up as everywhere in
ipfw; no host but ``localhost`` is known by name.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from rules.aliasing import AddressRedirect, PortRedirect, ProtocolRedirect, Server
from rules.ipfw.addressing import address_of_host
from rules.ipfw.names import PROTOCOL_NAMES, PROTOCOLS, service_port
from rules.ipfw.words import leading_number

__all__ = [
    "IPFW",
    "NATD",
    "Dialect",
    "RedirectError",
    "address",
    "address_redirect",
    "port_redirect",
    "protocol_redirect",
]

_PORTS = 0xFFFF


class RedirectError(ValueError):
    """``text`` says what is wrong; for a host that nobody knows (``host``), and for what is right but not modelled here
    (``unmodelled``), ipfw has other statuses."""

    def __init__(self, text: str, *, host: bool = False, unmodelled: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.host = host
        self.unmodelled = unmodelled


class Dialect(NamedTuple):
    """Where the messages of the two programs differ."""

    unknown_service: str
    protocols: str
    remote_range: str


IPFW = Dialect("{name}/{protocol}: unknown service", "sctp, tcp or udp", "mustbe 0")
"""The tool's message lacks a blank there."""
NATD = Dialect("unknown service {name}/{protocol}", "tcp or udp", "must be 0")


class _Range(NamedTuple):
    first: int
    size: int


_ANY = _Range(0, 1)


def address(text: str) -> int:
    """inet_aton(3), or a host's name."""
    found = address_of_host(text)
    if found is None:
        raise RedirectError(f"unknown host {text}", host=True)
    return found


def _range(text: str, protocol: str, dialect: Dialect) -> _Range:
    """A service, a port, or ``LOW-HIGH``."""
    service = service_port(text, protocol)
    if service is not None:
        return _Range(service, 1)
    if "-" not in text:
        number, rest = leading_number(text)
        if rest == text:
            raise RedirectError(dialect.unknown_service.format(name=text, protocol=protocol))
        return _Range(number & _PORTS, 1)
    found = re.match(r"\s*(\d+)-(\d+)", text)
    low, high = (int(part) & _PORTS for part in found.groups()) if found else (1, 0)
    if low > high:
        raise RedirectError(f"invalid port range {text}")
    return _Range(low, high - low + 1)


def _end(text: str, protocol: str, dialect: Dialect) -> tuple[int, _Range]:
    """``ADDRESS:PORT[-PORT]``."""
    host, colon, ports = text.partition(":")
    if not colon:
        raise RedirectError(f"{text} is missing port number")
    return address(host), _range(ports, protocol, dialect)


def port_redirect(protocol: str, local: str, public: str, remote: str | None, dialect: Dialect) -> PortRedirect:
    """``redirect_port PROTOCOL LOCAL:PORTS[,...] [PUBLIC:]PORTS [REMOTE[:PORTS]]``."""
    if protocol not in ("tcp", "udp"):
        if protocol == "sctp":
            raise RedirectError("redirect_port: sctp is not modelled here", unmodelled=True)
        raise RedirectError(f"unknown protocol {protocol}. Expected {dialect.protocols}")
    pool = "," in local
    inside, local_ports = (0, _Range(0, 1)) if pool else _end(local, protocol, dialect)
    outside, public_ports = _end(public, protocol, dialect) if ":" in public else (0, _range(public, protocol, dialect))
    far, remote_ports = 0, _ANY
    if remote is not None:
        far, remote_ports = _end(remote, protocol, dialect) if ":" in remote else (address(remote), _ANY)
    if local_ports.size != public_ports.size:
        raise RedirectError("redirect_port: port ranges must be equal in size")
    if remote_ports.size != local_ports.size and remote_ports != _ANY:
        raise RedirectError(f"redirect_port: remote port {dialect.remote_range} or equal to local port range in size")
    redirect = PortRedirect(
        protocol=protocol,
        public=outside,
        public_port=public_ports.first,
        count=public_ports.size,
        remote=far,
        remote_port=remote_ports.first,
        remote_count=remote_ports.size,
    )
    if not pool:
        return replace(redirect, local=inside, local_port=local_ports.first)
    servers = [_end(each, protocol, dialect) for each in local.split(",") if each]
    if any(ports.size != 1 for _, ports in servers):
        raise RedirectError("redirect_port: local port must be single in this context")
    return replace(redirect, servers=tuple(Server(host, ports.first) for host, ports in servers))


def address_redirect(local: str, public: str) -> AddressRedirect:
    """``redirect_addr LOCAL[,...] PUBLIC``."""
    if "," in local:
        servers = tuple(address(each) for each in local.split(",") if each)
        return AddressRedirect(servers=servers, public=address(public))
    return AddressRedirect(local=address(local), public=address(public))


def protocol_redirect(protocol: str, local: str, public: str | None, remote: str | None) -> ProtocolRedirect:
    """``redirect_proto PROTOCOL LOCAL [PUBLIC [REMOTE]]``."""
    number = PROTOCOLS.get(protocol)
    if number is None:
        raise RedirectError(f"redirect_proto: unknown protocol {protocol}")
    return ProtocolRedirect(
        protocol=number & 0xFF,
        name=PROTOCOL_NAMES.get(number, protocol),
        local=address(local),
        public=address(public) if public is not None else 0,
        remote=address(remote) if remote is not None else 0,
    )
