"""What came of a run: as text, and as one JSON object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulator.hosting.world import World
from simulator.profiles import LinuxProfile
from simulator.trace import summary

__all__ = ["Result", "as_json", "as_text"]


class Result:
    """How it ended, and the world afterwards."""

    def __init__(self, world: World, status: int, over: bool) -> None:
        self.world = world
        self.status = status
        self.over = over
        """The description's time was over before the script was."""

    @property
    def ended(self) -> str:
        return "interrupted at the end of the time" if self.over else "by itself"


def _rules(world: World) -> str:
    is_linux = isinstance(world.router.profile, LinuxProfile)
    return world.command(["-L", "-n", "-v"] if is_linux else ["-a", "list"])


def as_json(result: Result) -> dict[str, Any]:
    """Everything, octets in hex; the trace where one was kept."""
    world = result.world
    router = world.router
    found: dict[str, Any] = {
        "status": result.status,
        "ended": "time" if result.over else "script",
        "seconds": router.clock.now(),
        "profile": router.profile.name,
        "sent": [{"time": sent.time, "interface": sent.interface, "octets": sent.octets.hex()} for sent in world.sent],
        "delivered": [octets.hex() for octets in router.delivered],
        "ledger": router.ledger.as_dict(),
        "rules": _rules(world).splitlines(),
        "messages": list(router.messages),
        "refused": world.refused,
    }
    if world.events:
        found["trace"] = [event.as_dict() for event in world.events]
    return found


def as_text(result: Result, show: tuple[str, ...]) -> str:
    """The parts that are to be shown, each under its title."""
    return "\n".join(_lines(result, show))


def _lines(result: Result, show: tuple[str, ...]) -> Iterator[str]:
    world = result.world
    router = world.router
    yield f"--- the script ended {result.ended}, status {result.status}, after {router.clock.now():.3f} s"
    for line in world.refused:
        yield f"refused: {line}"
    for what in show:
        match what:
            case "sent":
                yield f"sent: {len(world.sent)}"
                for sent in world.sent:
                    yield f"{sent.time:9.4f}  {sent.interface:<9}{summary(sent.octets)}"
            case "delivered":
                yield f"delivered: {len(router.delivered)}"
                for octets in router.delivered:
                    yield f"           {summary(octets)}"
            case "ledger":
                yield f"ledger: {router.ledger}"
            case "rules":
                yield "rules:"
                yield from _rules(world).splitlines()
            case "messages":
                yield f"messages: {len(router.messages)}"
                yield from router.messages
            case _:
                yield "trace:"
                yield from map(str, world.events)
