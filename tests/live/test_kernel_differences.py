"""Each row of the table of allowed differences: it is needed, and both sides do what it says."""

from __future__ import annotations

import pytest
from kernel_comparing import compare, our_answers
from kernel_difference import Difference, Question
from kernel_differences import DIFFERENCES
from kernel_page import PAGE, render
from kernel_router import KernelRouter
from kernel_rows_reassembly import PATIENCE

EXAMPLES = [
    pytest.param(row, asked, id=f"{row.name}-{number}")
    for row in DIFFERENCES
    for number, asked in enumerate(row.examples)
]


@pytest.mark.live
@pytest.mark.parametrize(("row", "asked"), EXAMPLES)
def test_a_difference_is_as_the_table_says(kernel: KernelRouter, row: Difference, asked: Question) -> None:
    kernels = kernel.exchange(asked)
    others = [each for each in DIFFERENCES if each is not row]
    for profile in row.profiles:
        ours = our_answers(asked, profile)
        compare(asked, kernels, ours, profile, DIFFERENCES)
        with pytest.raises(AssertionError):
            compare(asked, kernels, ours, profile, others)


def test_rows_have_names_of_their_own_and_examples() -> None:
    names = [row.name for row in DIFFERENCES]
    assert len(set(names)) == len(names)
    assert all(row.profiles and bool(row.examples) != (row is PATIENCE) for row in DIFFERENCES)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "make kernel-page"
