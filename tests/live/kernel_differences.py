"""The table: all in which a profile of ours may differ from the machine's kernel, with the reasons.

The kernel's side is that of Linux 6.3 and later, and was seen on 6.18; whoever runs an older one is told so
(`conftest.kernel`).
"""

from __future__ import annotations

from kernel_difference import Difference
from kernel_rows_bsd import BSD
from kernel_rows_bsd_fates import BSD_FATES
from kernel_rows_fates import FATES
from kernel_rows_own import OWN
from kernel_rows_reassembly import REASSEMBLY

__all__ = ["DIFFERENCES", "OLDEST"]

OLDEST = (6, 3)
"""The oldest kernel of which the table speaks."""

DIFFERENCES: tuple[Difference, ...] = (*OWN, *FATES, *REASSEMBLY, *BSD, *BSD_FATES)
