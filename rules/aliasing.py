"""What is configured of an address translation: modes and redirections, as values that print in ipfw's words.

The vocabulary is libalias(3)'s, which FreeBSD's in-kernel ``nat`` and natd(8) share.  *Local* is the end inside,
*public* the address and port that the outside sees, *remote* the end outside.  Addresses and ports are integers; a
public or remote address 0 stands for the aliasing address or for anybody, a remote port 0 for any port.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from rules.addresses import ALL_ONES, dotted

__all__ = [
    "FIRST_PORT",
    "LAST_PORT",
    "NO_ADDRESS",
    "AddressRedirect",
    "Mode",
    "PortRedirect",
    "ProtocolRedirect",
    "Redirect",
    "Server",
]

NO_ADDRESS = ALL_ONES
"""Local address of a redirection that has a pool of servers instead."""

FIRST_PORT, LAST_PORT = 0x8000, 0xFFFF
"""Where aliasing ports are taken from unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """Switches of a translation (libalias(3), PKT_ALIAS_*), in the order in which ipfw lists them."""

    log: bool = False
    """Count the links in a line of text."""
    deny_in: bool = False
    """Incoming datagrams that belong to no link are refused."""
    same_ports: bool = False
    """Keep the local port as aliasing port where it is free."""
    skip_global: bool = False
    """``nat global`` passes this one by."""
    unreg_only: bool = False
    """Only the private addresses of RFC 1918 are translated."""
    unreg_cgn: bool = False
    """Those and 100.64.0.0/10 (RFC 6598)."""
    reset: bool = False
    """Links end when the aliasing address changes."""
    reverse: bool = False
    """Outgoing and incoming change places."""
    proxy_only: bool = False
    """Nothing is translated but what a proxy rule names."""


class Server(NamedTuple):
    """A member of a pool that shares the load (LSNAT, RFC 2391)."""

    address: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRedirect:
    """``redirect_port``: what comes to a public port goes to a local one; ``count`` ports in a row."""

    protocol: str
    """``"tcp"`` or ``"udp"``."""
    local: int = NO_ADDRESS
    local_port: int = 0
    public: int = 0
    public_port: int
    count: int = 1
    remote: int = 0
    remote_port: int = 0
    remote_count: int = 1
    servers: tuple[Server, ...] = ()

    def __str__(self) -> str:
        more = "" if self.servers else f"-{self.public_port + self.count - 1}"
        if self.servers:
            local = ",".join(f"{dotted(server.address)}:{server.port}" for server in self.servers)
        else:
            local = f"{dotted(self.local)}:{self.local_port}"
            local += f"-{self.local_port + self.count - 1}" if self.count > 1 else ""
        public = f"{dotted(self.public)}:" if self.public else ""
        words = f"redirect_port {self.protocol} {local} {public}{self.public_port}{more if self.count > 1 else ''}"
        if self.remote:
            words += f" {dotted(self.remote)}"
            if self.remote_port:
                words += f":{self.remote_port}"
                if self.remote_count > 1 and not self.servers:
                    words += f"-{self.remote_port + self.remote_count - 1}"
        return words


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRedirect:
    """``redirect_addr``: a public address stands for a local one (or for a pool, in turn), and the other way round."""

    local: int = NO_ADDRESS
    public: int
    servers: tuple[int, ...] = ()

    def __str__(self) -> str:
        local = ",".join(map(dotted, self.servers)) if self.servers else dotted(self.local)
        return f"redirect_addr {local} {dotted(self.public)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolRedirect:
    """``redirect_proto``: datagrams of a whole protocol go to a local address."""

    protocol: int
    name: str
    local: int
    public: int = 0
    remote: int = 0

    def __str__(self) -> str:
        words = f"redirect_proto {self.name} {dotted(self.local)}"
        if self.public:
            words += f" {dotted(self.public)}"
            if self.remote:
                words += f" {dotted(self.remote)}"
        return words


Redirect: TypeAlias = PortRedirect | AddressRedirect | ProtocolRedirect
