"""What each kind of finding is, in one sentence."""

from __future__ import annotations

from rules.analysis.findings import Kind

__all__ = ["ABOUT"]

ABOUT = {
    Kind.NEVER_MATCHES: "The questions of the rule contradict each other: no packet matches it.",
    Kind.SHADOWED: "Rules before it take every packet that it could match.",
    Kind.REDUNDANT: "Without the rule the same would become of every packet.",
    Kind.UNREACHED_DIVERT: "A divert rule that no packet reaches.",
    Kind.DIVERTED_TWICE: "A packet goes to one divert port twice.",
    Kind.DIVERT_LOOP: "What a program writes back with its tag comes to the program again, for ever.",
    Kind.FRAGMENTS_LOST: "A divert or tee rule asks for ports, which later fragments lack: datagrams are lost.",
    Kind.FRAGMENTS_SLIP: "A refusal asks for ports, which later fragments lack: they pass.",
    Kind.MISSING_TARGET: "A skipto or call names a rule that is not there.",
    Kind.UNREACHABLE_CHAIN: "A user chain to which nothing jumps.",
    Kind.LOOPING_CHAIN: "A user chain that is entered while it is being passed: the packet is dropped.",
    Kind.PROFILE_DEPENDENT: "The rule means something else to another kernel.",
}
"""For ``--help``, SARIF and whoever lists them."""
