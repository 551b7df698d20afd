"""A rule's questions as ipfw(8) lists them up to FreeBSD 12: one after another.

Sources: section 10.4 (L-3, L-4, L-7 to L-9) of the behavioural notes.  The printer walks the questions in their order
and fills the places ``PROTO from SOURCE to DESTINATION`` as they come; what comes when its place is behind it is
printed with its keyword.  So an address option that follows ``to any`` directly stands in the place of the ``any``, as
in the real tool.
"""

from __future__ import annotations

from rules.ipfw.listing import Style, address_words, end_of, limit_words, option_words, port_words, protocol_word
from rules.ipfw.questions import AddressInTable, Comment, End, Family, Incoming
from rules.ipfw.rule import Action, Element, Rule
from rules.predicates import DestinationPort, Predicate, ProtocolIs, SourcePort

__all__ = ["in_order"]


def in_order(rule: Rule, style: Style) -> str:
    """The words from the protocol on."""
    return _Printer(rule, style).print()


class _Printer:
    """Fills the places of a line from left to right."""

    def __init__(self, rule: Rule, style: Style) -> None:
        self.rule = rule
        self.style = style
        self.line: list[str] = []
        self.protocol = 0
        self.has_protocol = self.has_source = self.has_destination = False
        self.positional = True
        """The places are not all behind us."""
        self.options = False
        """From here on everything is printed with its keyword."""
        self.family = next(
            (
                element.question.version
                for element in rule.elements
                if isinstance(element.question, Family) and not element.negated and not element.or_next
            ),
            None,
        )
        self.comment: str | None = None

    def places(self, *, source: bool = False, destination: bool = False) -> None:
        """Fill the places up to here with what stands for anything."""
        if not self.has_protocol:
            self.line.append(f"ip{self.family or ''}")
        if source and not self.has_source:
            self.line.append("from any")
        if destination and not self.has_destination:
            self.line.append("to any")
        self.has_protocol = True
        self.has_source |= source
        self.has_destination |= destination

    def print(self) -> str:
        rule = self.rule
        if rule.options_only:
            if not self.style.compact:
                self.line.append(f"ip{self.family or ''} from any to any")
            self.has_protocol = self.has_source = self.has_destination = True
            self.positional, self.options = False, True
        in_braces = False
        for element in rule.elements:
            if not self.positional:
                self.options = True
            if not self.is_implied(element):
                self.element(element, "{ " if element.or_next and not in_braces else "")
            if element.or_next:
                self.line.append("or")
            elif in_braces:
                self.line.append("}")
            in_braces = element.or_next
        if rule.state is not None:
            self.places(source=True, destination=True)
            self.line.append("not " * rule.state.negated + limit_words(rule.state, self.style.switches))
        if rule.deferred:
            self.places(source=True, destination=True)
            self.line.append("defer-immediate-action")
        if rule.effect.action is not Action.CHECK_STATE:
            self.places(source=True, destination=True)
        if self.comment is not None:
            self.line.append(f"// {self.comment}")
        return " ".join(self.line)

    def is_implied(self, element: Element) -> bool:
        """A lone ``ip4`` or ``ip6`` is said by the protocol's place."""
        question = element.question
        return (
            isinstance(question, Family)
            and question.version == self.family
            and not element.negated
            and not element.or_next
        )

    def element(self, element: Element, opening: str) -> None:
        question, words = element.question, opening + "not " * element.negated
        end = end_of(question)
        if end is End.SOURCE:
            self.places()
            preposition = "" if self.has_source else "from "
            keyword = "src-ip " if self.options else ""
            self.line.append(f"{preposition}{words}{keyword}{address_words(question, self.style)}")
            self.has_source = True
        elif end is End.DESTINATION:
            self.places(source=True)
            preposition = "" if self.has_destination else "to "
            self.line.append(f"{preposition}{words}{self.destination(question)}")
            self.has_destination = True
        elif isinstance(question, SourcePort):
            if self.has_destination:
                self.positional, self.options = False, True
            self.places(source=True)
            keyword = "src-port " if self.options else ""
            self.line.append(f"{words}{keyword}{port_words(question.ports, self.protocol, self.style)}")
        elif isinstance(question, DestinationPort):
            bare = self.positional and not self.style.switches.dst_port_word
            self.places(source=True, destination=True)
            self.positional, self.options = False, True
            keyword = "" if bare else "dst-port "
            self.line.append(f"{words}{keyword}{port_words(question.ports, self.protocol, self.style)}")
        elif isinstance(question, ProtocolIs):
            self.protocol_is(question, words)
        else:
            self.places(source=True, destination=True)
            self.positional, self.options = False, True
            self.option(element, opening)

    def destination(self, question: Predicate) -> str:
        if isinstance(question, AddressInTable) and question.key is not None:
            return f"lookup {question.key} {question.table}"
        return ("dst-ip " if self.options else "") + address_words(question, self.style)

    def protocol_is(self, question: ProtocolIs, words: str) -> None:
        if self.family is not None and not self.has_protocol:
            self.places(source=True, destination=True)
            self.positional, self.options = False, True
        self.protocol = question.number
        keyword = "proto " if self.options else ""
        self.line.append(f"{words}{keyword}{protocol_word(question.number)}")
        self.has_protocol = True

    def option(self, element: Element, opening: str) -> None:
        question = element.question
        if isinstance(question, Comment):
            self.comment = question.text
            words = opening + "not" * element.negated
            if words:
                self.line.append(words)
            return
        if isinstance(question, Incoming):
            self.line.append(opening + ("out" if element.negated else "in"))
            return
        words = option_words(question, self.style)
        self.line.append(opening + "not " * element.negated + words)
