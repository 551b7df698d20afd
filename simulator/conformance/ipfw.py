"""Rule sets with packets, and transcripts of commands, as ipfw(8) and the kernel's rule engine answered them.

:func:`replay_verdicts` plays a case with ``rules`` and ``packets``, :func:`replay_commands` one with ``steps``; both
return our answers in the very shape the file format has for them, and look at no recorded answer.  ``engine`` is how
the rule list is searched (:class:`rules.ipfw.RuleSet`).  A packet goes
through one pass; a fragment that matches ``divert`` is not put together, one that meets ``reass`` goes on alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Interface
from typing import Any

from rules.addresses import dotted
from rules.ipfw import Action, Host, RuleSet, Verdict
from simulator.conformance.profiles import profile_of
from simulator.interfaces import Interface
from simulator.links.memory import MemoryLink
from simulator.packet import Packet
from simulator.wire.checksum import checksum

__all__ = ["PUTS_TOGETHER", "Player", "replay_commands", "replay_verdicts", "verdict_word"]

_WORDS = {
    Action.ALLOW: "accept",
    Action.DENY: "deny",
    Action.DIVERT: "divert",
    Action.TEE: "tee",
    Action.FWD: "fwd",
    Action.UNREACH: "deny",
    Action.RESET: "deny",
    Action.REASS: "deny",
    Action.DEFRAG: "accept",
}
PUTS_TOGETHER = (Action.REASS, Action.DEFRAG)
_NAME_LIMIT = 7


def replay_verdicts(case: Mapping[str, Any], engine: str = "auto") -> dict[str, Any]:
    """``packets``, ``counters`` and ``list`` of a case with rules and packets."""
    player = Player(case, engine, default="deny" if case.get("default", "deny") == "deny" else "allow")
    for command in case["rules"]:
        player.rules.run(command.split())
    packets = [player.packet(given) for given in case["packets"]]
    return {
        "packets": packets,
        "counters": [list(counters) for counters in player.rules.counters],
        "list": player.rules.run(["-S", "list"]).splitlines(),
    }


def replay_commands(case: Mapping[str, Any], engine: str = "auto") -> dict[str, Any]:
    """``steps`` of a transcript: what each command printed and returned, and what became of each packet between."""
    player = Player(case, engine, default="deny")
    return {"steps": [player.step(step) for step in case["steps"]]}


class Player:
    """A rule set on the host that a case describes."""

    def __init__(self, case: Mapping[str, Any], engine: str = "auto", *, default: str) -> None:
        addresses = case.get("interfaces", {})
        self.addresses = {name: IPv4Interface(address).ip for name, address in addresses.items()}
        self.interfaces: dict[str, Interface] = {}
        self.rules = RuleSet(
            profile_of(case["profile"]),
            Host(addresses, [(prefix, interface) for prefix, interface in case.get("routes", ())]),
            default=default,
            ipfw_dialect=case.get("dialect"),
            files=case.get("files"),
            engine=engine,
        )

    def interface(self, name: str | None) -> Interface | None:
        if name is None:
            return None
        return self.interfaces.setdefault(name, Interface(name, MemoryLink(), mtu=1500))

    def step(self, step: Mapping[str, Any]) -> dict[str, Any]:
        if "argv" in step:
            result = self.rules.execute(step["argv"])
            return {"stdout": result.stdout, "stderr": result.stderr, "exit": result.status}
        if "packet" in step:
            answer = self.packet(step["packet"])
            return {"packet": {"verdict": answer["verdict"], "decided_by": answer["decided_by"]}}
        self.rules.now += step["advance"]
        return {}

    def packet(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What becomes of a packet of the file formats, in their words."""
        packet, start_after = self.prepare(given)
        return self.answer(packet, self.search(packet, start_after))

    def prepare(self, given: Mapping[str, Any]) -> tuple[Packet, int]:
        """The packet, and the rule number after which its search starts; its time has come."""
        self.rules.now += given.get("advance", 0)
        packet = Packet(bytes.fromhex(given["octets"]))
        if given["hook"] == "in":
            packet.received_on = self.interface(given["interface"])
        else:
            packet.received_on = self.interface(given.get("received_on"))
            packet.leaving_by = self.interface(given["interface"])
        packet.reinjected = given.get("reinjected")
        packet.link_broadcast = "link" in given
        packet.tags = frozenset(given.get("tags", ()))
        return packet, given.get("start_after", 0) if packet.reinjected else 0

    def search(self, packet: Packet, start_after: int = 0) -> list[Verdict]:
        """One pass: a verdict for each search that it takes, as after a tee."""
        verdicts = [self.rules.evaluate(packet, start_after)]
        while (resume := verdicts[-1].resume) is not None:
            verdicts.append(self.rules.evaluate(packet, resume=resume))
        return verdicts

    def answer(self, packet: Packet, verdicts: list[Verdict]) -> dict[str, Any]:
        """The pass in the words of the file formats."""
        events = [verdict for verdict in verdicts if verdict.action not in PUTS_TOGETHER or verdict is verdicts[-1]]
        answer = _outcome(events)
        answer["counted"] = [number for verdict in verdicts for number in verdict.counted]
        answer["counted_at"] = [position for verdict in verdicts for position in verdict.counted_at]
        if events[0].action in (Action.DIVERT, Action.TEE):
            answer["reader"] = self.reader(packet, events[0])
        if events[-1].action is Action.DIVERT and packet.is_fragment:
            answer["reassembly"] = True
        if "reassembly" not in answer:
            self.change(packet, events[-1], answer)
        return answer

    def reader(self, packet: Packet, verdict: Verdict) -> list[Any]:
        """What a reader of the divert socket gets as the address (bsd.md R-2 to R-5)."""
        name = packet.receive_interface
        address = self.addresses.get(name or "") if packet.leaving_by is None else None
        return [str(address or "0.0.0.0"), verdict.rule, (name or "")[:_NAME_LIMIT]]

    @staticmethod
    def change(packet: Packet, last: Verdict, answer: dict[str, Any]) -> None:
        """What the pass has left on a packet that goes on."""
        if last.action in (Action.ALLOW, Action.FWD) and last.tags:
            answer["tags_after"] = sorted(last.tags)
        if last.action in (Action.ALLOW, Action.FWD, Action.DIVERT) and last.tos not in (None, packet.tos):
            octets = packet.octets
            changed = octets[:1] + bytes([last.tos or 0]) + octets[2:10] + b"\0\0" + octets[12:]
            fitting = checksum(changed[: packet.header_length])
            answer["changed"] = (changed[:10] + fitting.to_bytes(2, "big") + changed[12:]).hex()


def _outcome(verdicts: list[Verdict]) -> dict[str, Any]:
    """The first verdict, and nested in it those that follow a tee."""
    first, *others = verdicts
    answer = _event(first)
    answer["port"] = answer.get("port")
    answer["reply"] = None
    inner = answer
    for verdict in others:
        inner["tee_then"] = _event(verdict)
        inner = inner["tee_then"]
    last = verdicts[-1]
    if last.replies:
        answer["reply"] = "rst" if last.action is Action.RESET else f"icmp=3/{last.code}"
    return answer


def verdict_word(verdict: Verdict) -> str:
    """``accept``, ``deny``, ``divert``, ..."""
    return _WORDS.get(verdict.action, verdict.action.value)


def _event(verdict: Verdict) -> dict[str, Any]:
    event: dict[str, Any] = {"verdict": verdict_word(verdict), "decided_by": verdict.rule}
    if verdict.action in (Action.DIVERT, Action.TEE):
        event["port"] = verdict.port
    if verdict.next_hop is not None:
        address, port = verdict.next_hop
        event["next_hop"] = [dotted(address), port]
    return event
