"""natd(8)'s options: words, or lines of a configuration file, read into a value.

natd's own names and messages.  ``-redirect_port tcp 192.168.1.2:80 8080`` on the command line is ``redirect_port tcp
192.168.1.2:80 8080`` in a file.  Options that mean something else than to translate packets are refused, each with a
line that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from rules.aliasing import Mode, Redirect
from rules.ipfw.names import service_port
from rules.ipfw.nat.redirects import (
    NATD,
    RedirectError,
    address,
    address_redirect,
    port_redirect,
    protocol_redirect,
)
from rules.ipfw.words import leading_number

__all__ = ["DIVERT_PORT", "OptionError", "Options", "described", "read_options", "usage"]

DIVERT_PORT = 8668
"""The service natd/divert."""


class OptionError(ValueError):
    """What is wrong with an option, in one line, the program's name not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What natd was told.  Ports are kept where they are free, and links end when the address changes, unless told
    otherwise: unlike ipfw's ``nat``."""

    interface: str | None = None
    alias_address: int | None = None
    target_address: int = 0
    port: int | None = None
    in_port: int | None = None
    out_port: int | None = None
    mode: Mode = Mode(same_ports=True, reset=True)  # noqa: RUF009 - a frozen value
    redirects: tuple[Redirect, ...] = ()
    dynamic: bool = False
    """The interface may get another address while natd runs."""
    verbose: bool = False
    log_denied: bool = False
    log_ipfw_denied: bool | None = None
    """None: as ``verbose``."""
    notes: tuple[str, ...] = ()
    """Lines about options that have nothing to do here."""

    def checked(self) -> Options:
        """Itself.  Raises OptionError for options that do not go together."""
        if self.alias_address is None and self.interface is None:
            raise OptionError("aliasing address not given")
        if self.alias_address is not None and self.interface is not None:
            raise OptionError("both alias address and interface name are not allowed")
        if (self.in_port is None) != (self.out_port is None):
            raise OptionError("both input and output ports are required")
        return self

    @property
    def tells_denied_writes(self) -> bool:
        return self.verbose if self.log_ipfw_denied is None else self.log_ipfw_denied


class _Option(NamedTuple):
    name: str
    short: str | None
    parameter: str
    description: str
    read: Callable[[Options, str, str | None], Options]
    """(options so far, the option as it was written, its parameter)."""


# What parameters there are


def _yes_no(change: Callable[[Options, bool], Options]) -> Callable[[Options, str, str | None], Options]:
    def read(options: Options, written: str, parameter: str | None) -> Options:
        if parameter not in (None, "yes", "no"):
            raise OptionError(f"{written} needs yes/no parameter")
        return change(options, parameter != "no")

    return read


def _mode(word: str) -> Callable[[Options, str, str | None], Options]:
    return _yes_no(lambda options, on: replace(options, mode=replace(options.mode, **{word: on})))


def _port(change: Callable[[Options, int], Options]) -> Callable[[Options, str, str | None], Options]:
    def read(options: Options, written: str, parameter: str | None) -> Options:
        if parameter is None:
            raise OptionError(f"{written} needs service name or port number parameter")
        number, rest = leading_number(parameter)
        port = service_port(parameter, "divert") if rest == parameter else number & 0xFFFF
        if port is None:
            raise OptionError(f"unknown service {parameter}/divert")
        if not port:
            raise OptionError(f"{written}: a divert port is between 1 and 65535, not {parameter}")
        return change(options, port)

    return read


def _address(change: Callable[[Options, int], Options]) -> Callable[[Options, str, str | None], Options]:
    def read(options: Options, written: str, parameter: str | None) -> Options:
        if parameter is None:
            raise OptionError(f"{written} needs address/host parameter")
        return change(options, address(parameter))

    return read


_verbose = _yes_no(lambda options, on: replace(options, verbose=on))
_dynamic = _yes_no(lambda options, on: replace(options, dynamic=on))
_log_denied = _yes_no(lambda options, on: replace(options, log_denied=on))
_log_ipfw_denied = _yes_no(lambda options, on: replace(options, log_ipfw_denied=on))
_in_port = _port(lambda options, port: replace(options, in_port=port))
_out_port = _port(lambda options, port: replace(options, out_port=port))
_both_ports = _port(lambda options, port: replace(options, port=port))
_alias_address = _address(lambda options, host: replace(options, alias_address=host))
_target_address = _address(lambda options, host: replace(options, target_address=host))


def _text(written: str, parameter: str | None) -> str:
    if parameter is None:
        raise OptionError(f"{written} needs parameter")
    return parameter


def _interface(options: Options, written: str, parameter: str | None) -> Options:
    return replace(options, interface=_text(written, parameter))


def _redirect(
    make: Callable[..., Redirect], needed: Sequence[str], optional: int
) -> Callable[[Options, str, str | None], Options]:
    """``needed`` are the words that must follow, by what they are called when they are missing."""

    def read(options: Options, written: str, parameter: str | None) -> Options:
        words: list[str | None] = [*_text(written, parameter).split()]
        if len(words) < len(needed):
            raise OptionError(f"{written}: missing {needed[len(words)]}")
        most = len(needed) + optional
        if len(words) > most:
            raise OptionError(f"{written}: what is {words[most]!r}? At most {most} words follow")
        words += [None] * (most - len(words))
        return replace(options, redirects=(*options.redirects, make(*words)))

    return read


def _refused(why: str) -> Callable[[Options, str, str | None], Options]:
    def read(options: Options, written: str, parameter: str | None) -> Options:
        raise OptionError(f"{written}: {why}")

    return read


def _use_sockets(options: Options, on: bool) -> Options:
    note = "use_sockets: only FTP and IRC would need sockets, and those are translated as any other protocol here"
    return replace(options, notes=(*options.notes, note)) if on else options


_FOREGROUND = "natd runs in the foreground here"
_ONE = "a program is one translation here"
_PAYLOAD = "protocols that carry addresses in their data are not modelled here"
_YES_NO, _SERVICE, _ADDRESS = "[yes|no]", "number|service_name", "x.x.x.x"

_OPTIONS = (
    _Option("unregistered_only", "u", _YES_NO, "alias only the private addresses of RFC 1918", _mode("unreg_only")),
    _Option("unregistered_cgn", None, _YES_NO, "alias those and 100.64.0.0/10", _mode("unreg_cgn")),
    _Option("log", "l", _YES_NO, "tell the number of links whenever it changes", _mode("log")),
    _Option("proxy_only", None, _YES_NO, "translate only what proxy rules name: nothing", _mode("proxy_only")),
    _Option("reverse", None, _YES_NO, "exchange incoming and outgoing", _mode("reverse")),
    _Option("deny_incoming", "d", _YES_NO, "drop incoming packets that belong to no link", _mode("deny_in")),
    _Option("use_sockets", "s", _YES_NO, "nothing to do here: for FTP and IRC", _yes_no(_use_sockets)),
    _Option("same_ports", "m", _YES_NO, "keep port numbers where they are free (the default)", _mode("same_ports")),
    _Option("verbose", "v", _YES_NO, "show every packet before and after", _verbose),
    _Option("dynamic", None, _YES_NO, "follow the address of the interface", _dynamic),
    _Option("in_port", "i", _SERVICE, "divert port for incoming packets", _in_port),
    _Option("out_port", "o", _SERVICE, "divert port for outgoing packets", _out_port),
    _Option("port", "p", _SERVICE, "divert port for both (natd, 8668, by default)", _both_ports),
    _Option("alias_address", "a", _ADDRESS, "aliasing address", _alias_address),
    _Option("target_address", "t", _ADDRESS, "who gets incoming packets without a link", _target_address),
    _Option("interface", "n", "network_if_name", "take the aliasing address of this interface", _interface),
    _Option(
        "redirect_port",
        None,
        "tcp|udp local_addr:local_port_range[,...] [public_addr:]public_port_range [remote_addr[:remote_port_range]]",
        "lead incoming connections to a port elsewhere",
        _redirect(partial(port_redirect, dialect=NATD), ("protocol", "local address", "public port"), optional=1),
    ),
    _Option(
        "redirect_proto",
        None,
        "proto local_addr [public_addr] [remote_addr]",
        "lead packets of a protocol elsewhere",
        _redirect(protocol_redirect, ("protocol", "local address"), optional=2),
    ),
    _Option(
        "redirect_address",
        None,
        "local_addr[,...] public_addr",
        "let a public address stand for a local one",
        _redirect(address_redirect, ("local address", "public address"), optional=0),
    ),
    _Option("log_denied", None, _YES_NO, "tell which incoming packets were dropped", _log_denied),
    _Option(
        "log_ipfw_denied",
        None,
        _YES_NO,
        "tell when the firewall denies what is written back (as verbose)",
        _log_ipfw_denied,
    ),
)
_REFUSED = {
    "proxy_rule": "proxy rules are not modelled here",
    "punch_fw": _PAYLOAD,
    "skinny_port": _PAYLOAD,
    "log_facility": "there is no syslog here: log lines go to standard error",
    "pid_file": _FOREGROUND,
    "P": _FOREGROUND,
    "exit_delay": "natd ends at once here",
    "instance": _ONE,
    "globalport": _ONE,
}
_CONFIG = ("config", "f")
_BY_NAME = {
    **{option.name: option.read for option in _OPTIONS},
    **{option.short: option.read for option in _OPTIONS if option.short is not None},
    **{name: _refused(why) for name, why in _REFUSED.items()},
}


def read_options(words: Sequence[str], read_file: Callable[[str], str]) -> Options:
    """Options as on natd's command line.  ``read_file`` gives the text of a configuration file.

    Raises OptionError with what natd says; one about a line of a file names it.
    """
    options = Options()
    for written, parameter in _pairs(words):
        options = _read(options, written, parameter, read_file)
    return options.checked()


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Each option without its dash, and what follows up to the next one."""
    at = 0
    while at < len(words):
        word = words[at]
        if not word.startswith("-") or word == "-":
            raise OptionError(f"invalid option {word}")
        end = at + 1
        while end < len(words) and not words[end].startswith("-"):
            end += 1
        yield word[1:], " ".join(words[at + 1 : end]) or None
        at = end


def _read(
    options: Options,
    written: str,
    parameter: str | None,
    read_file: Callable[[str], str],
    inside: tuple[str, ...] = (),
) -> Options:
    """One more option.  ``inside``: the files that are being read."""
    if written in _CONFIG:
        return _read_file(options, _text(written, parameter), read_file, inside)
    read = _BY_NAME.get(written)
    if read is None:
        raise OptionError(f"unknown option {written}")
    try:
        return read(options, written, parameter)
    except RedirectError as error:
        raise OptionError(error.text) from None


def _read_file(options: Options, name: str, read_file: Callable[[str], str], inside: tuple[str, ...]) -> Options:
    """One option a line; ``#`` begins a comment."""
    if name in inside:
        raise OptionError("a file cannot be part of itself")
    try:
        text = read_file(name)
    except OSError as error:
        raise OptionError(f"cannot open config file {name}: {error.strerror}") from None
    if text and not text.endswith("\n"):
        raise OptionError("config file format error: last line should end with newline")
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split(maxsplit=1)
        if not words:
            continue
        parameter = words[1].strip() if len(words) > 1 else None
        try:
            options = _read(options, words[0], parameter, read_file, (*inside, name))
        except OptionError as error:
            raise OptionError(f"{error} ({name}, line {number})") from None
    return options


def described() -> Iterator[tuple[list[str], str, str]]:
    """Every option: its names with their dash, its parameter, what it does."""
    for option in _OPTIONS:
        yield (
            [f"-{name}" for name in (option.name, option.short) if name is not None],
            option.parameter,
            option.description,
        )
    yield [f"-{name}" for name in _CONFIG], "file_name", "read options from a file"


def usage() -> str:
    """The options, as natd lists them when one is wrong."""
    lines = ["Recognized options:", ""]
    for names, parameter, description in described():
        lines += [*(f"{name:<21} {parameter}" for name in names), f"      {description}", ""]
    return "\n".join(lines)
