"""Names for numbers: services, protocols, networks and hosts, and the look-ups that the tool makes of them.

Source: linux.md U9-U12, U24; getservbyname(3), getprotobyname(3), getnetbyname(3), gethostbyname(3) for what is case
sensitive.  Nothing is read from the machine and no name server is asked: a :class:`Names` is a value, made from text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from rules.fields import TCP, UDP
from rules.ipchains import wellknown
from rules.ipchains.numbers import dotted_quad, internet_address, looks_numeric, number_between

__all__ = ["Names"]

_TRANSPORTS = {"tcp": TCP, "udp": UDP}


@dataclass(frozen=True)
class Names:
    """Tables in both directions.  Make one with :meth:`standard` or :meth:`from_files`."""

    ports: Mapping[tuple[int, str], int]
    """(protocol, service name or alias) -> port."""
    services: Mapping[tuple[int, int], str]
    """(protocol, port) -> the name shown."""
    protocol_numbers: Mapping[str, int]
    protocol_names: Mapping[int, str]
    network_addresses: Mapping[str, int]
    """By lower-case name."""
    network_names: Mapping[int, str]
    host_addresses: Mapping[str, tuple[int, ...]]
    """By lower-case name; several addresses make several rules."""
    host_names: Mapping[int, str]

    @staticmethod
    @cache
    def standard() -> Names:
        """The table of :mod:`rules.ipchains.wellknown`."""
        return Names.from_files()

    @classmethod
    def from_files(
        cls,
        *,
        services: str = wellknown.SERVICES,
        protocols: str = wellknown.PROTOCOLS,
        networks: str = wellknown.NETWORKS,
        hosts: str = wellknown.HOSTS,
    ) -> Names:
        """Tables from the texts of such files; what is not given is the standard table's.

        As in the C library the first line that fits a look-up wins and lines that make no sense are passed over.
        """
        ports: dict[tuple[int, str], int] = {}
        shown: dict[tuple[int, int], str] = {}
        for name, number, aliases in _lines(services):
            digits, _, transport = number.partition("/")
            port = number_between(digits, 0, 0xFFFF)
            if port is None or transport not in _TRANSPORTS:
                continue
            protocol = _TRANSPORTS[transport]
            shown.setdefault((protocol, port), name)
            for alias in (name, *aliases):
                ports.setdefault((protocol, alias), port)

        numbers: dict[str, int] = {}
        names: dict[int, str] = {}
        for name, number, aliases in _lines(protocols):
            value = number_between(number, 0, 0xFFFF)
            if value is None:
                continue
            names.setdefault(value, name)
            for alias in (name, *aliases):
                numbers.setdefault(alias, value)

        network_addresses: dict[str, int] = {}
        network_names: dict[int, str] = {}
        for name, number, aliases in _lines(networks):
            address = dotted_quad(number + ".0" * (3 - number.count(".")))
            if address is None:
                continue
            network_names.setdefault(address, name)
            for alias in (name, *aliases):
                network_addresses.setdefault(alias.lower(), address)

        host_addresses: dict[str, tuple[int, ...]] = {}
        host_names: dict[int, str] = {}
        for number, name, aliases in _lines(hosts):
            address = dotted_quad(number)
            if address is None:
                continue
            host_names.setdefault(address, name)
            for alias in (name, *aliases):
                known = host_addresses.get(alias.lower(), ())
                host_addresses[alias.lower()] = known if address in known else (*known, address)
        return cls(ports, shown, numbers, names, network_addresses, network_names, host_addresses, host_names)

    def with_hosts(self, hosts: Mapping[str, int | Sequence[int]]) -> Names:
        """The same tables with these hosts besides, each with one address or several."""
        addresses = dict(self.host_addresses)
        names = dict(self.host_names)
        for name, found in hosts.items():
            several = (found,) if isinstance(found, int) else tuple(found)
            addresses[name.lower()] = several
            for address in several:
                names.setdefault(address, name)
        return replace(self, host_addresses=addresses, host_names=names)

    # -- look-ups ------------------------------------------------------------------------------------------------

    def host_or_network(self, name: str) -> tuple[int, ...]:
        """Addresses of a word: four octets, a network's name, what the host look-up reads as a number, a host's name.

        Empty if nothing is known by it.
        """
        address = dotted_quad(name)
        if address is None:
            address = self.network_addresses.get(name.lower())
        if address is None:
            address = internet_address(name)
        if address is not None:
            return (address,)
        return () if looks_numeric(name) else self.host_addresses.get(name.lower(), ())

    def name_of(self, address: int) -> str | None:
        """A host's name, or else a network's."""
        return self.host_names.get(address) or self.network_names.get(address)

    def port(self, name: str, protocol: int) -> int | None:
        return self.ports.get((protocol, name))

    def service(self, port: int, protocol: int) -> str | None:
        return self.services.get((protocol, port))


def _lines(text: str) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Lines of at least two words, comments cut."""
    for line in text.splitlines():
        first, second, *others = [*line.partition("#")[0].split(), "", ""]
        if second:
            yield first, second, others[:-2]
