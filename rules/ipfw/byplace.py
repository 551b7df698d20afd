"""A rule's questions as ipfw(8) lists them since FreeBSD 13: protocol, source and destination first, then all others.

Source: show_static_rule, print_proto, print_address and print_instruction of ipfw2.c.  Whatever asks for the protocol,
or for an address, takes the place that the first such question has, wherever it was written; what is left follows in
its order.  A rule of options only is listed without the places.
"""

from __future__ import annotations

from rules.ipfw.listing import Style, address_words, end_of, limit_words, option_words, port_words, protocol_word
from rules.ipfw.questions import AddressInTable, Comment, End, Family, Incoming
from rules.ipfw.rule import Action, Element, Rule
from rules.predicates import DestinationPort, Predicate, ProtocolIs, SourcePort

__all__ = ["by_place"]


def by_place(rule: Rule, style: Style) -> str:
    """The words from the protocol on."""
    return _Printer(rule, style).print()


class _Printer:
    """Which questions are printed already, and which places are behind us."""

    def __init__(self, rule: Rule, style: Style) -> None:
        self.rule = rule
        self.style = style
        self.line: list[str] = []
        self.left = [element for element in rule.elements if not isinstance(element.question, Comment)]
        self.comments = [element for element in rule.elements if isinstance(element.question, Comment)]
        self.in_braces = False
        self.protocol = 0
        self.has_protocol = self.has_source = self.has_destination = False

    def print(self) -> str:
        rule = self.rule
        if rule.effect.action is not Action.CHECK_STATE:
            if rule.bare:
                self.has_protocol = self.has_source = self.has_destination = True
            else:
                self.places()
            while self.left:
                self.next(self.left[0])
            if rule.state is not None:
                self.line.append("not " * rule.state.negated + limit_words(rule.state, self.style.switches))
            if rule.deferred:
                self.line.append("defer-immediate-action")
        for comment in self.comments[:1]:
            assert isinstance(comment.question, Comment)
            self.line.append("not " * comment.negated + f"// {comment.question.text}")
        return " ".join(self.line)

    def places(self) -> None:
        """``PROTO from SOURCE [PORTS] to DESTINATION [PORTS]``."""
        asks_nothing = not self.left or all(isinstance(e.question, ProtocolIs | Family) for e in self.left)
        self.protocols()
        self.has_protocol = True
        if self.style.compact and asks_nothing and self.rule.state is None:
            return
        self.line.append("from")
        self.address(End.SOURCE, SourcePort)
        self.has_source = True
        self.line.append("to")
        self.address(End.DESTINATION, DestinationPort)
        self.has_destination = True

    def protocols(self) -> None:
        named = [element for element in self.left if isinstance(element.question, ProtocolIs | Family)]
        if not named:
            self.line.append("ip")
            return
        families = [element for element in named if isinstance(element.question, Family)]
        # A family that is joined to something comes before one that is not.
        families.sort(key=lambda element: not element.or_next)
        numbers = [element for element in named if isinstance(element.question, ProtocolIs)]
        for element in [*families[:2], *numbers]:
            self.next(element)
            if not element.or_next:
                break

    def address(self, end: End, port: type[Predicate]) -> None:
        mine = [element for element in self.left if end_of(element.question) is end]
        if not mine:
            self.line.append("any")
        for element in mine:
            self.next(element)
            if not element.or_next:
                break
        ports = [index for index, element in enumerate(self.rule.elements) if isinstance(element.question, port)]
        if len(ports) == 1:
            only, before = self.rule.elements[ports[0]], self.rule.elements[: ports[0]]
            if only in self.left and not only.or_next and not (before and before[-1].or_next):
                self.next(only)

    def next(self, element: Element) -> None:
        """Print one question, with the brace that it opens or closes."""
        # By identity: a rule may ask the same twice.
        self.left = [each for each in self.left if each is not element]
        words = "{ " if element.or_next and not self.in_braces else ""
        if element.negated and not isinstance(element.question, Incoming):
            words += "not "
        self.line.append(words + self.words(element))
        if element.or_next:
            self.line.append("or")
        elif self.in_braces:
            self.line.append("}")
        self.in_braces = element.or_next

    def words(self, element: Element) -> str:
        question = element.question
        proto = "proto " if self.has_protocol else ""
        match question:
            case Incoming():
                return "out" if element.negated else "in"
            case ProtocolIs(number):
                self.protocol = number
                return proto + protocol_word(number)
            case Family(version):
                return f"{proto}ip{version}"
            case SourcePort(ports) | DestinationPort(ports):
                keyword = "src-port " if isinstance(question, SourcePort) else "dst-port "
                behind = self.has_source and self.has_destination
                return (keyword if behind else "") + port_words(ports, self.protocol, self.style)
        end = end_of(question)
        if end is None:
            return option_words(question, self.style)
        behind = self.has_source if end is End.SOURCE else self.has_destination
        keyword = ("src-ip " if end is End.SOURCE else "dst-ip ") if behind else ""
        if isinstance(question, AddressInTable) and question.key is not None:
            return f"{keyword}lookup {question.key} {question.table}"
        return keyword + address_words(question, self.style)
