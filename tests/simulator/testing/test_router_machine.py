"""The state machine: it finds nothing in a good router, and what is wrong with a bad one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from simulator.profiles import PROFILES
from simulator.scenario.reading import read
from simulator.scenario.runner import play
from simulator.sockets.base import QueueSocket
from simulator.testing import RouterMachine
from simulator.testing.behaviours import Behaviour
from simulator.testing.strategies import World

RANDOM = settings(max_examples=10, stateful_step_count=25, deadline=None, database=None)
FINDING = settings(RANDOM, max_examples=200, phases=[Phase.generate])


def fails(machine: type[RouterMachine], kind: type[Exception]) -> str:
    """What it prints of its failure."""
    with pytest.raises(kind) as caught:
        run_state_machine_as_test(machine, settings=FINDING)  # type: ignore[no-untyped-call]
    return "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("profile", PROFILES)
def test_no_profile_breaks_its_promises(profile: str) -> None:
    machine = type("Machine", (RouterMachine,), {"profile": profile})
    run_state_machine_as_test(machine, settings=RANDOM)  # type: ignore[no-untyped-call]


GATEWAY = World(
    rules=("add 100 divert 8668 ip from any to any", "add 200 allow ip from any to any"),
)


def test_an_invariant_of_ones_own() -> None:
    """Nothing leaves em1 that no program has seen: not true, since a program may write of its own accord."""

    class Gateway(RouterMachine):
        world = GATEWAY
        changes_rules = False

        @invariant()
        def nothing_is_sent(self) -> None:
            assert self.router.interfaces["em1"].sent == []

    told = fails(Gateway, AssertionError)
    script = told[told.index("# AssertionError") : told.index("Falsifying" if "Falsifying" in told else "Failing test")]
    assert "router freebsd-13\ninterface em0 192.168.1.1/24\n" in script
    assert "expect em1 sends" in script
    [case] = play(read(script, "x.scn")).cases
    assert not case.failures
    assert "state.start_program" in told


def test_a_scenario_can_be_had_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.scn"

    class Gateway(RouterMachine):
        world = GATEWAY
        scenario = path

        @invariant()
        def never_diverted(self) -> None:
            assert not self.router.ledger.diverted

    assert f"divertsim run {path}" in fails(Gateway, AssertionError)
    assert "    expect d reads" in path.read_text() or "expect path" in path.read_text()


def test_programs_are_what_the_machine_is_told() -> None:
    class Eaters(RouterMachine):
        world = GATEWAY
        changes_rules = False

        def programs(self) -> Any:
            return super().programs().map(lambda program: Behaviour("drop"))

        def writes(self) -> Any:
            return super().writes().map(lambda write: (b"", write[1]))  # refused

        @invariant()
        def nothing_comes_out(self) -> None:
            assert not self.router.ledger.injected

    run_state_machine_as_test(Eaters, settings=RANDOM)  # type: ignore[no-untyped-call]


def test_a_router_that_loses_the_order_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_front(self: QueueSocket, octets: bytes, address: Any) -> bool:
        self._queue.appendleft((octets, address))
        return True

    monkeypatch.setattr(QueueSocket, "enqueue", in_front)

    class Gateway(RouterMachine):
        world = GATEWAY
        changes_rules = False

    with pytest.raises(AssertionError, match="out of its turn, or twice"):
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            Gateway, settings=settings(RANDOM, max_examples=300, phases=[Phase.generate])
        )
