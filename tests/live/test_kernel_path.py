"""Our packet path against the kernel of this machine: the same octets go into both, and the same come out.

Where they may differ is a table (`kernel_differences`), which asserts what either does.
"""

from __future__ import annotations

import pytest
from kernel_comparing import compare, our_answers
from kernel_difference import Question
from kernel_differences import DIFFERENCES
from kernel_questions import DAMAGED, FORWARDED, FRAGMENTED, LOCAL, OPTIONS, REASSEMBLED, REFUSED, SPECIAL
from kernel_router import KernelRouter
from kernel_rows_bsd import BSDS

pytestmark = pytest.mark.live

SHARED = {
    "forwarded": FORWARDED,
    "fragmented": FRAGMENTED,
    "refused": REFUSED,
    "damaged": DAMAGED,
    "local": LOCAL,
    "reassembled": REASSEMBLED,
}
"""What the BSDs do like Linux, but for the rows."""

OF_LINUX = {"special": SPECIAL, "options": OPTIONS}

ALL = [
    pytest.param(asked, ["linux-2.2", *(BSDS if kind in SHARED else ())], id=f"{kind}: {name}")
    for kind, each in (SHARED | OF_LINUX).items()
    for name, asked in each.items()
]


@pytest.mark.parametrize(("asked", "profiles"), ALL)
def test_the_kernel_and_ours_send_the_same(kernel: KernelRouter, asked: Question, profiles: list[str]) -> None:
    kernels = kernel.exchange(asked)
    for profile in profiles:
        compare(asked, kernels, our_answers(asked, profile), profile, DIFFERENCES)
