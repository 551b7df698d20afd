"""The words of a command line, taken one after the other: what each option says, before anything is compared.

Source: ipchains(8); linux.md U4-U8, U15, U19g.  Whether it all fits together is the business of
:mod:`rules.ipchains.parser`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rules.ipchains import arguments
from rules.ipchains.chains import BUILT_IN
from rules.ipchains.icmp import help_text
from rules.ipchains.names import Names
from rules.ipchains.options import COMPANIONS, LONG, SHORT, Command, Option
from rules.ipchains.rule import Action, Flag, Inverse
from rules.ipchains.usage import USAGE, VERSION
from rules.ipchains.words import Scanner, problem, usage_error

__all__ = ["CommandLine"]

_CHAIN_COMMANDS = {"A": Command.APPEND, "C": Command.CHECK, "N": Command.NEW_CHAIN}
_LISTING_COMMANDS = {"L": Command.LIST, "F": Command.FLUSH, "Z": Command.ZERO, "X": Command.DELETE_CHAIN}
"""Their chain may be left out."""
_SWITCHES = {
    "f": (Option.FRAGMENT, Flag.FRAGMENT),
    "y": (Option.SYN, Flag.SYN),
    "l": (Option.LOG, Flag.LOG),
    "b": (Option.BIDIRECTIONAL, Flag(0)),
    "v": (Option.VERBOSE, Flag(0)),
    "n": (Option.NUMERIC, Flag(0)),
    "x": (Option.EXACT, Flag(0)),
}


class CommandLine:
    """What has been said so far; attributes hold words as they stood where their meaning depends on others."""

    def __init__(self, words: Sequence[str], names: Names, divert: bool) -> None:
        self.scanner = Scanner(words, SHORT, LONG)
        self.names = names
        self.targets_with_port = ("REDIRECT", "DIVERT") if divert else ("REDIRECT",)
        self.answer = ""
        self.inverted = False
        """The next option is."""
        self.warnings = True
        self.commands: frozenset[Command] = frozenset()
        self.options: frozenset[Option] = frozenset()
        self.inverse = Inverse(0)
        self.flags = Flag(0)
        self.chain: str | None = None
        self.number = 0
        self.policy: Action | None = None
        self.timeouts = (0, 0, 0)
        self.protocol = 0
        self.source: str | None = None
        self.destination: str | None = None
        self.source_ports: str | None = None
        self.destination_ports: str | None = None
        self.interface = ""
        self.target = ""
        self.port: str | None = None
        self.tos = (0xFF, 0)
        self.mark = 0
        self.output_size = 0

    # -- one word after the other --------------------------------------------------------------------------------

    def take_words(self) -> bool:
        """Whether a question was answered on the way, so that nothing else counts."""
        while (found := self.scanner.next()) is not None:
            letter, argument = found
            if not letter:
                self._operand(argument or "")
                continue
            if letter in "Vh":
                self.answer = self._version() if letter == "V" else self._help(argument)
                return True
            self._take(letter, argument)
            self.inverted = False
        return False

    def _take(self, letter: str, argument: str | None) -> None:
        if letter in _CHAIN_COMMANDS:
            self._command(_CHAIN_COMMANDS[letter])
            self.chain = argument
        elif letter in _LISTING_COMMANDS:
            self._command(_LISTING_COMMANDS[letter])
            self._optional_chain(argument)
        elif letter in _SWITCHES:
            option, flag = _SWITCHES[letter]
            self._option(option)
            self.flags |= flag
        elif letter == "o":
            self._output(argument)
        else:
            _OTHERS[letter](self, argument or "")

    def _operand(self, word: str) -> None:
        if word != "!":
            raise usage_error()
        if self.inverted:
            raise problem("multiple consecutive ! not allowed\n")
        self.inverted = True

    def _version(self) -> str:
        return "Not ipchains 2.0\n" if self.inverted else f"{VERSION}\n"

    def _help(self, argument: str | None) -> str:
        asked = (argument, self.scanner.at(self.scanner.index))
        if any(word is not None and word.lower() == "icmp" for word in asked):
            return f"{VERSION}\n\n{help_text()}"
        return f"{VERSION}\n\n{USAGE}"

    def _command(self, command: Command) -> None:
        if self.inverted:
            raise problem("unexpected ! flag")
        rivals = self.commands - COMPANIONS.get(command, frozenset())
        if rivals:
            rival = max(rivals, key=lambda known: known.order)
            raise problem(f"Can't use -{command.letter} with -{rival.letter}\n")
        self.commands |= {command}

    def _option(self, option: Option) -> None:
        if option in self.options:
            raise problem(f"multiple -{option.letter} flags not allowed\n")
        self.options |= {option}
        if self.inverted:
            if option.inverse is None:
                raise problem(f"cannot have ! before -{option.letter}\n")
            self.inverse |= option.inverse
            self.inverted = False

    def _negation(self, word: str | None) -> bool:
        """Whether the word is a ``!``, which then counts."""
        if word != "!":
            return False
        if self.inverted:
            raise problem("Multiple `!' flags not allowed")
        self.inverted = True
        return True

    def _whole_word(self, option: Option, argument: str) -> str:
        """The option's word with a ``!`` before it or not; glued to the option it is the option too (linux.md U19g)."""
        if self._negation(argument):
            self.scanner.index += 1
        self._option(option)
        word = self.scanner.at(self.scanner.index - 1)
        if word is None:
            raise usage_error()
        return word

    # commands

    # -- commands ------------------------------------------------------------------------------------------------

    def _delete(self, argument: str) -> None:
        self._command(Command.DELETE)
        self.chain = argument
        if self.scanner.operand() is not None:
            self.number = arguments.rule_number(self.scanner.take())
            self.commands = frozenset({Command.DELETE_NUMBER})

    def _insert(self, argument: str) -> None:
        self._command(Command.INSERT)
        self.chain = argument
        self.number = 1 if self.scanner.operand() is None else arguments.rule_number(self.scanner.take())

    def _replace(self, argument: str) -> None:
        self._command(Command.REPLACE)
        self.chain = argument
        if self.scanner.operand() is None:
            raise problem("-R requires a rule number")
        self.number = arguments.rule_number(self.scanner.take())

    def _optional_chain(self, argument: str | None) -> None:
        if argument is not None:
            self.chain = argument
        elif self.scanner.operand() is not None:
            self.chain = self.scanner.take()
        if {Command.LIST, Command.ZERO} <= self.commands and self.chain is not None:
            raise problem("-L with -Z does not allow chain to be specified")

    def _set_policy(self, argument: str) -> None:
        self._command(Command.SET_POLICY)
        self.chain = argument
        if self.scanner.operand() is None:
            raise problem("-P requires a chain and a policy")
        self.policy = arguments.policy(argument, self.scanner.take(), BUILT_IN)

    def _masquerading(self, _: str) -> None:
        self._command(Command.MASQUERADING)

    def _set_timeouts(self, argument: str) -> None:
        self._command(Command.SET_TIMEOUTS)
        if self.scanner.operand() is None or self.scanner.operand(skip=1) is None:
            raise problem("-S requires 3 timeout values")
        tcp = arguments.timeout(argument)
        tcp_fin = arguments.timeout(self.scanner.take())
        self.timeouts = tcp, tcp_fin, arguments.timeout(self.scanner.take())

    # -- options -------------------------------------------------------------------------------------------------

    def _protocol(self, argument: str) -> None:
        word = self._whole_word(Option.PROTOCOL, argument)
        self.protocol = arguments.protocol(word, self.names)
        if not self.protocol and Inverse.PROTOCOL in self.inverse:
            raise problem("rule would never match protocol")

    def _source(self, argument: str) -> None:
        self.source = self._whole_word(Option.SOURCE, argument)
        self.source_ports = self._ports_behind(Option.SOURCE_PORTS, self.source_ports)

    def _destination(self, argument: str) -> None:
        self.destination = self._whole_word(Option.DESTINATION, argument)
        self.destination_ports = self._ports_behind(Option.DESTINATION_PORTS, self.destination_ports)

    def _ports_behind(self, option: Option, known: str | None) -> str | None:
        """Ports may follow an address, with a ``!`` between; else that ``!`` belongs to what comes."""
        negated = self._negation(self.scanner.at(self.scanner.index))
        if self.scanner.operand(skip=int(negated)) is None:
            return known
        self.scanner.index += int(negated)
        word = self.scanner.take()
        self._option(option)
        return word

    def _source_ports(self, argument: str) -> None:
        self.source_ports = self._whole_word(Option.SOURCE_PORTS, argument)

    def _destination_ports(self, argument: str) -> None:
        self.destination_ports = self._whole_word(Option.DESTINATION_PORTS, argument)

    def _jump(self, argument: str) -> None:
        self._option(Option.JUMP)
        self.target = arguments.target(argument)
        if self.target in self.targets_with_port and self.scanner.operand() is not None:
            self.port = self.scanner.take()

    def _interface(self, argument: str) -> None:
        self.interface, flag = arguments.interface(self._whole_word(Option.INTERFACE, argument))
        self.flags |= flag

    def _mark(self, argument: str) -> None:
        self._option(Option.MARK)
        self.mark, flag = arguments.mark(argument)
        self.flags |= flag

    def _output(self, argument: str | None) -> None:
        self._option(Option.OUTPUT)
        if argument is None and self.scanner.operand() is not None:
            argument = self.scanner.take()
        self.output_size = arguments.output_size(argument)
        self.flags |= Flag.NETLINK

    def _tos(self, argument: str) -> None:
        self._option(Option.TOS)
        if self.scanner.operand() is None:
            raise problem("-t requires 2 hexbyte arguments")
        tos_and = arguments.hexadecimal_octet(argument)
        self.tos = tos_and, arguments.hexadecimal_octet(self.scanner.take())

    def _line_numbers(self, _: str) -> None:
        if self.inverted:
            raise problem("cannot have ! before --line-numbers")
        self._option(Option.LINE_NUMBERS)

    def _no_warnings(self, _: str) -> None:
        if self.inverted:
            raise problem("cannot have ! before --no-warnings")
        self.warnings = False


_OTHERS: dict[str, Callable[[CommandLine, str], None]] = {
    "D": CommandLine._delete,
    "I": CommandLine._insert,
    "R": CommandLine._replace,
    "P": CommandLine._set_policy,
    "M": CommandLine._masquerading,
    "S": CommandLine._set_timeouts,
    "p": CommandLine._protocol,
    "s": CommandLine._source,
    "d": CommandLine._destination,
    "sport": CommandLine._source_ports,
    "dport": CommandLine._destination_ports,
    "j": CommandLine._jump,
    "i": CommandLine._interface,
    "m": CommandLine._mark,
    "t": CommandLine._tos,
    "line-numbers": CommandLine._line_numbers,
    "no-warnings": CommandLine._no_warnings,
}
