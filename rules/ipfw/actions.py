"""The actions of a rule and their parameters: word -> how its arguments are read.

Sources: ipfw(8), RULE ACTIONS; section 9.3, B-10, M-1 and M-2a of the behavioural notes.
"""

from __future__ import annotations

from collections.abc import Callable

from rules.ipfw.addressing import address_of_host
from rules.ipfw.headeroptions import dscp_point
from rules.ipfw.names import UNREACH_CODES, service_port
from rules.ipfw.nat.instances import GLOBAL
from rules.ipfw.portlists import port
from rules.ipfw.questions import TABLEARG
from rules.ipfw.rule import DEFAULT_STATE, Action, Effect
from rules.ipfw.switches import Switches
from rules.ipfw.words import DATA_ERROR, UNAVAILABLE, RefusalError, Words, leading_number, state_name

__all__ = ["ACTIONS", "read_action"]

Reader = Callable[[Words, str, Switches, int], Effect]


def _plain(action: Action, argument: int = 0) -> Reader:
    return lambda words, word, switches, fibs: Effect(action, argument)


def _number(action: Action) -> Reader:
    """``skipto``, ``call``, ``nat``, ``pipe`` and ``queue N``: 1 to 65534, kept in sixteen bits, or ``tablearg``."""

    def read(words: Words, word: str, switches: Switches, fibs: int) -> Effect:
        if switches.tool == "2003":
            words.need("missing skipto/pipe/queue number")
            return Effect(action, leading_number(words.take())[0] & 0xFFFF)
        argument = _argument(words, word)
        if words.accept("tablearg"):
            return Effect(action, TABLEARG)
        if not argument[:1].isdigit():
            raise _illegal(argument, 0xFFFFFFFF, word, switches)
        return Effect(action, _sixteen_bits(words, word, switches))

    return read


def _argument(words: Words, word: str) -> str:
    return words.need(f"missing argument for {word}")


def _sixteen_bits(words: Words, word: str, switches: Switches) -> int:
    text = words.take()
    number = leading_number(text)[0] & (0xFFFFFFFF if switches.strict_arguments else 0xFFFF)
    if not 0 < number < 65535:
        raise _illegal(text, number, word, switches)
    return number


def _illegal(text: str, number: int, word: str, switches: Switches) -> RefusalError:
    given = f" {text}({number})" if switches.strict_arguments else ""
    return RefusalError(f"illegal argument{given} for {word}", DATA_ERROR)


def _divert_port(action: Action) -> Reader:
    """``divert PORT`` and ``tee PORT``: a number, ``tablearg``, or a service of protocol ``divert`` (B-10)."""

    def read(words: Words, word: str, switches: Switches, fibs: int) -> Effect:
        if switches.c_notation_ports:
            words.need("missing divert/tee port")
            text = words.take()
            number = leading_number(text, 0)[0] & 0xFFFF or service_port(text, "divert")
            if not number:
                raise RefusalError("illegal divert/tee port", DATA_ERROR)
            return Effect(action, number)
        text = _argument(words, word)
        if text[:1].isdigit():
            return Effect(action, _sixteen_bits(words, word, switches))
        if words.accept("tablearg"):
            return Effect(action, TABLEARG)
        service = service_port(words.take(), "divert")
        if service is None:
            raise RefusalError("illegal divert/tee port", DATA_ERROR)
        return Effect(action, service)

    return read


def _unreach(words: Words, word: str, switches: Switches, fibs: int) -> Effect:
    words.need("missing reject code")
    text = words.take()
    number, rest = leading_number(text, 0)
    if rest or not 0 <= number < 256:
        if text not in UNREACH_CODES:
            raise RefusalError(f"unknown ICMP unreachable code ``{text}''", DATA_ERROR)
        number = UNREACH_CODES[text]
    takes_mtu = number == UNREACH_CODES["needfrag"] and "unreach needfrag" not in switches.missing_words
    if takes_mtu and (words.peek() or "")[:1].isdigit():
        raise RefusalError("unreach needfrag with an MTU is not modelled here", UNAVAILABLE)
    return Effect(Action.UNREACH, number)


def _nat(words: Words, word: str, switches: Switches, fibs: int) -> Effect:
    """``nat N``, ``nat tablearg`` or ``nat global``."""
    if words.accept("global"):
        return Effect(Action.NAT, GLOBAL)
    return _number(Action.NAT)(words, word, switches, fibs)


def _forward(words: Words, word: str, switches: Switches, fibs: int) -> Effect:
    """``fwd ADDRESS[,PORT]``; the port may also follow a colon."""
    words.need("missing forward address[:port]")
    host = words.take()
    if switches.tool == "2003":
        return _forward_of_2003(host)
    separator = "," if "," in host else ":"
    host, has_port, port_text = host.partition(separator)
    number = 0
    if has_port:
        found = port(port_text, 0)
        if found is None:
            raise RefusalError(f"illegal forwarding port ``{port_text}''", DATA_ERROR)
        number = found[0] & 0xFFFF
    keyword = Words([host] if host else [])
    if keyword.accept("tablearg"):
        for warning in keyword.warnings:
            words.warn(warning)
        return Effect(Action.FWD, number, TABLEARG)
    address = address_of_host(host)
    if address is None:
        raise RefusalError("", DATA_ERROR)
    return Effect(Action.FWD, number, address or TABLEARG)


def _forward_of_2003(word: str) -> Effect:
    """The port behind a colon or a comma; a host that is unknown is 0.0.0.0."""
    host, has_port, port_text = word.partition(":" if ":" in word else ",")
    found = port(port_text, 0) if port_text else None
    if has_port and found is None:
        raise RefusalError(f"illegal forwarding port ``{port_text}''", DATA_ERROR)
    return Effect(Action.FWD, found[0] & 0xFFFF if found else 0, address_of_host(host) or 0)


def _setdscp(words: Words, word: str, switches: Switches, fibs: int) -> Effect:
    words.need("missing DSCP code")
    if words.accept("tablearg"):
        return Effect(Action.SETDSCP, TABLEARG)
    text = words.take()
    number = dscp_point(text) if text[:1].isalpha() else leading_number(text)[0] & 0xFFFF
    if number == 0 and switches.dscp_zero_is_tablearg:
        return Effect(Action.SETDSCP, TABLEARG)
    return Effect(Action.SETDSCP, number & 63)


def _setfib(words: Words, word: str, switches: Switches, fibs: int) -> Effect:
    words.need("missing fib number")
    if words.accept("tablearg"):
        return Effect(Action.SETFIB, TABLEARG)
    number = leading_number(words.take())[0] & 0xFFFF
    if number >= fibs:
        raise RefusalError("fib too large.\n", DATA_ERROR)
    return Effect(Action.SETFIB, number)


def _check_state(words: Words, word: str, switches: Switches, fibs: int) -> Effect:
    """``check-state``; where state has names, ``check-state [:NAME | :any]``."""
    following = words.peek()
    if not switches.state_names or following in (None, "//"):
        return Effect(Action.CHECK_STATE, state=DEFAULT_STATE)
    name = state_name(words.take())
    return Effect(Action.CHECK_STATE, state=None if name == "any" else name)


def _setmark(words: Words, word: str, switches: Switches, fibs: int) -> Effect:
    words.need("missing mark")
    if words.peek() == "tablearg":
        words.take()
        return Effect(Action.SETMARK, TABLEARG)
    return Effect(Action.SETMARK, leading_number(words.take(), 0)[0] & 0xFFFFFFFF)


def _unmodelled(words: Words, word: str, switches: Switches, fibs: int) -> Effect:
    raise RefusalError(f"{word} is not modelled here", UNAVAILABLE)


ACTIONS: dict[str, Reader] = {
    "accept": _plain(Action.ALLOW),
    "pass": _plain(Action.ALLOW),
    "allow": _plain(Action.ALLOW),
    "permit": _plain(Action.ALLOW),
    "deny": _plain(Action.DENY),
    "drop": _plain(Action.DENY),
    "count": _plain(Action.COUNT),
    "//": _plain(Action.COUNT),
    "reject": _plain(Action.UNREACH, UNREACH_CODES["host"]),
    "reset": _plain(Action.RESET),
    "unreach": _unreach,
    "skipto": _number(Action.SKIPTO),
    "call": _number(Action.CALL),
    "return": _plain(Action.RETURN),
    "divert": _divert_port(Action.DIVERT),
    "tee": _divert_port(Action.TEE),
    "fwd": _forward,
    "forward": _forward,
    "check-state": _check_state,
    "reass": _plain(Action.REASS),
    "setfib": _setfib,
    "setdscp": _setdscp,
    "reset6": _unmodelled,
    "unreach6": _unmodelled,
    "nat": _nat,
    "pipe": _number(Action.PIPE),
    "queue": _number(Action.QUEUE),
    "netgraph": _unmodelled,
    "ngtee": _unmodelled,
    "defrag": _plain(Action.DEFRAG),
    "abort": _unmodelled,
    "abort6": _unmodelled,
    "setmark": _setmark,
    "tcp-setmss": _unmodelled,
    "eaction": _unmodelled,
}


def read_action(words: Words, switches: Switches, fibs: int) -> Effect:
    """The action that the next words name, taken; ``//`` is ``count`` and stays, as the comment it begins (10.3)."""
    word = words.need("missing action")
    if word not in ACTIONS or word in switches.missing_words:
        raise RefusalError(f"invalid action {word}\n", DATA_ERROR)
    if word != "//":
        words.take()
    return ACTIONS[word](words, word, switches, fibs)
