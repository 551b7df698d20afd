"""What is wrong between statements and tests."""

from __future__ import annotations

from collections.abc import Iterable

from simulator import PROFILES

from .claims import Claim
from .registry import Statement

__all__ = ["problems"]


def problems(statements: Iterable[Statement], claims: Iterable[Claim]) -> list[str]:
    """One line for each thing that keeps the page from being true."""
    known = {statement.name: statement for statement in statements}
    tested: dict[str, set[str]] = {}
    found = []
    for claim in claims:
        where = f"{claim.path}::{claim.test}"
        if claim.statement not in known:
            found.append(f"{where} names {claim.statement}, which is no statement")
            continue
        if not claim.profiles:
            found.append(f"{where} does not say in which profiles it checks {claim.statement}")
        for profile in claim.profiles:
            if profile not in PROFILES:
                found.append(f"{where} checks {claim.statement} in {profile}, which is no profile")
        tested.setdefault(claim.statement, set()).update(claim.profiles)
    for name, statement in known.items():
        seen = tested.get(name, set())
        missing = [profile for profile in statement.wanted if profile not in seen]
        if missing and not statement.open:
            found.append(f"no test names {name} in {', '.join(missing)}, and no reason is given")
        if not missing and statement.open:
            found.append(f"{name} is tested in all its profiles, but marked as open")
        for profile in statement.left_out:
            if profile not in statement.profiles:
                found.append(f"{name} is left out in {profile}, where it does not belong")
            elif profile in seen:
                found.append(f"{name} is left out in {profile}, but a test names it there")
    return found
