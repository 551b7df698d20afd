"""A command line understood: what is to be done, and with which rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rules.fields import ICMP
from rules.ipchains.options import Command, Option
from rules.ipchains.rule import Action, Inverse, Rule

__all__ = ["Request", "swapped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One command; what it has no use for is empty."""

    commands: frozenset[Command]
    """One, or two that go together."""
    options: frozenset[Option]
    chain: str | None = None
    number: int = 0
    policy: Action | None = None
    timeouts: tuple[int, int, int] = (0, 0, 0)
    """Seconds: TCP, TCP after FIN, UDP; 0 keeps."""
    rule: Rule = Rule()  # noqa: RUF009 - frozen
    """Without addresses, which are beside it."""
    sources: tuple[int, ...] = ()
    destinations: tuple[int, ...] = ()
    warnings: str = ""
    """What is printed while the line is read."""

    def rules(self) -> Iterator[Rule]:
        """Every rule meant: each source with each destination, then with ``-b`` the other way (linux.md U9, U19)."""
        for source in self.sources:
            for destination in self.destinations:
                yield replace(self.rule, source=source, destination=destination)
        if Option.BIDIRECTIONAL in self.options:
            for destination in self.destinations:
                for source in self.sources:
                    yield swapped(replace(self.rule, source=source, destination=destination))


_EXCHANGED = (
    (Inverse.SOURCE, Inverse.DESTINATION),
    (Inverse.SOURCE_PORTS, Inverse.DESTINATION_PORTS),
)


def swapped(rule: Rule) -> Rule:
    """The rule for the other way: addresses, masks and ports change places, ICMP types and codes do not."""
    icmp = rule.protocol == ICMP
    inverse = rule.inverse
    for one, other in _EXCHANGED[: 1 if icmp else 2]:
        if (one in rule.inverse) != (other in rule.inverse):
            inverse ^= one | other
    return replace(
        rule,
        source=rule.destination,
        source_mask=rule.destination_mask,
        destination=rule.source,
        destination_mask=rule.source_mask,
        source_ports=rule.source_ports if icmp else rule.destination_ports,
        destination_ports=rule.destination_ports if icmp else rule.source_ports,
        inverse=inverse,
    )
