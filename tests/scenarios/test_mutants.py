"""Every expectation counts: changed in any one place, its script fails.

A sample by default, another one for each seed in DIVERTSIM_SEED; all of them with DIVERTSIM_ALL_MUTANTS=1.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from simulator.scenario import model
from simulator.scenario.expecting import EXPECTATIONS
from simulator.scenario.loading import load
from simulator.scenario.model import Script
from simulator.scenario.packets import Files
from simulator.scenario.runner import play

from .index import SCRIPTS
from .mutants import MUTATIONS, mutants

_ALL = os.environ.get("DIVERTSIM_ALL_MUTANTS") == "1"
_SEED = os.environ.get("DIVERTSIM_SEED", "1")
_SAMPLE = 4
"""Mutants of each script in an ordinary run."""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_changed_expectation_fails(path: Path) -> None:
    script, files = load(path)
    wrong = list(mutants(script))
    assert wrong, "a script expects something"
    if not _ALL:
        random.Random(f"{_SEED} {path.name}").shuffle(wrong)
    survivors = [what for what, mutant in wrong[: None if _ALL else _SAMPLE] if _passes(mutant, files)]
    assert not survivors


def _passes(script: Script, files: Files) -> bool:
    """A mutant that makes no sense proves nothing either."""
    failures = [failure for case in play(script, files).cases for failure in case.failures]
    return all(failure.is_script_error for failure in failures)


def test_every_kind_of_expectation_is_changed() -> None:
    assert MUTATIONS.keys() | {model.Silence} == EXPECTATIONS.keys()
