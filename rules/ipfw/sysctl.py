"""``sysctl net.inet.ip.fw``: the variables behind the firewall, as sysctl(8) reads and writes them.

Sources: ipfw(8), SYSCTL VARIABLES; statements D-4, E-3, E-36, E-42 and H-7 of the behavioural notes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from rules.errors import CommandError
from rules.ipfw.rule import DEFAULT_RULE, Action
from rules.ipfw.words import leading_number

if TYPE_CHECKING:
    from rules.ipfw.ruleset import RuleSet

__all__ = ["PREFIX", "sysctl"]

PREFIX = "net.inet.ip.fw"

_MOST_BUCKETS = 65536


class _Variable(NamedTuple):
    """How one is read, and written if it can be."""

    read: Callable[[RuleSet], int]
    write: Callable[[RuleSet, int], object] | None = None
    is_tunable: bool = False


class _InvalidError(Exception):
    """The kernel does not take this value."""


def _flag(name: str) -> _Variable:
    return _Variable(
        lambda rules: int(rules.variables[name]), lambda rules, value: rules.set_variable(name, bool(value))
    )


def _lifetime(name: str) -> _Variable:
    return _Variable(
        lambda rules: int(getattr(rules.states.lifetimes, name)),
        lambda rules, value: setattr(rules.states.lifetimes, name, value),
    )


def _set_buckets(rules: RuleSet, value: int) -> None:
    if not 1 <= value <= _MOST_BUCKETS or value & value - 1:
        raise _InvalidError
    rules.states.lifetimes.buckets = value


_VARIABLES: dict[str, _Variable] = {
    "autoinc_step": _Variable(lambda rules: rules.chain.step, lambda rules, value: setattr(rules.chain, "step", value)),
    "curr_dyn_buckets": _Variable(lambda rules: rules.states.buckets),
    "debug": _flag("debug"),
    "default_rule": _Variable(lambda rules: DEFAULT_RULE),
    "default_to_accept": _Variable(
        lambda rules: int(rules.chain.default.rule.effect.action is Action.ALLOW), is_tunable=True
    ),
    "dyn_ack_lifetime": _lifetime("ack"),
    "dyn_buckets": _Variable(lambda rules: rules.states.lifetimes.buckets, _set_buckets),
    "dyn_count": _Variable(lambda rules: rules.states.counted),
    "dyn_fin_lifetime": _lifetime("fin"),
    "dyn_keep_states": _Variable(
        lambda rules: int(rules.states.lifetimes.keep_states),
        lambda rules, value: setattr(rules.states.lifetimes, "keep_states", bool(value)),
    ),
    "dyn_keepalive": _flag("dyn_keepalive"),
    "dyn_max": _lifetime("maximum"),
    "dyn_parent_count": _Variable(lambda rules: rules.states.parents),
    "dyn_parent_max": _lifetime("parent_maximum"),
    "dyn_rst_lifetime": _lifetime("rst"),
    "dyn_short_lifetime": _lifetime("short"),
    "dyn_syn_lifetime": _lifetime("syn"),
    "dyn_udp_lifetime": _lifetime("udp"),
    "enable": _flag("firewall"),
    "one_pass": _flag("one_pass"),
    "static_count": _Variable(len),
    "verbose": _flag("verbose"),
    "verbose_limit": _Variable(
        lambda rules: rules.verbose_limit, lambda rules, value: setattr(rules, "verbose_limit", value)
    ),
}


def sysctl(rules: RuleSet, command: str) -> str:
    """Read or write variables: ``"net.inet.ip.fw.one_pass"``, ``"net.inet.ip.fw.one_pass=0"``, several of them, or the
    whole branch ``"net.inet.ip.fw"``; ``-n`` leaves the names out.  What sysctl(8) prints.

    Raises CommandError, status 1, with the text of sysctl(8).
    """
    words = command.split()
    if words[:1] == ["sysctl"]:
        words = words[1:]
    values_only = words[:1] == ["-n"]
    words = words[values_only:]
    if not words:
        raise CommandError("usage: sysctl [-n] name[=value] ...\n", 1)
    printed: list[str] = []
    for word in words:
        name, assigns, text = word.partition("=")
        lines = [_write(rules, name, text)] if assigns else _read(rules, name)
        printed += [line.partition(": ")[2] if values_only else line for line in lines]
    return "".join(f"{line}\n" for line in printed)


def _known(rules: RuleSet) -> dict[str, _Variable]:
    missing = rules.switches.missing_variables
    return {f"{PREFIX}.{name}": variable for name, variable in _VARIABLES.items() if name not in missing}


def _read(rules: RuleSet, name: str) -> list[str]:
    known = _known(rules)
    found = {name: known[name]} if name in known else known if name == PREFIX else {}
    if not found:
        raise _refusal(f"unknown oid '{name}'")
    return [f"{each}: {variable.read(rules)}" for each, variable in found.items()]


def _write(rules: RuleSet, name: str, text: str) -> str:
    variable = _known(rules).get(name)
    if variable is None:
        raise _refusal(f"unknown oid '{name}'")
    if variable.write is None:
        more = "\nsysctl: Tunable values are set in /boot/loader.conf" if variable.is_tunable else ""
        raise _refusal(f"oid '{name}' is {'a read only tunable' if variable.is_tunable else 'read only'}{more}")
    value, rest = leading_number(text, 0)
    if rest or not text[:1].isdigit():
        raise _refusal(f"invalid integer '{text}'")
    before = variable.read(rules)
    try:
        variable.write(rules, value)
    except _InvalidError:
        raise _refusal(f"{name}={text}: Invalid argument") from None
    return f"{name}: {before} -> {variable.read(rules)}"


def _refusal(text: str) -> CommandError:
    return CommandError(f"sysctl: {text}\n", 1)
