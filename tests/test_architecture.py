"""The house rules that imports can show: arrows run one way, the core does no I/O, extras are loaded when needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(path for room in ("rules", "simulator") for path in (ROOT / room).rglob("*.py"))
MODULES = [path.relative_to(ROOT).with_suffix("") for path in FILES]
NAMES = [".".join(path.parts[:-1] if path.name == "__init__" else path.parts) for path in MODULES]


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(FILES[NAMES.index(name)].read_text(encoding="utf-8"))


def imports(name: str, *, lazy: bool = True) -> set[str]:
    """The modules that a module imports; without ``lazy`` only when it is imported itself, and not for types alone."""
    found: set[str] = set()
    for node in ast.walk(tree(name)) if lazy else _at_once(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" if f"{module}.{alias.name}" in NAMES else module for alias in node.names}
    return found


def _at_once(module: ast.Module) -> Iterator[ast.stmt]:
    for node in module.body:
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node


def within(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


# -- arrows ------------------------------------------------------------------------------------------------------------

FLOORS = (
    ("rules",),
    ("simulator.wire", "simulator.clock", "simulator.ledger"),
    ("simulator.router", "simulator.testing.octets"),
    ("simulator.scenario", "simulator.programs", "simulator.conformance", "simulator.live", "simulator.hosting"),
    ("simulator.testing",),
    ("simulator.cli", "simulator.run"),
)
"""From the ground up.  A room on one of these floors imports nothing from a floor above its own."""


def floor_of(name: str) -> int | None:
    """The floor of the room that names the module most exactly."""
    rooms = [(len(room), floor) for floor, rooms in enumerate(FLOORS) for room in rooms if within(name, (room,))]
    return max(rooms)[1] if rooms else None


BELOW_THE_ROUTER = (
    "simulator.wire",
    "simulator.packet",
    "simulator.interfaces",
    "simulator.links",
    "simulator.routing",
    "simulator.fragments",
    "simulator.reassembly",
    "simulator.reassembly_linux",
    "simulator.reassembly_bsd",
    "simulator.profiles",
    "simulator.sockets",
    "simulator.clock",
    "simulator.trace",
    "simulator.ledger",
    "simulator.node",
    "simulator.dummynet",
    "simulator.host",
    "simulator.icmp_errors",
    "simulator.aliasing",
    "simulator.paths",
    "simulator.kernels",
    "simulator.configuration",
)
"""What the router puts together, and what therefore does not know of it."""

BELOW_THE_PATHS = tuple(
    room
    for room in BELOW_THE_ROUTER
    if room not in ("simulator.kernels", "simulator.paths", "simulator.host", "simulator.icmp_errors")
)
"""``paths -> (sockets, fragments, routing, wire)``."""

WIRE = ("simulator.wire",)


@pytest.mark.parametrize("name", NAMES)
def test_arrows_run_one_way(name: str) -> None:
    ours = {each for each in imports(name) if within(each, ("rules", "simulator"))}

    def none_of(*rooms: str) -> None:
        wrong = sorted(each for each in ours if within(each, rooms))
        assert not wrong, f"{name} imports {', '.join(wrong)}"

    if within(name, ("rules",)):
        none_of("simulator")
    if within(name, WIRE):
        assert all(within(each, (*WIRE, "rules")) for each in ours), f"{name} imports {sorted(ours)}"
    if within(name, BELOW_THE_PATHS):
        none_of("simulator.paths", "simulator.host")
    if within(name, BELOW_THE_ROUTER):
        none_of("simulator.router", "simulator.scenario", "simulator.programs", "simulator.conformance")
    if not within(name, ("simulator.cli", "simulator.run", "simulator.live")):
        none_of("simulator.cli", "simulator.live")
    if within(name, ("simulator.live",)):
        none_of("simulator.cli")
    if (floor := floor_of(name)) is not None:
        above = sorted(each for each in ours if (floor_of(each) or 0) > floor)
        assert not above, f"{name} imports {', '.join(above)}"


def test_the_rooms_exist() -> None:
    """A room that is renamed must not drop out of the rules above."""
    for room in (*BELOW_THE_ROUTER, "simulator.router", "simulator.live", "simulator.cli"):
        assert any(within(name, (room,)) for name in NAMES), room


# -- no I/O in the core ------------------------------------------------------------------------------------------------

CORE = (
    "rules",
    "simulator.wire",
    "simulator.packet",
    "simulator.aliasing",
    "simulator.paths",
    "simulator.kernels",
    "simulator.configuration",
    "simulator.fragments",
    "simulator.reassembly",
    "simulator.reassembly_linux",
    "simulator.reassembly_bsd",
    "simulator.routing",
    "simulator.profiles",
    "simulator.ledger",
    "simulator.node",
    "simulator.host",
    "simulator.icmp_errors",
    "simulator.dummynet",
    "simulator.collecting",
    "simulator.trace",
)

DOING_IO = frozenset(
    {"time", "threading", "select", "selectors", "asyncio", "subprocess", "pathlib", "io", "tempfile", "shutil", "sys"}
    | {"logging", "fcntl", "signal", "multiprocessing", "secrets", "uuid"}
)

CALLS = frozenset({"open", "print", "input", "exec", "eval", "breakpoint", "__import__"})

PURE_PARTS = {
    "os": frozenset({"strerror"}),
    "socket": frozenset({"AF_INET", "SOCK_RAW", "IPPROTO_IP", "IP_OPTIONS"}),
    "datetime": frozenset({"datetime", "timezone", "UTC", "timedelta"}),
    "random": frozenset({"Random"}),
}
"""Of modules that have both: what is a value, or is made from values that somebody hands in."""

CLOCKS = frozenset({"datetime.now", "datetime.today", "datetime.utcnow", "date.today"})


@pytest.mark.parametrize("name", [name for name in NAMES if within(name, CORE)])
def test_the_core_does_no_io(name: str) -> None:
    assert not {each.split(".")[0] for each in imports(name)} & DOING_IO
    whole = {alias.name for node in ast.walk(tree(name)) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree(name)):
        where = f"{name}:{getattr(node, 'lineno', 0)}"
        match node:
            case ast.Call(func=ast.Name(id=called)):
                assert called not in CALLS, f"{where} calls {called}"
            case ast.Attribute(value=ast.Name(id=module), attr=part) if module in whole & PURE_PARTS.keys():
                assert part in PURE_PARTS[module] or part.isupper(), f"{where} uses {module}.{part}"
            case ast.ImportFrom(module=str(module), names=names) if module in PURE_PARTS:
                assert {alias.name for alias in names} <= PURE_PARTS[module], f"{where} imports from {module}"
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in CLOCKS, f"{where} reads the clock"


def test_random_numbers_are_handed_in() -> None:
    """``random.Random`` is allowed with a seed only."""
    for name in NAMES:
        if within(name, CORE):
            for node in ast.walk(tree(name)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("random.Random", "Random"):
                    assert node.args, f"{name}:{node.lineno} makes a random source without a seed"


# -- extras ------------------------------------------------------------------------------------------------------------

EXTRAS = {
    "hypothesis": ("rules.strategies", "simulator.testing"),
    "scapy": (),
    "pytun": (),
    "pyroute2": (),
    "click": ("simulator.cli",),
    "rich": ("simulator.cli",),
    "lark": ("simulator.scenario",),
}
"""Who may import what when it is imported itself."""


@pytest.mark.parametrize("name", NAMES)
def test_extras_are_loaded_when_they_are_needed(name: str) -> None:
    for each in imports(name, lazy=False):
        package = each.split(".")[0]
        if package in EXTRAS:
            assert within(name, EXTRAS[package]), f"{name} imports {each}"


def test_importing_the_simulator_loads_none_of_them() -> None:
    program = f"import sys, simulator; print(*sorted({set(EXTRAS)!r} & {{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# -- what every module has ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_modules_say_what_they_are_and_what_they_offer(name: str) -> None:
    module = tree(name)
    if not module.body:
        return  # an empty __init__.py
    assert ast.get_docstring(module), f"{name} has no docstring"
    offered = [node.value for node in module.body if _is_offer(node)]
    if any(isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign) for node in module.body):
        assert len(offered) == 1, f"{name} has no __all__"
        for each in ast.literal_eval(offered[0] or ast.List([])):
            assert each in _defined(module), f"{name} offers {each}, which is not there"


def _is_offer(node: ast.stmt) -> TypeGuard[ast.Assign | ast.AnnAssign]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [ast.unparse(each) for each in targets] == ["__all__"]


def _defined(module: ast.Module) -> set[str]:
    """Names that a module has at its top level."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


@pytest.mark.parametrize("name", NAMES)
def test_kernels_differ_by_switches_not_by_name(name: str) -> None:
    """No comparison with a profile's name."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                text = ast.unparse(side)
                assert not text.endswith(("profile.name", "profile_name")), f"{name}:{node.lineno} {ast.unparse(node)}"
                assert not text.endswith("switches.name"), f"{name}:{node.lineno} {ast.unparse(node)}"
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("profile.name.startswith"):
            raise AssertionError(f"{name}:{node.lineno} {ast.unparse(node)}")
