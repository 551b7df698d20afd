"""Behaviours of the filter engine in which kernels differ, each a named switch; a kernel is one value.

``linux-2.2`` is 2.2.12 with its quirks.  ``linux-2.0`` is the engine of 2.0.36 behind the same command language: flat
lists, and the treatment of fragments that made "always defragment" compulsory there (linux.md section 8).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PROFILES", "Switches", "switches_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What the engine does where kernels disagree; the defaults are those of 2.2.12."""

    offset_as_char: bool = True
    """A fragment whose offset is a multiple of 256 units counts as no fragment when rules are tried: its ports read
    65535 and its SYN is clear.  2.2.17 mended it.  linux.md F23, F38."""

    log_number_restarts: bool = True
    """The ``(#N)`` of a log line counts from the last rule that matched without deciding, not from the chain's start.
    2.2.14 mended it.  linux.md F32."""

    short_first_fragments_denied: bool = True
    """A first fragment too short for its transport header is dropped before any rule, since 2.2.11.  linux.md F28."""

    suspects_logged: bool = True
    """Fragments dropped before any rule are told of in the kernel log.  linux.md F27, F28; 2.0 is silent."""

    short_packets_denied: bool = False
    """TCP with fewer than 16 octets after the IP header and UDP with fewer than 8 are dropped before any rule, fragment
    or not, silently.  linux.md Z1 (2.0)."""

    later_fragments_accepted: bool = False
    """Fragments of TCP, UDP and ICMP other than the first are accepted before any rule.  linux.md Z1 (2.0)."""

    syn_test_spares_others: bool = False
    """``-y`` asks nothing of packets that are not TCP, so they pass the test; otherwise they fail it.  linux.md Z3
    (2.0) and F24."""

    user_chains: bool = True
    """Chains beside the three built-in ones can be made.  linux.md Z2, Z5: 2.0 has none."""

    divert: bool = True
    """The divert patch is in the kernel and in the tool.  Without it DIVERT is the name of a chain that may be missing,
    and a port behind it is a stray word.  linux.md D22."""

    tos_only_if_accepted: bool = False
    """A rule's TOS masks apply after the verdict and only to packets that pass.  linux.md Z6 (2.0); F33 otherwise."""


PROFILES = {
    "linux-2.2": Switches(),
    "linux-2.0": Switches(
        offset_as_char=False,
        log_number_restarts=False,
        short_first_fragments_denied=False,
        suspects_logged=False,
        short_packets_denied=True,
        later_fragments_accepted=True,
        syn_test_spares_others=True,
        user_chains=False,
        tos_only_if_accepted=True,
    ),
}
"""The engine of each Linux profile, by the profile's name."""


def switches_of(profile: str) -> Switches:
    """The engine of the profile of that name.  :raises ValueError: for a name that is no Linux profile's."""
    if profile not in PROFILES:
        raise ValueError(f"profile={profile!r} is none of {', '.join(PROFILES)}")
    return PROFILES[profile]
