"""What the words after an option mean, each by itself.

Source: linux.md U9-U18; the messages are the tool's.  Every function returns a value or raises
:class:`~rules.errors.CommandError` with status 2.
"""

from __future__ import annotations

from rules.addresses import ALL_ONES, mask_of
from rules.fields import ICMP, TCP, UDP
from rules.ipchains.icmp import ICMP_NAMES, IcmpName
from rules.ipchains.names import Names
from rules.ipchains.numbers import dotted_quad, number_between, signed, unsigned
from rules.ipchains.rule import ALL_PORTS, Action, Flag
from rules.ipchains.words import problem

__all__ = [
    "BUILT_IN_PROTOCOLS",
    "NAME_LENGTH",
    "divert_port",
    "hexadecimal_octet",
    "host_network_mask",
    "icmp_types",
    "interface",
    "mark",
    "output_size",
    "policy",
    "port",
    "ports",
    "protocol",
    "rule_number",
    "target",
    "timeout",
]

NAME_LENGTH = 8
"""Characters of a chain's or target's name (linux.md F2)."""

_INT_MAX = 0x7FFFFFFF
_INTERFACE_SIZE = 16
_BLANKS = set(" \t\n\v\f\r")

BUILT_IN_PROTOCOLS = {"all": 0, "tcp": TCP, "udp": UDP, "icmp": ICMP}
"""Known without a table, in any case of letters (linux.md U11)."""


def host_network_mask(word: str, names: Names) -> tuple[tuple[int, ...], int]:
    """``address[/mask]`` -> different masked addresses, and the mask (linux.md U9)."""
    name, slash, mask_word = word.rpartition("/")
    if slash:
        wanted = _mask(mask_word)
    else:
        name, wanted = word, ALL_ONES
    if not wanted:
        # The name is not even looked at: any/0.
        name = "0.0.0.0"
    addresses = names.host_or_network(name)
    if not addresses:
        raise problem(f"host/network `{name}' not found")
    return tuple(dict.fromkeys(address & wanted for address in addresses)), wanted


def _mask(word: str) -> int:
    dotted = dotted_quad(word)
    if dotted is not None:
        return dotted
    length = number_between(word, 0, 32)
    if length is None:
        raise problem(f"invalid mask `{word}' specified")
    return mask_of(length)


def protocol(word: str, names: Names) -> int:
    number = number_between(word, 0, 0xFFFF)
    if number is None:
        number = names.protocol_numbers.get(word)
    if number is None:
        number = BUILT_IN_PROTOCOLS.get(word.lower())
    if number is None:
        raise problem(f"unknown protocol `{word}' specified")
    return number


def port(word: str, of: int, names: Names) -> int:
    """One port of a protocol, or one ICMP type or code."""
    if of not in (ICMP, TCP, UDP):
        raise problem("can only specify ports for icmp, tcp or udp")
    number = number_between(word, 0, 0xFFFF)
    if number is not None:
        return number
    if of == ICMP:
        raise problem(f"invalid ICMP type `{word}' specified")
    number = names.port(word, of)
    if number is None:
        raise problem(f"invalid port/service `{word}' specified")
    return number


def ports(word: str | None, of: int, names: Names) -> tuple[int, int]:
    """``port[:port]``, either left out; no word is every port."""
    if word is None:
        return ALL_PORTS
    low, colon, high = word.partition(":")
    if not colon:
        only = port(low, of, names)
        return only, only
    lowest, highest = ALL_PORTS
    return port(low, of, names) if low else lowest, port(high, of, names) if high else highest


def icmp_types(word: str | None) -> IcmpName | None:
    """The name that begins so, in any case of letters; None if the word is no name (linux.md U13)."""
    if word is None:
        return None
    found = [entry for entry in ICMP_NAMES if entry.name.lower().startswith(word.lower())]
    if len(found) > 1:
        raise problem(f"Ambiguous ICMP `{word}' : `{found[0].name}' or `{found[1].name}'?")
    return found[0] if found else None


def mark(word: str) -> tuple[int, Flag]:
    """The value, and the flag that says it is to be set and not added (linux.md U18, U19d)."""
    sign = word[:1] if word[:1] in ("-", "+") else ""
    value = unsigned(word[len(sign) :], 0)
    if value is None:
        raise problem(f"Bad value `{word}' for -m.\n")
    if sign == "-":
        value = -value & ALL_ONES
    return value, Flag(0) if sign else Flag.MARK_ABSOLUTE


def output_size(word: str | None) -> int:
    if word is None:
        return 0xFFFF
    size = number_between(word, 0, 0xFFFF)
    if size is None:
        raise problem(f"-o argument must be 0-65535, not `{word}'")
    return size


def interface(word: str) -> tuple[str, Flag]:
    """The name without its ``+``, and the flag that says it had one or was empty."""
    if len(word) > _INTERFACE_SIZE:
        raise problem(f"interface name `{word}' must be shorter than IFNAMSIZ ({_INTERFACE_SIZE})")
    if not word or word.endswith("+"):
        return word[:-1], Flag.WILDCARD
    return word, Flag(0)


def hexadecimal_octet(word: str) -> int:
    number = signed(word, 16)
    if number is None or not 0 <= number <= 0xFF:
        raise problem(f"invalid hexbyte `{word}' specified")
    return number


def target(word: str) -> str:
    if not word:
        raise problem("Invalid target name (too short)")
    if len(word) > NAME_LENGTH:
        raise problem(f"Invalid target name `{word}' ({NAME_LENGTH} chars max)")
    if _BLANKS & set(word):
        raise problem(f"Invalid target name `{word}'")
    return word


def divert_port(word: str | None) -> int:
    """The port of ``-j DIVERT PORT``.  The messages are ours: the patched tool's are not known (linux.md U15)."""
    if word is None:
        raise problem("DIVERT requires a port number")
    number = number_between(word, 1, 0xFFFF)
    if number is None:
        raise problem(f"invalid divert port `{word}' specified")
    return number


def policy(chain: str, word: str, built_in: tuple[str, ...]) -> Action:
    """linux.md U16."""
    if word == "MASQ":
        if chain != "forward":
            raise problem("`-P MASQ' only valid for `forward' chain.")
        return Action.MASQ
    if chain not in built_in:
        raise problem("Can only set policy in built-in chains.")
    if word not in ("ACCEPT", "DENY", "REJECT"):
        raise problem(f"Invalid policy `{word}' for -P")
    return Action[word]


def rule_number(word: str) -> int:
    number = number_between(word, 1, _INT_MAX)
    if number is None:
        raise problem(f"Invalid rule number `{word}'")
    return number


def timeout(word: str) -> int:
    """Seconds."""
    seconds = number_between(word, 0, _INT_MAX)
    if seconds is None:
        raise problem(f"invalid timeout value `{word}' specified")
    return seconds
