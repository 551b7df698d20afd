"""Rule sets with packets, and transcripts of commands, as the 2.2.12 engine and ipchains 1.3.9 answered them.

:func:`replay_verdicts` plays a case with ``rules`` and ``packets``, :func:`replay_commands` one with ``steps``; both
return our answers in the very shape the file format has for them, and look at no recorded answer.  ``engine`` is how
chains are searched (:class:`rules.ipchains.Tables`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rules.ipchains import PROFILES, Action, Switches, Tables, Verdict
from rules.ipchains.usage import USAGE
from simulator.conformance.profiles import profile_of
from simulator.packet import MINIMUM_HEADER, Packet
from simulator.sockets.netlink import copy_message
from simulator.wire.checksum import checksum

__all__ = ["answer", "ask", "replay_commands", "replay_verdicts"]


def replay_verdicts(case: Mapping[str, Any], engine: str = "auto") -> dict[str, Any]:
    """``packets`` and ``counters``: what becomes of each packet, and what the chains have counted at the end."""
    tables = Tables(_stock(case["profile"]), engine=engine)
    for rule in case["rules"]:
        tables.run(rule)
    packets = [answer(tables, packet) for packet in case["packets"]]
    counters = {
        name: {
            "policy": None if chain.policy is None else [chain.packets, chain.octets],
            "rules": [[entry.packets, entry.octets] for entry in chain.entries],
        }
        for name, chain in tables.chains.items()
    }
    return {"packets": packets, "counters": counters}


def replay_commands(case: Mapping[str, Any], engine: str = "auto") -> dict[str, Any]:
    """``steps``: what each command printed and returned, and what became of each packet between commands.

    The standard output of plain ``-h`` is left out as it is in the files.
    """
    environment = case.get("environment", {})
    tables = Tables(
        _stock(case["profile"]),
        ip_forward=bool(environment.get("ip_forward", 1)),
        terminal=bool(environment.get("stdin_is_terminal", False)),
        engine=engine,
    )
    return {"steps": [_step(tables, step) for step in case["steps"]]}


def _stock(profile: str) -> Switches:
    """The kernel and the tool of the recordings, which had no divert patch."""
    return replace(PROFILES[profile_of(profile)], divert=False)


def _step(tables: Tables, step: Mapping[str, Any]) -> dict[str, Any]:
    if "packet" in step:
        return answer(tables, step["packet"])
    result = tables.execute(step["argv"])
    printed: dict[str, Any] = {"stdout": result.stdout, "stderr": result.stderr, "exit": result.status}
    if result.stdout.endswith(USAGE):
        printed |= {"stdout": None, "stdout_omitted": "usage text"}
    return printed


def answer(tables: Tables, given: Mapping[str, Any]) -> dict[str, Any]:
    """What becomes of a packet of the file formats, in their words."""
    return ask(tables, given)[0]


def ask(tables: Tables, given: Mapping[str, Any]) -> tuple[dict[str, Any], Packet, Verdict | None]:
    """The same, with the packet and the engine's verdict; None where the chain is not consulted."""
    octets = bytes.fromhex(given["octets"])
    packet = Packet(octets)
    packet.mark = given.get("mark", 0)
    header = _header(octets)
    if given["chain"] == "output" and header in ("short", "bad-ihl"):
        # The output hook does not consult the chain (linux.md F29).
        bypassed: dict[str, Any] = {
            "verdict": "ACCEPT",
            "decided_by": "bypass-short-header",
            "matched": [],
            "tos": octets[1] if len(octets) > 1 else None,
            "checksum": int.from_bytes(octets[10:12], "big") if len(octets) > 11 else None,
            "mark_after": packet.mark,
            "redirect_port": None,
            "log": [],
            "netlink": [],
            "header": header,
        }
        return bypassed, packet, None
    diverted = given.get("reinjected") is not None
    verdict = tables.traverse(given["chain"], packet, given["interface"], diverted=diverted)
    details = {
        "verdict": verdict.action.name,
        "decided_by": verdict.rule,
        "matched": list(verdict.matched),
        "tos": verdict.tos,
        "checksum": _checksum_after(packet, verdict),
        "mark_after": verdict.mark,
        "redirect_port": verdict.port if verdict.action is Action.REDIRECT else None,
        "log": list(verdict.log),
        "netlink": [copy_message(copy, packet.octets, packet.total_length).hex() for copy in verdict.copies],
        "header": header,
    }
    return details, packet, verdict


def _header(octets: bytes) -> str:
    """What the receive path would have found wrong with the header (linux.md H1)."""
    if len(octets) < MINIMUM_HEADER:
        return "short"
    length = (octets[0] & 15) << 2
    if length < MINIMUM_HEADER:
        return "bad-ihl"
    if octets[0] >> 4 != 4:
        return "bad-version"
    if checksum(octets[:length]):
        return "bad-checksum"
    if int.from_bytes(octets[2:4], "big") > len(octets):
        return "bad-length"
    return "ok"


def _checksum_after(packet: Packet, verdict: Verdict) -> int:
    """Computed anew if the TOS changed and the packet goes on (linux.md F33, F47)."""
    if verdict.tos == packet.tos or verdict.action in (Action.DENY, Action.REJECT):
        return packet.checksum
    octets = packet.octets[: packet.header_length]
    return checksum(octets[:1] + bytes((verdict.tos,)) + octets[2:10] + b"\0\0" + octets[12:])
