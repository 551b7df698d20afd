"""docs/kernel.md from the table of differences; run as a script, which `make kernel-page` does, it is written."""

from __future__ import annotations

from pathlib import Path

from kernel_difference import Difference
from kernel_differences import DIFFERENCES, OLDEST
from kernel_rows_bsd import BSDS

__all__ = ["PAGE", "render"]

PAGE = Path(__file__).parents[2] / "docs" / "kernel.md"

_HEAD = f"""# Beside the kernel of your machine

Where network namespaces are to be had, the tests hold our packet path against the kernel that they run on
(`tests/live/test_kernel_*.py`). A namespace has five TUN devices and forwarding switched on; a router of ours has the
same interfaces, addresses, routes and MTUs. The same octets go into both, and what each sends out of each interface
has to be the same, octet by octet: tables of questions (forwarding, the TTL and its checksum, fragments of datagrams
and of fragments, options, ICMP errors, echo, closed ports, reassembly, damage, broadcast, martians, redirects), and
any datagram that Hypothesis draws: whole, damaged, in fragments, in conversations.

A kernel of today is not Linux 2.2, and no BSD. Where they may differ is a table in the tests. Each row says to which
datagrams it applies and exactly what *both* send then, has examples that fail without it, and fails when either side
changes. The kernel's side is that of Linux {OLDEST[0]}.{OLDEST[1]} and later, as seen on 6.18; on older ones these
tests skip.

Switched off or set alike on both sides: `rp_filter`, source routes, limits of ICMP errors;
`icmp_echo_ignore_broadcasts` is 0, as in 2.2. linux-2.0 is not compared: it puts together what it forwards. The BSD
profiles are compared in all but options in the header, broadcast, multicast and redirects, in which they share little
with any Linux.

This page is written by `make kernel-page`; sources such as `linux.md R5` are explained in
[decisions.md](decisions.md).
"""

_GROUPS = {"linux-2.2": "linux-2.2", " ".join(BSDS): "every BSD", " ".join(("linux-2.2", *BSDS)): "all"}


def _profiles(row: Difference) -> str:
    known = {" ".join(sorted(names.split())): word for names, word in _GROUPS.items()}
    return known.get(" ".join(sorted(row.profiles)), ", ".join(row.profiles))


def _row(row: Difference) -> str:
    return f"| {row.name} | {row.kernel} | {row.ours} | {row.source} | {_profiles(row)} |"


def render() -> str:
    """The whole page."""
    rows = [_row(row) for row in DIFFERENCES]
    table = ["| what | this machine's kernel | ours | why | in |", "|---|---|---|---|---|", *rows]
    return _HEAD + "\n" + "\n".join(table) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(PAGE.name)
