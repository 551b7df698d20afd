"""``ipfw set``: show, enable, disable, swap and move the 32 sets of rules (ipfw(8), SETS OF RULES; E-5, L-19, M-1)."""

from __future__ import annotations

from rules.ipfw.chain import RESERVED_SET, Chain
from rules.ipfw.words import DATA_ERROR, USAGE, RefusalError, Words, leading_number

__all__ = ["set_command"]


def set_command(words: Words, chain: Chain, *, dry: bool, octets: bool, highest: int = RESERVED_SET) -> str:
    """Carry out what follows ``set``; gives back what it prints.

    ``dry``: check only.  ``octets``: the number of ``set move rule`` is kept in eight bits.  ``highest``: number of a
    set that may be named.
    """
    word = words.need("set needs command")
    if words.accept("show"):
        return _show(chain)
    if words.accept("swap"):
        _swap(words, chain, dry=dry, highest=highest)
    elif words.accept("move"):
        _move(words, chain, dry=dry, octets=octets, highest=highest)
    elif words.means("disable") or words.means("enable"):
        _enable(words, chain, on=words.means("enable"), dry=dry, highest=highest)
    else:
        raise RefusalError(f"invalid set command {word}\n", USAGE)
    return ""


def _show(chain: Chain) -> str:
    disabled = [number for number in range(RESERVED_SET) if chain.disabled >> number & 1]
    enabled = [number for number in range(RESERVED_SET) if number not in disabled]
    lists = (("disable", disabled), ("enable", enabled))
    return " ".join(" ".join([word, *map(str, numbers)]) for word, numbers in lists if numbers) + "\n"


def _swap(words: Words, chain: Chain, *, dry: bool, highest: int) -> None:
    if len(words) < 2:
        raise RefusalError("set swap needs 2 set numbers\n", USAGE)
    first, second = (_set_number(word, highest) for word in (words.take(), words.take()))
    other = {first: second, second: first}
    if not dry:
        chain.move(lambda entry: entry.rule.set in other, lambda entry: other[entry.rule.set])


def _set_number(word: str, highest: int) -> int:
    number = leading_number(word)[0]
    if not word[:1].isdigit() or number > highest:
        raise RefusalError(f"invalid set number {word}\n", DATA_ERROR)
    return number


def _move(words: Words, chain: Chain, *, dry: bool, octets: bool, highest: int) -> None:
    of_rule = words.accept("rule")
    if len(words) != 3 or not words.means("to", 1):
        raise RefusalError("syntax: set move [rule] X to Y\n", USAGE)
    source, to, target = words.take(), words.take(), words.take()
    number, new_set = leading_number(source)[0], leading_number(target)[0]
    if not source[:1].isdigit() or (not of_rule and highest < RESERVED_SET and number > highest):
        raise RefusalError(f"invalid source number {source}\n", DATA_ERROR)
    if not target[:1].isdigit() or new_set > highest:
        raise RefusalError(f"invalid dest. set {to}\n", DATA_ERROR)
    if octets or not of_rule:
        number &= 0xFF
    if dry:
        return
    if of_rule:
        chain.move(lambda entry: entry.rule.number == number, lambda entry: new_set)
    else:
        chain.move(lambda entry: entry.rule.set == number, lambda entry: new_set)


def _enable(words: Words, chain: Chain, *, on: bool, dry: bool, highest: int) -> None:
    words.take()
    bits = {True: 0, False: 0}
    while words:
        word = words.peek() or ""
        if word[:1].isdigit():
            number = leading_number(words.take())[0]
            if number > highest:
                raise RefusalError(f"invalid set number {number}\n", DATA_ERROR)
            bits[on] |= 1 << number
        elif words.accept("disable"):
            on = False
        elif words.accept("enable"):
            on = True
        else:
            raise RefusalError(f"invalid set command {word}\n", DATA_ERROR)
    if bits[True] & bits[False]:
        raise RefusalError("cannot enable and disable the same set\n", DATA_ERROR)
    if not dry:
        chain.enable(bits[True], bits[False])
